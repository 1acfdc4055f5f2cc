"""Who read which order through the API: told before the answer, once in a quarter of an hour, and never for writes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from producers.api.access import Access
from producers.api.answering import AnswerIntake
from producers.api.app import asgi_app
from producers.api.clients import ClientEntry, Clients
from producers.api.documents import EXAMPLE
from producers.api.guard import BodyLimits
from producers.api.intake import Intake
from producers.api.orders import Orders
from producers.api.service import Service
from producers.api.store import Changes, OrderStore
from producers.sightings import EVERY_SECONDS, Sightings
from schemas.attributes import OrderId
from schemas.audit_chain import Identity
from tests.unit.order_samples import order_state
from tests.unit.test_api_intake import CAPTURED, SCHEMAS, STATES, FollowedTopics, WrittenLog
from tests.unit.test_sightings import Clock, KeptAudit

ORDER = OrderId("shop:1")


class Desk:
    """An API that knows one order of the shop, and an audit in memory."""

    def __init__(self, directory: Path) -> None:
        self.audit, self.clock = KeptAudit(), Clock()
        self.store = OrderStore(directory, "cluster")
        orders = Orders(self.store, STATES)
        orders.feed = FollowedTopics(orders, self.store)  # type: ignore[assignment]
        changes = Changes()
        state = order_state().model_copy(update={"order_id": ORDER, "version": 1})
        changes.state(ORDER, STATES.encode(state))
        changes.step(ORDER, 1, b'{"version": 1, "event_id": "e"}')
        self.store.write(changes)
        entries = [self._entry("shop", "shop"), self._entry("other", "other"), self._entry("writer", "shop", "write")]
        self.app = asgi_app(
            Service(
                Intake(WrittenLog(), orders, CAPTURED),
                orders,
                Clients(entries, "test"),
                BodyLimits(4_000, 8_000),
                10,
                1.0,
                Access(Sightings(self.audit, self.clock)),
                AnswerIntake(WrittenLog(), orders, SCHEMAS),
            )
        )

    def ask(self, path: str, name: str = "shop", **headers: str) -> httpx.Response:
        return self._sent("GET", path, name, headers)

    def send(self, name: str) -> httpx.Response:
        return self._sent("POST", "/v1/orders", name, {}, EXAMPLE)

    def _sent(self, method: str, path: str, name: str, headers: dict[str, str], body: object = None) -> httpx.Response:
        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("10.0.0.7", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                known = {"Authorization": f"Bearer {name}"} | headers
                return await client.request(method, path, headers=known, json=body)

        return asyncio.run(answer())

    @staticmethod
    def _entry(name: str, system: str, scope: str = "read") -> ClientEntry:
        key = hashlib.sha256(name.encode()).hexdigest()
        told = {"name": name, "key_sha256": [key], "scopes": [f"orders:{scope}"], "systems": [system]}
        return ClientEntry.model_validate(told)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("api"))
    yield made
    made.store.close()


@pytest.fixture
def desk(built: Desk) -> Desk:
    """The same application, at a time when everything is told anew."""
    built.clock.seconds += EVERY_SECONDS
    built.audit.kept.clear()
    built.audit.is_away = False
    return built


def test_each_read_order_is_told_once_in_a_while(desk: Desk) -> None:
    for path in ("", "/timeline", "", "/timeline"):
        assert desk.ask(f"/v1/orders/{ORDER}{path}").status_code == 200
    told = [(one.actor, one.action, one.subject, one.reference, one.identified_by) for one in desk.audit.kept]
    assert told == [
        ("shop", "OrderRead", ORDER, "10.0.0.7", Identity.CREDENTIAL),
        ("shop", "TimeLineRead", ORDER, "10.0.0.7", Identity.CREDENTIAL),
    ]
    desk.clock.seconds += EVERY_SECONDS
    desk.ask(f"/v1/orders/{ORDER}")
    assert desk.audit.kept[-1].changes == ["1 more times since the entry before"]


def test_nothing_is_shown_that_cannot_be_told(desk: Desk) -> None:
    desk.audit.is_away = True
    for path in (f"/v1/orders/{ORDER}", f"/v1/orders/{ORDER}/timeline"):
        answer = desk.ask(path)
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/busy")
        assert "payable" not in answer.text and int(answer.headers["Retry-After"]) >= 1
    desk.audit.is_away = False
    assert desk.ask(f"/v1/orders/{ORDER}").status_code == 200
    assert len(desk.audit.kept) == 1


def test_what_shows_no_order_is_not_told(desk: Desk) -> None:
    assert desk.ask(f"/v1/orders/{ORDER}", **{"If-None-Match": '"1"'}).status_code == 304
    assert desk.ask("/v1/orders/shop:none").status_code == 404
    assert desk.send("writer").status_code == 202
    assert desk.audit.kept == []


def test_who_asks_for_what_is_not_its_own_is_told_once(desk: Desk) -> None:
    for order_id in ("shop:1", "shop:2", "crm:3"):
        assert desk.ask(f"/v1/orders/{order_id}", "other").status_code == 404
    for _ in range(3):
        assert desk.ask(f"/v1/orders/{ORDER}", "writer").status_code == 403
    told = [(one.actor, one.action, one.reason) for one in desk.audit.kept]
    assert told == [
        ("other", "AccessRefused", "orders of another system"),
        ("writer", "AccessRefused", "writer has no scope orders:read"),
    ]
