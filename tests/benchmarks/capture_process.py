"""Our capture as the benchmark runs it: the deployable worker in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from deploy.local.endpoints import Endpoints
from deploy.topics import TopicLayout, apply_topics
from schemas.registry import SchemaRegistry
from schemas.topics import CATALOGUE, ORDERS_CAPTURED
from tests.benchmarks.capture_load import PARTITIONS

_START_SECONDS = 60.0


@dataclass
class OrdersyncCapture:
    """The capture of one database with the built-in mapping `crm`, on topics of its own."""

    home: Path
    stack: Endpoints
    dbname: str
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)

    @property
    def prefix(self) -> str:
        """Start of its topics' names."""
        return f"{self.dbname}."

    @property
    def topic(self) -> str:
        """Where its orders go."""
        return self.prefix + ORDERS_CAPTURED

    @property
    def pid(self) -> int:
        """The worker's process, once started."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it said."""
        return (self.home / "capture.log").read_text(errors="replace")

    def create_topics(self, registry: SchemaRegistry) -> None:
        """Every topic that it may write to."""
        topics = [
            replace(topic, name=self.prefix + name)
            for name, topic in CATALOGUE.items()
            if "capture" in (*topic.writers, *topic.readers)
        ]
        apply_topics(self.stack.kafka(), registry, TopicLayout(PARTITIONS), topics)

    def start(self) -> None:
        """Start the worker; it reads the source a second later."""
        database = self.stack.database(self.dbname)
        password = database.password.get_secret_value() if database.password else ""
        own = {
            "ORDERSYNC_MAPPING": "crm",
            "ORDERSYNC_DATA_DIR": str(self.home / "data"),
            "ORDERSYNC_TOPIC_PREFIX": self.prefix,
            "ORDERSYNC_SLOT": self.dbname,
            "ORDERSYNC_PUBLICATION": self.dbname,
            "ORDERSYNC_DATABASE__HOST": database.host,
            "ORDERSYNC_DATABASE__PORT": str(database.port),
            "ORDERSYNC_DATABASE__DBNAME": database.dbname,
            "ORDERSYNC_DATABASE__USER": database.user,
            "ORDERSYNC_DATABASE__PASSWORD": password,
        }
        with (self.home / "capture.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", "worker", "capture-bench"],
                env={**os.environ, **self.stack.environment(), **own},
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        """Return when the snapshot is behind it."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            self.require_alive()
            port = re.search(r"metrics on port (\d+)", self.log)
            if port and _answers(f"http://127.0.0.1:{port[1]}/health/ready"):
                return
            time.sleep(0.05)
        raise SystemExit(f"the capture was not ready within {_START_SECONDS:.0f} s:\n{self.log[-4000:]}")

    def require_alive(self) -> None:
        """Raises SystemExit with its last words if it has ended."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise SystemExit(f"the capture ended with {self._process.returncode}:\n{self.log[-4000:]}")

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
