"""A backup of one test's topics: people, keys, policy and copies on disk, and the workers that serve it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.settings import ArchiveSettings, KeeperSettings
from consumers.backup.policy import Policy
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.client import Client, Trusted
from consumers.backup.vault.copies import Copies, open_copy
from consumers.backup.vault.creator import Creator
from consumers.backup.vault.layout import root_path
from consumers.backup.vault.trust import write_signer
from consumers.sink import Partition
from deploy.backup.workers import archive_worker, keeper_worker
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from schemas.settings import DatabaseSettings
from tests.unit.backup_people import People, policy_data

DEADLINE_SECONDS = 60.0
ROOT = Path(__file__).parents[2]


class Runs(Protocol):
    """A worker of the backup."""

    def run(self, stop: threading.Event) -> None: ...


class BackupWorld:
    """Everything that one backup needs, below one directory."""

    def __init__(self, stack: Endpoints, prefix: str, directory: Path, topics: Iterable[str], copies: int = 1) -> None:
        self.stack = stack
        self.prefix = prefix
        self.directory = directory
        self.people = People.hired()
        self.topics = tuple(topics)
        self.databases: dict[str, DatabaseSettings] = {}
        self.postgres_programs: Path | None = None
        self.policy_path = directory / "policy.toml"
        self.root_path = directory / "root.json"
        self.places = [directory / f"copy-{number}" for number in range(copies)]
        for name in ("creator", "keeper", "restorer", "promoter"):
            write_signer(getattr(self.people, name), directory / f"{name}.pem")
        for name, holder in self.people.holders.items():
            (directory / f"{name}.age").write_text(f"{holder}\n")
        self.root_path.write_bytes(self.people.root().to_bytes())
        self.write_policy()
        for copy in self.copies().copies:
            copy.keep(root_path(1), self.root_path.read_bytes())

    def write_policy(self, **changes: Any) -> Policy:
        """The policy file, with top-level changes."""
        data = policy_data(
            copies={"places": [{"name": place.name, "url": f"file://{place}"} for place in self.places]},
            encryption={"recipients": {name: str(one.to_public()) for name, one in self.people.holders.items()}},
            topics=[{"name": topic, "mode": "continuous"} for topic in self.topics],
            segments={"max_age_seconds": 0.3},
        )
        self.policy_path.write_text(_toml(data | changes))
        return Policy.read(self.policy_path)

    def copies(self, *names: str) -> Copies:
        """The copies of the policy."""
        policy = Policy.read(self.policy_path)
        places = [place for place in policy.copies.places if not names or place.name in names]
        return Copies([open_copy(place) for place in places])

    def archive_settings(self) -> ArchiveSettings:
        """Of the creator."""
        return ArchiveSettings(
            kafka=self.stack.kafka(),
            registry=self.stack.registry(),
            policy=self.policy_path,
            root=self.root_path,
            creator_key=self.directory / "creator.pem",
            data_dir=self.directory / "archive",
            databases=self.databases,
            postgres_programs=self.postgres_programs,
            topic_prefix=self.prefix,
        )

    def keeper_settings(self) -> KeeperSettings:
        """Of the keeper."""
        return KeeperSettings(
            policy=self.policy_path,
            root=self.root_path,
            keeper_key=self.directory / "keeper.pem",
            data_dir=self.directory / "keeper",
            interval_seconds=0.1,
        )

    @contextmanager
    def archiving(self) -> Iterator[RunningWorker]:
        """The creator, for the length of a block."""
        metrics = CollectorRegistry()
        with RunningWorker(archive_worker(self.archive_settings(), metrics), metrics) as running:
            yield running

    @contextmanager
    def keeping(self) -> Iterator[RunningWorker]:
        """The keeper, for the length of a block."""
        metrics = CollectorRegistry()
        with RunningWorker(keeper_worker(self.keeper_settings(), metrics), metrics) as running:
            yield running

    def spawn_archive(self) -> subprocess.Popen[bytes]:
        """The creator as a process that can be killed."""
        environment = dict(os.environ) | self.stack.environment()
        environment |= {
            "ORDERSYNC_POLICY": str(self.policy_path),
            "ORDERSYNC_ROOT": str(self.root_path),
            "ORDERSYNC_CREATOR_KEY": str(self.directory / "creator.pem"),
            "ORDERSYNC_TOPIC_PREFIX": self.prefix,
        }
        argv = [sys.executable, "-m", "deploy.cli", "worker", "archive"]
        with (self.directory / "archive.log").open("ab") as log:
            return subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def arguments(self, *more: str) -> list[str]:
        """Of the verbs that read, for a restorer."""
        return [
            *("--policy", str(self.policy_path), "--root", str(self.root_path)),
            *("--trusted-dir", str(self.directory / "trusted"), *more),
        ]

    def client(self, name: str = "restorer") -> Client:
        """A reader with a memory of its own."""
        return Client(self.copies(), self.root_path.read_bytes(), self.directory / f"trusted-{name}")

    def load(self) -> tuple[Catalogue, Trusted]:
        """The verified catalogue of now."""
        catalogue = Catalogue()
        return catalogue, self.client().load(catalogue)

    def committed(self) -> dict[Partition, int]:
        """What the newest commit covers, published or not."""
        creator = Creator(
            Policy.read(self.policy_path), self.copies(), self.people.creator, self.root_path.read_bytes()
        )
        creator.open()
        return creator.catalogue.positions


class RunningWorker:
    """One worker in a thread."""

    def __init__(self, worker: Runs, metrics: CollectorRegistry) -> None:
        self._worker = worker
        self._metrics = metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure: BaseException | None = None

    def __enter__(self) -> RunningWorker:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive(), "the worker does not stop"
        if kind is None:
            assert self.failure is None, repr(self.failure)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, or fail with what the worker met."""
        met = await_condition(lambda: self.failure is not None or condition(), DEADLINE_SECONDS)
        assert self.failure is None, repr(self.failure)
        assert met, f"not within {DEADLINE_SECONDS:.0f} s: {what}"

    def written(self) -> float:
        """Records in commits of this worker."""
        labels = {"stage": "archive", "outcome": "written"}
        return self._metrics.get_sample_value("ordersync_events_total", labels) or 0.0

    def ended(self) -> BaseException | None:
        """Wait for it to end by itself; gives its failure, which is then expected."""
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive(), "the worker goes on"
        failure, self.failure = self.failure, None
        return failure

    def _run(self) -> None:
        try:
            self._worker.run(self._stop)
        except Exception as exc:  # noqa: BLE001  the test that waits is told
            self.failure = exc


class Trade:
    """Records as they are produced, some in transactions that are aborted; remembers what must be in the backup."""

    def __init__(self, stack: Endpoints, prefix: str) -> None:
        self._stack = stack
        self._prefix = prefix
        self.sent: dict[Partition, list[ArchivedRecord]] = {}

    def produce(
        self, topic: str, records: Iterable[tuple[int, bytes, bytes | None, int]], *, abort: bool = False
    ) -> None:
        """(partition, key, value, timestamp in ms) of each, in one transaction."""
        producer = Producer(
            self._stack.kafka().producer_config(**{"transactional.id": f"{self._prefix}trade", "retry.backoff.ms": 10})
        )
        producer.init_transactions(DEADLINE_SECONDS)
        producer.begin_transaction()
        delivered: list[Any] = []
        for partition, key, value, timestamp_ms in records:
            producer.produce(
                self._prefix + topic,
                value,
                key,
                partition,
                timestamp=timestamp_ms,
                headers=[("h", key), ("none", None)],
                on_delivery=lambda error, message: delivered.append((error, message)),
            )
        producer.flush(DEADLINE_SECONDS)
        if abort:
            producer.abort_transaction(DEADLINE_SECONDS)
            return
        producer.commit_transaction(DEADLINE_SECONDS)
        for error, message in delivered:
            assert error is None, error
            record = ArchivedRecord(
                message.offset(),
                message.timestamp()[1],
                1,
                message.key(),
                message.value(),
                (("h", message.key()), ("none", None)),
            )
            self.sent.setdefault(Partition(topic, message.partition()), []).append(record)

    def as_of(self, moment_ms: int) -> Mapping[Partition, Mapping[bytes | None, bytes | None]]:
        """The oracle: the last value of each key among the records up to a moment."""
        return {
            partition: {one.key: one.value for one in records if one.timestamp_ms <= moment_ms}
            for partition, records in self.sent.items()
        }


def _toml(data: Mapping[str, Any]) -> str:
    """TOML in its inline form, which JSON nearly is."""
    return "\n".join(f"{name} = {_inline(value)}" for name, value in data.items()) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_inline(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, str) and value[:4].isdecimal() and len(value) == 10:
        return value
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value)
