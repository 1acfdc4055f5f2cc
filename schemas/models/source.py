"""Where a captured fact comes from: the position in its source's log and the header of every captured event."""

from __future__ import annotations

from uuid import UUID, uuid5

from schemas.attributes import CanonicalModel, EventId, Instant, OrderId, attribute

EVENT_NAMESPACE = UUID("6f1d2b52-3a39-5d0e-9a55-0c7de5a1f0b1")


class SourcePosition(CanonicalModel):
    """Position of a fact in its source's log; within one system later facts have greater positions."""

    system: str = attribute("Name of the source system, as in its mapping file")
    transaction_id: int = attribute("The source's own transaction number; 0 for a snapshot")
    position: int = attribute("Position of the transaction's commit in the source's log", unit="log position")
    sequence: int = attribute("Number of the fact within its transaction, from 0")

    def is_after(self, other: SourcePosition | None) -> bool:
        """Whether this fact is newer than `other`, a fact of the same system, or there is none."""
        return other is None or (self.position, self.sequence) > (other.position, other.sequence)


class CapturedEvent(CanonicalModel):
    """Header of every captured event; the section with the facts follows as the last field of the record."""

    event_id: EventId = attribute("UUIDv5 of system, topic, key and source position: the same fact has the same id")
    order_id: OrderId = attribute("Identity of the order in every system: <system>:<native id>")
    operation: str = attribute("snapshot, upserted or deleted")
    source: SourcePosition = attribute("Where in the source's log the fact stands")
    committed_at: Instant = attribute("When the source committed the fact", unit="UTC")
    captured_at: Instant = attribute("When ordersync read it from the source", unit="UTC")


def event_id_of(topic: str, key: str, source: SourcePosition) -> EventId:
    """The deterministic id of the event about `key` on `topic` at `source`: captured twice, it is still one."""
    return EventId(
        str(uuid5(EVENT_NAMESPACE, f"{source.system}/{topic}/{key}/{source.position}/{source.transaction_id}"))
    )
