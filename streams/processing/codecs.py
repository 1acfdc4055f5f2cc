"""The codecs of every topic that the stream processor reads or writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.codec import ABSENT, HEADER_LENGTH, RecordCodec, SectionedCodec, TopicCodec, schema_id_of
from schemas.codec.topic import SchemaIds
from schemas.models import (
    CapturedEvent,
    Customer,
    Fulfilment,
    FxRate,
    JournalEntry,
    OrderEvent,
    OrderState,
    ParkedOrder,
    Product,
    Rejection,
    Vendor,
)
from schemas.topics import (
    CUSTOMERS,
    FX_RATES,
    ORDER_EVENTS,
    ORDER_STATE,
    PARKED,
    POSTINGS,
    PRODUCTS,
    REJECTED,
    VENDORS,
)
from streams.rules.facts import EVENT_MODELS, Section

_SECTION_FIELDS = {
    Section.ORDER: "order",
    Section.FULFILMENT: "fulfilment",
    Section.SETTLEMENT: "settlement",
    Section.ANSWERS: "answer",
}
STATE_SECTIONS = ("order", "fulfilment", "settlement")
_PRESENT = b"\x02"
"""The branch of a section that is there."""


class CapturedCodec:
    """Decodes the events of one captured topic and keeps the bytes of their section."""

    def __init__(self, section: Section, registry: SchemaIds) -> None:
        model = EVENT_MODELS[section]
        self._topic = TopicCodec(section.value, model, registry)
        self._sections: SectionedCodec[CapturedEvent] = SectionedCodec(model, (_SECTION_FIELDS[section],))

    @property
    def header(self) -> bytes:
        """What every message that our own schema wrote begins with."""
        return self._topic.header

    def decode(self, message: bytes) -> tuple[CapturedEvent, bytes]:
        """The event, and its section in our own schema's form.

        Raises:
            UndecodableMessage: wrong wire format, unknown schema id, or bytes that the schema does not explain.
            Transient: the registry had to be asked and is away.
        """
        writer: Any = None
        if not message.startswith(self._topic.header):
            writer = self._topic.writer_of(schema_id_of(message))
        event, sections = self._sections.decode(message, writer, HEADER_LENGTH)
        return event, sections[0]


class Codecs:
    """Made once when the worker starts; asks the registry for the ids of our schemas.

    Raises:
        SchemaDrift: a schema is not registered.
        Transient: the registry is away.
    """

    def __init__(self, registry: SchemaIds) -> None:
        self.captured = {section: CapturedCodec(section, registry) for section in Section}
        self.rejections = TopicCodec(REJECTED, Rejection, registry)
        self.parked = TopicCodec(PARKED, ParkedOrder, registry)
        self.postings = TopicCodec(POSTINGS, JournalEntry, registry)
        self.states = StateCodec(registry)
        self._fulfilments = RecordCodec(Fulfilment)
        self.customers = TopicCodec(CUSTOMERS, Customer, registry)
        self.products = TopicCodec(PRODUCTS, Product, registry)
        self.vendors = TopicCodec(VENDORS, Vendor, registry)
        self.fx_rates = TopicCodec(FX_RATES, FxRate, registry)

    def fulfilment_section(self, fulfilment: Fulfilment | None) -> bytes:
        """The bytes of a fulfilment that was put together here, as a section of the state.

        Raises:
            InvalidValue: a value does not fit the schema.
        """
        return ABSENT if fulfilment is None else _PRESENT + self._fulfilments.encode(fulfilment)


@dataclass(frozen=True, slots=True)
class EncodedVersion:
    """One version as it goes to `orders.state` and to `orders.events`."""

    state: bytes
    event: bytes


class StateCodec:
    """Versions of orders; the sections are copied, not encoded again."""

    def __init__(self, registry: SchemaIds) -> None:
        self._topic = TopicCodec(ORDER_STATE, OrderState, registry)
        self._event_header = TopicCodec(ORDER_EVENTS, OrderEvent, registry).header
        self._states: SectionedCodec[OrderState] = SectionedCodec(OrderState, STATE_SECTIONS)
        self._events: SectionedCodec[OrderEvent] = SectionedCodec(OrderEvent, ("state",))

    def decode(self, message: bytes) -> tuple[OrderState, list[bytes]]:
        """The version and the bytes of its sections."""
        writer: Any = None
        if not message.startswith(self._topic.header):
            writer = self._topic.writer_of(schema_id_of(message))
        return self._states.decode(message, writer, HEADER_LENGTH)

    @property
    def headers(self) -> tuple[bytes, bytes]:
        """What every message of `orders.state`, and of `orders.events`, begins with."""
        return self._topic.header, self._event_header

    def encode(self, event: OrderEvent, sections: list[bytes]) -> EncodedVersion:
        """`event` with its state, and the state alone; `sections` stand for the state's own."""
        state = self._states.encode(event.state, sections)
        header = self._topic.header
        return EncodedVersion(header + state, self._events.encode(event, [state], self._event_header))
