"""A request that was accepted: what of it travels with the event, so that the log itself remembers it.

The id of a request follows from its client and idempotency key, and the id and place of its event follow from the
request. So a request that is sent again, to whichever worker, is found in the log; and where it is not visible there
yet, it writes the same event at the same place once more, which streams take for the duplicate that it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, NewType
from uuid import UUID, uuid4, uuid5

import orjson

from schemas.attributes import EventId, OrderId
from schemas.fulfilment_parts import VENDOR_SYSTEM
from schemas.models import SourcePosition
from schemas.models.source import EVENT_NAMESPACE

HEADER = "ordersync-request"
"""Header of a record of `orders.captured` or `vendors.answers` that came by the API."""

RequestId = NewType("RequestId", str)
"""A UUID; the id of the event as well."""


class Kind(Enum):
    """What was asked."""

    CREATE = "create"
    CHANGE = "change"
    CANCEL = "cancel"
    TELL = "tell"
    """Whatever the order has become at its shop."""
    ANSWER = "answer"
    """What a vendor says of its lines."""


@dataclass(frozen=True, slots=True)
class AnswerMark:
    """Of a vendor's message: who says it, and what it has a word about."""

    vendor_id: str
    message_id: str
    subjects: list[list[str]]
    """Kind of answer, and line or dispatch."""


@dataclass(frozen=True, slots=True)
class AcceptedRequest:
    """One request whose event is in the log, or on its way there."""

    request_id: RequestId
    kind: Kind
    client: str
    order_id: OrderId
    fingerprint: str
    """Of what was asked: the same key with another one is refused."""
    position: int
    sequence: int
    """Place of the event among those of its source, as in its `SourcePosition`."""
    accepted_at: datetime
    answer: AnswerMark | None = None
    """Set where a vendor answers."""

    @property
    def event_id(self) -> EventId:
        """Of its event."""
        return EventId(self.request_id)

    @property
    def source(self) -> SourcePosition:
        """Where its event stands: directly behind the facts that the caller knew."""
        return SourcePosition.trusted(
            system=self.order_id.partition(":")[0] if self.answer is None else VENDOR_SYSTEM + self.answer.vendor_id,
            transaction_id=UUID(self.request_id).int >> 65,
            position=self.position,
            sequence=self.sequence,
        )

    def packed(self) -> bytes:
        """The value of the header."""
        return orjson.dumps(self)

    @classmethod
    def unpacked(cls, value: bytes) -> AcceptedRequest | None:
        """The request of a header; None where somebody else wrote it."""
        try:
            told: dict[str, Any] = orjson.loads(value)
            made = cls(**told)
            mark = told.get("answer")
            return replace(
                made,
                kind=Kind(made.kind),
                accepted_at=datetime.fromisoformat(told["accepted_at"]),
                answer=None if mark is None else AnswerMark(**mark),
            )
        except (ValueError, TypeError, KeyError):
            return None


def request_id_of(client: str, key: str | None) -> RequestId:
    """The id of a request: the same for the same key of the same client; without a key always another one."""
    return RequestId(str(uuid4() if key is None else uuid5(EVENT_NAMESPACE, f"api/{client}/{key}")))


def fingerprint_of(kind: Kind, order: str, body: bytes) -> str:
    """What tells two requests under one key apart."""
    return hashlib.sha256(b"/".join((kind.value.encode(), order.encode(), body))).hexdigest()[:32]
