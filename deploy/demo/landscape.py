"""All of ordersync on this machine: the embedded stack, its databases and topics, and every worker."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from consumers.reconcile.settings import ReconcileSettings, SourceSettings
from consumers.registry import SINKS
from deploy.backup.provisioning import local_backup, provision
from deploy.demo.business import Databases, create_tables
from deploy.demo.transactions import System
from deploy.local.endpoints import Endpoints
from deploy.local.ports import Ports
from deploy.local.progress import SilentProgress, StackProgress
from deploy.local.stack import SECURED, EmbeddedStack
from deploy.local.supervisor import Supervisor
from deploy.local.watch import ProcessStatus, WorkerCommand
from deploy.prometheus.scraping import write_scrape_files
from deploy.security.files import SecurityFiles
from deploy.security.preparation import prepare_databases
from deploy.topics import TopicLayout, apply_grants, apply_topics
from deploy.worker_kinds import AUDITOR, FIGURES, LAG, PUBLISHER, RECONCILE
from schemas.database_roles import VENDORS
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings

ERP = "erp"
LEDGER = "ledger"
ORDER_PARTITIONS = 6
"""Partitions of each order-keyed topic on one machine; `ordersync topics apply` takes 12 unless told otherwise."""

# What a worker's process needs of its parent's environment; settings of ordersync come from the landscape alone.
_INHERITED = ("PATH", "HOME", "TZ", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """One worker of this machine, and where its metrics are."""

    name: str
    metrics_port: int
    environment: Mapping[str, str]


BACKUP_WORKERS = {"archive": "creator", "keeper": "keeper"}
"""The workers of the backup, and the role of the key that each holds."""

CARRIERS = (*(f"capture-{system}" for system in System), "streams", *SINKS)
"""The workers that each order passes through; no other is started before they are ready."""

WATCHERS = (*BACKUP_WORKERS, LAG, RECONCILE, FIGURES, AUDITOR, PUBLISHER)
"""The workers that copy, compare, measure and publish what the carriers did."""

WORKERS = (*CARRIERS, *WATCHERS)
"""Every worker of this machine, in the order in which they start."""


def worker_plan(
    home: Path, endpoints: Endpoints, *, log_format: str = "text", running: bool = False
) -> list[LocalWorker]:
    """Every worker with its whole environment.

    Called by the launcher after the servers are up; ports are kept from run to run. `running` where another launcher
    keeps the workers: their ports are not free, and theirs.
    """
    own = {
        f"capture-{system}": database_variables(endpoints, system.value, f"capture-{system}")
        | {"ORDERSYNC_MAPPING": system.value}
        for system in System
    }
    own |= {"streams": {"ORDERSYNC_SLOT": "0"}, "erp": database_variables(endpoints, ERP, "erp")}
    own |= {"warehouse": database_variables(endpoints, LEDGER, "warehouse")}
    own |= {RECONCILE: _compared_systems(endpoints), FIGURES: database_variables(endpoints, LEDGER, FIGURES)}
    backup = local_backup(home)
    own |= {worker: backup.environment(role) for worker, role in BACKUP_WORKERS.items()}
    own |= {PUBLISHER: privacy_files(home).ensure_privacy_keys()}
    ports = Ports(home / "worker-ports.json")
    workers = []
    for name in WORKERS:
        port = ports.kept(name) if running else ports.claim(name)
        shared = {
            "ORDERSYNC_METRICS_PORT": str(port),
            "ORDERSYNC_DATA_DIR": str(home / "workers" / name),
            "ORDERSYNC_LOG_FORMAT": log_format,
        }
        reached = _inherited() | endpoints.environment(name)
        workers.append(LocalWorker(name, port, reached | shared | own.get(name, {})))
    return workers


def privacy_files(home: Path) -> SecurityFiles:
    """Where the keys of this machine's publisher lie, secured or not."""
    return SecurityFiles(home.absolute() / "security")


def reconcile_settings(endpoints: Endpoints, role: str | None = None) -> ReconcileSettings:
    """The systems of this machine, for the reconciliation: their databases as `role`, or as their owner."""
    return ReconcileSettings(
        kafka=endpoints.kafka(),
        registry=endpoints.registry(),
        sources=[
            SourceSettings(mapping=system.value, database=endpoints.database(system.value, role)) for system in System
        ],
        erp=endpoints.database(ERP, role),
        ledger=endpoints.database(LEDGER, role),
    )


class Landscape:
    """Starts everything in a home, or finds what another launcher keeps there.

    The launcher that started it keeps servers and workers running, restarts what dies, and stops all at the end; one
    that found it only looks on.
    """

    def __init__(self, home: Path, *, log_format: str = "text", secured: bool = SECURED) -> None:
        self.home = home.absolute()
        self._log_format = log_format
        self._supervisor = Supervisor(EmbeddedStack(self.home, kafka_partitions=ORDER_PARTITIONS, secured=secured))
        self.workers: list[LocalWorker] = []
        self.endpoints: Endpoints

    @property
    def owned(self) -> bool:
        """Whether this process keeps the servers and workers."""
        return self._supervisor.stack.owned

    def start(self, progress: StackProgress | None = None) -> Endpoints:
        """Servers, then databases and topics, then workers; those that only watch when it has returned.

        Raises:
            Fatal: a server does not start; nothing is left running.
        """
        report = progress or SilentProgress()
        self.endpoints = self._supervisor.start(report)
        try:
            if self.owned:
                self._prepare(report)
            self.workers = worker_plan(self.home, self.endpoints, log_format=self._log_format, running=not self.owned)
            if self.owned:
                write_scrape_files(self.home, {worker.name: worker.metrics_port for worker in self.workers})
                self._start_workers(report)
        except BaseException:
            self.stop()
            raise
        return self.endpoints

    def stop(self) -> None:
        """Stop the workers and servers that this process keeps; the data stays."""
        self._supervisor.stop()

    def serve(self) -> None:
        """Keep everything running until SIGTERM or Ctrl-C, then stop it. Only in the main thread."""
        self._supervisor.run()

    def run_beside(self, name: str, environment: Mapping[str, str]) -> None:
        """Keep one more worker running, for which nothing waits; only where this process keeps the others."""
        argv = [sys.executable, "-m", "deploy.cli", "worker", name]
        whole = _inherited() | {"ORDERSYNC_LOG_FORMAT": self._log_format} | dict(environment)
        self._supervisor.add_worker(WorkerCommand(name, argv, whole, cwd=self.home))

    def status(self) -> list[ProcessStatus]:
        """Every process, as its supervisor sees it."""
        return self._supervisor.status() if self.owned else Supervisor.read_status(self.home)

    @property
    def sources(self) -> Databases:
        """The databases that the business trades in."""
        return {system: self.endpoints.database(system.value) for system in System}

    @property
    def erp(self) -> DatabaseSettings:
        """The ERP's database."""
        return self.endpoints.database(ERP)

    @property
    def ledger(self) -> DatabaseSettings:
        """The general ledger's database."""
        return self.endpoints.database(LEDGER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare(self, progress: StackProgress) -> None:
        for dbname in (*(system.value for system in System), ERP, LEDGER, VENDORS):
            self._supervisor.stack.create_database(dbname)
        create_tables(self.sources)
        if self.endpoints.security is not None:
            prepare_databases(self.endpoints.database)
        registry = SchemaRegistry(self.endpoints.registry())
        try:
            changes = apply_topics(self.endpoints.kafka(), registry, TopicLayout(ORDER_PARTITIONS))
            changes += apply_grants(self.endpoints.kafka())
        finally:
            registry.close()
        progress.step("topics", f"{len(changes)} changes")
        provision(self.home)

    def _start_workers(self, progress: StackProgress) -> None:
        carriers = [worker for worker in self.workers if worker.name in CARRIERS]
        watchers = [worker for worker in self.workers if worker.name in WATCHERS]
        for worker in carriers:
            self._supervisor.add_worker(self._command(worker))
        self._supervisor.add_workers_after(
            [worker.metrics_port for worker in carriers], [self._command(worker) for worker in watchers]
        )
        progress.step("workers", f"{len(carriers)} started; {len(watchers)} that watch follow when these are ready")

    def _command(self, worker: LocalWorker) -> WorkerCommand:
        argv = [sys.executable, "-m", "deploy.cli", "worker", worker.name]
        return WorkerCommand(worker.name, argv, worker.environment, cwd=self.home)


def database_variables(endpoints: Endpoints, dbname: str, role: str) -> dict[str, str]:
    """A database as variables of a worker; where the role has a password of its own, its file is named."""
    database = endpoints.database(dbname, role)
    told = database.model_dump(mode="json", exclude={"password"}, exclude_none=True)
    variables = {f"ORDERSYNC_DATABASE__{name.upper()}": str(value) for name, value in told.items()}
    if database.password is not None:
        variables["ORDERSYNC_DATABASE__PASSWORD"] = database.password.get_secret_value()
    return variables


def _compared_systems(endpoints: Endpoints) -> dict[str, str]:
    """The systems that the reconciliation's worker watches, each as JSON."""
    settings = reconcile_settings(endpoints, RECONCILE)
    sources = [{"mapping": one.mapping, "database": _revealed(one.database)} for one in settings.sources]
    told = {"SOURCES": sources, "ERP": _revealed(settings.erp), "LEDGER": _revealed(settings.ledger)}
    return {f"ORDERSYNC_{name}": json.dumps(value) for name, value in told.items()}


def _revealed(database: DatabaseSettings) -> dict[str, object]:
    told = database.model_dump(mode="json", exclude={"password"}, exclude_none=True)
    return told if database.password is None else told | {"password": database.password.get_secret_value()}


def _inherited() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return kept | {"PYTHONUNBUFFERED": "1"}
