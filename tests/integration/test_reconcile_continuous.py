"""The reconciliation without end: what changes anywhere is noticed from the notes, the hashes and the topics."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from secrets import token_hex
from time import time

import psycopg
import pytest
from psycopg import sql

from consumers.reconcile.examiner import Surroundings
from consumers.reconcile.ledger import LedgerReader
from consumers.reconcile.publication import publish
from consumers.reconcile.reconciliation import reconcile
from consumers.vendors.views import untold_of
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from schemas.attributes import VendorId
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError, Transient
from schemas.models import OrderEvent, OrderState, VendorUpdate
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_EVENTS, ORDERS_CAPTURED, VENDOR_UPDATES
from tests.conftest import DatabaseFactory
from tests.integration.groups import commit
from tests.integration.reconcile_watch import Watch, by_hand, paid, traded_world
from tests.integration.reconcile_world import NOW, World, clear_topics

ORDERS = 40


@pytest.fixture(scope="module")
def world(stack: Endpoints, module_database_factory: DatabaseFactory) -> Iterator[World]:
    """Forty orders."""
    with traded_world(stack, module_database_factory, ORDERS) as world:
        yield world


@contextmanager
def refusing_connections(database: DatabaseSettings) -> Iterator[None]:
    """A database that lets nobody in."""
    name = sql.Identifier(database.dbname)
    with psycopg.connect(database.conninfo(dbname="postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database.dbname,)
            )
            yield
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


@pytest.fixture
def watch(world: World, tmp_path: Path) -> Watch:
    """The traded world as it was before any test, and nothing open."""
    world.restore()
    return Watch(world, tmp_path)


def test_a_world_that_agrees_stays_so_and_a_change_by_hand_is_named_by_its_note(watch: Watch) -> None:
    order_id = paid(watch.world)[0].order_id
    with watch.running() as rounds:
        assert watch.look(source=True, full=True) == []
        assert watch.look() == []
        assert not rounds.wants_full
        assert watch.registry.get_sample_value("ordersync_reconciled_orders") == len(watch.world.states)
        by_hand(watch, f"UPDATE sales_order SET payable_amount = payable_amount + 5 WHERE order_id = '{order_id}'")
        # Without a look at everything.
        assert watch.look() == [f"{order_id}/erp/payable_amount"]
        assert not rounds.wants_full
        (mismatch,) = watch.open().values()
        assert (mismatch.cause, mismatch.remedy, mismatch.amount) == ("manual_change", "restore", 5)
        assert "UPDATE in sales_order by postgres (psql) at" in (mismatch.explanation or "")
        labels = {"system": "erp", "kind": "different"}
        assert watch.registry.get_sample_value("ordersync_mismatches", labels) == 1
        by_hand(watch, f"UPDATE sales_order SET payable_amount = payable_amount - 5 WHERE order_id = '{order_id}'")
        assert watch.look() == []
        assert watch.registry.get_sample_value("ordersync_mismatches", labels) is None
        with psycopg.connect(watch.settings.erp.conninfo()) as connection:
            assert connection.execute("SELECT count(*) FROM reconciliation.note").fetchone() == (0,)


def test_what_no_note_tells_is_found_by_the_look_at_everything(watch: Watch) -> None:
    first, second, third = (one.order_id for one in paid(watch.world)[:3])
    with watch.running() as rounds:
        assert watch.look(source=True, full=True) == []
        with psycopg.connect(watch.settings.erp.conninfo()) as connection:
            connection.execute("ALTER TABLE sales_order DISABLE TRIGGER ALL")
            connection.execute("UPDATE sales_order SET note = 'past all' WHERE order_id = %s", (first,))
            connection.execute("ALTER TABLE sales_order ENABLE TRIGGER ALL")
            connection.execute("ALTER TABLE sales_order ENABLE ALWAYS TRIGGER reconciliation_note")
            connection.execute("ALTER TABLE sales_order ENABLE ALWAYS TRIGGER reconciliation_note_truncation")
        assert watch.look() == []
        # Somebody had the triggers off, if only between two rounds.
        assert rounds.wants_full
        assert watch.look(full=True) == [f"{first}/erp/note"]
        # The sink itself may be at fault, too: nobody notes its changes.
        with psycopg.connect(watch.settings.erp.conninfo(application_name="ordersync erp")) as connection:
            connection.execute("UPDATE sales_order SET note = 'by the sink' WHERE order_id = %s", (second,))
        assert watch.look() == [f"{first}/erp/note"]
        assert not rounds.wants_full
        assert watch.look(full=True) == sorted(f"{one}/erp/note" for one in (first, second))
        by_hand(watch, f"DELETE FROM payment WHERE order_id = '{third}'")
        assert len(watch.look()) > 2
        assert {one.kind for one in watch.open().values()} == {"different"}


def test_the_ledger_notes_who_went_past_its_own_triggers(watch: Watch) -> None:
    state = paid(watch.world)[0]
    assert state.order is not None
    with watch.running():
        assert watch.look(source=True, full=True) == []
        watch.world.execute(
            watch.settings.ledger,
            "UPDATE journal_line SET debit_amount = debit_amount + 5 WHERE account_code = '1000' AND debit_amount > 0 "
            f"AND entry_id = (SELECT entry_id FROM journal_entry WHERE order_id = '{state.order_id}' "
            "AND rule = 'cash_receipt' LIMIT 1)",
        )
        currency = state.order.document_currency_code
        measures = ("cash_amount", "imbalance_amount")
        assert watch.look() == [f"{state.order_id}/ledger/{measure}[{currency}]" for measure in measures]
        assert {one.cause for one in watch.open().values()} == {"manual_change"}
        watch.rounds.full()
        imbalance = watch.registry.get_sample_value("ordersync_ledger_imbalance", {"currency": currency})
        assert imbalance == 5


def test_a_line_under_the_name_of_another_order_is_found_with_that_of_its_entry(watch: Watch) -> None:
    first, second = paid(watch.world)[:2]
    assert first.order is not None
    with watch.running():
        assert watch.look(source=True, full=True) == []
        watch.world.execute(
            watch.settings.ledger,
            "INSERT INTO journal_line SELECT (jsonb_populate_record(line, jsonb_build_object('line_number', 99, "
            f"'entry_order_id', '{second.order_id}'))).* FROM journal_line AS line WHERE account_code = '1000' "
            f"AND debit_amount > 0 AND entry_order_id = '{first.order_id}'",
            "DELETE FROM reconciliation.note",
        )
        assert watch.look() == []
        currency = first.order.document_currency_code
        found = watch.look(full=True)
        assert f"{first.order_id}/ledger/imbalance_amount[{currency}]" in found
        assert {one.order_id for one in watch.open().values()} == {first.order_id}
        watch.world.execute(watch.settings.ledger, "DELETE FROM journal_line WHERE line_number = 99")
        assert watch.look(full=True) == []


def test_a_ledger_that_balances_says_so_of_each_currency_as_soon_as_it_comes(watch: Watch) -> None:
    world = watch.world
    currencies = {entry.currency_code for entry in world.entries}
    with psycopg.connect(world.settings.ledger.conninfo()) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE journal_entry, journal_line")
    reader = LedgerReader(world.settings.ledger)
    assert reader.imbalances() == ({}, {})
    world.write_ledger(world.entries)
    document, functional = reader.imbalances()
    assert document == dict.fromkeys(currencies, 0)
    assert set(functional.values()) == {0}


def test_a_lost_change_of_a_source_is_found_by_its_rows(watch: Watch) -> None:
    changed, deleted = [
        one for one in watch.world.states.values() if not one.fulfilment and not one.settlement and one.order
    ][:2]
    crm = watch.world.settings.sources[0].database
    with watch.running():
        assert watch.look(source=True, full=True) == []
        number = changed.order_id.removeprefix("crm:")
        watch.world.execute(crm, f"UPDATE sales_order SET note = 'ring twice' WHERE order_number = {number}")
        number = deleted.order_id.removeprefix("crm:")
        watch.world.execute(crm, f"DELETE FROM sales_order WHERE order_number = {number}")
        expected = sorted([f"{changed.order_id}/state/order.note", f"{deleted.order_id}/state/"])
        assert watch.look(source=True) == expected
        assert {(one.cause, one.remedy) for one in watch.open().values()} == {("lost_event", "reread")}


@pytest.fixture
def slot(watch: Watch) -> Iterator[str]:
    """The slot of a capture of the CRM that is at the end of the log, and goes on when it is told to."""
    name = f"watched_{token_hex(4)}"
    crm = watch.world.settings.sources[0].database
    watch.world.execute(crm, f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")
    yield name
    watch.world.execute(crm, f"SELECT pg_drop_replication_slot('{name}')")


def change_a_note(watch: Watch) -> str:
    """A change of an order in the CRM that nothing brings to the state; gives its id."""
    order_id = next(one.order_id for one in watch.world.states.values() if one.order and not one.fulfilment)
    number = order_id.removeprefix("crm:")
    crm = watch.world.settings.sources[0].database
    watch.world.execute(crm, f"UPDATE sales_order SET note = 'ring twice' WHERE order_number = {number}")
    return order_id


def catch_up(watch: Watch, slot: str) -> None:
    """The capture has everything on Kafka."""
    crm = watch.world.settings.sources[0].database
    watch.world.execute(crm, f"SELECT pg_replication_slot_advance('{slot}', pg_current_wal_lsn())")


def test_a_change_that_the_capture_has_not_come_to_is_no_mismatch(watch: Watch, slot: str) -> None:
    sources = [one.model_copy(update={"slot": slot}) for one in watch.world.settings.sources]
    with watch.running(sources=sources):
        catch_up(watch, slot)
        assert watch.look(source=True, full=True) == []
        order_id = change_a_note(watch)
        began = time()
        assert watch.look(source=True) == []
        assert watch.registry.get_sample_value("ordersync_orders_on_the_way", {"system": "state"}) == 1
        complete_through = "ordersync_reconcile_complete_through_timestamp_seconds"
        assert (watch.registry.get_sample_value(complete_through, {"system": "state"}) or 0) < began

        def found() -> list[str]:
            # Whatever else the server writes moves the end of the log on.
            catch_up(watch, slot)
            return watch.look()

        assert await_condition(lambda: found() == [f"{order_id}/state/order.note"], 60)
        (mismatch,) = watch.open().values()
        assert (mismatch.cause, mismatch.remedy) == ("lost_event", "reread")
        assert (watch.registry.get_sample_value(complete_through, {"system": "state"}) or 0) > began


def test_a_change_that_the_streams_have_not_come_to_is_told_when_it_is_late(watch: Watch) -> None:
    group = f"streams-{token_hex(4)}"
    kafka, places = watch.world.settings.kafka, [(ORDERS_CAPTURED, number) for number in range(3)]
    watch.world.produce(ORDERS_CAPTURED, {f"crm:{number}": b"captured" for number in range(20)})
    commit(kafka, group, dict.fromkeys(places, 0))
    with watch.running(streams_group=group):
        assert watch.look(source=True, full=True) == []
        order_id = change_a_note(watch)
        assert watch.look(source=True) == []
    with watch.running(streams_group=group, late_seconds=0.001):
        assert watch.look(source=True) == [f"{order_id}/state/order.note"]
        (mismatch,) = watch.open().values()
        assert (mismatch.cause, mismatch.remedy) == ("lag", "wait")
        commit(kafka, group, dict.fromkeys(places, 20))
        assert watch.look() == [f"{order_id}/state/order.note"]
        (mismatch,) = watch.open().values()
        assert (mismatch.cause, mismatch.remedy) == ("lost_event", "reread")
    clear_topics(watch.settings.kafka, watch.world.registry)


def test_a_source_that_is_away_keeps_nobody_from_comparing_the_sinks(watch: Watch) -> None:
    order_id = paid(watch.world)[0].order_id
    failed = {"round": "steady", "outcome": "failed"}
    # A difference that settles is looked at again in time, and not without end.
    with watch.working(round_seconds=0.2, source_seconds=0.2, settle_seconds=0.5) as worker:
        assert await_condition(worker.ready, 90)
        with refusing_connections(watch.settings.sources[0].database):
            assert await_condition(lambda: not worker.ready(), 90)
            by_hand(watch, f"UPDATE sales_order SET payable_amount = payable_amount + 5 WHERE order_id = '{order_id}'")
            assert await_condition(lambda: sorted(watch.open()) == [f"{order_id}/erp/payable_amount"], 90)
            assert watch.registry.get_sample_value("ordersync_reconcile_rounds_total", failed)
        by_hand(watch, f"UPDATE sales_order SET payable_amount = payable_amount - 5 WHERE order_id = '{order_id}'")
        assert await_condition(lambda: not watch.open(), 90)
        assert await_condition(worker.ready, 90)


def test_a_table_that_somebody_locks_is_not_waited_for_without_end(watch: Watch) -> None:
    with watch.running() as rounds:
        assert watch.look(source=True, full=True) == []
        with psycopg.connect(watch.settings.ledger.conninfo()) as connection:
            connection.execute("LOCK TABLE journal_line")
            with pytest.raises(Transient, match="lock timeout"):
                rounds.full()
        assert watch.look(full=True) == []


def test_an_order_on_its_way_is_no_mismatch_until_it_is_late(watch: Watch) -> None:
    state = paid(watch.world)[0]
    newer = state.model_copy(update={"version": state.version + 1})
    codec = TopicCodec(ORDER_EVENTS, OrderEvent, watch.world.registry)
    event = OrderEvent(event_type="OrderChanged", topic="x", captured_at=NOW, state=newer)
    with watch.running():
        assert watch.look(source=True, full=True) == []
        # The ERP has not read the event yet, by its own position.
        watch.world.produce(ORDER_EVENTS, {state.order_id: codec.encode(event)})
        watch.world.produce_states([newer])
        assert watch.look() == []
        on_the_way = {"system": "erp"}
        assert watch.registry.get_sample_value("ordersync_orders_on_the_way", on_the_way) == 1
    with watch.running(late_seconds=0.001):
        assert watch.look() == [f"{state.order_id}/erp/version"]
        (mismatch,) = watch.open().values()
        assert (mismatch.cause, mismatch.remedy) == ("lag", "wait")
        # It is past it now, and has not got it.
        with psycopg.connect(watch.settings.erp.conninfo(application_name="ordersync erp")) as connection:
            connection.execute(
                "INSERT INTO sink_position (sink, topic, partition, next_offset) "
                "SELECT 'erp', 'orders.events', number, 1 FROM generate_series(0, 2) AS number"
            )
        assert watch.look() == [f"{state.order_id}/erp/version"]
        (mismatch,) = watch.open().values()
        assert (mismatch.cause, mismatch.remedy) == ("lost_event", "restore")
        with psycopg.connect(watch.settings.erp.conninfo(application_name="ordersync erp")) as connection:
            connection.execute(
                "UPDATE sales_order SET version = %s WHERE order_id = %s", (newer.version, state.order_id)
            )
        assert watch.look(full=True) == []
    # The ERP of the next test would have to be past this event, too.
    clear_topics(watch.settings.kafka, watch.world.registry)


def test_news_that_a_vendor_was_not_told_is_named_until_it_was(watch: Watch) -> None:
    world, group = watch.world, f"vendors-{token_hex(4)}"
    state = supplied(next(one for one in paid(world) if one.order and len(one.order.order_lines) > 1), "V1", "V2")
    order_id = state.order_id
    supply(world, state)
    tell(world, state, "V1")
    places = [(ORDER_EVENTS, number) for number in range(3)]
    commit(world.settings.kafka, group, dict.fromkeys(places, 0))
    with watch.running(vendors_group=group):
        watch.look(source=True, full=True)
        assert await_condition(lambda: watch.look() == [f"{order_id}/vendors/vendors[V2]"], 60)
        (mismatch,) = watch.open().values()
        assert (mismatch.kind, mismatch.cause, mismatch.remedy) == ("missing", "lost_event", None)
        assert (mismatch.expected or "").startswith(f"confirmation of version {state.version}")
        # The single comparison does not compare it, and leaves it open.
        publish(reconcile(world.settings, world.registry), world.settings.kafka, world.registry)
        assert list(watch.open().values()) == [mismatch]
        tell(world, state, "V2")
        assert await_condition(lambda: watch.look() == [], 60)
        # The lines change hands, which the ERP has, and the workers have not come to.
        newer = supplied(state.model_copy(update={"version": state.version + 1}), "V2", "V1")
        codec = TopicCodec(ORDER_EVENTS, OrderEvent, world.registry)
        event = OrderEvent(event_type="OrderChanged", topic="x", captured_at=NOW, state=newer)
        world.produce(ORDER_EVENTS, {order_id: codec.encode(event)})
        supply(world, newer)
        with psycopg.connect(watch.settings.erp.conninfo(application_name="ordersync erp")) as connection:
            connection.execute(
                "INSERT INTO sink_position (sink, topic, partition, next_offset) "
                "SELECT 'erp', 'orders.events', number, 1 FROM generate_series(0, 2) AS number"
            )

        def on_the_way() -> float | None:
            assert watch.look() == []
            return watch.registry.get_sample_value("ordersync_orders_on_the_way", {"system": "vendors"})

        assert await_condition(lambda: on_the_way() == 1, 60)
        commit(world.settings.kafka, group, dict.fromkeys(places, 1))
        lacking = [f"{order_id}/vendors/vendors[{vendor}]" for vendor in ("V1", "V2")]
        assert await_condition(lambda: watch.look() == lacking, 60)
    clear_topics(watch.settings.kafka, watch.world.registry)


def supplied(state: OrderState, *vendors: str) -> OrderState:
    """The order with its lines supplied by these vendors in turn."""
    assert state.enrichment is not None
    lines = [
        line.model_copy(update={"vendor_id": VendorId(vendor)})
        for line, vendor in zip(state.enrichment.lines, cycle(vendors), strict=False)
    ]
    return state.model_copy(update={"enrichment": state.enrichment.model_copy(update={"lines": lines})})


def supply(world: World, state: OrderState) -> None:
    """A state with the vendors of its lines, which the ERP has, too."""
    assert state.enrichment is not None
    world.produce_states([state])
    with psycopg.connect(world.settings.erp.conninfo(application_name="ordersync erp")) as connection:
        connection.execute("UPDATE sales_order SET version = %s WHERE order_id = %s", (state.version, state.order_id))
        for line in state.enrichment.lines:
            connection.execute(
                "UPDATE sales_order_line SET vendor_id = %s WHERE order_id = %s AND line_id = %s",
                (line.vendor_id, state.order_id, line.line_id),
            )


def tell(world: World, state: OrderState, vendor_id: str) -> None:
    """All news of a version to one vendor, as the worker would."""
    codec = TopicCodec(VENDOR_UPDATES, VendorUpdate, world.registry)
    news = [one for one in untold_of(state, {}) if one.vendor_id == vendor_id]
    world.produce_all(VENDOR_UPDATES, [(f"{vendor_id}:{state.order_id}", codec.encode(one)) for one in news])


def test_what_was_found_outlives_the_process_and_its_files(watch: Watch) -> None:
    first, second = (one.order_id for one in paid(watch.world)[:2])
    with watch.running():
        assert watch.look(source=True, full=True) == []
        by_hand(watch, f"UPDATE sales_order SET note = 'x' WHERE order_id = '{first}'")
        assert watch.look() == [f"{first}/erp/note"]
        detected_at = watch.open()[f"{first}/erp/note"].detected_at
    by_hand(watch, f"UPDATE sales_order SET note = 'x' WHERE order_id = '{second}'")
    keys = sorted(f"{one}/erp/note" for one in (first, second))
    with watch.running():
        assert watch.look() == keys
        assert watch.open()[keys[0]].cause == watch.open()[keys[1]].cause == "manual_change"
    shutil.rmtree(watch.directory)
    by_hand(watch, f"UPDATE sales_order SET note = NULL WHERE order_id = '{second}'")
    with watch.running():
        assert watch.look(source=True, full=True) == [f"{first}/erp/note"]
        assert watch.open()[f"{first}/erp/note"].detected_at == detected_at
        assert watch.rounds.full() is None


def test_what_is_as_it_was_compared_is_not_compared_again(watch: Watch) -> None:
    first, second = (one.order_id for one in paid(watch.world)[:2])
    with watch.running() as rounds:
        assert watch.look(source=True, full=True) == []
        by_hand(watch, f"UPDATE sales_order SET event_type = 'OrderTouched' WHERE order_id = '{first}'")
        by_hand(watch, f"UPDATE payment SET paid_amount = paid_amount + 1 WHERE order_id = '{second}'")
        around = Surroundings(time(), {}, time())
        examined = rounds.company.examiner.examine([first, second], around)
        assert examined.unchanged == {first}
        assert [one.order_id for one in examined.findings] == [second]
        assert examined.changes.marks.keys() == {second}
        # A new state is compared, and one about which something stands open.
        watch.world.produce_states([watch.world.states[first]])
        assert watch.look() != []
        assert {one.order_id for one in watch.open().values()} == {second}
        differing = Surroundings(time(), {}, time(), differing=[first])
        assert rounds.company.examiner.examine([first], differing).unchanged == frozenset()


def test_a_section_is_read_again_only_where_its_source_or_the_state_changed_it(watch: Watch) -> None:
    state = next(one for one in paid(watch.world) if one.fulfilment is not None and one.fulfilment.shipments)
    assert state.fulfilment is not None
    order_id, inventory = state.order_id, watch.world.settings.sources[1].database
    with watch.running() as rounds:
        assert watch.look(source=True, full=True) == []
        watch.world.produce_states([state])
        assert sum(len(news) for news in rounds.company.following.advance()) == 1
        with psycopg.connect(inventory.conninfo()) as connection:
            connection.execute("ALTER TABLE shipment RENAME TO shipment_away")
        try:
            examined = rounds.company.examiner.examine([order_id], Surroundings(time(), {}, time()))
            assert [(one.judges_sources, list(one.mismatches)) for one in examined.findings] == [(True, [])]
            with pytest.raises(ConfigurationError, match="shipment"):
                rounds.company.examiner.examine([order_id], Surroundings(time(), {}, time(), differing=[order_id]))
        finally:
            with psycopg.connect(inventory.conninfo()) as connection:
                connection.execute("ALTER TABLE shipment_away RENAME TO shipment")
        # The sources say what they said; the state does not.
        fewer = state.fulfilment.model_copy(update={"shipments": state.fulfilment.shipments[:-1]})
        watch.world.produce_states([state.model_copy(update={"fulfilment": fewer})])
        section = f"{order_id}/state/fulfilment"
        assert await_condition(lambda: any(one.startswith(section) for one in watch.look(source=True)), 60)
        watch.world.produce_states([state])
        assert await_condition(lambda: watch.look(source=True) == [], 60)
        # The state says what it said; a source does not.
        number = order_id.removeprefix("crm:")
        watch.world.execute(inventory, f"UPDATE shipment SET carrier = 'Pigeon' WHERE order_number = {number}")
        found = watch.look(source=True)
        assert found != []
        assert all(one.startswith(f"{section}.shipments[") for one in found)


def test_a_difference_that_healed_is_closed_by_a_picture_from_before_it(watch: Watch, tmp_path: Path) -> None:
    order_id = paid(watch.world)[0].order_id
    with watch.running():
        assert watch.look(source=True, full=True) == []
    shutil.copytree(watch.directory, tmp_path / "older")
    with watch.running():
        by_hand(watch, f"UPDATE sales_order SET note = 'x' WHERE order_id = '{order_id}'")
        assert watch.look() == [f"{order_id}/erp/note"]
    by_hand(watch, f"UPDATE sales_order SET note = NULL WHERE order_id = '{order_id}'")
    # As after a crash: what was published last is remembered nowhere else.
    watch.directory = tmp_path / "older"
    with watch.running():
        assert watch.look() == []


def test_topics_made_anew_end_the_picture(watch: Watch) -> None:
    with watch.running():
        assert watch.look(source=True, full=True) == []
    clear_topics(watch.settings.kafka, watch.world.registry)
    with watch.running():
        found = watch.look(source=True, full=True)
        missing = [one for one in watch.open().values() if one.kind == "missing"]
        assert len(missing) == len(watch.world.states)
        assert all(key.split("/")[1] in ("state", "erp", "ledger") for key in found)


def test_one_process_at_a_time_keeps_the_picture(watch: Watch) -> None:
    with (
        watch.running(),
        pytest.raises(ConfigurationError, match="another process reconciles with the files in"),
        watch.running(),
    ):
        pass
