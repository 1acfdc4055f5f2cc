"""Who calls a route, and what each route may be told beside its body."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from producers.api.clients import Client, Scope
from producers.api.plain import KEY_PATTERN
from producers.api.problems import Problem
from producers.api.service import Service
from producers.api.signed import signer

_KEY = Header(
    alias="Idempotency-Key",
    description="Names this request: sent again under the same key it is taken once, and answered the same",
    min_length=1,
    max_length=255,
    pattern=KEY_PATTERN,
)
_PREFER = Header(
    description="`wait=10`: answer with the effect if it comes within so many seconds (RFC 7240)", max_length=255
)
_ORDER_ID = Path(description="<system>:<id>", min_length=3, max_length=200, examples=["shop:1001"])
Key = Annotated[str | None, _KEY]
Prefer = Annotated[str | None, _PREFER]
OrderIdPath = Annotated[str, _ORDER_ID]
_bearer = HTTPBearer(auto_error=False, description="The client's key or token; partners sign instead")
Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def writer(request: Request, given: Given) -> Client:
    """Who may write; spends one request of its rate."""
    return _allowed(request, given, "orders:write")


async def reader(request: Request, given: Given) -> Client:
    """Who may read; spends one request of its rate."""
    return _allowed(request, given, "orders:read")


async def document_writer(request: Request, given: Given) -> Client:
    """Who may send documents; spends one request of its rate."""
    return _allowed(request, given, "documents:write")


async def document_reader(request: Request, given: Given) -> Client:
    """Who may read what became of its documents; spends one request of its rate."""
    return _allowed(request, given, "documents:read")


async def answerer(request: Request, given: Given) -> Client:
    """Who may answer for a vendor; spends one request of its rate."""
    return _allowed(request, given, "vendors:answer")


async def asker(request: Request, given: Given) -> Client:
    """Who may ask what became of a request; spends one request of its rate."""
    return _allowed(request, given, "orders:read", "vendors:answer")


Writer = Annotated[Client, Depends(writer)]
Reader = Annotated[Client, Depends(reader)]
Answerer = Annotated[Client, Depends(answerer)]
Asker = Annotated[Client, Depends(asker)]
DocumentWriter = Annotated[Client, Depends(document_writer)]
DocumentReader = Annotated[Client, Depends(document_reader)]


def _allowed(request: Request, given: HTTPAuthorizationCredentials | None, *scopes: Scope) -> Client:
    """The caller, if it has one of the scopes."""
    service: Service = request.app.state.service
    client = signer(request.scope) or service.clients.of(None if given is None else given.credentials)
    try:
        client.require(*scopes)
    except Problem as problem:
        service.access.refused(client, request, problem.detail)
        raise
    client.spend()
    return client
