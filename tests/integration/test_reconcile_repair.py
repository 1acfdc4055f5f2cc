"""Planted differences of twelve kinds: all found, named right, none invented, and all repaired by the owner rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import psycopg
import pytest

from consumers.erp.settings import ErpSettings
from consumers.erp.sink import ErpSink
from consumers.reconcile.comparison import ERP, LEDGER
from consumers.reconcile.repair import Author, Workshop, perform, planned
from consumers.reconcile.restoration import ErpRestoration, LedgerRestoration
from consumers.reconcile.source import SourceReader
from consumers.sink import Batch
from deploy.local.endpoints import Endpoints
from schemas.audit_chain import Actor, Deed
from schemas.codec import TopicCodec
from schemas.models import JournalEntry, Mismatch, OrderEvent, OrderState
from schemas.topics import POSTINGS
from tests.conftest import DatabaseFactory
from tests.integration.reconcile_watch import Watch, traded_world
from tests.integration.reconcile_world import NOW, World, clear_topics

Named = tuple[str, str, str, str | None]
"""Order, system, kind and field."""
_PARTS = ("sales_order", "sales_order_line", "shipment", "shipment_line", "invoice", "payment")
_AUTHOR = Author(Actor("ada"), "differences planted by a test")


@pytest.fixture(scope="module", params=[24, pytest.param(1_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def planted_world(
    request: pytest.FixtureRequest, stack: Endpoints, module_database_factory: DatabaseFactory
) -> Iterator[tuple[World, int]]:
    """A world, and how many differences to plant in it."""
    with traded_world(stack, module_database_factory, max(60, request.param * 2)) as world:
        _publish_entries(world)
        yield world, request.param
        clear_topics(world.settings.kafka, world.registry)


def _publish_entries(world: World) -> None:
    """What the ledger holds was posted on its topic, and the ledger has read it all."""
    codec = TopicCodec(POSTINGS, JournalEntry, world.registry)
    world.produce_all(POSTINGS, [(entry.order_id, codec.encode(entry)) for entry in world.entries])
    with psycopg.connect(world.settings.ledger.conninfo()) as connection:
        connection.execute("DELETE FROM sink_position")
        connection.execute(
            "INSERT INTO sink_position (sink, topic, partition, next_offset) "
            "SELECT 'warehouse', 'gl.postings', number, 1000000 FROM generate_series(0, 2) AS number"
        )


@dataclass
class Planter:
    """Plants differences, each of them in an order of its own."""

    world: World
    planted: list[Named] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Orders of which a change in the source never arrived."""

    def plant(self, state: OrderState, kind: Callable[[Planter, OrderState], None]) -> None:
        """One difference of that kind."""
        kind(self, state)

    def erp(self, *statements: str) -> None:
        self.world.execute(self.world.settings.erp, *statements)

    def ledger(self, *statements: str) -> None:
        self.world.execute(self.world.settings.ledger, *statements)

    def name(self, state: OrderState, system: str, kind: str, path: str | None = None) -> None:
        self.planted.append((state.order_id, system, kind, path))


def missing_in_erp(planter: Planter, state: OrderState) -> None:
    planter.erp(*(f"DELETE FROM {table} WHERE order_id = '{state.order_id}'" for table in _PARTS))
    planter.name(state, "erp", "missing")


def extra_in_erp(planter: Planter, state: OrderState) -> None:
    order_id = f"{state.order_id}-ghost"
    planter.erp(
        f'INSERT INTO sales_order SELECT (jsonb_populate_record(o, \'{{"order_id": "{order_id}"}}\')).* '
        f"FROM sales_order AS o WHERE order_id = '{state.order_id}'"
    )
    planter.planted.append((order_id, "erp", "extra", None))


def wrong_amount(planter: Planter, state: OrderState) -> None:
    planter.erp(f"UPDATE sales_order SET payable_amount = payable_amount + 0.01 WHERE order_id = '{state.order_id}'")
    planter.name(state, "erp", "different", "payable_amount")


def wrong_text(planter: Planter, state: OrderState) -> None:
    planter.erp(f"UPDATE sales_order SET customer_name = 'Somebody' WHERE order_id = '{state.order_id}'")
    planter.name(state, "erp", "different", "customer_name")


def wrong_quantity(planter: Planter, state: OrderState) -> None:
    planter.erp(
        f"UPDATE sales_order_line SET quantity = quantity + 1 WHERE order_id = '{state.order_id}' AND line_number = 1"
    )
    planter.name(state, "erp", "different", f"lines[{_first_line(state)}].quantity")


def _first_line(state: OrderState) -> str:
    assert state.order is not None
    return state.order.order_lines[0].line_id


def lost_line(planter: Planter, state: OrderState) -> None:
    planter.erp(f"DELETE FROM sales_order_line WHERE order_id = '{state.order_id}' AND line_number = 1")
    planter.name(state, "erp", "different", f"lines[{_first_line(state)}]")


def lost_shipment(planter: Planter, state: OrderState) -> None:
    assert state.fulfilment is not None
    shipment_id = state.fulfilment.shipments[0].shipment_id
    planter.erp(
        *(
            f"DELETE FROM {table} WHERE order_id = '{state.order_id}' AND shipment_id = '{shipment_id}'"
            for table in ("shipment", "shipment_line")
        )
    )
    planter.name(state, "erp", "different", f"shipments[{shipment_id}]")


def older_version(planter: Planter, state: OrderState) -> None:
    planter.erp(f"UPDATE sales_order SET version = version - 1 WHERE order_id = '{state.order_id}'")
    planter.name(state, "erp", "different", "version")


def missing_in_ledger(planter: Planter, state: OrderState) -> None:
    entries = f"(SELECT entry_id FROM journal_entry WHERE order_id = '{state.order_id}')"
    planter.ledger(
        f"DELETE FROM journal_line WHERE entry_id IN {entries}",
        f"DELETE FROM journal_entry WHERE order_id = '{state.order_id}'",
    )
    planter.name(state, "ledger", "missing")


def moved_account(planter: Planter, state: OrderState) -> None:
    planter.ledger(
        "UPDATE journal_line SET account_code = '4100' WHERE account_code IN (SELECT account_code FROM account "
        "WHERE control_code = '4000') AND entry_id IN (SELECT entry_id FROM journal_entry "
        f"WHERE order_id = '{state.order_id}')"
    )
    assert state.order is not None
    for measure in ("revenue_amount", "shipping_revenue_amount"):
        planter.name(state, "ledger", "different", f"{measure}[{state.order.document_currency_code}]")


def unbalanced(planter: Planter, state: OrderState) -> None:
    planter.ledger(
        "UPDATE journal_line SET debit_amount = debit_amount + 5 WHERE account_code = '1000' AND debit_amount > 0 AND "
        f"entry_id = (SELECT entry_id FROM journal_entry WHERE order_id = '{state.order_id}' "
        "AND rule = 'cash_receipt' LIMIT 1)"
    )
    assert state.order is not None
    for measure in ("cash_amount", "imbalance_amount"):
        planter.name(state, "ledger", "different", f"{measure}[{state.order.document_currency_code}]")


def lost_change(planter: Planter, state: OrderState) -> None:
    number = state.order_id.removeprefix("crm:")
    source = planter.world.settings.sources[0].database
    planter.world.execute(source, f"UPDATE sales_order SET note = 'ring twice' WHERE order_number = {number}")
    planter.lost.append(state.order_id)
    planter.name(state, "state", "different", "order.note")


KINDS = (
    missing_in_erp,
    extra_in_erp,
    wrong_amount,
    wrong_text,
    wrong_quantity,
    lost_line,
    lost_shipment,
    older_version,
    missing_in_ledger,
    moved_account,
    unbalanced,
    lost_change,
)


def named(watch: Watch) -> list[Named]:
    found = watch.open().values()
    return sorted([(one.order_id, one.system, one.kind, one.field) for one in found], key=str)


def test_every_planted_difference_is_found_named_and_repaired(planted_world: tuple[World, int], tmp_path: Path) -> None:
    world, count = planted_world
    watch, planter = Watch(world, tmp_path), Planter(world)
    orders = [one for one in world.states.values() if _has_a_whole_life(one)]
    assert len(orders) >= count
    with watch.running(examined_at_once=500):
        assert watch.look(source=True, full=True) == []
        for state, kind in zip(orders[:count], cycle(KINDS), strict=False):
            planter.plant(state, kind)
        # What was done in the sinks is told by notes alone; only the sources are looked through.
        watch.look(source=True)
        assert named(watch) == sorted(planter.planted, key=str)
        causes = {(one.system, one.cause) for one in watch.open().values()}
        assert causes == {("erp", "manual_change"), ("ledger", "manual_change"), ("state", "lost_event")}

        audited: list[Deed] = []
        steps = planned(watch.open().values(), [SourceReader(source) for source in world.settings.sources])
        assert len(steps) == count
        outcomes = perform(steps, _AUTHOR, _workshop(world, audited))

        assert [one.told for one in outcomes if not one.is_done] == []
        assert sorted(one.subject for one in audited) == sorted(step.order_id for step in steps)
        assert {one.action for one in audited} == {"OrderRestored", "OrderReread"}
        assert watch.look(source=True, full=True) == []
        # Done twice it changes nothing.
        perform([step for step in steps if step.system != "state"], _AUTHOR, _workshop(world, audited))
        assert watch.look(source=True, full=True) == []


def test_a_sink_is_not_restored_from_a_state_that_lacks_a_change(planted_world: tuple[World, int]) -> None:
    world, _ = planted_world
    state = next(one for one in world.states.values() if _has_a_whole_life(one))
    readers = [SourceReader(source) for source in world.settings.sources]
    found = [_mismatch(state, "state", "order.note", "reread"), _mismatch(state, "erp", "note", "restore")]
    asked, waits = planned(found, readers)
    assert (asked.system, asked.remedy, asked.sources) == ("state", "reread", ("crm",))
    assert (waits.system, waits.remedy) == ("erp", "wait")
    whole, *_ = planned([_mismatch(state, "state", None, "reread")], readers)
    assert whole.sources == ("crm", "inventory", "finance")
    refused, *_ = planned([_mismatch(state, "state", None, "mend")], readers)
    audited: list[Deed] = []
    (outcome,) = perform([refused], _AUTHOR, _workshop(world, audited))
    assert (outcome.is_done, audited) == (False, [])


def _mismatch(state: OrderState, system: str, path: str | None, remedy: str) -> Mismatch:
    return Mismatch(
        mismatch_id=f"{state.order_id}/{system}/{path or ''}",
        order_id=state.order_id,
        system=system,
        reference="source" if system == "state" else "state",
        kind="different" if path else "missing",
        field=path,
        detected_at=NOW,
        remedy=remedy,
    )


def _workshop(world: World, audited: list[Deed]) -> Workshop:
    settings = world.settings
    return Workshop(
        reread=lambda system, order_ids: _read_again(world, system, order_ids),
        restorations={
            ERP: ErpRestoration(settings.erp, settings.kafka, world.registry),
            LEDGER: LedgerRestoration(settings.ledger, settings.kafka, world.registry),
        },
        audit=audited.extend,
    )


def _read_again(world: World, system: str, order_ids: Sequence[str]) -> None:
    """What capture, streams and the ERP's sink make of a request to read these orders again."""
    (reader,) = [one for one in map(SourceReader, world.settings.sources) if one.system == system]
    states = [
        world.capture(found.order_id, found.locator.section, found.facts, system)
        for found in reader.facts()
        if found.order_id in order_ids
    ]
    world.produce_states(states)
    events = [OrderEvent(event_type="OrderChanged", topic="x", captured_at=NOW, state=state) for state in states]
    settings = ErpSettings(kafka=world.settings.kafka, database=world.settings.erp)
    with closing(ErpSink(settings, world.registry)) as sink:
        sink.write(Batch([sink.shape(events)], {}, None))


def _has_a_whole_life(state: OrderState) -> bool:
    shipped = state.fulfilment is not None and bool(state.fulfilment.shipments) and not state.fulfilment.returns
    paid = state.settlement is not None and any(one.payment_type_code != "refund" for one in state.settlement.payments)
    return shipped and paid and state.order_status != "deleted"
