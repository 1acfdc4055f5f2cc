"""Many orders in one body: a JSON array, or one JSON document a line."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from pydantic import ValidationError

from producers.api.clients import Client
from producers.api.documents import NewOrder
from producers.api.intake import Asked, Intake, Unchanged
from producers.api.problems import Problem, invalid
from schemas.errors import Transient

NDJSON = "application/x-ndjson"
_AT_ONCE = 1_000


def documents_in(body: bytes, is_lines: bool, limit: int) -> list[bytes]:
    """The documents of a body, as bytes.

    Raises:
        Problem: it is no array, a line of it no JSON, or there are too many.
    """
    if is_lines:
        found = [line for line in body.splitlines() if line.strip()]
    else:
        try:
            array = orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            raise Problem(400, "body.syntax", f"the body is no JSON: {exc}") from exc
        if not isinstance(array, list):
            raise Problem(422, "body.invalid", "the body is no array of orders; for one order use POST /v1/orders")
        found = [orjson.dumps(one) for one in array]
    if not found:
        raise Problem(422, "body.invalid", "the body has no order")
    if len(found) > limit:
        raise Problem(413, "body.size", f"{len(found)} orders in one body, at most {limit}: send them in parts")
    return found


async def take_all(intake: Intake, client: Client, key: str | None, documents: list[bytes]) -> list[dict[str, Any]]:
    """Each document accepted or refused by itself, in the order of the body; under the keys `key/0`, `key/1` ...

    The same id twice in one body is the caller's fault: the second is superseded by the first.
    """
    items: list[dict[str, Any]] = []
    for start in range(0, len(documents), _AT_ONCE):
        portion = documents[start : start + _AT_ONCE]
        items += await asyncio.gather(
            *(_take(intake, client, key, start + at, document) for at, document in enumerate(portion))
        )
    return items


async def _take(intake: Intake, client: Client, key: str | None, index: int, document: bytes) -> dict[str, Any]:
    asked = Asked(client.name, None if key is None else f"{key}/{index}", document)
    try:
        draft = _draft(document)
        taken = await intake.create(asked, draft, system_of(client, draft))
    except Problem as problem:
        return {"index": index, "problem": problem.document()}
    except Transient as exc:
        return {"index": index, "problem": unavailable(exc).document()}
    if isinstance(taken, Unchanged):
        return {"index": index, "order_id": taken.state.order_id}
    return {"index": index, "order_id": taken.request.order_id, "request_id": taken.request.request_id}


def system_of(client: Client, draft: NewOrder) -> str:
    """The system of a new order. Raises Problem where it is not the client's, or the client has to say."""
    system = draft.system or client.own_system()
    if system is None:
        raise Problem(422, "body.invalid", f"name the order's system: {client.name} speaks for several")
    if not client.speaks_for(system):
        raise Problem(403, "scope", f"{client.name} does not speak for the system {system}")
    return system


def unavailable(exc: Transient) -> Problem:
    """The problem of an order that may be durable or not."""
    seconds = max(1, round(exc.retry_after_seconds))
    told = f"{exc}. Send the same request again under the same Idempotency-Key: it will be taken once"
    return Problem(503, "unavailable", told, headers={"Retry-After": str(seconds)})


def _draft(document: bytes) -> NewOrder:
    try:
        return NewOrder.model_validate_json(document)
    except ValidationError as exc:
        raise invalid([{**error, "loc": ("body", *error["loc"])} for error in exc.errors()]) from exc
