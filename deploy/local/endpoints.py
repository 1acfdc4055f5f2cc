"""Where the servers of a stack listen, and which process keeps them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from deploy.security.files import SecurityFiles, write_private
from schemas.grants import ADMINISTRATOR, DEPLOYER
from schemas.settings import DatabaseSettings, KafkaSettings, RegistrySettings

# Linux reckons a process's start from the boot time, which shifts by fractions of a second with the clock.
_START_TOLERANCE_SECONDS = 1.5


class ProcessIdentity(BaseModel):
    """A process that cannot be mistaken for a later one with the same number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    started_at_seconds: float = Field(description="Start of the process, seconds since 1970")

    @classmethod
    def of(cls, pid: int) -> Self:
        """The identity of a living process. Raises `psutil.NoSuchProcess`."""
        return cls(pid=pid, started_at_seconds=psutil.Process(pid).create_time())

    @classmethod
    def own(cls) -> Self:
        """The identity of this process."""
        return cls.of(os.getpid())

    def process(self) -> psutil.Process | None:
        """The living process, or None where it ended or its number belongs to another one now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at_seconds) < _START_TOLERANCE_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class PostgresEndpoint(BaseModel):
    """A PostgreSQL server, before a database is chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int
    user: str
    password: SecretStr | None = None


class Endpoints(BaseModel):
    """What a worker, a test or a second process needs to reach a stack."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap_servers: str
    registry_url: str = Field(description="Base of the Confluent-compatible API")
    postgres: PostgresEndpoint
    launcher: ProcessIdentity | None = Field(None, description="Who keeps the servers; None where not ours")
    security_directory: Path | None = Field(None, description="Certificates and passwords; None where all is plain")

    @property
    def security(self) -> SecurityFiles | None:
        """Where its secrets lie; None where it has none."""
        return SecurityFiles(self.security_directory) if self.security_directory is not None else None

    def kafka(self, principal: str = ADMINISTRATOR) -> KafkaSettings:
        """The cluster as the settings of a worker that logs in as `principal`."""
        if self.security is None:
            return KafkaSettings(bootstrap_servers=self.bootstrap_servers)
        return KafkaSettings(
            bootstrap_servers=self.bootstrap_servers,
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            username=principal,
            password_file=self.security.password_file(principal),
            ca_location=self.security.authority_certificate,
        )

    def registry(self, principal: str = ADMINISTRATOR) -> RegistrySettings:
        """The schema registry as the settings of `principal`; all but those who deploy only read, without a name."""
        if self.security is None or principal not in (ADMINISTRATOR, DEPLOYER):
            return RegistrySettings(url=self.registry_url)
        return RegistrySettings(
            url=self.registry_url, username=principal, password_file=self.security.password_file(principal)
        )

    def database(self, dbname: str, role: str | None = None) -> DatabaseSettings:
        """One database as the settings of a worker that logs in as `role`, or as the server's owner."""
        server = self.postgres
        owner = DatabaseSettings(
            host=server.host, port=server.port, dbname=dbname, user=server.user, password=server.password
        )
        if self.security is None or role is None:
            return owner
        own = {"user": role, "password": None, "password_file": self.security.password_file(role)}
        return owner.model_copy(update=own)

    def environment(self, principal: str = ADMINISTRATOR) -> dict[str, str]:
        """The variables that point a worker at this cluster and registry; secrets are named by their files only."""
        parts = {"KAFKA": self.kafka(principal), "REGISTRY": self.registry(principal)}
        told = {
            f"ORDERSYNC_{part}__{name.upper()}": str(value)
            for part, settings in parts.items()
            for name, value in settings.model_dump(mode="json", exclude_defaults=True, exclude_none=True).items()
        }
        return told | {
            "ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "ORDERSYNC_REGISTRY__URL": self.registry_url,
        }

    def write(self, path: Path) -> None:
        """Store as JSON, atomically and readable by the owner only, for it holds the password."""
        content = self.model_dump(mode="json")
        password = self.postgres.password
        content["postgres"]["password"] = password.get_secret_value() if password else None
        write_private(path, json.dumps(content, indent=2))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What `write` stored, or None where there is nothing that can be read as such."""
        try:
            return cls.model_validate_json(path.read_text())
        except (FileNotFoundError, ValidationError):
            return None
