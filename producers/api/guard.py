"""Stands before the application: turns away bodies that are too long before they are read."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producers.api.problems import Problem

BULK_PATH = "/v1/order-batches"
DOCUMENTS_PATH = "/v1/documents"


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Longest bodies."""

    one_bytes: int
    bulk_bytes: int
    document_bytes: int = 0
    """Of documents; 0 where none are taken."""

    def of(self, path: str) -> int:
        """The limit of a path."""
        if path == BULK_PATH:
            return self.bulk_bytes
        return max(self.document_bytes, self.one_bytes) if path == DOCUMENTS_PATH else self.one_bytes


class BodyGuard:
    """Counts what comes in, whatever its length is said to be. Source: OWASP API4:2023."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.of(scope["path"])
        told = _told_length(scope)
        if told is not None and told > limit:
            await _too_long(limit).response()(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                raise _too_long(limit)
            return message

        await self._app(scope, counted, send)


def _told_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None


def _too_long(limit: int) -> Problem:
    told = f"a body may have {limit} bytes here: send less in one request"
    return Problem(413, "body.size", told, headers={"Connection": "close"})
