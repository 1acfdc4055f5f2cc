"""The systems that can stand on either side of a comparison, each read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import orjson

from consumers.reconcile.attributes import Attributes
from consumers.reconcile.comparison import ERP, LEDGER, SOURCE, STATE
from consumers.reconcile.erp import ErpReader
from consumers.reconcile.facts import OWNED, OrderFacts
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.ledger import LedgerReader
from consumers.reconcile.pairs.spill import Piece
from consumers.reconcile.pairs.terms import (
    OrderImage,
    Terms,
    image_of_erp,
    image_of_facts,
    image_of_ledger,
    image_of_state,
)
from consumers.reconcile.source import SourceReader
from consumers.reconcile.state import StateReader
from schemas.codec import RecordCodec
from schemas.errors import InvalidValue, UndecodableMessage
from schemas.models import Fulfilment, SalesOrder, Settlement


class Side(Protocol):
    """One of two systems; `pieces` is called once, then `image` for each order."""

    kind: str
    """source, state, erp or ledger."""
    label: str
    """What people call it: its kind, and where it is if that is not the usual place."""

    def pieces(self) -> Iterator[Piece]:
        """All that it holds of all orders, streaming.

        Raises:
            ConfigurationError: it lacks what is read, or refuses.
            Transient: it is away.
        """
        ...

    def image(self, payloads: Sequence[bytes], terms: Terms) -> OrderImage | None:
        """What it says of one order, from that order's pieces; None for nothing."""
        ...


class SourceSide:
    """All sources together: each owns a part of the orders."""

    kind = SOURCE

    def __init__(self, readers: Sequence[SourceReader], label: str = SOURCE) -> None:
        self.label = label
        self._readers = readers
        self._codecs: dict[Section, RecordCodec[Any]] = {
            Section.ORDER: RecordCodec(SalesOrder),
            Section.FULFILMENT: RecordCodec(Fulfilment),
            Section.SETTLEMENT: RecordCodec(Settlement),
        }

    def pieces(self) -> Iterator[Piece]:
        """Each section of each order: a byte for the section and whether it can be read, then its Avro form."""
        for reader in self._readers:
            for found in reader.facts():
                section = found.locator.section
                yield found.order_id, self._payload(section, found.facts, found.error)

    def _payload(self, section: Section, facts: Any, error: InvalidValue | None) -> bytes:
        number = OWNED.index(section)
        if error is None:
            try:
                return bytes([number]) + self._codecs[section].encode(facts)
            except InvalidValue as exc:
                error = exc
        return bytes([number + len(OWNED)]) + str(error).encode()

    def image(self, payloads: Sequence[bytes], terms: Terms) -> OrderImage | None:
        """A section that two sources give is unreadable: none of them is preferred."""
        facts = OrderFacts()
        for payload in payloads:
            section, body = OWNED[payload[0] % len(OWNED)], payload[1:]
            if section in facts.sections:
                facts.unreadable[section] = InvalidValue("more than one source gives it")
            elif payload[0] >= len(OWNED):
                facts.unreadable[section] = InvalidValue(body.decode())
            else:
                facts.sections[section] = self._codecs[section].decode(body)
        return image_of_facts(facts, terms)


class StateSide:
    """The synchronized state, or a restored copy of it."""

    kind = STATE

    def __init__(self, reader: StateReader, label: str = STATE) -> None:
        self.label = label
        self._reader = reader

    def pieces(self) -> Iterator[Piece]:
        """Each order's encoded state."""
        return self._reader.values()

    def image(self, payloads: Sequence[bytes], terms: Terms) -> OrderImage | None:
        """What the latest state says."""
        state = self._reader.decoded(payloads[-1])
        return (
            OrderImage({}, None, str(state)) if isinstance(state, UndecodableMessage) else image_of_state(state, terms)
        )


class ErpSide:
    """The ERP, or another database of its tables."""

    kind = ERP

    def __init__(self, reader: ErpReader, label: str = ERP) -> None:
        self.label = label
        self._reader = reader

    def pieces(self) -> Iterator[Piece]:
        """Each order's attributes."""
        return ((order_id, _packed(attributes)) for order_id, attributes in self._reader.orders())

    def image(self, payloads: Sequence[bytes], terms: Terms) -> OrderImage | None:
        """What the ERP says in these terms."""
        return image_of_erp(orjson.loads(payloads[-1]), terms)


class LedgerSide:
    """The general ledger, or another database of its tables."""

    kind = LEDGER

    def __init__(self, reader: LedgerReader, label: str = LEDGER) -> None:
        self.label = label
        self._reader = reader

    def pieces(self) -> Iterator[Piece]:
        """Each order's balances."""
        return ((order_id, _packed(attributes)) for order_id, attributes in self._reader.orders())

    def image(self, payloads: Sequence[bytes], terms: Terms) -> OrderImage | None:
        """What the ledger says in these terms."""
        return image_of_ledger(orjson.loads(payloads[-1]), terms)


def _packed(attributes: Attributes) -> bytes:
    return orjson.dumps(attributes)
