"""What a deployable worker is to the process that hosts it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from schemas.settings import WorkerSettings


class Worker(Protocol):
    """What the process calls of a worker; it asks for nothing else."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then finish what is in hand and return.

        Raises:
            OrdersyncError: it cannot go on; the process ends with the error's exit code.
        """
        ...

    def ready(self) -> bool:
        """Whether it does its work now; asked by `/health/ready`, in another thread."""
        ...


@runtime_checkable
class SaysHealth(Protocol):
    """A worker that has more to say of itself than whether it is ready."""

    def health(self) -> Mapping[str, object]:
        """What `/health` shows, for machines; `severity` is fine, warning or error. Asked in another thread."""
        ...


@dataclass(frozen=True, slots=True)
class Assembled:
    """A worker's settings, and what makes it; `make` may raise `Transient` and is then called again."""

    settings: WorkerSettings
    make: Callable[[], Worker]


@dataclass(frozen=True, slots=True)
class WorkerKind:
    """One deployable worker; `assemble` reads its settings from the environment, or raises `ConfigurationError`."""

    name: str
    purpose: str
    assemble: Callable[[], Assembled]
