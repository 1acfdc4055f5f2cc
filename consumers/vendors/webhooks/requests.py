"""One attempt to deliver one message: a signed POST, and what its answer means."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from enum import Enum
from importlib.metadata import version

import httpcore

from consumers.vendors.profiles import Endpoint
from consumers.vendors.webhooks.addresses import ForbiddenAddress, GuardedNetwork
from consumers.vendors.webhooks.signing import signed_headers
from schemas.errors import ConfigurationError

_MOST_ANSWER_BYTES = 65_536
_LONGEST_REST_SECONDS = 86_400.0
ACKNOWLEDGED = b"webhook-acknowledged"
"""Header of an answer: `true` where the receiver has the message in its system."""
_GONE = 410
Keys = Callable[[], Sequence[bytes]]
"""Gives the keys that sign, or raises ConfigurationError."""
_TOO_MANY = 429


class Outcome(Enum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """The receiver was there, and did not take this message."""
    UNREACHABLE = "unreachable"
    """It was not there, or cannot take anything now."""
    GONE = "gone"
    """It wants no more messages (410)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of one attempt, for people, and how long the receiver asked to be left alone."""

    outcome: Outcome
    problem: str | None = None
    rest_seconds: float = 0.0
    acknowledged: bool = False
    """The receiver has not only taken it, but has it in its system."""


class WebhookClient:
    """The connections to one subscriber; nobody else's requests wait for them."""

    def __init__(self, webhook: Endpoint, keys: Keys, tls: ssl.SSLContext | None = None) -> None:
        """`keys` are asked for at each attempt, so that a secret is replaced while the worker runs."""
        self._webhook = webhook
        self._keys = keys
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=webhook.connections,
            keepalive_expiry=15.0,
            network_backend=GuardedNetwork(webhook.private_networks),
        )
        self._headers = {
            "content-type": "application/json",
            "user-agent": f"ordersync/{version('ordersync')}",
            "accept-encoding": "identity",
        }

    async def deliver(self, message_id: str, body: bytes) -> Attempt:
        """Send it once. Only a status of the 2xx is a receipt, and a redirect is not followed; raises for no receiver.

        Called by the dispatcher, again with the same id until it is delivered. Source: Standard Webhooks 1.0.0.
        """
        try:
            headers = self._headers | signed_headers(self._keys(), message_id, int(time.time()), body)
            async with asyncio.timeout(self._webhook.timeout_seconds):
                return await self._answer(headers, body)
        except ConfigurationError as exc:
            return Attempt(Outcome.UNREACHABLE, str(exc))
        except TimeoutError:
            return Attempt(Outcome.UNREACHABLE, f"no whole answer within {self._webhook.timeout_seconds:g} s")
        except ForbiddenAddress as exc:
            return Attempt(Outcome.UNREACHABLE, str(exc))
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError) as exc:
            return Attempt(Outcome.UNREACHABLE, f"{type(exc).__name__}: {exc}"[:500])

    async def close(self) -> None:
        """End the connections."""
        await self._pool.aclose()

    async def _answer(self, headers: dict[str, str], body: bytes) -> Attempt:
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        async with self._pool.stream("POST", self._webhook.url, headers=sent, content=body) as response:
            received = 0
            async for part in response.aiter_stream():
                received += len(part)
                if received > _MOST_ANSWER_BYTES:
                    # The status has been said; what follows is of no interest.
                    break
        attempt = attempt_of(response.status, _header(response, b"retry-after"))
        said = (_header(response, ACKNOWLEDGED) or b"").strip().lower() == b"true"
        return replace(attempt, acknowledged=said and attempt.outcome is Outcome.DELIVERED)


def attempt_of(status: int, retry_after: bytes | None, *, now: float | None = None) -> Attempt:
    """What a status, and its Retry-After (RFC 9110, 10.2.3), ask of us; `now` in seconds since 1970."""
    if 200 <= status < 300:
        return Attempt(Outcome.DELIVERED)
    if status == _GONE:
        return Attempt(Outcome.GONE, "it answered 410: it wants no more messages")
    rest = min(_seconds(retry_after, time.time() if now is None else now), _LONGEST_REST_SECONDS)
    if 300 <= status < 400:
        return Attempt(Outcome.FAILED, f"it answered {status}: redirects are not followed, name the new address")
    if status >= 500 or status == _TOO_MANY:
        return Attempt(Outcome.UNREACHABLE, f"it answered {status}", rest)
    return Attempt(Outcome.FAILED, f"it answered {status}", rest)


def _header(response: httpcore.Response, name: bytes) -> bytes | None:
    return next((value for key, value in response.headers if key.lower() == name), None)


def _seconds(retry_after: bytes | None, now: float) -> float:
    if retry_after is None:
        return 0.0
    text = retry_after.decode("latin-1").strip()
    if text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError):
        return 0.0
