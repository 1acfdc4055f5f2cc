"""Supervised processes: they end with their launcher, come back when they die, and stop when asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.endpoints import ProcessIdentity
from deploy.local.process import ChildProcess, Command
from deploy.local.server import await_condition
from deploy.local.watch import ProcessState, Watch, WorkerCommand, WorkerTask
from schemas.errors import Fatal

_SECONDS = 15.0
_ENDLESS = "import signal; signal.pause()"
_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def child(directory: Path, name: str = "worker") -> ChildProcess:
    return ChildProcess(name, directory / "logs" / f"{name}.log", directory / "run" / f"{name}.pid")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ChildProcess]:
    started = child(tmp_path)
    yield started
    started.stop(signal.SIGKILL, _SECONDS)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[list[Watch]]:
    """Watches that the test starts; ended with their processes afterwards."""
    watches: list[Watch] = []
    yield watches
    for watch in watches:
        watch.finish()
        assert isinstance(watch.task, WorkerTask)
        watch.task.stop()
        watch.join()


def watch_worker(directory: Path, code: str, changes: list[ProcessState], watches: list[Watch]) -> Watch:
    task = WorkerTask(WorkerCommand("worker", python(code), stop_deadline_seconds=_SECONDS), child(directory))
    watch = Watch(task, lambda: changes.append(watch.status().state))
    watches.append(watch)
    watch.start()
    return watch


def eventually(condition: object) -> None:
    assert callable(condition)
    assert await_condition(condition, _SECONDS), "the condition did not come true"


def test_a_child_ends_with_its_killed_launcher(tmp_path: Path) -> None:
    launcher = f"""
import signal
from pathlib import Path
from threading import Thread
from deploy.local.process import ChildProcess, Command
child = ChildProcess("worker", Path({str(tmp_path / "log")!r}), Path({str(tmp_path / "pid")!r}))
# A thread that ends at once: the child must not end with it.
thread = Thread(target=child.spawn, args=(Command({python(_ENDLESS)!r}, Path("/")),))
thread.start(); thread.join()
print(child.pid, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", launcher], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        identity = ProcessIdentity.of(int(started.stdout.readline()))
        assert identity.process() is not None
        started.kill()
    eventually(lambda: identity.process() is None)


def test_a_later_launcher_ends_the_recorded_process(tmp_path: Path, process: ChildProcess) -> None:
    process.spawn(Command(python(_ENDLESS), tmp_path))
    child(tmp_path).end_leftover()
    assert not process.alive
    assert not (tmp_path / "run" / "worker.pid").exists()


def test_a_number_that_belongs_to_somebody_else_now_is_left_alone(tmp_path: Path) -> None:
    record = tmp_path / "run" / "worker.pid"
    record.parent.mkdir()
    stale = ProcessIdentity(pid=os.getpid(), started_at_seconds=psutil.Process().create_time() - 3600)
    record.write_text(stale.model_dump_json())
    child(tmp_path).end_leftover()
    assert not record.exists()


def test_a_process_that_ignores_sigterm_is_ended_after_the_deadline(tmp_path: Path, process: ChildProcess) -> None:
    process.spawn(Command(python(_DEAF), tmp_path))
    eventually(lambda: "deaf" in process.log_path.read_text())
    process.stop(signal.SIGTERM, 0.2)
    assert process.exit_status == -signal.SIGKILL


def test_a_program_that_does_not_exist_is_named(tmp_path: Path, process: ChildProcess) -> None:
    process.spawn(Command([str(tmp_path / "absent")], tmp_path))
    eventually(lambda: not process.alive)
    assert f"{tmp_path / 'absent'} cannot be run" in process.tail()


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path, process: ChildProcess) -> None:
    with pytest.raises(Fatal, match=r"worker could not be started.*absent"):
        process.spawn(Command(python(_ENDLESS), tmp_path / "absent"))


def test_a_killed_worker_comes_back(tmp_path: Path, watched: list[Watch]) -> None:
    changes: list[ProcessState] = []
    watch = watch_worker(tmp_path, _ENDLESS, changes, watched)
    first = watch.task.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: watch.status().restarts == 1 and watch.status().state is ProcessState.RUNNING)
    assert watch.task.pid not in (None, first)
    assert changes == [ProcessState.RUNNING, ProcessState.PAUSED, ProcessState.STARTING, ProcessState.RUNNING]


def test_pauses_grow_while_a_worker_keeps_dying(tmp_path: Path, watched: list[Watch]) -> None:
    began = time.monotonic()
    watch = watch_worker(tmp_path, "raise SystemExit(1)", [], watched)
    eventually(lambda: watch.status().restarts == 3)
    assert time.monotonic() - began >= 0.5 + 1.0 + 2.0


def test_a_worker_that_refuses_its_configuration_stays_down(tmp_path: Path, watched: list[Watch]) -> None:
    watch = watch_worker(tmp_path, "raise SystemExit(2)", [], watched)
    eventually(lambda: watch.status().state is ProcessState.REFUSED)
    assert watch.status().restarts == 0


def test_a_stopped_worker_does_not_come_back(tmp_path: Path, watched: list[Watch]) -> None:
    watch = watch_worker(tmp_path, _ENDLESS, [], watched)
    assert isinstance(watch.task, WorkerTask)
    watch.finish()
    watch.task.stop()
    watch.join()
    watch.task.ensure_started()
    assert watch.task.pid is None
