"""Settings of a console."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from consumers.reconcile.settings import SourceSettings
from schemas.settings import DatabaseSettings, SettingsPart, WorkerSettings

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ArchiveSettings(SettingsPart):
    """Where the archive of the topics is, to show which of its segments hold an order."""

    policy: Path = Field(description="The backup policy, which names the copies; the role only reads them")
    root: Path = Field(description="What the officers signed, as they gave it out")


class ConsoleSettings(WorkerSettings):
    """Environment `ORDERSYNC_…` of `ordersync console` and `ordersync worker console`."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container")
    port: int = Field(8090, ge=0, lt=65536, description="Port; 0 takes a free one")
    users: Path = Field(description="File of users, written by `ordersync console user`")
    public_url: str | None = Field(
        None, description="Address as browsers see it, https://… behind a proxy; needed beyond loopback"
    )
    tls_certificate: Path | None = Field(None, description="PEM file of the certificate chain; plain HTTP without")
    tls_key: Path | None = Field(None, description="PEM file of its private key")
    session_hours: float = Field(8.0, gt=0, le=24, description="How long a session lasts at the most")
    idle_minutes: float = Field(60.0, gt=0, description="How long a session lasts without a request")
    body_limit_bytes: int = Field(1_048_576, gt=0, description="Longest body of a form")
    stop_seconds: float = Field(5.0, gt=0, description="How long requests in hand have when the console stops")
    rebuild_index: bool = Field(False, description="Read all topics anew instead of going on where the index ends")
    approval_policy: Path | None = Field(
        None, description="What a second person must approve; without it nothing (`ordersync approvals policy`)"
    )
    rules_file: Path | None = Field(None, description="The governance file that the stream workers run with")
    functional_currency_code: str = Field("EUR", description="Currency of the ledger, as the stream workers have it")
    parked_for_seconds: float = Field(86_400.0, gt=0, description="As the stream workers have it")
    sources: list[SourceSettings] = Field([], description="Source databases; without them nothing is compared here")
    erp: DatabaseSettings | None = Field(None, description="The ERP's database, to show what it holds")
    ledger: DatabaseSettings | None = Field(None, description="The general ledger's database, to show what it holds")
    repair_erp: DatabaseSettings | None = Field(
        None, description="The ERP's database as a role that may repair orders; `ERP` unless given"
    )
    repair_ledger: DatabaseSettings | None = Field(
        None, description="The ledger's database as a role that may repair journals; `LEDGER` unless given"
    )
    archive: ArchiveSettings | None = Field(None, description="The archive, to show where it holds an order")
    shops: Path | None = Field(
        None, description="The API's file of shops, to map their refused webhooks anew; no secret of theirs is read"
    )
    documents_dir: Path | None = Field(
        None, description="Directory of a documents worker on the same machine, whose review queue is shown"
    )

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it by HTTPS, so that cookies are sent over nothing else."""
        return self.tls_certificate is not None or (self.public_url or "").startswith("https:")

    @property
    def hosts(self) -> frozenset[str]:
        """Names without ports under which it may be asked for, so that no foreign name leads to it (DNS rebinding)."""
        if self.public_url is not None:
            return frozenset({urlsplit(self.public_url).hostname or "", *LOOPBACK})
        return frozenset(LOOPBACK)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if self.public_url is None:
            if self.host not in LOOPBACK:
                raise ValueError(
                    "public_url is needed where it listens beyond loopback, as https://console.example.com"
                )
        elif urlsplit(self.public_url).scheme not in ("http", "https") or not urlsplit(self.public_url).hostname:
            raise ValueError("public_url is an address such as https://console.example.com")
        return self
