"""What the hash-chained backup holds of each order: its newest version, and where its chain does not hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import orjson

from consumers.backup.chain import ChainHead, fault_of, head_behind
from schemas.codec import HEADER_LENGTH, SectionedCodec, TopicCodec, schema_id_of
from schemas.codec.topic import SchemaIds
from schemas.errors import UndecodableMessage
from schemas.models import BackupRecord, OrderEvent
from schemas.topics import BACKUP, ORDER_EVENTS

_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class BackedUp:
    """The newest version of an order in the backup, and what it says."""

    version: int
    content: str
    """The digest of the state's Avro form."""

    def packed(self) -> bytes:
        """As bytes, which `unpacked` reads."""
        return orjson.dumps([self.version, self.content])

    @classmethod
    def unpacked(cls, packed: bytes) -> BackedUp:
        """What was packed."""
        version, content = orjson.loads(packed)
        return cls(version, content)


@dataclass(frozen=True, slots=True)
class Holding:
    """All that is known of an order in the backup."""

    newest: BackedUp | None = None
    broken: dict[str, str] = field(default_factory=dict)
    """Place in the chain to what is wrong there."""


@dataclass(frozen=True, slots=True)
class Link:
    """One record of the backup: which order it is of, its newest version if it tells one, and a fault of the chain."""

    order_id: str
    newest: BackedUp | None
    fault: str | None


def content_of(state: bytes) -> str:
    """The digest of a state's Avro form, without the header of its message. Pure."""
    return blake2b(state, digest_size=_DIGEST_BYTES).hexdigest()


class BackupFeed:
    """Reads the links of each partition's chain in their order; called for each record, once."""

    def __init__(self, schemas: SchemaIds) -> None:
        """Raises SchemaDrift if this version's schemas are not registered, Transient if the registry is away."""
        self._links = TopicCodec(BACKUP, BackupRecord, schemas)
        self._events = TopicCodec(ORDER_EVENTS, OrderEvent, schemas)
        self._sections = SectionedCodec(OrderEvent, ("state",))

    def link(self, key: str, value: bytes | None, head: ChainHead) -> tuple[Link, ChainHead]:
        """What one record says, and the head of the chain behind it.

        Where the chain does not hold it goes on behind a record that is in itself as it was hashed, so that one deed
        is not told again with every record after it.

        Raises:
            Transient: the registry had to be asked and is away.
        """
        try:
            record = self._links.decode(value or b"")
        except UndecodableMessage as exc:
            return Link(key, None, f"a record that is no link of the chain: {exc}"), head
        fault = fault_of(record, head)
        if fault is None and (record.original.key or b"") != key.encode("utf-8", "surrogateescape"):
            fault = "it stands under another key than the record that it copies"
        newest = self._newest(record) if fault is None else None
        return Link(key, newest, fault), head_behind(record, head)

    def _newest(self, record: BackupRecord) -> BackedUp | None:
        original = record.original
        if original.topic != self._events.topic or original.value is None:
            return None
        try:
            event, state = self._decoded(original.value)
        except UndecodableMessage:
            # Copied as it came; the dead letters have it, too.
            return None
        return BackedUp(event.state.version, content_of(state))

    def _decoded(self, value: bytes) -> tuple[OrderEvent, bytes]:
        writer: Any = None
        if not value.startswith(self._events.header):
            writer = self._events.writer_of(schema_id_of(value))
        event, (state,) = self._sections.decode(value, writer, HEADER_LENGTH)
        return event, state
