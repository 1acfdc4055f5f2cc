"""Stands before the routes: whoever signs a request is known by the signature, and nothing unsigned of it is read."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producers.api.clients import Client, Clients
from producers.api.problems import Problem
from producers.api.signatures import SentRequest, check_body, is_signed, refused, signature_in

_CALLER: Final = "ordersync.caller"


class SignedRequests:
    """Checks the signature before a byte of the body is read, then the body against what was signed."""

    def __init__(self, app: ASGIApp, clients: Clients) -> None:
        self._app = app
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the application, with the caller in the scope where the request was signed."""
        if scope["type"] != "http" or not is_signed(scope["headers"]):
            await self._app(scope, receive, send)
            return
        try:
            request = _sent(scope)
            if "authorization" in request.fields:
                raise refused("sign the request, or send a key or token: not both")
            client = self._clients.signing(signature_in(request), request)
            body = await whole_body(receive)
            if body is not None:
                check_body(request, body)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app({**scope, _CALLER: client}, read_again(body, receive), send)


def signer(scope: Scope) -> Client | None:
    """Who signed a request; None where it is not signed."""
    return cast("Client | None", scope.get(_CALLER))


async def whole_body(receive: Receive) -> bytes | None:
    """The whole body; None where the caller has left."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def read_again(body: bytes | None, receive: Receive) -> Receive:
    """Gives what was read once more, then what comes."""
    told: list[Message] = [{"type": "http.disconnect"} if body is None else {"type": "http.request", "body": body}]

    async def next_message() -> Message:
        return told.pop() if told else await receive()

    return next_message


def _sent(scope: Scope) -> SentRequest:
    fields: dict[str, list[str]] = defaultdict(list)
    for name, value in scope["headers"]:
        fields[name.decode("latin-1")].append(value.decode("latin-1"))
    query: bytes = scope["query_string"]
    return SentRequest(scope["method"], scope["raw_path"].decode("latin-1"), query.decode("latin-1"), dict(fields))
