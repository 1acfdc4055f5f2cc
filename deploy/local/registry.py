"""Apicurio Registry with its Confluent-compatible API, stored in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from deploy.local.artifacts import JavaArtifacts
from deploy.local.java import JavaProgram, clear_temporary
from deploy.local.ports import LOOPBACK, Ports, accepts
from deploy.local.process import Command
from deploy.local.server import Server, plain_environment
from deploy.security.files import SecurityFiles, write_private
from schemas.grants import ADMINISTRATOR, DEPLOYER
from schemas.settings import DatabaseSettings, secret_of

_ANSWER_SECONDS = 3.0
_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xms64m", "-Xmx256m")


def registry_program(java: JavaArtifacts, *, recording: bool) -> JavaProgram:
    """The registry's application."""
    application = java.registry_directory / "quarkus-run.jar"
    return JavaProgram("registry", _OPTIONS, ("-jar", str(application)), java.cache, recording)


class RegistryServer(Server):
    """The schema registry; all that it keeps is in the database `registry`."""

    name = "registry"

    def __init__(
        self,
        home: Path,
        ports: Ports,
        program: JavaProgram,
        database: Callable[[], DatabaseSettings],
        security: SecurityFiles | None = None,
    ) -> None:
        super().__init__(home, ports)
        self._security = security
        self._directory = home / "registry"
        self._program = program
        self._database = database
        self._port = 0
        self._management_port = 0

    @property
    def url(self) -> str:
        """Base of the Confluent-compatible API, once started."""
        return f"http://{LOOPBACK}:{self._port}/apis/ccompat/v7"

    def prepare(self) -> None:
        """End a leftover registry."""
        self.process.end_leftover()
        self._directory.mkdir(parents=True, exist_ok=True)
        clear_temporary(self._directory)

    def claim_ports(self) -> None:
        """One port for the API, one for health and metrics: both on loopback."""
        self._port = self.ports.claim("registry")
        self._management_port = self.ports.claim("registry-management")

    def spawn(self) -> None:
        """Start the registry on its database; passwords are in a file that only its owner may read."""
        database = self._database()
        secrets = {"apicurio.datasource.password": secret_of(database.password, database.password_file) or ""}
        if self._security is not None:
            secrets |= writers(self._security)
        configuration = self._directory / "config" / "application.properties"
        write_private(configuration, "".join(f"{name}={value}\n" for name, value in secrets.items()))
        environment = plain_environment() | self._settings(database)
        self.process.spawn(Command(self._program.argv(self._directory), self._directory, environment))

    def healthy(self) -> bool:
        """Whether the API lists its subjects, which it reads from the database."""
        return bool(self._port) and accepts(self._port) and lists_subjects(self.url)

    def _settings(self, database: DatabaseSettings) -> dict[str, str]:
        url = f"jdbc:postgresql://{database.host}:{database.port}/{database.dbname}?sslmode={database.sslmode}"
        if database.ca_location is not None:
            url += f"&sslrootcert={database.ca_location}"
        return {
            "QUARKUS_HTTP_HOST": LOOPBACK,
            "QUARKUS_HTTP_PORT": str(self._port),
            "QUARKUS_MANAGEMENT_HOST": LOOPBACK,
            "QUARKUS_MANAGEMENT_PORT": str(self._management_port),
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "postgresql",
            "APICURIO_DATASOURCE_URL": url,
            "APICURIO_DATASOURCE_USERNAME": database.user,
            "QUARKUS_LOG_LEVEL": "WARN",
        }


def writers(files: SecurityFiles, names: Sequence[str] = (ADMINISTRATOR, DEPLOYER)) -> dict[str, str]:
    """Everybody may read schemas; who deploys them may write, with HTTP's basic authentication.

    The compose file and the manifests say the same; a test compares them with this.
    """
    properties = {
        "quarkus.http.auth.basic": "true",
        "quarkus.security.users.embedded.plain-text": "true",
        "apicurio.auth.role-based-authorization": "true",
        "apicurio.auth.anonymous-read-access.enabled": "true",
    }
    for name in names:
        properties[f"quarkus.security.users.embedded.users.{name}"] = files.ensure_password(name)
        properties[f"quarkus.security.users.embedded.roles.{name}"] = "sr-admin"
    return properties


def lists_subjects(url: str) -> bool:
    """Whether a registry answers at this base of its Confluent-compatible API."""
    try:
        # Without certificates to read, which costs more than the question: the address is plain HTTP on loopback.
        return httpx.get(f"{url}/subjects", timeout=_ANSWER_SECONDS, trust_env=False, verify=False).is_success
    except httpx.TransportError:
        return False
