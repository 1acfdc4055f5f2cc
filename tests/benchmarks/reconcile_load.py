"""The load of the reconciliation benchmark: one order with its whole life in every system, written a million times."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
from confluent_kafka import Producer
from psycopg import sql

from deploy.demo.business import create_tables
from deploy.demo.transactions import System
from schemas.codec import TopicCodec
from schemas.models import OrderState
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_STATE
from tests.integration.reconcile_world import World

FIRST = 1_000_000
"""Number of the template; every other order has as many digits, so that bytes can stand for bytes."""
_TEMPLATE = {
    System.CRM: (
        f"INSERT INTO sales_order VALUES ({FIRST}, 'C-17', 'confirmed', 'PO {FIRST}', '2026-11-02', NULL, 'EUR', "
        "'web', 'S-3', 'net30', 'Ada', '1 Main Street', 'Basel', '4051', 'CH', 10, 260, 49.4, 309.4, NULL)",
        f"INSERT INTO sales_order_line VALUES ({FIRST}, 1, 'P-1', 'Bolt', 10, 'C62', 15, 0, 150, 'S', 19, 28.5), "
        f"({FIRST}, 2, 'P-2', 'Nut', 20, 'C62', 5, 0, 100, 'S', 19, 19)",
    ),
    System.INVENTORY: (
        f"INSERT INTO shipment VALUES ('S{FIRST}', {FIRST}, '2026-11-03 10:00Z', NULL, 'DHL', 'T{FIRST}')",
        f"INSERT INTO shipment_line VALUES ('S{FIRST}', 1, 10), ('S{FIRST}', 2, 20)",
        # Whoever ships for orders finds shipments by order.
        "CREATE INDEX ON shipment (order_number)",
        "CREATE INDEX ON goods_return (order_number)",
    ),
    System.FINANCE: (
        f"INSERT INTO invoice VALUES ('I{FIRST}', {FIRST}, 'invoice', '2026-11-03 12:00Z', '2026-12-03', 'EUR', 260, "
        "49.4, 309.4)",
        f"INSERT INTO payment VALUES ('P{FIRST}', {FIRST}, 'receipt', '2026-11-20 09:00Z', 309.4, 'EUR', '30')",
        "CREATE INDEX ON invoice (order_number)",
        "CREATE INDEX ON payment (order_number)",
    ),
}
_SOURCE_TABLES = {
    System.CRM: ("sales_order", "sales_order_line"),
    System.INVENTORY: ("shipment", "shipment_line"),
    System.FINANCE: ("invoice", "payment"),
}
_ERP_TABLES = ("sales_order", "sales_order_line", "shipment", "shipment_line", "invoice", "payment")
_LEDGER_TABLES = ("journal_entry", "journal_line")


# Order by order without sorting: OFFSET keeps the template's rows, read once, the inner side.
_REPEAT = sql.SQL(
    "WITH template AS MATERIALIZED (SELECT * FROM {table}) INSERT INTO {table} ({columns}) SELECT {values} "
    "FROM generate_series({first}, {last}) AS n CROSS JOIN LATERAL (SELECT template.*, n FROM template OFFSET 0) AS t"
)


@dataclass(frozen=True, slots=True)
class Population:
    """Where the orders are, and how many."""

    world: World
    sources: dict[System, DatabaseSettings]
    orders: int


def populate(population: Population) -> None:
    """Write the template by the real rules, then all the others after it, in every system."""
    world = population.world
    create_tables(population.sources)
    for system, statements in _TEMPLATE.items():
        with psycopg.connect(population.sources[system].conninfo()) as connection:
            for statement in statements:
                connection.execute(statement.encode())
    world.capture_sources()
    world.write_everywhere()
    # The template's records carry an id of their own each, so that they are as many as the orders.
    with psycopg.connect(world.settings.ledger.conninfo()) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in _LEDGER_TABLES:
            connection.execute(
                sql.SQL("UPDATE {} SET entry_id = {} || '-' || entry_id").format(
                    sql.Identifier(table), sql.Literal(str(FIRST))
                )
            )
    tables = [(population.sources[system], names) for system, names in _SOURCE_TABLES.items()]
    tables += [(world.settings.ledger, _LEDGER_TABLES), (world.settings.erp, _ERP_TABLES)]
    with ThreadPoolExecutor() as threads:
        repeated = [threads.submit(_repeat, database, names, population.orders) for database, names in tables]
        produce(population)
    for one in repeated:
        one.result()


def produce(population: Population) -> None:
    """The state of every order, as the streams would write it."""
    world = population.world
    (template,) = world.states.values()
    value = TopicCodec(ORDER_STATE, OrderState, world.registry).encode(template)
    assert value.count(str(FIRST).encode()) > 4
    producer = Producer(world.settings.kafka.producer_config(**{"queue.buffering.max.messages": 1_000_000}))
    for number in range(FIRST, FIRST + population.orders):
        while True:
            try:
                producer.produce(ORDER_STATE, _numbered(value, number), f"crm:{number}")
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(120) == 0


def touch_by_hand(population: Population, first: int, count: int) -> None:
    """Somebody changes orders in the ERP and puts them back, so that they are noted, and are as they were."""
    with psycopg.connect(population.world.settings.erp.conninfo()) as connection:
        for event_type in ("OrderTouched", "OrderChanged"):
            connection.execute(
                "UPDATE sales_order SET event_type = %s WHERE order_id = ANY(%s)",
                (event_type, [f"crm:{number}" for number in _numbers(first, count)]),
            )


def change_everywhere(population: Population, first: int, count: int) -> None:
    """The customer's note on some orders changes in the CRM, and has come to `orders.state` and the ERP."""
    world, note = population.world, f"changed {first}"
    with psycopg.connect(population.sources[System.CRM].conninfo()) as connection:
        connection.execute(
            "UPDATE sales_order SET note = %s WHERE order_number = ANY(%s)", (note, list(_numbers(first, count)))
        )
    (template,) = world.states.values()
    assert template.order is not None
    order = template.order.model_copy(update={"note": note})
    state = template.model_copy(update={"version": template.version + 1, "order": order})
    with psycopg.connect(world.settings.erp.conninfo(application_name="ordersync erp")) as connection:
        connection.execute(
            "UPDATE sales_order SET version = %s, note = %s WHERE order_id = ANY(%s)",
            (state.version, note, [f"crm:{number}" for number in _numbers(first, count)]),
        )
    value = TopicCodec(ORDER_STATE, OrderState, world.registry).encode(state)
    world.produce(ORDER_STATE, {f"crm:{number}": _numbered(value, number) for number in _numbers(first, count)})


def _numbers(first: int, count: int) -> range:
    return range(FIRST + first, FIRST + first + count)


def _numbered(value: bytes, number: int) -> bytes:
    return value.replace(str(FIRST).encode(), str(number).encode())


def _repeat(database: DatabaseSettings, tables: tuple[str, ...], orders: int) -> None:
    with psycopg.connect(database.conninfo()) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in tables:
            names, values = zip(*_columns(connection, table), strict=True)
            connection.execute(
                _REPEAT.format(
                    table=sql.Identifier(table),
                    columns=sql.SQL(", ").join(map(sql.Identifier, names)),
                    values=sql.SQL(", ").join(values),
                    first=sql.Literal(FIRST + 1),
                    last=sql.Literal(FIRST + orders - 1),
                )
            )
    with psycopg.connect(database.conninfo(), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _columns(connection: psycopg.Connection[tuple[object, ...]], table: str) -> Iterator[tuple[str, sql.Composable]]:
    """Each column, and what it holds for order n instead of the template's number."""
    cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
    row = cursor.fetchone()
    assert row is not None and cursor.description is not None
    types = dict(
        connection.execute(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0",
            (table,),
        ).fetchall()
    )
    for column, value in zip(cursor.description, row, strict=True):
        own: sql.Composable = sql.SQL("t.{}").format(sql.Identifier(column.name))
        if str(FIRST) in str(value):
            own = sql.SQL("replace({}::text, {}, t.n::text)::{}").format(
                own,
                sql.Literal(str(FIRST)),
                sql.SQL(str(types[column.name])),  # type: ignore[arg-type]
            )
        yield column.name, own
