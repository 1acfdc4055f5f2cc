"""The short way of a plain new order answers like the ordinary one, and hands over whatever is not plain."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from producers.api.access import Access
from producers.api.answering import AnswerIntake
from producers.api.app import api, asgi_app
from producers.api.clients import ClientEntry, Clients
from producers.api.documents import EXAMPLE
from producers.api.guard import BodyLimits
from producers.api.intake import Intake
from producers.api.orders import Orders
from producers.api.plain import PlainOrders
from producers.api.service import Service
from producers.api.store import OrderStore
from producers.sightings import Sightings
from tests.unit.test_api_intake import CAPTURED, SCHEMAS, STATES, FollowedTopics, WrittenLog
from tests.unit.test_sightings import KeptAudit

JSON = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
BODY = json.dumps(EXAMPLE).encode()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    store = OrderStore(tmp_path, "cluster")
    orders = Orders(store, STATES)
    orders.feed = FollowedTopics(orders, store)  # type: ignore[assignment]
    entry = ClientEntry(
        name="shop",
        key_sha256=[hashlib.sha256(b"secret").hexdigest()],
        scopes=["orders:write"],
        systems=["shop"],
        requests_per_second=0.001,
        burst=4,
    )
    intake = Intake(WrittenLog(), orders, CAPTURED)
    access = Access(Sightings(KeptAudit()))
    answers = AnswerIntake(WrittenLog(), orders, SCHEMAS)
    yield Service(intake, orders, Clients([entry], "test"), BodyLimits(4_000, 8_000), 10, 1.0, access, answers)
    store.close()


def answers(app: ASGIApp, *requests: tuple[dict[str, str], bytes]) -> list[tuple[int, Any, Any]]:
    """Status, media type and body of each, in turn; without what is different each time."""

    async def sent() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return [await client.post("/v1/orders", headers=headers, content=body) for headers, body in requests]

    told = []
    for answer in asyncio.run(sent()):
        body = answer.json()
        body.pop("accepted_at", None)
        told.append((answer.status_code, answer.headers["Content-Type"], body))
    return told


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (JSON | {"Idempotency-Key": "key"}, BODY, 202),
        (JSON | {"Idempotency-Key": "key", "Prefer": "respond-async"}, BODY, 202),
        (JSON | {"Idempotency-Key": "key", "Authorization": "bearer secret"}, BODY, 202),
        (JSON | {"Idempotency-Key": "two words"}, BODY, 422),
        (JSON | {"Idempotency-Key": "k" * 256}, BODY, 422),
        (JSON | {"Prefer": "p" * 256}, BODY, 422),
        (JSON | {"Authorization": "Bearer wrong"}, BODY, 401),
        ({"Content-Type": "application/json"}, BODY, 401),
        (JSON | {"Content-Type": "text/plain"}, BODY, 415),
        (JSON, b"{", 400),
        (JSON, b"[]", 422),
        (JSON, b"", 422),
        (JSON, json.dumps(EXAMPLE | {"order_lines": []}).encode(), 422),
        (JSON, json.dumps(EXAMPLE | {"issue_date": 5}).encode(), 422),
        (JSON, json.dumps(EXAMPLE | {"document_currency_code": "XXX"}).encode(), 422),
        (JSON, json.dumps(EXAMPLE | {"system": "crm"}).encode(), 403),
    ],
)
def test_both_ways_answer_the_same(service: Service, headers: dict[str, str], body: bytes, status: int) -> None:
    ordinary = api(service)
    [expected] = answers(ordinary, (headers, body))
    service.orders._recent.clear()
    [found] = answers(PlainOrders(ordinary, service), (headers, body))
    assert found == expected
    assert found[0] == status


def test_each_request_spends_its_rate_once(service: Service) -> None:
    plain, wrong = (JSON, BODY), (JSON, b"{}")
    statuses = [status for status, _, _ in answers(asgi_app(service), wrong, plain, plain, wrong, plain, wrong)]
    assert statuses == [422, 202, 202, 422, 429, 429]


def test_a_body_that_turns_out_longer_than_it_may_be_is_cut_off(service: Service) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1_000

    async def sent() -> httpx.Response:
        transport = httpx.ASGITransport(asgi_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.post("/v1/orders", headers=JSON, content=endless())

    answer = asyncio.run(sent())
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body.size")
