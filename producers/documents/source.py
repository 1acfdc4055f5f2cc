"""Where documents come from and what is agreed for them: the file of sources.

```toml
[[sources]]
name = "orders-mailbox"
kind = "imap"                      # or folder, upload
system = "shop"                    # orders become shop:NUMBER, as by the API
[sources.imap]
host = "mail.example.com"
user = "orders"
password_file = "/run/secrets/imap"

[[sources]]
name = "edi"
kind = "folder"
path = "/srv/edi/in"
system = "shop"
```
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from producers.documents.identity import Identity
from producers.documents.originals import DocumentId, document_id_of
from producers.documents.tables import FormMapping
from schemas.errors import ConfigurationError
from schemas.toml_file import read_toml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImapFile(_Part):
    """A mailbox on a server; only TLS."""

    host: str
    port: int = Field(993, gt=0, lt=65536)
    user: str
    password_file: Path
    mailbox: str = "INBOX"
    done_mailbox: str | None = Field(None, description="Where handled e-mails are moved; marked as seen without it")
    ca_file: Path | None = None
    timeout_seconds: float = Field(30.0, gt=0)


class SendingVendor(_Part):
    """Whom messages with one identification of their sender come from."""

    vendor: str = Field(min_length=1, description="vendor_id, as in master.vendors")
    items: dict[str, str] = Field(default_factory=dict, description="The vendor's product number = yours")


class Source(_Part):
    """One entry of the file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    kind: Literal["folder", "imap", "upload"]
    system: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="System that the orders belong to")
    identity: Identity = Field("number", description="What of an order makes its id")
    path: Path | None = Field(None, description="Folder that is watched, or that uploads are put into")
    client: str | None = Field(None, description="Client of the API whose uploads these are; of kind upload only")
    imap: ImapFile | None = None
    customer_id: str | None = Field(None, description="The one customer who sends here")
    senders: list[str] = Field(default_factory=list, description="Addresses or @domains that may send; all without")
    accept_tests: bool = False
    free_text: bool = Field(True, description="Whether PDFs, scans and e-mails without a structured order are read")
    date_order: Literal["DMY", "MDY", "YMD"] | None = Field(None, description="Of dates such as 03/04/2026")
    least_confidence: float = Field(0.9, ge=0.5, le=1.0)
    price_tolerance_percent: Decimal = Field(Decimal(25), ge=0, description="From the list price, where text is read")
    mapping: Path | None = Field(None, description="Mapping file of CSV and XLSX order forms")
    sales_channel: str | None = None
    vendors: dict[str, SendingVendor] = Field(
        default_factory=dict,
        description="Identification in UNB, ISA or a party = the vendor that sends under it; none answers without",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "imap" and self.imap is None:
            raise ValueError("a source of kind imap needs [sources.imap]")
        if self.client is not None and self.kind != "upload":
            raise ValueError("a client belongs to a source of kind upload")
        if self.kind != "imap" and self.path is None and self.client is None:
            needed = "a client or a path" if self.kind == "upload" else "a path"
            raise ValueError(f"a source of kind {self.kind} needs {needed}")
        return self

    def document_id_of(self, content_id: DocumentId) -> DocumentId:
        """The id of a document of this source.

        Elsewhere the same content is the same document. A client of the API has documents of its own: it neither
        hears what others sent nor keeps them from sending the same.
        """
        return content_id if self.client is None else document_id_of(f"client {self.client} {content_id}".encode())

    def table_mapping(self) -> FormMapping | None:
        """Its mapping file. Raises ConfigurationError."""
        return None if self.mapping is None else FormMapping.load(self.mapping)

    def may_send(self, sender: str) -> bool:
        """Whether e-mails of this address are taken."""
        address = sender.lower()
        allowed = [one.lower() for one in self.senders]
        return not allowed or any(address == one or (one.startswith("@") and address.endswith(one)) for one in allowed)


class _SourcesFile(_Part):
    sources: list[Source] = Field(min_length=1)


def load(path: Path) -> dict[str, Source]:
    """Every source by name. Raises ConfigurationError that names what is wrong with the file."""
    file = read_toml(_SourcesFile, path, "sources file", "correct ORDERSYNC_SOURCES")
    named = {source.name: source for source in file.sources}
    if len(named) < len(file.sources):
        raise ConfigurationError(f"sources file {path}: two sources have one name")
    clients = [source.client for source in file.sources if source.client is not None]
    if len(set(clients)) < len(clients):
        raise ConfigurationError(f"sources file {path}: two sources are of one client: give each client one source")
    for source in file.sources:
        source.table_mapping()
    return named
