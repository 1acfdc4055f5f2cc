"""A child process that never outlives its launcher and that a later launcher recognizes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local.account import Account
from deploy.local.endpoints import ProcessIdentity
from deploy.security.files import write_private
from schemas.errors import Fatal

_EXEC_CHILD = Path(__file__).with_name("exec_child.py")
_TAIL_LINES = 12
_LOG_BYTES = 50_000_000
# Linux ties "the parent died" to the thread that forked: one thread that lasts as long as the launcher forks them all.
_FORKING_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forking")


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and as whom."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    # What the kernel sends when the launcher dies.
    death_signal: signal.Signals = signal.SIGKILL


class ChildProcess:
    """One child: started, watched and ended by its launcher; `record` tells the next launcher of it."""

    def __init__(self, name: str, log_path: Path, record: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._record = record
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Number of the process while it lives."""
        return self._popen.pid if self._popen is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the process runs; collects its exit status when it does not."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_status(self) -> int | None:
        """How the last run ended (negative: by that signal), None while it runs or before the first."""
        return None if self._popen is None else self._popen.poll()

    def spawn(self, command: Command) -> None:
        """Start the program with its output appended to the log, and record it.

        Raises:
            Fatal: the program cannot be started.
        """
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            self._record.parent.mkdir(parents=True, exist_ok=True)
            _set_aside(self.log_path)
            self._popen = _FORKING_THREAD.submit(_fork, command, self.log_path).result()
            write_private(self._record, ProcessIdentity.of(self._popen.pid).model_dump_json())
        except (OSError, psutil.NoSuchProcess) as exc:
            raise Fatal(f"{self.name} could not be started ({command.argv[0]}): {exc}") from exc

    def stop(self, stop_signal: signal.Signals, deadline_seconds: float) -> None:
        """Ask the process to end, and end it when it does not within the deadline; then forget it."""
        if self._popen is not None and self.alive:
            self._popen.send_signal(stop_signal)
            try:
                self._popen.wait(deadline_seconds)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._record.unlink(missing_ok=True)

    def end_leftover(self, deadline_seconds: float = 15.0) -> None:
        """End what a crashed launcher left: the recorded process, if it still is that very process."""
        try:
            identity = ProcessIdentity.model_validate_json(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return
        process = identity.process()
        if process is not None:
            process.kill()
            psutil.wait_procs([process], timeout=deadline_seconds)
        self._record.unlink(missing_ok=True)

    def tail(self) -> str:
        """The last lines of the log, for messages."""
        try:
            lines = self.log_path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "(the log is empty)"
        return "\n".join(f"    {line}" for line in lines[-_TAIL_LINES:])


def _set_aside(log_path: Path) -> None:
    """Begin a new log, keeping one older, when this one has grown large."""
    if log_path.exists() and log_path.stat().st_size > _LOG_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))


def _fork(command: Command, log_path: Path) -> subprocess.Popen[bytes]:
    account = command.account
    uid, gid = (account.uid, account.gid) if account is not None else (-1, -1)
    drop = [str(int(command.death_signal)), str(os.getpid()), str(uid), str(gid)]
    with log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_EXEC_CHILD), *drop, *command.argv],
            cwd=command.cwd,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal is for the launcher, which stops its children in order.
            start_new_session=True,
        )
