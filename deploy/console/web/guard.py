"""Stands before the application: foreign names and origins, long bodies, and the headers of every answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_SECURE: Final = {"strict-transport-security": "max-age=31536000"}
_READING: Final = frozenset({"GET", "HEAD"})
_METHODS: Final = _READING | {"POST"}
_LONGEST_PATH: Final = 4_096
_TOO_LONG: Final = 413
_READ_AWAY_BYTES: Final = 8 << 20
_READ_AWAY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """What is let through."""

    hosts: frozenset[str]
    is_secure: bool
    body_limit_bytes: int


class Guard:
    """Decides before anything of ours runs. Source: OWASP ASVS 3.4, 3.5 and 4.2."""

    def __init__(self, app: ASGIApp, policy: GuardPolicy) -> None:
        self._app, self._policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over, or refuse."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        guarded = self._guarded(send)
        if refusal is not None:
            if refusal.status_code == _TOO_LONG:
                await _read_away(receive)
            await refusal(scope, receive, guarded)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._policy.body_limit_bytes:
                await _read_away(receive)
                raise HTTPException(_TOO_LONG, "The form is too long.", headers={"Connection": "close"})
            return message

        await self._app(scope, counted, guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if scope["method"] not in _METHODS:
            return _refused(405, "Pages are read with GET and changed with POST.")
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_PATH:
            return _refused(414, "The address is too long.")
        if len(headers.getlist("host")) != 1 or _name_of(headers["host"]) not in self._policy.hosts:
            return _refused(400, "This console does not go by that name; see ORDERSYNC_PUBLIC_URL.")
        if scope["method"] not in _READING and not self._is_own(headers):
            return _refused(403, "This request came from another site.")
        length = headers.get("content-length")
        if length is not None and (not length.isdigit() or int(length[:20]) > self._policy.body_limit_bytes):
            return _refused(_TOO_LONG, "The form is too long.")
        return None

    def _is_own(self, headers: Headers) -> bool:
        """Whether a page of ours sent it; every browser says so with what it posts."""
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        try:
            origin = urlsplit(headers.get("origin", ""))
        except ValueError:
            return False
        return origin.scheme == ("https" if self._policy.is_secure else "http") and origin.netloc == headers["host"]

    def _guarded(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (HEADERS | (_SECURE if self._policy.is_secure else {})).items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        return sending


async def _read_away(receive: Receive) -> None:
    """Take the rest of a body that is refused, within bounds.

    A connection that is closed before its body was read is reset, and whoever sends never reads why.
    """
    came = 0
    try:
        async with asyncio.timeout(_READ_AWAY_SECONDS):
            while came < _READ_AWAY_BYTES:
                message = await receive()
                came += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        # Whoever sends so slowly does without the answer.
        return


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _refused(status: int, why: str) -> PlainTextResponse:
    return PlainTextResponse(why + "\n", status, headers={"Connection": "close"} if status == _TOO_LONG else None)
