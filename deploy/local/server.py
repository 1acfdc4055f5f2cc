"""What each server of the embedded stack promises, and how its start is awaited."""

from __future__ import annotations

import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from deploy.local.ports import Ports
from deploy.local.process import ChildProcess
from schemas.errors import Fatal

_POLL_SECONDS = 0.05
_START_ATTEMPTS = 3
_STOP_SECONDS = 30.0


class Server(ABC):
    """One server on loopback, with its data, its log and its ports in a home directory.

    The stack calls `prepare` once, then `start`; `heal` whenever the process died; `stop` at the end. Data that the
    server acknowledged survives each of these and a kill -9.
    """

    name: ClassVar[str]
    start_deadline_seconds: ClassVar[float] = 120.0
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, home: Path, ports: Ports) -> None:
        self.home = home
        self.ports = ports
        self.process = ChildProcess(self.name, home / "logs" / f"{self.name}.log", home / "run" / f"{self.name}.pid")
        self.stop_deadline_seconds = _STOP_SECONDS
        self._lock = threading.Lock()
        self._wanted = True

    @abstractmethod
    def prepare(self) -> None:
        """Lay out the data and clear what a crash left. Raises `Fatal`."""

    @abstractmethod
    def claim_ports(self) -> None:
        """Take the kept ports, or new ones where somebody else took them. Raises `Fatal`."""

    @abstractmethod
    def spawn(self) -> None:
        """Start the process on the claimed ports. Raises `Fatal`."""

    @abstractmethod
    def healthy(self) -> bool:
        """Whether the server does its work now: asked of it in its own protocol."""

    @property
    def pid(self) -> int | None:
        """Number of the process while it lives."""
        return self.process.pid

    def start(self) -> float:
        """A cold start: claim ports, start, wait until it works; gives the seconds that it took.

        Raises:
            Fatal: it did not come up; the message ends with the last lines of its log.
        """
        began = time.monotonic()
        for attempt in range(1, _START_ATTEMPTS + 1):
            self._spawn_on_claimed_ports()
            # Somebody may take a port between the claim and the server's own use of it.
            if self._await_health() or not self._wanted or attempt == _START_ATTEMPTS:
                break
        self._require_health()
        return time.monotonic() - began

    def heal(self) -> bool:
        """Start again on the same ports with the same data where the process died; whether that was needed.

        Called by any thread at any time. Raises `Fatal` where it does not come up.
        """
        with self._lock:
            if not self._wanted or self.process.exit_status is None:
                return False
            self.prepare()
            self.spawn()
        self._await_health()
        self._require_health()
        return True

    def stop(self) -> None:
        """Ask the server to end in order, and end it after the deadline."""
        with self._lock:
            self._wanted = False
            self.process.stop(self.stop_signal, self.stop_deadline_seconds)

    def _spawn_on_claimed_ports(self) -> None:
        with self._lock:
            if not self._wanted:
                raise Fatal(f"{self.name} was stopped before it started.")
            self.claim_ports()
            self.spawn()

    def _await_health(self) -> bool:
        await_condition(lambda: not self.process.alive or self.healthy(), self.start_deadline_seconds)
        return self.process.alive

    def _require_health(self) -> None:
        if self.process.alive and self.healthy():
            return
        status = self.process.exit_status
        if not self._wanted:
            raise Fatal(f"{self.name} was stopped while it started.")
        what = "did not answer in time" if status is None else f"ended with status {status}"
        self.process.stop(signal.SIGKILL, self.stop_deadline_seconds)
        raise Fatal(f"{self.name} {what}. Its log is {self.process.log_path}; the last lines:\n{self.process.tail()}")


def await_condition(condition: Callable[[], bool], deadline_seconds: float) -> bool:
    """Whether the condition came true before the deadline; looks at it twenty times a second."""
    deadline = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def plain_environment() -> dict[str, str]:
    """An environment in which no variable of the user (JAVA_TOOL_OPTIONS, PGPORT) changes a server."""
    kept = ("PATH", "HOME", "TZ", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LANG": "C.UTF-8"}
