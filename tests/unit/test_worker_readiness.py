"""Readiness of every kind of worker whose servers are away: it lives, it is not ready, and it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = [
    "api",
    "backup",
    "capture",
    "deliveries",
    "erp",
    "figures",
    "publisher",
    "reconcile",
    "streams",
    "vendor-files",
    "vendors",
    "warehouse",
    "webhooks",
]
"""Not those that need a signed policy (archive, keeper) or a source of documents, nor those that give a broker 15 s."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What each answered after its first complaint; one process for all, which forks."""
    argv = [sys.executable, "-m", "tests.unit.absent_servers", str(tmp_path_factory.mktemp("away")), *KINDS]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stderr[-4_000:]
    return {line["worker"]: line for line in lines}


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_whose_servers_are_away_lives_and_is_not_ready(
    kind: str, answers: dict[str, dict[str, object]]
) -> None:
    assert answers[kind] == {"worker": kind, "noticed": True, "live": 200, "ready": 503}
