"""The short way of what comes most: one new order with nothing unusual about it.

Routing, dependencies and validation of the application cost twice what the order itself does. Here stands the same with
nothing around it. Whatever is not plain, a wrong field, a missing key, goes the ordinary way, and is told there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi.responses import Response
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from producers.api.bulk import system_of, unavailable
from producers.api.clients import Client
from producers.api.documents import NewOrder
from producers.api.intake import Asked
from producers.api.problems import Problem
from producers.api.service import Service
from producers.api.signed import read_again, signer, whole_body
from schemas.errors import Transient

KEY_PATTERN = r"^[\x21-\x7e]+$"
ORDERS_PATH = "/v1/orders"
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_LONGEST_PREFER = 255


@dataclass(slots=True)
class _Plain:
    """A request that needs no more looking at."""

    client: Client
    draft: NewOrder
    key: str | None
    prefer: str | None


class PlainOrders:
    """Takes plain new orders, and hands everything else to the application."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand over with the body that was read."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != ORDERS_PATH:
            await self._app(scope, receive, send)
            return
        try:
            body = await whole_body(receive)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        plain = None if body is None else self._plain(scope, body)
        if body is None or plain is None:
            await self._app(scope, read_again(body, receive), send)
            return
        response = await self._answer(plain, body)
        await response(scope, receive, send)

    async def _answer(self, plain: _Plain, body: bytes) -> Response:
        try:
            plain.client.spend()
            asked = Asked(plain.client.name, plain.key, body)
            taken = await self._service.intake.create(asked, plain.draft, system_of(plain.client, plain.draft))
            return await self._service.answer(taken, plain.prefer)
        except Problem as problem:
            return problem.response()
        except Transient as exc:
            return unavailable(exc).response()

    def _plain(self, scope: Scope, body: bytes) -> _Plain | None:
        key = prefer = bearer = media = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                bearer = value
            elif name == b"content-type":
                media = value
            elif name == b"idempotency-key":
                if key is not None or not _KEY.fullmatch(value):
                    return None
                key = value
            elif name == b"prefer":
                if prefer is not None or len(value) > _LONGEST_PREFER:
                    return None
                prefer = value
        if media != b"application/json":
            return None
        client = signer(scope)
        if client is None and (bearer is None or not bearer.startswith(b"Bearer ")):
            return None
        try:
            client = client or self._service.clients.of((bearer or b"")[7:].decode("latin-1"))
            client.require("orders:write")
            draft = NewOrder.model_validate_json(body)
        except (Problem, ValidationError):
            return None
        return _Plain(client, draft, key and key.decode(), prefer and prefer.decode("latin-1"))
