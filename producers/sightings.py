"""Which sightings the audit has been told of lately, so that what is looked at again is not told again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from producers.auditing import AuditWriter
from schemas.audit_chain import Deed

EVERY_SECONDS: Final = 900.0
SEEING: Final = frozenset(
    {"OrderViewed", "DeadLetterViewed", "ReviewViewed", "OrderRead", "TimeLineRead", "PersonalDataViewed"}
)
"""Deeds that changed nothing; the audit has them, an order's life does without."""
_MOST: Final = 20_000

_Sighting = tuple[str, str, str, str | None]


class Sightings:
    """One entry a person or client, order and address in a quarter of an hour; the next tells how many were left out.

    So the audit grows with what is seen, not with how often it is asked for. After a restart all is told anew.
    """

    def __init__(self, audit: AuditWriter, now: Callable[[], float] = time.monotonic, most: int = _MOST) -> None:
        self._audit, self._now, self._most = audit, now, most
        self._lock = threading.Lock()
        self._told: OrderedDict[_Sighting, tuple[float, int]] = OrderedDict()

    def counted(self, deed: Deed) -> bool:
        """Whether the audit was told lately, so that this one is only counted; else `saw`, which waits for brokers."""
        return self._left_out(deed) is None

    def saw(self, deed: Deed) -> None:
        """Return when the audit has it. Raises as `AuditWriter.record`: what it tells of must not be shown then."""
        left_out = self._left_out(deed)
        if left_out is not None:
            self._audit.record(_with(deed, left_out))
            self._remember(deed)

    def saw_part(self, deed: Deed) -> None:
        """As `saw`, of a part of what is seen, such as a picture: it does not count where the whole was told lately."""
        with self._lock:
            told_at, _ = self._told.get(_key(deed), (float("-inf"), 0))
            is_told = self._now() - told_at < EVERY_SECONDS
        if not is_told:
            self.saw(deed)

    def refused(self, deed: Deed) -> None:
        """Tell of a request that somebody had no right to; of many by the same person the first for each right."""
        kept = replace(deed, subject="", reference=None, changes=[])
        left_out = self._left_out(kept)
        if left_out is not None:
            self._remember(kept)
            self._audit.note(_with(deed, left_out))

    def _left_out(self, deed: Deed) -> int | None:
        """How many were not told since the last entry; None where that one is so young that this one is one of them."""
        key = _key(deed)
        with self._lock:
            told_at, left_out = self._told.get(key, (float("-inf"), 0))
            if self._now() - told_at >= EVERY_SECONDS:
                return left_out
            self._told[key] = told_at, left_out + 1
            return None

    def _remember(self, deed: Deed) -> None:
        with self._lock:
            self._told[_key(deed)] = self._now(), 0
            self._told.move_to_end(_key(deed))
            while len(self._told) > self._most:
                self._told.popitem(last=False)


def _key(deed: Deed) -> _Sighting:
    # A refusal is the same for each right, a sighting for each thing that is seen and each place that it is seen from.
    return deed.actor, deed.action, deed.subject, deed.reference or deed.reason


def _with(deed: Deed, left_out: int) -> Deed:
    if left_out:
        deed.changes.append(f"{left_out:,} more times since the entry before")
    return deed
