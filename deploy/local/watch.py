"""Watches one process of a supervisor and starts it again, with growing pauses, when it dies."""

from __future__ import annotations

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from deploy.local.process import ChildProcess, Command
from deploy.local.server import Server
from schemas.errors import ConfigurationError, OrdersyncError

_LOOK_SECONDS = 0.1
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# A process that lived this long is well: its next death begins with the first pause again.
_WELL_SECONDS = 30.0


class ProcessState(StrEnum):
    """Where a supervised process stands."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused before a restart"
    REFUSED = "refused its configuration"
    STOPPED = "stopped"


class ProcessStatus(BaseModel):
    """One supervised process at one moment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    pid: int | None
    state: ProcessState
    restarts: int
    since_at: AwareDatetime
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    """A worker as its caller wants it run; `environment` is the whole environment of the process."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = field(default_factory=Path.cwd)
    stop_deadline_seconds: float = 20.0


class SupervisedTask(ABC):
    """What a watch needs of a process."""

    name: str

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """Number of the process while it lives."""

    @property
    @abstractmethod
    def exit_status(self) -> int | None:
        """How it ended; None while it runs and before its first start."""

    @abstractmethod
    def ensure_started(self) -> None:
        """Start it unless it runs or was stopped. Raises `OrdersyncError`."""

    def refused(self, exit_status: int) -> bool:
        """Whether a restart is useless: it ended because its settings cannot work."""
        return False


class ServerTask(SupervisedTask):
    """A server of the stack: it always has to run."""

    def __init__(self, server: Server) -> None:
        self.name = server.name
        self._server = server

    @property
    def pid(self) -> int | None:
        """Number of the server's process while it lives."""
        return self._server.pid

    @property
    def exit_status(self) -> int | None:
        """How the server ended."""
        return self._server.process.exit_status

    def ensure_started(self) -> None:
        """Same ports, same data."""
        self._server.heal()


class WorkerTask(SupervisedTask):
    """A worker process; one that refuses its configuration is not started again."""

    def __init__(self, command: WorkerCommand, process: ChildProcess) -> None:
        self.name = command.name
        self._command = command
        self._process = process
        self._lock = threading.Lock()
        self._wanted = True

    @property
    def pid(self) -> int | None:
        """Number of the worker's process while it lives."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """How the worker ended."""
        return self._process.exit_status

    def ensure_started(self) -> None:
        """Start it with the caller's command."""
        with self._lock:
            if self._wanted and not self._process.alive:
                command = self._command
                self._process.spawn(Command(command.argv, command.cwd, command.environment))

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after the worker's deadline."""
        with self._lock:
            self._wanted = False
            self._process.stop(signal.SIGTERM, self._command.stop_deadline_seconds)

    def refused(self, exit_status: int) -> bool:
        """The exit code of a `ConfigurationError`."""
        return exit_status == ConfigurationError.exit_code


class Watch:
    """A thread that keeps one task running until `finish`; `on_change` is called from it after each new state."""

    def __init__(self, task: ServerTask | WorkerTask, on_change: Callable[[], None]) -> None:
        self.task = task
        self._on_change = on_change
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"watch-{task.name}", daemon=True)
        self._state = ProcessState.STARTING
        self._since_at = datetime.now(UTC)
        self._restarts = 0
        self._problem: str | None = None

    def start(self) -> None:
        """Start the task where it does not run yet, and begin to watch. Raises `OrdersyncError`."""
        self.task.ensure_started()
        self._enter(ProcessState.RUNNING)
        self._thread.start()

    def finish(self) -> None:
        """Stop restarting; whoever calls it stops the process itself."""
        self._finished.set()

    def join(self) -> None:
        """Wait for the thread, after `finish` and the end of the process."""
        self._thread.join()

    def status(self) -> ProcessStatus:
        """The state now."""
        task = self.task
        return ProcessStatus(
            name=task.name,
            pid=task.pid,
            state=self._state,
            restarts=self._restarts,
            since_at=self._since_at,
            problem=self._problem,
        )

    def _keep(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._finished.wait(_LOOK_SECONDS):
            exit_status = self.task.exit_status
            if exit_status is None:
                continue
            if self._lived_seconds() > _WELL_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            if self.task.refused(exit_status):
                self._enter(ProcessState.REFUSED, f"exit status {exit_status}: see its log")
                return
            self._enter(ProcessState.PAUSED, f"exit status {exit_status}")
            if self._finished.wait(pause):
                return
            self._restart()
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _restart(self) -> None:
        self._restarts += 1
        self._enter(ProcessState.STARTING, self._problem)
        try:
            self.task.ensure_started()
        except (OrdersyncError, OSError) as exc:
            # The loop tries again; the status tells people why it has not worked yet.
            self._problem = str(exc)
            return
        self._enter(ProcessState.RUNNING, self._problem)

    def _enter(self, state: ProcessState, problem: str | None = None) -> None:
        if self._finished.is_set():
            return
        self._state, self._problem, self._since_at = state, problem, datetime.now(UTC)
        self._on_change()

    def _lived_seconds(self) -> float:
        return (datetime.now(UTC) - self._since_at).total_seconds()
