"""Tells the audit which client read which order, before the answer goes out."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request

from producers.api.clients import Client
from producers.sightings import Sightings
from schemas.attributes import OrderId
from schemas.audit_chain import Deed, Identity

REMEMBERED: Final = 100_000
"""Clients' orders that are known to be told; with more than so many in a quarter of an hour some are told again."""


class Access:
    """Reads are told once in a quarter of an hour for each client, order and address; what is written tells of itself.

    An order that was written is known by its event, which names the client in its header.
    """

    def __init__(self, sightings: Sightings) -> None:
        self._sightings = sightings

    async def saw(self, client: Client, request: Request, action: str, order_id: OrderId) -> None:
        """Return when the audit has it. Raises Transient where it cannot be written: nothing may be shown then."""
        deed = _deed(client, request, action, order_id)
        if not self._sightings.counted(deed):
            await asyncio.to_thread(self._sightings.saw, deed)

    def refused(self, client: Client, request: Request, why: str) -> None:
        """Note that a client asked for what is not its own; once in a quarter of an hour for each reason."""
        self._sightings.refused(_deed(client, request, "AccessRefused", request.url.path[:200], why))


def _deed(client: Client, request: Request, action: str, subject: str, why: str | None = None) -> Deed:
    address = request.client.host if request.client is not None else "unknown"
    return Deed(client.name, action, subject, address, why, identified_by=Identity.CREDENTIAL)
