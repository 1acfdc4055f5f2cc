"""The write side on a copy of orders of its own: what is written, where it stands, and what is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest

from producers.api.documents import CHANGE_EXAMPLE, EXAMPLE, ChangedOrder, NewOrder
from producers.api.intake import Asked, Intake, Taken, Unchanged
from producers.api.orders import Orders, Progress
from producers.api.problems import Problem
from producers.api.requests import AcceptedRequest
from producers.api.store import Changes, OrderStore
from schemas.codec import TopicCodec
from schemas.errors import Transient
from schemas.models import OrderCaptured, OrderState
from schemas.registry import InMemorySchemas
from schemas.topics import ORDER_STATE, ORDERS_CAPTURED
from tests.unit.order_samples import order_state

T = TypeVar("T")
SCHEMAS = InMemorySchemas()
CAPTURED = TopicCodec(ORDERS_CAPTURED, OrderCaptured, SCHEMAS)
STATES = TopicCodec(ORDER_STATE, OrderState, SCHEMAS)
ASKED = Asked("shop", "key", b"body")
DRAFT = NewOrder.model_validate(EXAMPLE)
CHANGE = ChangedOrder.model_validate(CHANGE_EXAMPLE)


@dataclass
class WrittenLog:
    """Keeps what is written, and fails as often as it is told to, before or after it has kept it."""

    events: list[OrderCaptured] = field(default_factory=list)
    failures: int = 0
    records: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    """What was written besides orders: topic, key and value."""
    away: list[str] = field(default_factory=list)
    """Topics whose next record is not taken."""

    async def send(self, key: bytes, value: bytes, header: bytes) -> None:
        await asyncio.sleep(0)
        event = CAPTURED.decode(value)
        assert key == event.order_id.encode()
        self.events.append(event)
        if self.failures:
            self.failures -= 1
            raise Transient("no answer")

    async def write(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        await asyncio.sleep(0)
        if topic in self.away:
            self.away.remove(topic)
            raise Transient("no answer")
        self.records.append((topic, key, value))


class FollowedTopics:
    """A feed that is always level: `missed` is what it had not shown before it was asked."""

    def __init__(self, orders: Orders, store: OrderStore) -> None:
        self._orders, self._store = orders, store
        self.missed = Changes()

    def catch_up(self, topic: str, seconds: float) -> None:
        self._store.write(self.missed)
        self._orders.hear(self.missed)


@dataclass
class Desk:
    """One worker's two sides."""

    log: WrittenLog
    store: OrderStore
    orders: Orders
    feed: FollowedTopics
    intake: Intake

    def ask(self, asking: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(asking)

    def knows(self, state: OrderState) -> None:
        changes = Changes()
        changes.state(state.order_id, STATES.encode(state))
        told = {"version": state.version, "event_id": state.event_id}
        changes.step(state.order_id, state.version, orjson.dumps(told))
        self.store.write(changes)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = OrderStore(tmp_path, "cluster")
    orders, log = Orders(store, STATES), WrittenLog()
    feed = FollowedTopics(orders, store)
    orders.feed = feed  # type: ignore[assignment]
    yield Desk(log, store, orders, feed, Intake(log, orders, CAPTURED))
    store.close()


def taken(answer: Taken | Unchanged) -> AcceptedRequest:
    assert isinstance(answer, Taken)
    return answer.request


def test_a_new_order_stands_before_everything_that_is_said_of_it_later(desk: Desk) -> None:
    request = taken(desk.ask(desk.intake.create(ASKED, DRAFT, "shop")))
    [event] = desk.log.events
    assert (event.order_id, event.event_id) == ("shop:1001", request.request_id)
    assert (event.source.system, event.source.position, event.source.sequence) == ("shop", 0, 1)
    assert desk.orders.status(request).progress is Progress.ACCEPTED


def test_a_request_whose_answer_was_lost_is_written_again_as_the_same_event(desk: Desk) -> None:
    desk.log.failures = 1
    with pytest.raises(Transient):
        desk.ask(desk.intake.create(ASKED, DRAFT, "shop"))
    desk.ask(desk.intake.create(ASKED, DRAFT, "shop"))
    first, second = desk.log.events
    assert (first.event_id, first.source, first.order) == (second.event_id, second.source, second.order)


def test_a_request_that_another_worker_has_taken_is_not_written_again(desk: Desk) -> None:
    state = order_state(1)
    desk.knows(state)
    first = taken(desk.ask(desk.intake.change(ASKED, state.order_id, CHANGE, "3")))
    # Another worker's copy: the order has moved on, and the request itself is out of sight.
    desk.orders._recent.clear()
    desk.knows(state.model_copy(update={"version": 4, "order_source": first.source}))
    desk.feed.missed.accepted(first)
    again = desk.ask(desk.intake.change(ASKED, state.order_id, CHANGE, "3"))
    assert isinstance(again, Taken) and again.is_replay and again.request == first
    assert len(desk.log.events) == 1


def test_the_same_request_twice_at_once_is_written_once(desk: Desk) -> None:
    async def both() -> list[Taken | Unchanged]:
        return await asyncio.gather(*(desk.intake.create(ASKED, DRAFT, "shop") for _ in range(2)))

    first, second = desk.ask(both())
    assert taken(first) == taken(second)
    assert len(desk.log.events) == 1


def test_a_key_of_another_request_is_refused(desk: Desk) -> None:
    desk.ask(desk.intake.create(ASKED, DRAFT, "shop"))
    with pytest.raises(Problem) as caught:
        desk.ask(desk.intake.create(Asked("shop", "key", b"another"), DRAFT, "shop"))
    assert (caught.value.status, caught.value.code) == (422, "idempotency.key_reused")
    desk.ask(desk.intake.create(Asked("other", "key", b"another"), NewOrder(**EXAMPLE | {"id": "2"}), "shop"))


def test_a_change_stands_directly_behind_what_its_caller_knew(desk: Desk) -> None:
    state = order_state(1)
    desk.knows(state)
    assert state.order_source is not None
    first = taken(desk.ask(desk.intake.change(ASKED, state.order_id, CHANGE, "3")))
    second = taken(desk.ask(desk.intake.cancel(Asked("shop", "other", b""), state.order_id, "*")))
    for request in (first, second):
        assert (request.position, request.sequence) == (state.order_source.position, state.order_source.sequence + 1)
        assert request.source.is_after(state.order_source)
    statuses = [event.order.order_status for event in desk.log.events if event.order is not None]
    assert statuses == ["placed", "cancelled"]
    # The first in the log makes the version, and the other has come to nothing.
    desk.knows(state.model_copy(update={"version": 4, "event_id": first.event_id, "order_source": first.source}))
    assert desk.orders.status(first).progress is Progress.APPLIED
    assert desk.orders.status(second).progress is Progress.SUPERSEDED


def test_a_change_of_another_version_is_refused_with_the_present_one(desk: Desk) -> None:
    state = order_state(1)
    desk.knows(state)
    for version in ("2", "4"):
        with pytest.raises(Problem) as caught:
            desk.ask(desk.intake.change(ASKED, state.order_id, CHANGE, version))
        assert (caught.value.status, caught.value.headers) == (412, {"ETag": '"3"'})
    assert desk.log.events == []


def test_what_changes_nothing_is_not_written(desk: Desk) -> None:
    state = order_state(1)
    assert state.order is not None
    cancelled = state.order.model_copy(update={"order_status": "cancelled"})
    desk.knows(state.model_copy(update={"order": cancelled, "order_status": "cancelled"}))
    assert isinstance(desk.ask(desk.intake.cancel(ASKED, state.order_id, "3")), Unchanged)
    assert desk.log.events == []


def test_an_order_that_is_there_is_not_created(desk: Desk) -> None:
    state = order_state(1)
    desk.knows(state)
    system, _, native = state.order_id.partition(":")
    with pytest.raises(Problem) as caught:
        desk.ask(desk.intake.create(ASKED, NewOrder(**EXAMPLE | {"id": native}), system))
    assert caught.value.code == "order.exists"


def test_requests_are_forgotten_after_their_time(desk: Desk) -> None:
    request = taken(desk.ask(desk.intake.create(ASKED, DRAFT, "shop")))
    changes = Changes()
    changes.accepted(request)
    desk.store.write(changes)
    desk.orders.hear(changes)
    second = request.accepted_at.timestamp()
    assert (desk.store.forget(second - 1), desk.orders.request(request.request_id)) == (0, request)
    assert (desk.store.forget(second + 1), desk.orders.request(request.request_id)) == (1, None)


def test_the_copy_of_another_cluster_is_not_used(tmp_path: Path) -> None:
    state, changes = order_state(1), Changes()
    changes.state(state.order_id, b"value")
    for cluster, found in (("one", None), ("one", b"value"), ("two", None)):
        store = OrderStore(tmp_path, cluster)
        assert store.state(state.order_id) == found
        store.write(changes)
        store.close()
