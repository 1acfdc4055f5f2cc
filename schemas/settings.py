"""Parts that the settings class of each process is composed of.

A process declares its own small `Settings(WorkerSettings)` and reads it from the environment (prefix
`ORDERSYNC_`, nested with two underscores: `ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS`). Unknown keys are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import ConfigurationError


class SettingsPart(BaseModel):
    """A group of settings that several processes share."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(SettingsPart):
    """How to reach the cluster; the only place that knows the clients' configuration keys."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Comma-separated host:port of the brokers")
    security_protocol: str = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    sasl_mechanism: str | None = Field(None, description="SCRAM-SHA-512 where SASL is used")
    username: str | None = Field(None, description="SASL user, one for each worker")
    password: SecretStr | None = Field(None, description="SASL password")
    password_file: Path | None = Field(None, description="File that holds the SASL password, instead of it")
    ca_location: Path | None = Field(None, description="PEM file of the certificate authority")
    certificate_location: Path | None = Field(None, description="PEM file of the client's certificate, for mutual TLS")
    key_location: Path | None = Field(None, description="PEM file of its private key")

    def client_config(self, **overrides: Any) -> dict[str, Any]:
        """The librdkafka configuration common to each client, with the caller's additions on top."""
        config: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            # The default lets a client stay away for 10 s after the broker is back.
            "reconnect.backoff.max.ms": 1_000,
            # The default forgets what the client knew of brokers and topics while all brokers are away, and of the
            # transactions' coordinator for minutes after they are back.
            "metadata.recovery.strategy": "none",
        }
        if self.sasl_mechanism is not None:
            config["sasl.mechanism"] = self.sasl_mechanism
            config["sasl.username"] = self.username
            config["sasl.password"] = secret_of(self.password, self.password_file)
        if self.ca_location is not None:
            config["ssl.ca.location"] = str(self.ca_location)
        if self.certificate_location is not None:
            config["ssl.certificate.location"] = str(self.certificate_location)
            config["ssl.key.location"] = str(self.key_location)
        return config | overrides

    def producer_config(self, **overrides: Any) -> dict[str, Any]:
        """The configuration of each producer: idempotent, and with the one partitioner that places order keys.

        librdkafka's own default partitioner differs from Kafka's: two producers that disagree would put the events
        of one order on two partitions.
        """
        config = {
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
            # Topics have limits of their own (`schemas.topics`); the client's must not be below them.
            "message.max.bytes": 8 * 1024 * 1024,
        }
        return self.client_config(**(config | overrides))


class RegistrySettings(SettingsPart):
    """How to reach the schema registry (Confluent-compatible API)."""

    url: str = Field("http://127.0.0.1:8081/apis/ccompat/v7", description="Base URL of the Confluent-compatible API")
    timeout_seconds: float = Field(10.0, gt=0, description="Longest wait for one answer")
    username: str | None = Field(None, description="Name for basic authentication; only who registers needs one")
    password: SecretStr | None = Field(None, description="Its password")
    password_file: Path | None = Field(None, description="File that holds the password, instead of it")

    def credentials(self) -> tuple[str, str] | None:
        """User and password, where there are any. Raises ConfigurationError where the file cannot be read."""
        if self.username is None:
            return None
        return self.username, secret_of(self.password, self.password_file) or ""


class DatabaseSettings(SettingsPart):
    """One PostgreSQL database."""

    host: str = Field("127.0.0.1", description="Host name or directory of the socket")
    port: int = Field(5432, gt=0, lt=65536, description="TCP port")
    dbname: str = Field(description="Name of the database")
    user: str = Field("postgres", description="Role to log in as")
    password: SecretStr | None = Field(None, description="Password of the role")
    password_file: Path | None = Field(None, description="File that holds the password, instead of it")
    sslmode: str = Field("prefer", description="libpq's sslmode; verify-full in production")
    ca_location: Path | None = Field(None, description="PEM file of the certificate authority, for verify-full")

    def conninfo(self, **overrides: str) -> str:
        """The libpq connection string, with the caller's additions on top."""
        values = {
            "host": self.host,
            "port": str(self.port),
            "dbname": self.dbname,
            "user": self.user,
            "sslmode": self.sslmode,
        }
        password = secret_of(self.password, self.password_file)
        if password is not None:
            values["password"] = password
        if self.ca_location is not None:
            values["sslrootcert"] = str(self.ca_location)
        values |= overrides
        return " ".join(f"{key}='{_escaped(value)}'" for key, value in values.items())


class WorkerSettings(BaseSettings):
    """What each deployable worker has: the cluster, the registry, a place for files, a metrics port."""

    model_config = SettingsConfigDict(env_prefix="ORDERSYNC_", env_nested_delimiter="__", extra="forbid", frozen=True)

    kafka: KafkaSettings = KafkaSettings()
    registry: RegistrySettings = RegistrySettings()
    data_dir: Path = Field(Path(".ordersync/worker"), description="Directory for what may be lost and is rebuilt")
    metrics_port: int = Field(0, ge=0, lt=65536, description="Port of /metrics and /health; 0 takes a free one")
    metrics_host: str = Field("127.0.0.1", description="Address that serves them; 0.0.0.0 in a container")
    log_format: str = Field("text", pattern="^(text|json)$", description="text for people, json for machines")

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment; a wrong or unknown setting is a `ConfigurationError` that names it."""
        try:
            return cls(**overrides)
        except ValidationError as exc:
            problems = "; ".join(
                f"ORDERSYNC_{'__'.join(str(part).upper() for part in error['loc'])}: {error['msg']}"
                for error in exc.errors()
            )
            raise ConfigurationError(
                f"{cls.__module__}.{cls.__name__} cannot be read from the environment: {problems}"
            ) from exc


def secret_of(given: SecretStr | None, file: Path | None) -> str | None:
    """A secret that was given, or what its file holds now: a replaced file is used from the next connection on.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    if given is not None or file is None:
        return given.get_secret_value() if given is not None else None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(
            f"the secret in {file} cannot be read ({exc}): let it belong to the user that runs this worker, mode 0600"
        ) from exc


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
