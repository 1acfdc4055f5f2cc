"""Keeps a stack and its workers running: starts them, restarts what dies, reports, stops all in order."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from pydantic import TypeAdapter, ValidationError

from deploy.local.endpoints import Endpoints
from deploy.local.process import ChildProcess
from deploy.local.progress import StackProgress
from deploy.local.stack import EmbeddedStack
from deploy.local.staged_start import StagedStart
from deploy.local.watch import ProcessStatus, ServerTask, Watch, WorkerCommand, WorkerTask
from deploy.security.files import write_private
from schemas.errors import ConfigurationError, Fatal

_LOG = logging.getLogger(__name__)
_STATUSES = TypeAdapter(list[ProcessStatus])


class Supervisor:
    """One launcher's servers and workers.

    Used inside a process (`start`, `add_worker`, `stop`; the demo and the tests) or as the long-running `ordersync up`
    (`start`, `add_worker`, `run`). A worker is at-least-once to the supervisor: it may be killed at any moment and is
    started again, so it must recover by itself.
    """

    def __init__(self, stack: EmbeddedStack) -> None:
        self.stack = stack
        self._watches: dict[str, Watch] = {}
        self._stop_requested = threading.Event()
        self._status_lock = threading.Lock()
        self._staged: list[StagedStart] = []

    @staticmethod
    def read_status(home: Path) -> list[ProcessStatus]:
        """What the supervisor of this home reported last; empty where none lives."""
        try:
            return _STATUSES.validate_json((home / "status.json").read_text())
        except (FileNotFoundError, ValidationError):
            return []

    def start(self, progress: StackProgress | None = None) -> Endpoints:
        """Start the servers and watch them. Where another launcher keeps this home, its endpoints come back and
        `stack.owned` is false: there is nothing to supervise then.

        Raises:
            Fatal: a server does not start; nothing is left running.
        """
        endpoints = self.stack.start(progress)
        if self.stack.owned:
            self._end_leftover_workers()
            for server in self.stack.servers:
                self._watch(ServerTask(server))
        return endpoints

    def add_worker(self, command: WorkerCommand) -> None:
        """Start a worker and keep it running. Raises `ConfigurationError` for a name in use, `Fatal` before `start`."""
        if not self.stack.owned:
            raise Fatal(
                f"The stack in {self.stack.home} is not kept by this process: it cannot run {command.name} there."
            )
        if command.name in self._watches:
            raise ConfigurationError(f"A process named {command.name!r} runs already: give each worker its own name.")
        home = self.stack.home
        process = ChildProcess(command.name, home / "logs" / f"{command.name}.log", self._record(command.name))
        self._watch(WorkerTask(command, process))

    def add_workers_after(self, ready: Sequence[int], commands: Sequence[WorkerCommand]) -> None:
        """Start these once the workers whose metrics are on the ports `ready` answer that they are ready, or soon."""

        def add() -> None:
            for command in commands:
                self.add_worker(command)

        staged = StagedStart(ready, add)
        self._staged.append(staged)
        staged.begin()

    def status(self) -> list[ProcessStatus]:
        """Every process, servers first, in the order of their start."""
        return [watch.status() for watch in list(self._watches.values())]

    def pid(self, name: str) -> int | None:
        """Number of a process while it runs. Raises `KeyError` for an unknown name."""
        return self._watches[name].task.pid

    def request_stop(self) -> None:
        """Let `run` return; safe in a signal handler and in any thread."""
        self._stop_requested.set()

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or `request_stop`, then stop everything. Only in the main thread."""
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self._stop_requested.wait()
        finally:
            self.stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Stop the workers, then the servers they work on; the data stays."""
        owned = self.stack.owned
        for staged in self._staged:
            staged.cease()
        self._staged.clear()
        for watch in self._watches.values():
            watch.finish()
        workers = [watch.task for watch in self._watches.values() if isinstance(watch.task, WorkerTask)]
        with ThreadPoolExecutor(max(1, len(workers))) as pool:
            for stopping in [pool.submit(worker.stop) for worker in workers]:
                stopping.result()
        self.stack.stop()
        for watch in self._watches.values():
            watch.join()
        self._watches.clear()
        if owned:
            self._status_path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _status_path(self) -> Path:
        return self.stack.home / "status.json"

    def _record(self, name: str) -> Path:
        return self.stack.home / "run" / "workers" / f"{name}.pid"

    def _watch(self, task: ServerTask | WorkerTask) -> None:
        watch = Watch(task, self._write_status)
        self._watches[task.name] = watch
        watch.start()

    def _write_status(self) -> None:
        with self._status_lock:
            try:
                write_private(self._status_path, _STATUSES.dump_json(self.status(), indent=2).decode())
            except OSError as exc:
                # A full disk must not end the thread that keeps a process running.
                _LOG.warning("The state of the processes could not be written to %s: %s", self._status_path, exc)

    def _end_leftover_workers(self) -> None:
        for record in self._record("any").parent.glob("*.pid"):
            ChildProcess(record.stem, self.stack.home / "logs" / f"{record.stem}.log", record).end_leftover()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.request_stop()
