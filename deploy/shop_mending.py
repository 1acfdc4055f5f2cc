"""Makes an event of a shop's webhook that no mapping could read, once the mapping can."""

from __future__ import annotations

from pathlib import Path

from deploy.mending import MendedEvent
from producers.api.intake import encoded, told_request
from producers.api.problems import Problem
from producers.api.requests import HEADER
from producers.api.shop_letters import told_again
from producers.api.shops import mappings_of
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError
from schemas.models import OrderCaptured, Rejection
from schemas.topics import ORDERS_CAPTURED


def mapped_again(letter: Rejection, shops: Path, schemas: SchemaIds) -> MendedEvent:
    """The event that the API would have written, had the mapping been as it is now.

    Called by `ordersync dead-letters replay` and the console. It stands at the place that the shop's own time gives
    it: what the shop told later wins. Its id is that of the delivery, so should the shop send it again, it counts once.

    Raises:
        ConfigurationError: the mapping still cannot read it, the shop is gone, or the letter is of something else.
    """
    delivery, told = told_again(letter, mappings_of(shops))
    request = told_request(delivery.asked, told, letter.rejected_at)
    try:
        value = encoded(TopicCodec(ORDERS_CAPTURED, OrderCaptured, schemas), request, told.order)
    except Problem as exc:
        raise ConfigurationError(f"dead letter {letter.rejection_id} makes no event: {exc.detail}") from exc
    return MendedEvent(request.order_id.encode(), value, [], ORDERS_CAPTURED, ((HEADER, request.packed()),))
