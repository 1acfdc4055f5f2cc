"""`ordersync reconcile vendors` on a real broker: news that a vendor lacks is named, and none is invented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer

from consumers.vendors.views import updates_of
from deploy.cli import run
from deploy.local.endpoints import Endpoints
from deploy.partitioning import partition_of
from schemas.attributes import CanonicalModel, VendorId
from schemas.codec import TopicCodec
from schemas.models import OrderEvent, OrderState, VendorUpdate
from schemas.registry import SchemaRegistry
from schemas.topics import CATALOGUE, ORDER_STATE, VENDOR_UPDATES
from tests.integration.conftest import LAYOUT
from tests.unit.order_samples import order_state

OLD = datetime.now(UTC) - timedelta(hours=1)


def supplied(number: int, version: int = 3, made_at: datetime = OLD) -> OrderState:
    """An order whose first line is of vendor V1, and the others of V2."""
    state = order_state(number)
    assert state.enrichment is not None
    vendors = [VendorId("V1"), VendorId("V2"), VendorId("V2")]
    lines = [
        line.model_copy(update={"vendor_id": vendor})
        for line, vendor in zip(state.enrichment.lines, vendors, strict=True)
    ]
    enrichment = state.enrichment.model_copy(update={"lines": lines})
    return state.model_copy(update={"enrichment": enrichment, "version": version, "processed_at": made_at})


def told_of(state: OrderState, *without: str) -> list[VendorUpdate]:
    """What the worker tells of a version, but for some vendors."""
    event = OrderEvent(event_type="OrderPlaced", topic="x", captured_at=OLD, state=state)
    return [one for one in updates_of(event, {}) if one.vendor_id not in without]


@pytest.fixture(scope="module", autouse=True)
def cluster(fresh_topics: Endpoints) -> Iterator[None]:
    """Five orders: all told; V2 not told; told of the version before, with and without news since; just made."""
    with closing(SchemaRegistry(fresh_topics.registry())) as registry, pytest.MonkeyPatch.context() as environment:
        for name, value in fresh_topics.environment().items():
            environment.setenv(name, value)
        producer = Producer(fresh_topics.kafka().producer_config())

        def write(topic: str, order_id: str, key: str, value: CanonicalModel) -> None:
            codec: TopicCodec[Any] = TopicCodec(topic, CATALOGUE[topic].model, registry)
            place = partition_of(order_id.encode(), LAYOUT.order_partitions)
            producer.produce(topic, codec.encode(value), key.encode(), place)

        without_news, shipped = supplied(3), supplied(4).model_copy(update={"fulfilment": None})
        for state, updates in (
            (supplied(1), told_of(supplied(1))),
            (supplied(2), told_of(supplied(2), "V2")),
            (without_news.model_copy(update={"version": 4, "payment_status": "unpaid"}), told_of(without_news)),
            (supplied(4, version=4), told_of(shipped)),
            (supplied(5, made_at=datetime.now(UTC)), []),
        ):
            write(ORDER_STATE, state.order_id, state.order_id, state)
            for update in updates:
                write(VENDOR_UPDATES, state.order_id, f"{update.vendor_id}:{state.order_id}", update)
        assert producer.flush(30) == 0
        yield


def test_news_that_a_vendor_lacks_is_named_and_none_is_invented(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reconcile", "vendors", "--json", "--late-seconds", "1800"]) == 3
    told = json.loads(capsys.readouterr().out)
    second, fourth = supplied(2).order_id, supplied(4).order_id
    found = {(one["order_id"], one["vendor_id"], one["order_version"], one["update_type"]) for one in told["untold"]}
    never = {(second, "V2", 3, one.update_type) for one in told_of(supplied(2), "V1")}
    shipments = {(fourth, vendor, 4, "shipment") for vendor in _shipping()}
    assert found == never | shipments
    assert never and shipments
    assert (told["orders"], told["agrees"]) == (5, False)
    assert told["on_the_way"] == len(told_of(supplied(5)))


def test_people_read_it_and_an_order_just_made_counts_when_it_is_late(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reconcile", "vendors", "--late-seconds", "0"]) == 3
    told = capsys.readouterr().out
    assert f"{supplied(5).order_id}: vendor V1 lacks the confirmation of version 3" in told
    assert "0 on the way" in told


def _shipping() -> set[str]:
    """Vendors with shipped lines."""
    return {one.vendor_id for one in told_of(supplied(4)) if one.shipments}
