"""Planted differences of every kind, in every system: each is found, named right, and none is invented."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from consumers.reading import key_of
from consumers.reconcile import Report, publish, reconcile
from consumers.reconcile.examination import Findings, Patience, examine
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.survey import survey, suspects_of
from consumers.reconcile.systems import Systems
from consumers.reconcile.topic import TopicReader, value_of
from deploy.local.endpoints import Endpoints
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError, Transient
from schemas.models import (
    AwaitedRecord,
    Mismatch,
    OrderCaptured,
    OrderEvent,
    OrderState,
    OriginalMessage,
    ParkedOrder,
    Rejection,
    SourcePosition,
)
from schemas.settings import DatabaseSettings
from schemas.topics import MISMATCHES, ORDER_EVENTS, ORDER_STATE, ORDERS_CAPTURED, PARKED, POSTINGS, REJECTED
from tests.conftest import DatabaseFactory
from tests.integration import reconcile_watch
from tests.integration.reconcile_world import NOW, World

ORDERS = 60


@pytest.fixture(scope="module")
def traded_world(stack: Endpoints, module_database_factory: DatabaseFactory) -> Iterator[World]:
    """Sixty traded orders with their lives, and all systems agreeing about them."""
    with reconcile_watch.traded_world(stack, module_database_factory, ORDERS) as world:
        yield world


@pytest.fixture
def world(traded_world: World) -> World:
    """The traded world as it was before any test."""
    traded_world.restore()
    return traded_world


def crm(world: World) -> DatabaseSettings:
    return world.settings.sources[0].database


def states_with(world: World, wanted: Callable[[OrderState], object]) -> list[OrderState]:
    """The states of orders like that, always in the same order."""
    return [world.states[order_id] for order_id in sorted(world.states) if wanted(world.states[order_id])]


def found(report: Report) -> list[tuple[str, str, str, str | None]]:
    return [(one.order_id, one.system, one.kind, one.field) for one in report.mismatches]


def rejection(world: World, order_id: str, topic: str, content: bytes | None, offset: int = 0) -> None:
    codec = TopicCodec(REJECTED, Rejection, world.registry)
    dead_letter = Rejection(
        rejection_id=str(uuid4()),
        stage="streams",
        order_id=order_id,
        violations=[],
        rejected_at=NOW,
        code_version="1",
        original=OriginalMessage(topic=topic, partition=0, offset=offset, timestamp_at=NOW, value=content),
    )
    world.produce(REJECTED, {order_id: codec.encode(dead_letter)})


def captured(world: World, order_id: str, position: int) -> bytes:
    event = OrderCaptured(
        event_id="e",
        order_id=order_id,
        operation="upserted",
        source=SourcePosition(system="crm", transaction_id=1, position=position, sequence=0),
        committed_at=NOW,
        captured_at=NOW,
        order=world.states[order_id].order,
    )
    return TopicCodec(ORDERS_CAPTURED, OrderCaptured, world.registry).encode(event)


def number_of(order_id: str) -> str:
    return order_id.removeprefix("crm:")


def test_a_world_that_agrees(world: World) -> None:
    # An older record of the same key and a deleted order are on the topic too.
    first = states_with(world, lambda state: True)[0]
    world.produce_states([first.model_copy(update={"version": 99, "order_status": "placed"}), first])
    report = reconcile(world.settings, world.registry)
    assert found(report) == []
    assert report.agrees
    assert report.exit_code == 0
    assert report.orders["source"] == report.orders["state"] == report.orders["erp"] == len(world.states)
    assert report.orders["ledger"] > 0
    assert not any(report.ledger_imbalance.values())
    totals = {(one.system, one.currency_code, one.order_status): one.payable_amount for one in report.totals}
    for (system, currency, status), amount in totals.items():
        assert totals["source", currency, status] == amount, system
    statuses = {state.order_status for state in world.states.values()}
    assert statuses >= {"completed", "cancelled"}
    assert any(state.fulfilment and state.fulfilment.returns for state in world.states.values())


def test_an_order_deleted_at_its_source_agrees(world: World) -> None:
    order_id = states_with(world, lambda state: not state.fulfilment and not state.settlement)[0].order_id
    world.execute(crm(world), f"DELETE FROM sales_order WHERE order_number = {number_of(order_id)}")
    assert found(reconcile(world.settings, world.registry)) == [(order_id, "state", "extra", None)]
    state = world.capture(order_id, Section.ORDER, None, "crm")
    assert state.order_status == "deleted"
    world.produce_states([state])
    assert tuple(
        name
        for name in ("order_status", "is_deleted")
        if (order_id, "erp", "different", name) in found(reconcile(world.settings, world.registry))
    ) == ("order_status", "is_deleted")
    for table in ("sales_order", "sales_order_line"):
        world.execute(world.settings.erp, f"DELETE FROM {table} WHERE order_id = '{order_id}'")
    world.write_erp([state])
    assert found(reconcile(world.settings, world.registry)) == []


def test_every_planted_difference_is_found_and_none_invented(world: World) -> None:
    paid = states_with(world, lambda one: one.fulfilment and one.settlement and one.settlement.payments)
    quiet = states_with(world, lambda one: not one.fulfilment and not one.settlement)
    erp, ledger = world.settings.erp, world.settings.ledger
    chosen = iter(paid)
    planted: list[tuple[str, str, str, str | None]] = []

    def plant(system: str, kind: str, path: str | None, order_id: str) -> None:
        planted.append((order_id, system, kind, path))

    # The ERP: an order gone, an order too many, a wrong header, a wrong line, a lost line, a lost shipment, a lost
    # payment, an older version.
    order_id = next(chosen).order_id
    for table in ("sales_order", "sales_order_line", "shipment", "shipment_line", "invoice", "payment"):
        world.execute(erp, f"DELETE FROM {table} WHERE order_id = '{order_id}'")
    plant("erp", "missing", None, order_id)
    world.execute(
        erp,
        'INSERT INTO sales_order SELECT (jsonb_populate_record(o, \'{"order_id": "crm:extra"}\')).* FROM sales_order o '
        "LIMIT 1",
    )
    plant("erp", "extra", None, "crm:extra")
    changed = next(chosen)
    world.execute(
        erp, f"UPDATE sales_order SET payable_amount = payable_amount + 0.01 WHERE order_id = '{changed.order_id}'"
    )
    plant("erp", "different", "payable_amount", changed.order_id)
    order_id = next(chosen).order_id
    world.execute(erp, f"UPDATE sales_order SET customer_name = 'Somebody else' WHERE order_id = '{order_id}'")
    plant("erp", "different", "customer_name", order_id)
    order_id = next(chosen).order_id
    world.execute(
        erp, f"UPDATE sales_order_line SET quantity = quantity + 1 WHERE order_id = '{order_id}' AND line_number = 1"
    )
    plant("erp", "different", "lines[1].quantity", order_id)
    order_id = next(chosen).order_id
    world.execute(erp, f"DELETE FROM sales_order_line WHERE order_id = '{order_id}' AND line_number = 1")
    plant("erp", "different", "lines[1]", order_id)
    shipped = next(chosen)
    assert shipped.fulfilment is not None and shipped.settlement is not None
    shipment_id = shipped.fulfilment.shipments[0].shipment_id
    for table in ("shipment", "shipment_line"):
        world.execute(
            erp, f"DELETE FROM {table} WHERE order_id = '{shipped.order_id}' AND shipment_id = '{shipment_id}'"
        )
    plant("erp", "different", f"shipments[{shipment_id}]", shipped.order_id)
    order_id = next(chosen).order_id
    world.execute(erp, f"UPDATE sales_order SET version = version - 1 WHERE order_id = '{order_id}'")
    plant("erp", "different", "version", order_id)
    # The ledger: an entry gone, an amount moved, an unknown order.
    order_id = next(chosen).order_id
    for table in ("journal_line", "journal_entry"):
        world.execute(
            ledger,
            f"DELETE FROM {table} WHERE entry_id IN (SELECT entry_id FROM journal_entry WHERE order_id = '{order_id}')",
        )
    plant("ledger", "missing", None, order_id)
    moved = next(chosen)
    currency = moved.order.document_currency_code if moved.order else ""
    world.execute(
        ledger,
        "UPDATE journal_line SET account_code = '4100' WHERE account_code = '4000' AND entry_id IN (SELECT entry_id "
        f"FROM journal_entry WHERE order_id = '{moved.order_id}')",
    )
    for measure in ("revenue_amount", "shipping_revenue_amount"):
        plant("ledger", "different", f"{measure}[{currency}]", moved.order_id)
    lame = next(chosen)
    currency = lame.order.document_currency_code if lame.order else ""
    world.execute(
        ledger,
        "UPDATE journal_line SET debit_amount = debit_amount + 5 WHERE account_code = '1000' AND debit_amount > 0 AND "
        f"entry_id = (SELECT entry_id FROM journal_entry WHERE order_id = '{lame.order_id}' AND rule = 'cash_receipt')",
    )
    for measure in ("cash_amount", "imbalance_amount"):
        plant("ledger", "different", f"{measure}[{currency}]", lame.order_id)
    world.execute(
        ledger,
        'INSERT INTO journal_entry SELECT (jsonb_populate_record(e, \'{"entry_id": "x", "order_id": "crm:ghost"}\')).* '
        "FROM journal_entry e WHERE rule = 'cash_receipt' LIMIT 1",
        "INSERT INTO journal_line (entry_id, line_number, period, account_code, debit_amount, credit_amount, "
        "functional_debit_amount, functional_credit_amount, entry_order_id) "
        "SELECT 'x', number, period, account, debit, 7 - debit, debit, 7 - debit, order_id "
        "FROM journal_entry, (VALUES (1, '1000', 7), (2, '2100', 0)) AS told (number, account, debit) "
        "WHERE entry_id = 'x'",
    )
    plant("ledger", "extra", None, "crm:ghost")
    # The state: an order gone (and with it what is compared with it), another customer, an amount, a shipment's time.
    order_id = next(chosen).order_id
    world.produce(ORDER_STATE, {order_id: None})
    plant("state", "missing", None, order_id)
    plant("erp", "extra", None, order_id)
    plant("ledger", "extra", None, order_id)
    order_id = quiet[0].order_id
    world.execute(crm(world), f"UPDATE sales_order SET note = 'ring twice' WHERE order_number = {number_of(order_id)}")
    plant("state", "different", "order.note", order_id)
    order_id = quiet[1].order_id
    world.execute(
        crm(world), f"DELETE FROM sales_order_line WHERE order_number = {number_of(order_id)} AND line_number = 1"
    )
    plant("state", "different", "order.order_lines[1]", order_id)
    plant("state", "different", "order.line_extension_amount", order_id)
    order_id = next(chosen).order_id
    inventory = world.settings.sources[1].database
    world.execute(inventory, f"UPDATE shipment SET carrier = 'Pigeon' WHERE order_number = {number_of(order_id)}")
    state = world.states[order_id]
    assert state.fulfilment is not None
    for shipment in state.fulfilment.shipments:
        plant("state", "different", f"fulfilment.shipments[{shipment.shipment_id}].carrier_party_id", order_id)

    report = reconcile(world.settings, world.registry)

    assert sorted(found(report), key=str) == sorted(planted, key=str)
    assert not report.agrees
    assert report.exit_code == 1
    by_id = {one.mismatch_id: one for one in report.mismatches}
    wrong = by_id[f"{changed.order_id}/erp/payable_amount"]
    assert changed.order is not None
    assert Decimal(wrong.expected or 0) == changed.order.payable_amount
    assert (wrong.amount, wrong.currency_code) == (Decimal("0.01"), changed.order.document_currency_code)
    assert report.ledger_imbalance[currency] == 5
    assert report.counts["erp"] == {"missing": 1, "extra": 2, "different": 6}
    # An order is one order, whatever number of its attributes differ.
    assert report.counts["ledger"] == {"missing": 1, "extra": 2, "different": 2}
    printed = io.StringIO()
    report.show(Console(file=printed, width=200))
    assert changed.order_id in printed.getvalue()
    assert "The ledger does not balance" in printed.getvalue()
    assert json.loads(json.dumps(report.as_json()))["mismatching_orders"] == len({order_id for order_id, *_ in planted})


def test_orders_that_wait_or_were_refused_are_named_as_such(world: World) -> None:
    waiting, refused, mended, sunk, unposted, raw = states_with(
        world, lambda one: one.fulfilment and one.settlement and one.settlement.payments
    )[:6]
    for state in (waiting, refused, mended, raw):
        world.execute(
            crm(world), f"UPDATE sales_order SET note = 'new' WHERE order_number = {number_of(state.order_id)}"
        )
    parked = ParkedOrder(
        order_id=waiting.order_id,
        awaits=[AwaitedRecord(topic="master.customers", key="C")],
        parked_at=NOW,
        deadline_at=NOW,
        held=[],
    )
    codec = TopicCodec(PARKED, ParkedOrder, world.registry)
    world.produce(PARKED, {waiting.order_id: codec.encode(parked), refused.order_id: codec.encode(parked)})
    world.produce(PARKED, {refused.order_id: None})
    rejection(world, refused.order_id, ORDERS_CAPTURED, captured(world, refused.order_id, world.position + 10))
    rejection(world, raw.order_id, "crm public.sales_order", b"a row", offset=world.position + 10)
    world.execute(world.settings.erp, f"UPDATE sales_order SET version = 0 WHERE order_id = '{sunk.order_id}'")
    event = OrderEvent(event_type="OrderChanged", topic="x", captured_at=NOW, state=sunk)
    rejection(world, sunk.order_id, ORDER_EVENTS, TopicCodec(ORDER_EVENTS, OrderEvent, world.registry).encode(event))
    world.execute(
        world.settings.ledger,
        "DELETE FROM journal_line WHERE entry_id IN (SELECT entry_id FROM journal_entry WHERE order_id = "
        f"'{unposted.order_id}')",
        f"DELETE FROM journal_entry WHERE order_id = '{unposted.order_id}'",
    )
    entry = next(one for one in world.entries if one.order_id == unposted.order_id)
    rejection(world, unposted.order_id, POSTINGS, TopicCodec(POSTINGS, type(entry), world.registry).encode(entry))

    before = reconcile(world.settings, world.registry).rejections
    # Refused before the state's last accepted facts: it explains nothing any more.
    rejection(world, mended.order_id, ORDERS_CAPTURED, captured(world, mended.order_id, 0))

    report = reconcile(world.settings, world.registry)

    assert found(report) == [(mended.order_id, "state", "different", "order.note")]
    assert report.parked == [waiting.order_id]
    assert report.rejected == sorted(one.order_id for one in (refused, raw, sunk, unposted))
    assert report.rejections == before + 1


def test_a_source_that_its_mapping_refuses_is_a_difference_with_its_reason(world: World) -> None:
    state = states_with(world, lambda one: True)[0]
    finance = world.settings.sources[2].database
    world.execute(
        finance,
        f"INSERT INTO payment VALUES ('BAD', {number_of(state.order_id)}, 'receipt', 'infinity', 1, 'EUR', NULL)",
    )
    (mismatch,) = reconcile(world.settings, world.registry).mismatches
    assert (mismatch.order_id, mismatch.field) == (state.order_id, "settlement")
    assert "Settlement.payments.paid_at = paid_at: 'infinity' is not a time" in (mismatch.expected or "")


def test_a_state_that_cannot_be_read_is_a_difference(world: World) -> None:
    state = states_with(world, lambda one: not one.fulfilment and not one.settlement)[0]
    world.produce(ORDER_STATE, {state.order_id: b"not avro"})
    (mismatch,) = reconcile(world.settings, world.registry).mismatches
    assert (mismatch.order_id, mismatch.system, mismatch.field) == (state.order_id, "state", "value")


def examined(world: World, patience: Patience) -> Findings:
    with Systems(world.settings, world.registry) as systems:
        (suspects,) = suspects_of(systems, survey(systems), 10_000)
        return examine(systems, suspects, patience, frozenset)


def test_an_order_on_its_way_is_no_mismatch_once_it_has_arrived(world: World) -> None:
    late, wrong = states_with(world, lambda one: one.settlement)[:2]
    world.execute(world.settings.erp, f"UPDATE sales_order SET version = 0 WHERE order_id = '{late.order_id}'")
    world.execute(world.settings.erp, f"UPDATE sales_order SET version = 0 WHERE order_id = '{wrong.order_id}'")
    rounds = iter(range(100))

    def arrive() -> None:
        world.execute(
            world.settings.erp,
            f"UPDATE sales_order SET version = {late.version} WHERE order_id = '{late.order_id}'",
        )

    findings = examined(world, Patience(3, lambda: next(rounds), arrive, lambda: datetime.now(UTC)))
    assert [one.order_id for one in findings.mismatches] == [wrong.order_id]
    assert findings.on_the_way == []


def test_an_order_that_still_moves_when_time_is_up_is_on_its_way(world: World) -> None:
    moving = states_with(world, lambda one: one.settlement)[0]
    world.execute(world.settings.erp, f"UPDATE sales_order SET version = 0 WHERE order_id = '{moving.order_id}'")
    rounds = iter(range(100))

    def move() -> None:
        world.execute(
            world.settings.erp, f"UPDATE sales_order SET version = version - 1 WHERE order_id = '{moving.order_id}'"
        )

    findings = examined(world, Patience(3, lambda: next(rounds), move, lambda: datetime.now(UTC)))
    assert findings.mismatches == []
    assert findings.on_the_way == [moving.order_id]


def test_suspects_come_in_bounded_groups(world: World) -> None:
    world.execute(world.settings.erp, "UPDATE sales_order SET note = 'changed by hand'")
    with Systems(world.settings, world.registry) as systems:
        groups = list(suspects_of(systems, survey(systems), 10))
    assert len(groups) > 3
    assert all(len(group.order_ids) <= 12 for group in groups)
    names = [order_id for group in groups for order_id in group.order_ids]
    assert sorted(names) == sorted(world.states)
    report = reconcile(world.settings.model_copy(update={"examined_at_once": 7}), world.registry)
    assert len(report.mismatches) == report.mismatching_orders == len(world.states)
    assert {one.field for one in report.mismatches} == {"note"}


def on_topic(world: World) -> dict[str, Mismatch | None]:
    codec = TopicCodec(MISMATCHES, Mismatch, world.registry)
    reader = TopicReader(world.settings.kafka, MISMATCHES)
    try:
        latest = {key_of(message): value_of(message) for message in reader.scan({}, reader.ends())}
    finally:
        reader.close()
    return {key: codec.decode(value) if value is not None else None for key, value in latest.items()}


def test_mismatches_are_published_once_and_healed_by_a_tombstone(world: World) -> None:
    first, second = states_with(world, lambda one: True)[:2]
    for state in (first, second):
        world.execute(
            world.settings.erp, f"UPDATE sales_order SET note = 'by hand' WHERE order_id = '{state.order_id}'"
        )
    keys = [f"{state.order_id}/erp/note" for state in (first, second)]
    report = reconcile(world.settings, world.registry)
    published = publish(report, world.settings.kafka, world.registry)
    assert (published.published, published.healed) == (2, 0)
    assert on_topic(world) == {one.mismatch_id: one for one in report.mismatches}
    assert sorted(on_topic(world)) == sorted(keys)

    again = publish(reconcile(world.settings, world.registry), world.settings.kafka, world.registry)
    assert (again.published, again.healed) == (0, 0)

    world.execute(world.settings.erp, f"UPDATE sales_order SET note = NULL WHERE order_id = '{first.order_id}'")
    moving = replace(reconcile(world.settings, world.registry), on_the_way=[first.order_id])
    assert publish(moving, world.settings.kafka, world.registry).healed == 0
    healed = publish(reconcile(world.settings, world.registry), world.settings.kafka, world.registry)
    assert (healed.published, healed.healed) == (0, 1)
    assert on_topic(world)[keys[0]] is None
    assert on_topic(world)[keys[1]] is not None


def changed(world: World, **values: Any) -> World:
    return replace(world, settings=world.settings.model_copy(update=values))


def test_a_system_that_is_away_or_not_its_own_is_named(world: World) -> None:
    away = world.settings.erp.model_copy(update={"port": 1})
    with pytest.raises(Transient, match=r"connecting to .*:1: PostgreSQL does not answer"):
        reconcile(changed(world, erp=away).settings, world.registry)
    with pytest.raises(ConfigurationError, match="reading sales_order from"):
        reconcile(changed(world, erp=world.settings.ledger).settings, world.registry)
    wrong = world.settings.sources[0].model_copy(update={"database": world.settings.erp})
    with pytest.raises(ConfigurationError, match=r"reading public\.sales_order from"):
        reconcile(changed(world, sources=[wrong]).settings, world.registry)
