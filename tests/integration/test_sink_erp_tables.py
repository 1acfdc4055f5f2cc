"""What the ERP database holds after versions of orders came in various ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from consumers.erp.settings import ErpSettings
from consumers.erp.sink import ErpSink
from consumers.sink import Advance, Batch, Partition
from schemas.models import OrderEvent
from schemas.registry import InMemorySchemas
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_EVENTS
from tests.conftest import DatabaseFactory
from tests.contract.sink_samples import order_event

Write = Callable[..., None]


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return database_factory("erp")


@pytest.fixture
def write(database: DatabaseSettings) -> Iterator[Write]:
    """Writes events in one batch."""
    partition, steps = Partition(ORDER_EVENTS, 0), count(1)
    with closing(ErpSink(ErpSettings(database=database), InMemorySchemas())) as sink:
        sink.prepare()
        position: int | None = None

        def write(*events: OrderEvent) -> None:
            nonlocal position
            reached = next(steps)
            sink.write(Batch([sink.shape(events)], {partition: Advance(position, reached)}, None))
            position = reached

        yield write


def rows(database: DatabaseSettings, query: str) -> list[Any]:
    with psycopg.connect(database.conninfo(), row_factory=dict_row) as session:
        return session.execute(query).fetchall()


def test_facts_arrive_to_the_cent(database: DatabaseSettings, write: Write) -> None:
    event = order_event(1)
    order, settlement = event.state.order, event.state.settlement
    assert order is not None and settlement is not None
    write(event)
    (row,) = rows(database, "SELECT * FROM sales_order")
    facts = order.model_dump(exclude={"order_id", "order_lines", "delivery_address", "order_status"})
    assert {name: row[name] for name in facts} == facts
    assert (row["invoiced_amount"], row["paid_amount"], row["open_amount"]) == (
        settlement.invoices[0].payable_amount,
        settlement.payments[0].paid_amount,
        0,
    )
    lines = rows(database, "SELECT * FROM sales_order_line ORDER BY line_number")
    for found, line in zip(lines, order.order_lines, strict=True):
        assert {name: found[name] for name in line.model_dump()} == line.model_dump()
    (invoice,) = rows(database, "SELECT * FROM invoice")
    assert {name: invoice[name] for name in settlement.invoices[0].model_dump()} == settlement.invoices[0].model_dump()
    (payment,) = rows(database, "SELECT * FROM payment")
    assert {name: payment[name] for name in settlement.payments[0].model_dump()} == settlement.payments[0].model_dump()
    assert len(rows(database, "SELECT * FROM shipment")) == 1
    assert len(rows(database, "SELECT * FROM shipment_line")) == 3


def test_parts_that_vanished_are_removed_and_others_stay(database: DatabaseSettings, write: Write) -> None:
    write(order_event(1), order_event(2))
    order = order_event(1).state.order
    assert order is not None
    kept = [order.order_lines[0], order.order_lines[2].model_copy(update={"quantity": Decimal(77)})]
    write(order_event(1, 9, order=order.model_copy(update={"order_lines": kept}), fulfilment=None, settlement=None))
    lines = rows(database, "SELECT order_id, line_id, quantity FROM sales_order_line ORDER BY 1, 2")
    assert [(line["order_id"], line["line_id"]) for line in lines] == [
        *(("crm:1", number) for number in "13"),
        *(("crm:2", number) for number in "123"),
    ]
    assert lines[1]["quantity"] == 77
    for part in ("shipment", "shipment_line", "invoice", "payment"):
        assert {row["order_id"] for row in rows(database, f"SELECT order_id FROM {part}")} == {"crm:2"}, part


def test_an_older_version_changes_no_part(database: DatabaseSettings, write: Write) -> None:
    write(order_event(1, 5))
    queries = [
        f"SELECT xmin, * FROM {name} WHERE order_id = 'crm:1' ORDER BY 2, 3"
        for name in ("sales_order", "sales_order_line", "shipment", "shipment_line", "invoice", "payment")
    ]
    before = [rows(database, query) for query in queries]
    write(order_event(1, 5, order_status="other", settlement=None))
    write(order_event(1, 4, order_status="other", order=None, fulfilment=None), order_event(2, 1))
    assert [rows(database, query) for query in queries] == before


def test_unchanged_lines_are_not_written_again(database: DatabaseSettings, write: Write) -> None:
    write(order_event(1, 1))
    before = rows(database, "SELECT xmin, * FROM sales_order_line ORDER BY line_id")
    write(order_event(1, 2, payment_status="unpaid"))
    assert rows(database, "SELECT xmin, * FROM sales_order_line ORDER BY line_id") == before
    assert rows(database, "SELECT version, payment_status FROM sales_order") == [
        {"version": 2, "payment_status": "unpaid"}
    ]


def test_a_deleted_order_is_marked_and_keeps_its_commercial_facts(database: DatabaseSettings, write: Write) -> None:
    write(order_event(1, 1))
    (before,) = rows(database, "SELECT * FROM sales_order")
    gone = order_event(1, 2, order=None, fulfilment=None, settlement=None, order_status="deleted")
    write(gone)
    (row,) = rows(database, "SELECT * FROM sales_order")
    assert (row["order_status"], row["version"]) == ("deleted", 2)
    assert row["deleted_at"] == gone.state.committed_at
    assert (row["payable_amount"], row["customer_name"]) == (before["payable_amount"], before["customer_name"])
    assert len(rows(database, "SELECT * FROM sales_order_line")) == 3
    assert rows(database, "SELECT * FROM payment") == []


def test_an_order_may_come_before_its_commercial_facts(database: DatabaseSettings, write: Write) -> None:
    write(order_event(1, 1, order=None), order_event(2, 1))
    assert len(rows(database, "SELECT * FROM payment")) == 2
    write(order_event(1, 2))
    assert {row["payable_amount"] is None for row in rows(database, "SELECT * FROM sales_order")} == {False}
    assert len(rows(database, "SELECT * FROM sales_order_line")) == 6


def test_writes_are_marked_so_that_a_capture_leaves_them_out(database: DatabaseSettings, write: Write) -> None:
    with psycopg.connect(database.conninfo(), autocommit=True) as session:
        session.execute("CREATE PUBLICATION everything FOR TABLE sales_order")
        session.execute("SELECT pg_create_logical_replication_slot('watcher', 'pgoutput')")
        write(order_event(1))
        session.execute("UPDATE sales_order SET note = 'by a person'")

        def kinds(origin: str) -> bytes:
            found = session.execute(
                "SELECT data FROM pg_logical_slot_peek_binary_changes('watcher', NULL, NULL, 'proto_version', '1', "
                "'publication_names', 'everything', 'origin', %s)",
                (origin,),
            )
            # The first byte tells an insert from an update.
            return b"".join(data[:1] for (data,) in found if data[:1] in b"IU")

        assert (kinds("any"), kinds("none")) == (b"IU", b"U")


def test_preparing_again_and_at_once_changes_nothing(database: DatabaseSettings, write: Write) -> None:
    write(order_event(1))
    with closing(ErpSink(ErpSettings(database=database), InMemorySchemas())) as second:
        second.prepare()
        second.prepare()
        assert second.positions([Partition(ORDER_EVENTS, 0)]) == {Partition(ORDER_EVENTS, 0): 1}
    assert len(rows(database, "SELECT * FROM sales_order")) == 1
