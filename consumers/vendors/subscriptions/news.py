"""What is told of an order to whom it belongs: its standing and what led to it, and nothing that is personal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid5

import orjson

from schemas.models import OrderEvent, ParkedOrder, Rejection
from schemas.models.source import EVENT_NAMESPACE

REJECTED_TYPE = "order.rejected"
WAITING_TYPE = "order.waiting"
_STAGES = frozenset({"streams", "capture"})
"""Who refuses orders; what others could not read is no news for its owner."""
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class News(NamedTuple):
    """One thing to be told, for whomever it concerns."""

    message_id: str
    """The same each time, so that a receiver knows it again."""
    system: str
    order_id: str
    message_type: str
    order_version: int
    """0 where it made none."""
    body: str
    told_at: datetime
    """When it was decided."""


def type_of(event_type: str) -> str:
    """The `type` of a message: OrderPlaced is order.placed."""
    return "order." + _WORD.sub("_", event_type.removeprefix("Order")).lower()


def news_of_event(event: OrderEvent) -> News:
    """A version was made."""
    state = event.state
    told = {
        "order_id": state.order_id,
        "version": state.version,
        "event_id": state.event_id,
        "order_status": state.order_status,
        "fulfilment_status": state.fulfilment_status,
        "billing_status": state.billing_status,
        "payment_status": state.payment_status,
        "warnings": [one.rule for one in state.warnings],
    }
    identity = f"news {state.order_id} {state.version}"
    return _news(identity, type_of(event.event_type), state.version, state.processed_at, told)


def news_of_rejection(rejection: Rejection) -> News | None:
    """A change of an order was refused; None where no order could be read from it, or a sink stumbled."""
    if rejection.order_id is None or rejection.stage not in _STAGES:
        return None
    violations = [one.model_dump() for one in rejection.violations]
    told = {"order_id": rejection.order_id, "rejection_id": rejection.rejection_id, "violations": violations}
    return _news(f"news {rejection.rejection_id}", REJECTED_TYPE, 0, rejection.rejected_at, told)


def news_of_parked(parked: ParkedOrder) -> News:
    """An order waits for its customer, product or rate; told again where it comes to wait for something else."""
    awaits = [{"topic": one.topic, "key": one.key} for one in parked.awaits]
    identity = f"news {parked.order_id} waits {parked.parked_at.isoformat()} {awaits}"
    told = {"order_id": parked.order_id, "awaits": awaits, "deadline_at": parked.deadline_at}
    return _news(identity, WAITING_TYPE, 0, parked.parked_at, told)


def in_sequence(versions: Iterable[News], others: Iterable[News]) -> Sequence[News]:
    """All news of a batch by their time; the versions of an order stay as they lie in the log, whatever clocks say."""
    latest: dict[str, datetime] = {}
    timed = []
    for one in versions:
        at = latest[one.order_id] = max(one.told_at, latest.get(one.order_id, one.told_at))
        timed.append((at, one))
    timed += [(one.told_at, one) for one in others]
    timed.sort(key=lambda pair: pair[0])
    return [one for _, one in timed]


def _news(identity: str, message_type: str, version: int, at: datetime, told: dict[str, Any]) -> News:
    order_id = str(told["order_id"])
    envelope = {"type": message_type, "timestamp": at, "data": told}
    body = orjson.dumps(envelope, option=orjson.OPT_UTC_Z).decode()
    message_id = str(uuid5(EVENT_NAMESPACE, identity))
    return News(message_id, order_id.partition(":")[0], order_id, message_type, version, body, at)
