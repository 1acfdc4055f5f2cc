"""The embedded stack: Kafka, PostgreSQL and the schema registry on this machine, for as long as one launcher lives."""

from __future__ import annotations

import fcntl
import signal
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from deploy.local.artifacts import fetch_artifacts, require_free_space
from deploy.local.endpoints import Endpoints, ProcessIdentity
from deploy.local.kafka import KafkaServer, kafka_program
from deploy.local.listeners import Listeners, PlainListeners, SecuredListeners
from deploy.local.ports import Ports, accepts
from deploy.local.postgres import PostgresServer
from deploy.local.progress import SilentProgress, StackProgress
from deploy.local.registry import RegistryServer, lists_subjects, registry_program
from deploy.local.server import Server, await_condition
from deploy.security.files import SecurityFiles
from schemas.database_roles import REGISTRY
from schemas.errors import Fatal

SECURED = True
"""Whether a stack is secured where nobody says otherwise: what is tested is what runs elsewhere."""

_MINIMUM_FREE_BYTES = 1_000_000_000
_OTHER_LAUNCHER_SECONDS = 120.0
_STOP_SECONDS = 60.0
_RECORDING_SECONDS = 300.0
_PRIVATE = ("kafka", "logs", "registry", "run", "workers")


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server at one moment."""

    name: str
    pid: int | None
    healthy: bool


class EmbeddedStack:
    """Three servers in one home directory; the data stays there between runs.

    `kafka_partitions` is the partition count of topics that are created without one; `record_start` makes the Java
    servers record what a start loads (see `deploy.local.installation`). A `secured` stack encrypts what its servers
    say, and asks who speaks; its certificates and passwords lie in `home/security`.

    The launcher that called `start` first owns the servers: they end with it, however it ends (on Linux; elsewhere
    the next launcher clears them). A second `start` on the same home gives the endpoints of the first and owns nothing.
    """

    def __init__(
        self,
        home: Path,
        *,
        kafka_partitions: int = 4,
        minimum_free_bytes: int = _MINIMUM_FREE_BYTES,
        record_start: bool = False,
        secured: bool = SECURED,
    ) -> None:
        self.home = home.absolute()
        self._security = SecurityFiles(self.home / "security") if secured else None
        self._kafka_partitions = kafka_partitions
        self._minimum_free_bytes = minimum_free_bytes
        self._record_start = record_start
        self._lock: IO[str] | None = None
        self._endpoints: Endpoints | None = None
        self.kafka: KafkaServer | None = None
        self.postgres: PostgresServer | None = None
        self.registry: RegistryServer | None = None

    @property
    def owned(self) -> bool:
        """Whether this object keeps the servers, rather than having found those of another launcher."""
        return self._lock is not None

    @property
    def servers(self) -> list[Server]:
        """The servers of this launcher, in the order in which they depend on each other."""
        return [server for server in (self.postgres, self.kafka, self.registry) if server is not None]

    @staticmethod
    def find(home: Path) -> Endpoints | None:
        """The endpoints of a stack that lives in this home: its launcher and its servers were asked."""
        endpoints = Endpoints.read(home.absolute() / "endpoints.json")
        if endpoints is None or endpoints.launcher is None or endpoints.launcher.process() is None:
            return None
        return endpoints if _answers(endpoints) else None

    @staticmethod
    def shut_down(home: Path) -> bool:
        """End the launcher of this home in order, from another process; False where there is none.

        Raises:
            Fatal: the launcher did not end in time.
        """
        endpoints = Endpoints.read(home.absolute() / "endpoints.json")
        launcher = endpoints.launcher.process() if endpoints and endpoints.launcher else None
        if launcher is None:
            return False
        launcher.send_signal(signal.SIGTERM)
        try:
            launcher.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired as exc:
            raise Fatal(
                f"The stack in {home} (process {launcher.pid}) did not end within {_STOP_SECONDS:.0f} s. "
                f"See {home / 'logs'}; `kill -9 {launcher.pid}` ends it and its servers."
            ) from exc
        return True

    def start(self, progress: StackProgress | None = None) -> Endpoints:
        """Start all three servers, or find those that another launcher keeps in this home.

        Raises:
            Fatal: a download, a port, the disk or a server failed; nothing is left running then.
        """
        if self._endpoints is not None:
            return self._endpoints
        self.home.mkdir(parents=True, exist_ok=True)
        found = self._take_home()
        if found is not None:
            self._endpoints = found
            return found
        try:
            self._endpoints = self._start_servers(progress or SilentProgress())
        except BaseException:
            self.stop()
            raise
        self._endpoints.write(self._endpoints_path)
        return self._endpoints

    def stop(self) -> None:
        """Stop the servers that this launcher owns, dependents first; the data stays."""
        if self._lock is None:
            self._endpoints = None
            return
        self._endpoints_path.unlink(missing_ok=True)
        with ThreadPoolExecutor(2) as pool:
            kafka = pool.submit(self.kafka.stop) if self.kafka is not None else None
            # The registry closes its sessions before their server goes.
            for server in (self.registry, self.postgres):
                if server is not None:
                    server.stop()
            if kafka is not None:
                kafka.result()
        self.kafka = self.postgres = self.registry = None
        self._endpoints = None
        self._lock.close()
        self._lock = None

    def ensure_running(self) -> list[str]:
        """Start again each server of this launcher whose process died, on its ports with its data; gives their names.

        Called by the supervisor and by whoever saw a connection break. Raises `Fatal` where one does not come up.
        """
        return [server.name for server in self.servers if server.heal()]

    def status(self) -> list[ServerStatus]:
        """Each server of this launcher, asked now."""
        return [ServerStatus(server.name, server.pid, server.healthy()) for server in self.servers]

    def create_database(self, dbname: str) -> None:
        """Create a database unless it exists. Raises `Fatal`; only for the launcher that owns the servers."""
        if self.postgres is None:
            raise Fatal(f"The stack in {self.home} is not kept by this process: start it first.")
        self.postgres.create_database(dbname)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoints(self) -> Endpoints:
        """Where the servers listen. Raises `Fatal` before `start`."""
        if self._endpoints is None:
            raise Fatal(f"The stack in {self.home} has not been started.")
        return self._endpoints

    @property
    def _endpoints_path(self) -> Path:
        return self.home / "endpoints.json"

    def _take_home(self) -> Endpoints | None:
        """Own the home, or give the endpoints of the launcher that does, waiting while it starts or stops."""
        deadline = time.monotonic() + _OTHER_LAUNCHER_SECONDS
        lock = (self.home / "lock").open("a+")
        found: Endpoints | None = None

        def decided() -> bool:
            nonlocal found
            if _try_lock(lock):
                self._lock = lock
                return True
            found = self.find(self.home)
            return found is not None

        if not await_condition(decided, deadline - time.monotonic()):
            lock.close()
            raise Fatal(
                f"Another process keeps {self.home} but its servers do not answer. See {self.home / 'logs'}, "
                "end that process (`ordersync down`), or choose another home."
            )
        if found is not None:
            lock.close()
        return found

    def _start_servers(self, progress: StackProgress) -> Endpoints:
        require_free_space(self.home, self._minimum_free_bytes, purpose="the servers' data")
        _close_to_others(self.home)
        self._endpoints_path.unlink(missing_ok=True)
        java = fetch_artifacts(progress)
        ports = Ports(self.home / "ports.json")
        kafka = kafka_program(java, recording=self._record_start)
        registry = registry_program(java, recording=self._record_start)
        listeners: Listeners = SecuredListeners(self._security) if self._security else PlainListeners()
        self.kafka = KafkaServer(self.home, ports, kafka, self._kafka_partitions, listeners)
        self.postgres = postgres = PostgresServer(self.home, ports, self._security)
        self.registry = RegistryServer(self.home, ports, registry, postgres.of_registry, self._security)
        if self._record_start:
            for server in self.servers:
                # A recording is put together when the server ends.
                server.stop_deadline_seconds = _RECORDING_SECONDS
        self._start_in_parallel(progress)
        return Endpoints(
            bootstrap_servers=self.kafka.bootstrap_servers,
            registry_url=self.registry.url,
            postgres=postgres.endpoint,
            launcher=ProcessIdentity.own(),
            security_directory=self._security.directory if self._security else None,
        )

    def _start_in_parallel(self, progress: StackProgress) -> None:
        assert self.kafka is not None
        with ThreadPoolExecutor(2) as pool:
            starts = [pool.submit(_start, self.kafka, progress), pool.submit(self._start_databases, progress)]
            try:
                for start in as_completed(starts):
                    start.result()
            except BaseException:
                # Nobody waits for servers that come up beside one that failed, or after Ctrl-C.
                for server in self.servers:
                    server.stop()
                raise

    def _start_databases(self, progress: StackProgress) -> None:
        assert self.postgres is not None and self.registry is not None
        _start(self.postgres, progress)
        self.postgres.create_database(REGISTRY)
        _start(self.registry, progress)


def _close_to_others(home: Path) -> None:
    """Let no other account read records, states and logs; the database server's has to pass the home itself."""
    for name in _PRIVATE:
        (home / name).mkdir(mode=0o700, exist_ok=True)
        (home / name).chmod(0o700)


def _start(server: Server, progress: StackProgress) -> None:
    progress.step(server.name, "starting")
    server.prepare()
    seconds = server.start()
    progress.step(server.name, f"ready in {seconds:.1f} s")


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(endpoints: Endpoints) -> bool:
    kafka_port = int(endpoints.bootstrap_servers.rpartition(":")[2])
    return accepts(kafka_port) and accepts(endpoints.postgres.port) and lists_subjects(endpoints.registry_url)
