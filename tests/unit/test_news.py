"""What is told of an order: nothing personal, the same each time, and an order's versions in their order."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from consumers.vendors.subscriptions.news import (
    in_sequence,
    news_of_event,
    news_of_parked,
    news_of_rejection,
    type_of,
)
from schemas.models import AwaitedRecord, OriginalMessage, ParkedOrder, Rejection, Violation
from tests.unit.order_samples import COMMITTED_AT, order_state
from tests.unit.vendor_lives import ORDER_ID, line, version


def original() -> OriginalMessage:
    return OriginalMessage(topic="orders.captured", partition=0, offset=1, timestamp_at=COMMITTED_AT)


def rejection(**changes: object) -> Rejection:
    values = {
        "rejection_id": "r1",
        "stage": "streams",
        "order_id": ORDER_ID,
        "violations": [Violation(rule="order.payable_total", message="19.90 is not 1.00", field="payable_amount")],
        "rejected_at": COMMITTED_AT,
        "code_version": "1",
        "original": original(),
    }
    return Rejection.model_validate(values | changes)


@pytest.mark.parametrize(
    ("event_type", "told"),
    [("OrderPlaced", "order.placed"), ("OrderPartlyPaid", "order.partly_paid"), ("X", "order.x")],
)
def test_types_are_named_as_webhooks_name_them(event_type: str, told: str) -> None:
    assert type_of(event_type) == told


def test_a_version_tells_how_the_order_stands_and_nothing_personal() -> None:
    event = version(2, [line(1)])
    news = news_of_event(event)
    assert (news.system, news.order_id, news.message_type, news.order_version) == ("crm", ORDER_ID, "order.changed", 2)
    told = json.loads(news.body)
    assert told["type"] == "order.changed" and told["data"]["version"] == 2
    assert event.state.order is not None and event.state.order.delivery_name
    state = order_state()
    assert state.order is not None and state.order.delivery_address is not None
    for personal in (event.state.order.delivery_name, state.order.delivery_address.street_name, "cost", "margin"):
        assert personal is not None and personal not in news.body
    assert news_of_event(event).message_id == news.message_id != news_of_event(version(3, [line(1)])).message_id


def test_a_refusal_names_each_rule() -> None:
    news = news_of_rejection(rejection())
    assert news is not None and news.message_type == "order.rejected"
    [violation] = json.loads(news.body)["data"]["violations"]
    assert (violation["rule"], violation["field"]) == ("order.payable_total", "payable_amount")


def test_what_no_order_can_be_read_from_and_what_a_sink_stumbled_over_is_told_to_nobody() -> None:
    assert news_of_rejection(rejection(order_id=None)) is None
    assert news_of_rejection(rejection(stage="erp")) is None
    assert news_of_rejection(rejection(stage="documents")) is None


def parked(*keys: str) -> ParkedOrder:
    awaits = [AwaitedRecord(topic="master.customers", key=key) for key in keys]
    return ParkedOrder(
        order_id=ORDER_ID, awaits=awaits, parked_at=COMMITTED_AT, deadline_at=COMMITTED_AT, held=[original()]
    )


def test_an_order_that_comes_to_wait_for_something_else_is_told_again() -> None:
    first, again, other = (news_of_parked(parked(key)) for key in ("C1", "C1", "C2"))
    assert first.message_id == again.message_id != other.message_id
    assert json.loads(first.body)["data"]["awaits"] == [{"topic": "master.customers", "key": "C1"}]


def test_versions_stay_in_their_order_whatever_the_clock_says() -> None:
    late, early = COMMITTED_AT + timedelta(hours=1), COMMITTED_AT
    versions = [news_of_event(version(1, [line(1)], processed_at=late))]
    versions += [news_of_event(version(number, [line(1)], processed_at=early)) for number in (2, 3)]
    refused = news_of_rejection(rejection(rejected_at=late + timedelta(seconds=1)))
    assert refused is not None
    told = in_sequence(versions, [refused])
    assert [one.order_version for one in told] == [1, 2, 3, 0]
    before = news_of_rejection(rejection(rejected_at=early))
    assert before is not None
    assert [one.order_version for one in in_sequence(versions, [before])] == [0, 1, 2, 3]
