"""The route by which shops tell of their orders."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Path, Request
from fastapi.responses import Response

from producers.api.answers import JSON
from producers.api.problems import Problem
from producers.api.service import Service
from producers.api.shop_letters import ShopDelivery, letter_of

_log = logging.getLogger(__name__)
# WooCommerce asks once, unsigned, whether anybody is there when a webhook is made.
_PING = re.compile(rb"^webhook_id=\d{1,20}$")


def add_shops(app: FastAPI, service: Service, refusals: dict[int | str, dict[str, Any]]) -> None:
    """Add the route; `refusals` describe its answers that are no success."""

    @app.post(
        "/v1/shops/{shop}/orders",
        operation_id="tellOrder",
        summary="Take a webhook of a shop",
        description=(
            "Shopify and WooCommerce send their webhooks here, signed with the shop's secret over the body. Twice, "
            "late and in any order is normal: the newest image of an order counts."
        ),
        responses={
            200: {
                "description": "Durable, or about something else than orders; kept for a person where it cannot be read"
            },
            **refusals,
        },
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": {"type": "object"}}}}},
    )
    async def tell(request: Request, shop: Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,62}$")]) -> Response:
        body, known = await request.body(), service.shops.of(shop)
        if known is not None and _PING.match(body):
            return _answer("ping")
        if known is None or not known.signed(request.headers.get(known.platform.signature), body):
            told = "no shop of this name has signed this body with its secret"
            raise Problem(401, "authentication", told, headers={"WWW-Authenticate": "Signature"})
        topic = request.headers.get(known.platform.topic, "")
        if not topic.startswith(known.platform.orders):
            return _answer("ignored")
        delivery = ShopDelivery.of(shop, topic, request.headers.get(known.platform.delivery), body)
        try:
            taken = await service.intake.tell(delivery.asked, known.told(topic, body, datetime.now(UTC)))
        except Problem as problem:
            return await _kept(service, delivery, problem)
        return _answer("accepted", order_id=taken.request.order_id, request_id=taken.request.request_id)


async def _kept(service: Service, delivery: ShopDelivery, problem: Problem) -> Response:
    """Keep what cannot be read: sent again it would be the same, and platforms give up an address that refuses."""
    _log.warning("%s: a webhook %s could not be taken: %s", delivery.shop, delivery.topic, problem.detail)
    if service.letters is None:
        raise problem
    letter = letter_of(delivery, problem, datetime.now(UTC))
    await service.letters.write(delivery.name.encode(), letter)
    return _answer("kept", rejection_id=letter.rejection_id)


def _answer(status: str, **told: str) -> Response:
    return Response(orjson.dumps({"status": status} | told), media_type=JSON)
