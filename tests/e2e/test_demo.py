"""The whole product at work: the demonstration as an operator runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import stack_home

pytestmark = pytest.mark.e2e


def demo(home: Path, *options: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "deploy.cli", "demo", "--home", str(home), *options]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def processes_in(home: Path) -> list[psutil.Process]:
    """Every process that was told of this home on its command line."""
    return [each for each in psutil.process_iter(["cmdline"]) if str(home) in " ".join(each.info["cmdline"] or [])]


@pytest.mark.timeout(600)
def test_every_system_agrees_also_after_an_interrupted_run() -> None:
    with stack_home() as home:
        with demo(home, "--orders", "5000", "--seed", "3") as interrupted:
            assert interrupted.stderr is not None
            for line in interrupted.stderr:
                if "the business trades" in line:
                    break
            interrupted.send_signal(signal.SIGINT)
            interrupted.communicate(timeout=120)
        assert interrupted.returncode == 130
        assert processes_in(home) == []

        with demo(home, "--orders", "80", "--seed", "4", "--json") as complete:
            out, err = complete.communicate(timeout=400)
        assert complete.returncode == 0, err
        (line,) = out.splitlines()
        figures = json.loads(line)
        assert (figures["orders"], figures["mismatches"], figures["ledger_imbalance"]) == (80, 0, 0)
        assert figures["parked"] == 0
        assert figures["rejected"] >= 1
        assert figures["versions"] > figures["orders"]
        assert figures["latency_seconds"]["p50"] <= figures["latency_seconds"]["p99"]
        assert processes_in(home) == []
