"""Quix Streams in an environment of its own, so that it is no dependency of ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.endpoints import Endpoints
from schemas.topics import ORDER_EVENTS, ORDERS_CAPTURED
from tests.benchmarks.report import RESULTS
from tests.benchmarks.stream_runs import PeerMissing, Program, new_group

VERSION = "3.28.0"
_ROOT = Path(__file__).parents[3]
_HOME = RESULTS / "quix"
_INSTALL_SECONDS = 300


def install() -> Path:
    """The Python of an environment with Quix Streams; made once, under build/bench.

    Raises:
        PeerMissing: it cannot be installed here.
    """
    python = _HOME / "bin" / "python"
    ready = _HOME / f"installed-{VERSION}"
    if ready.exists():
        return python
    shutil.rmtree(_HOME, ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    try:
        _call([*uv, "venv", "--quiet", "--python", sys.executable, str(_HOME)])
        _call([*uv, "pip", "install", "--quiet", "--python", str(python), f"quixstreams=={VERSION}"])
    except (OSError, subprocess.SubprocessError) as exc:
        said = getattr(exc, "stderr", None) or str(exc)
        raise PeerMissing(f"Quix Streams {VERSION} could not be installed: {said.strip().splitlines()[-1]}") from exc
    ready.touch()
    return python


def program(endpoints: Endpoints, home: Path, guarantee: str) -> Program:
    """The peer as a process; `guarantee` is `at-least-once` or `exactly-once`. Raises PeerMissing."""
    python = install()
    group = new_group("quix")
    settings = {
        "servers": endpoints.bootstrap_servers,
        "group": group,
        "home": str(home),
        "guarantee": guarantee,
        "input": ORDERS_CAPTURED,
        "output": ORDER_EVENTS,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["BENCH"] = json.dumps(settings)
    argv = [str(python), "-m", "tests.benchmarks.peers.quix_orders"]
    return Program(f"Quix Streams {VERSION}", argv, environment, group, _ROOT)


def _call(argv: list[str]) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
