"""The canonical facts of an order, section by section, as the proof compares them between source and state."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeAlias

from consumers.reconcile.attributes import DIGEST_BYTES
from consumers.reconcile.fingerprint import Section
from schemas.codec import RecordCodec
from schemas.errors import InvalidValue, UndecodableMessage
from schemas.fulfilment_parts import of_inventory
from schemas.models import Fulfilment, OrderState, SalesOrder, Settlement

Facts: TypeAlias = SalesOrder | Fulfilment | Settlement
FoundState: TypeAlias = OrderState | UndecodableMessage | None
"""A state, the reason why it cannot be read, or none."""
OWNED = (Section.ORDER, Section.FULFILMENT, Section.SETTLEMENT)
"""The sections that sources own."""
DELETED = "deleted"

_UNREADABLE = b"\xff" * DIGEST_BYTES


@dataclass(slots=True)
class OrderFacts:
    """What one system says of one order; a section that says nothing is absent."""

    sections: dict[Section, Facts] = field(default_factory=dict)
    unreadable: dict[Section, InvalidValue] = field(default_factory=dict)
    """Sections that the source holds, but that its mapping refuses."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said at all."""
        return not self.sections and not self.unreadable


class FactsDigest:
    """Digests facts by their Avro form, which is the same wherever they were read."""

    def __init__(self) -> None:
        self._codecs: dict[Section, RecordCodec[Any]] = {
            Section.ORDER: RecordCodec(SalesOrder),
            Section.FULFILMENT: RecordCodec(Fulfilment),
            Section.SETTLEMENT: RecordCodec(Settlement),
        }

    def of(self, section: Section, facts: Facts | None) -> bytes:
        """The digest of one section; that of facts which no event can carry (or None) agrees with no state's."""
        if facts is None:
            return _UNREADABLE
        try:
            body = self._codecs[section].encode(facts)
        except InvalidValue:
            return _UNREADABLE
        return blake2b(body, digest_size=DIGEST_BYTES).digest()


def says_something(facts: Facts | None) -> bool:
    """Whether there is anything in it: a fulfilment without shipments and returns is as good as none."""
    if isinstance(facts, Fulfilment):
        return bool(facts.shipments or facts.returns)
    if isinstance(facts, Settlement):
        return bool(facts.invoices or facts.payments)
    return facts is not None


def facts_of(state: OrderState) -> OrderFacts:
    """What the state says in its sources' name, without what vendors answered.

    A deleted order keeps its last commercial facts, but its source has none any more.
    """
    order = None if state.order_status == DELETED else state.order
    own = of_inventory(state.fulfilment)
    said = {Section.ORDER: order, Section.FULFILMENT: own, Section.SETTLEMENT: state.settlement}
    return OrderFacts(
        {section: facts for section, facts in said.items() if facts is not None and says_something(facts)}
    )
