"""The figures of the last weeks for the pages: reckoned beside them in one thread, kept for some minutes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from deploy.commands.options import Cluster
from deploy.improvement.collecting import Question, improvement_of
from deploy.improvement.figures import Improvement
from schemas.errors import OrdersyncError

CHOICES: Final = (4, 8, 13, 26, 52)
_KEPT_SECONDS: Final = 300.0


class _Stopped(Exception):
    """The console ends while figures are reckoned."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known now; `made` may be some minutes old while newer figures are reckoned."""

    made: Improvement | None
    doing: str | None
    """How far the reckoning is, in words; None while nothing is reckoned."""
    problem: str | None


class WeeksDesk:
    """Asked by any thread; reads the topics for one question at a time."""

    def __init__(self, cluster: Cluster, currency_code: str) -> None:
        self._cluster, self._currency_code = cluster, currency_code
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[float, Improvement]] = {}
        self._problem: str | None = None
        self._doing: str | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def ask(self, weeks: int) -> Answer:
        """What is known, at once; where that is nothing, or old, reckoning begins."""
        with self._lock:
            reckoned_at, made = self._kept.get(weeks, (0.0, None))
            problem, self._problem = self._problem, None
            is_fresh = made is not None and time.monotonic() - reckoned_at < _KEPT_SECONDS
            if not is_fresh and problem is None and self._doing is None and not self._stopped.is_set():
                self._doing = "beginning"
                self._thread = threading.Thread(target=self._reckon, args=(weeks,), name="weeks", daemon=True)
                self._thread.start()
            return Answer(made, self._doing, problem)

    def close(self) -> None:
        """End the reckoning in hand."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _reckon(self, weeks: int) -> None:
        question = Question(datetime.now(UTC), weeks, self._currency_code)
        try:
            made = improvement_of(question, self._cluster, self._tell)
            with self._lock:
                self._kept[weeks] = time.monotonic(), made
        except OrdersyncError as exc:
            self._problem = str(exc)
        except _Stopped:
            return
        finally:
            self._doing = None

    def _tell(self, doing: str, done: int, total: int) -> None:
        if self._stopped.is_set():
            raise _Stopped
        self._doing = f"{doing}: {100 * done // total} %" if total else doing
