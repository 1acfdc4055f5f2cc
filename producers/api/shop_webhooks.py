"""The route by which shops tell of their orders."""

from __future__ import annotations

import hashlib
import logging
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Path, Request
from fastapi.responses import Response

from producers.api.answers import JSON
from producers.api.intake import Asked
from producers.api.problems import Problem
from producers.api.service import Service

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
        responses={200: {"description": "Durable, or about something else than orders"}, **refusals},
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
        try:
            found = known.told(topic, body, datetime.now(UTC))
        except Problem as problem:
            _log.warning("%s: a webhook %s could not be taken: %s", shop, topic, problem.detail)
            raise
        # Without a name of its own a delivery is known by what it says.
        delivery = request.headers.get(known.platform.delivery) or hashlib.sha256(body).hexdigest()
        taken = await service.intake.tell(Asked(f"shop/{shop}", f"{topic}/{delivery}"[:255], body), found)
        return _answer("accepted", order_id=taken.request.order_id, request_id=taken.request.request_id)


def _answer(status: str, **told: str) -> Response:
    return Response(orjson.dumps({"status": status} | told), media_type=JSON)
