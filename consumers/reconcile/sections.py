"""Which sections of an order's state need not be held against their sources again: neither side has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

from consumers.reconcile.backup_feed import content_of
from consumers.reconcile.facts import DELETED, OWNED
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.source import SourceReader
from schemas.codec import HEADER_LENGTH, SectionedCodec, TopicCodec, schema_id_of
from schemas.codec.topic import SchemaIds
from schemas.models import OrderState
from schemas.topics import ORDER_STATE

_DIGEST_BYTES: Final = 8

Digests = tuple[tuple[str, str], ...]
"""Name of a section to the digest of what the state says of it."""


class SectionedState:
    """Decodes states, with a digest of each section that sources own.

    The digests begin with the mappings: what another mapping makes of the same rows was never compared.
    """

    def __init__(self, sources: Sequence[SourceReader], schemas: SchemaIds) -> None:
        """Raises SchemaDrift if this version's schemas are not registered, Transient if the registry is away."""
        self._topic = TopicCodec(ORDER_STATE, OrderState, schemas)
        self._states = SectionedCodec(OrderState, tuple(section.value for section in OWNED))
        mappings = blake2b(b"".join(reader.mapping_digest for reader in sources), digest_size=16).digest()
        self._seeds = {section: mappings + section.value.encode() for section in OWNED}

    def content_of(self, value: bytes, state: OrderState) -> str:
        """The digest of the whole state, as the backup's copy of its version has it."""
        own = value.startswith(self._topic.header)
        return content_of(value[HEADER_LENGTH:] if own else self._states.records.encode(state))

    def decode(self, value: bytes) -> tuple[OrderState, Digests]:
        """The state and its sections' digests.

        Raises:
            UndecodableMessage: nobody can read it.
            Transient: the registry had to be asked and is away.
        """
        writer: Any = None
        if not value.startswith(self._topic.header):
            writer = self._topic.writer_of(schema_id_of(value))
        state, contents = self._states.decode(value, writer, HEADER_LENGTH)
        # The source of a deleted order says nothing of it any more, whatever the state has kept.
        is_deleted = b"deleted" if state.order_status == DELETED else b""
        return state, tuple(
            (section.value, self._digest(section, content, is_deleted))
            for section, content in zip(OWNED, contents, strict=True)
        )

    def _digest(self, section: Section, content: bytes, is_deleted: bytes) -> str:
        return blake2b(content + is_deleted, digest_size=_DIGEST_BYTES, key=self._seeds[section]).hexdigest()


def agreeing(now: Digests, remembered: Digests) -> frozenset[Section]:
    """The sections that the state gives as when they were found to agree. Pure."""
    return frozenset(Section(name) for name, _ in set(now) & set(remembered))
