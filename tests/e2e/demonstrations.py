"""Demonstrations as an operator runs them, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any, Self

import httpx
import psutil

from deploy.local.server import await_condition
from deploy.local.supervisor import Supervisor
from deploy.local.watch import ProcessState, ProcessStatus

_READY_SECONDS = 120.0


class Demonstration:
    """One run of `ordersync demo` in a home; ended with everything that it started when the block ends."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.lines: list[str] = []
        """What it told the operator so far."""
        argv = [sys.executable, "-m", "deploy.cli", "demo", "--home", str(home), *options]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def reaches(self, phase: str, within_seconds: float) -> bool:
        """Whether it told the operator of this phase in time, and lives."""
        await_condition(lambda: not self.lives or self.is_past(phase), within_seconds)
        return self.lives and self.is_past(phase)

    def is_past(self, phase: str) -> bool:
        """Whether it has told the operator of this phase."""
        return any(phase in line for line in list(self.lines))

    @property
    def lives(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    @property
    def told(self) -> str:
        """All that it told the operator."""
        return "".join(self.lines)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self, within_seconds: float) -> str:
        """Wait for its end, and give its standard output."""
        assert self.process.stdout is not None
        self.process.wait(within_seconds)
        self._listener.join()
        return self.process.stdout.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.lives:
            # Its children end with it, and write in its home until then.
            self.process.kill()
            self.process.wait()
            await_condition(lambda: not processes_in(self.home), _READY_SECONDS)
        self._listener.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)


def figures_of(out: str) -> dict[str, Any]:
    """The figures on standard output, which holds one line of JSON and nothing else."""
    assert out.endswith("\n") and out.count("\n") == 1, out
    figures = json.loads(out)
    assert isinstance(figures, dict)
    return figures


def processes_in(home: Path) -> list[psutil.Process]:
    """Every process that was told of this home on its command line."""
    return [each for each in psutil.process_iter(["cmdline"]) if str(home) in " ".join(each.info["cmdline"] or [])]


def kill_each_once(running: Demonstration) -> list[str]:
    """SIGKILL to every process that the supervisor reports, each once and only after all work again; gives them."""
    await_all_work(running, frozenset())
    names = [process.name for process in Supervisor.read_status(running.home)]
    for number, name in enumerate(names):
        pid = _status(running.home)[name].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await_all_work(running, frozenset(names[: number + 1]))
    return names


def await_all_work(running: Demonstration, restarted: frozenset[str]) -> None:
    """Return when all processes run, those of `restarted` anew, and all workers are ready."""
    last: dict[str, str] = {}

    def work() -> bool:
        last.clear()
        for name, process in _status(running.home).items():
            if process.state is not ProcessState.RUNNING or process.pid is None:
                last[name] = f"{process.state.value} ({process.problem})"
            elif name in restarted and not process.restarts:
                last[name] = "not started again"
        last.update((name, "not ready") for name in _not_ready(running.home) if name not in last)
        return not last or not running.lives

    arrived = await_condition(work, _READY_SECONDS)
    assert running.lives, running.told
    assert arrived, f"after {sorted(restarted)} were killed: {last}\n{running.told}"


def _status(home: Path) -> dict[str, ProcessStatus]:
    return {process.name: process for process in Supervisor.read_status(home)}


def _not_ready(home: Path) -> list[str]:
    ports: dict[str, int] = json.loads((home / "worker-ports.json").read_text())
    return [name for name, port in ports.items() if not _is_ready(port)]


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False, verify=False).is_success
    except httpx.TransportError:
        return False
