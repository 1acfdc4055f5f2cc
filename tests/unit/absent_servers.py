"""Hosts every kind of worker while its servers are away, and tells what `/health/live` and `/health/ready` answer.

A program of its own, which forks once for each kind: workers share the process's registry of metrics, and their
libraries are imported once for all of them. Prints one line of JSON a kind, for `test_worker_readiness`.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

import httpx
from prometheus_client import CollectorRegistry

from deploy.telemetry.server import TelemetryServer
from deploy.worker import _Hosted, _made
from deploy.worker_contract import Assembled
from deploy.worker_kinds import kind_of

_DEADLINE_SECONDS = 120.0
_CLIENT = """
[[clients]]
name = "shop"
key_sha256 = ["0000000000000000000000000000000000000000000000000000000000000000"]
scopes = ["orders:write"]
systems = ["shop"]
"""
_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
_FILES = {"CLIENTS": _CLIENT, "VENDORS": "[vendors.V1]", "USERS": '{"users": []}'}


class _Complaint(logging.Handler):
    """Set by the first warning: the worker has noticed that something is away."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.came.set()


def environment(directory: Path, port: int) -> dict[str, str]:
    """Settings of all kinds; nobody listens on the port."""
    files = {name: directory / name.lower() for name in _FILES}
    for name, path in files.items():
        path.write_text(_FILES[name])
        path.chmod(0o600)
    key = directory / "key"
    key.touch(0o600)
    key.write_text(_KEY)
    database = json.dumps({"host": "127.0.0.1", "port": port, "dbname": "away", "password": "none"})
    told = {name: str(path) for name, path in files.items()} | {
        "KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "REGISTRY__URL": f"http://127.0.0.1:{port}",
        "DATA_DIR": str(directory / "data"),
        "DATABASE": database,
        "ERP": database,
        "LEDGER": database,
        "PRIVACY__ENCRYPTION_KEY_FILE": str(key),
        "PRIVACY__PSEUDONYM_KEY_FILE": str(key),
        "MAPPING": "crm",
        "SOURCES": json.dumps([{"mapping": "crm", "database": json.loads(database)}]),
        "METRICS_HOST": "127.0.0.1",
        "METRICS_PORT": "0",
        "PORT": "0",
        "SLOT": "0",
    }
    return {f"ORDERSYNC_{name}": value for name, value in told.items()}


def probe(name: str, assembled: Assembled) -> dict[str, object]:
    """What one worker answers once it has complained."""
    complaint, hosted, stop = _Complaint(), _Hosted(), threading.Event()
    logging.getLogger().addHandler(complaint)

    def work() -> None:
        hosted.worker = _made(assembled.make, stop)
        if hosted.worker is not None:
            hosted.worker.run(stop)

    threading.Thread(target=work, daemon=True).start()
    noticed = complaint.came.wait(_DEADLINE_SECONDS)
    with (
        TelemetryServer("127.0.0.1", 0, CollectorRegistry(), hosted.ready) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client,
    ):
        answers = {path: client.get(f"/health/{path}").status_code for path in ("live", "ready")}
    return {"worker": name, "noticed": noticed} | answers


def main(directory: Path, names: list[str]) -> None:
    """Fork for each kind, and wait for all."""
    with socket.socket() as unused:
        # Bound and never listened on: whoever connects is refused, and nobody else can take it.
        unused.bind(("127.0.0.1", 0))
        os.environ.update(environment(directory, unused.getsockname()[1]))
        assembled = {name: kind_of(name).assemble() for name in names}
        for name in names:
            if os.fork() == 0:
                _child(name, assembled[name])
        for _ in names:
            os.wait()


def _child(name: str, assembled: Assembled) -> NoReturn:
    try:
        os.write(1, json.dumps(probe(name, assembled)).encode() + b"\n")
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
