"""A small world in which every system agrees: real sources and state topic, ERP and ledger written from real rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from time import monotonic, sleep
from typing import Any

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from psycopg import sql

import consumers.erp
import consumers.postgres
from consumers.erp.rows import OrderRows
from consumers.postgres.bulk import Table
from consumers.reconcile import ReconcileSettings, SourceSettings
from consumers.reconcile.facts import Facts
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.source import SourceReader
from consumers.sink import Advance, Batch, Partition
from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink
from deploy.local.endpoints import Endpoints
from deploy.topics import TopicLayout, apply_topics
from schemas.attributes import CustomerId, OrderId, ProductId
from schemas.codec import TopicCodec
from schemas.models import (
    CapturedEvent,
    Customer,
    FulfilmentCaptured,
    FxRate,
    JournalEntry,
    OrderCaptured,
    OrderEvent,
    OrderState,
    PaymentsCaptured,
    Product,
    SourcePosition,
)
from schemas.models.source import event_id_of
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings, KafkaSettings
from schemas.topics import CATALOGUE, ORDER_STATE, PARKED, POSTINGS
from streams.rules import facts as rules
from streams.rules.decision import Accepted, Knowledge, decide
from streams.rules.enrichment import EnrichmentPolicy
from streams.rules.ruleset import builtin_rules

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_EVENTS: Mapping[Section, tuple[rules.Section, type[CapturedEvent]]] = {
    Section.ORDER: (rules.Section.ORDER, OrderCaptured),
    Section.FULFILMENT: (rules.Section.FULFILMENT, FulfilmentCaptured),
    Section.SETTLEMENT: (rules.Section.SETTLEMENT, PaymentsCaptured),
}


class EveryRecord:
    """Master data in which every customer, product and rate is known."""

    _header: Mapping[str, Any] = {
        "source": SourcePosition(system="crm", transaction_id=1, position=1, sequence=0),
        "committed_at": NOW,
        "captured_at": NOW,
    }

    revision = 0

    def as_of(self, at: datetime, on: date) -> EveryRecord:
        return self

    def customer(self, customer_id: CustomerId) -> Customer | None:
        return Customer(customer_id=customer_id, name=f"Customer {customer_id}", region="North", **self._header)

    def product(self, product_id: ProductId) -> Product | None:
        return Product(
            product_id=product_id,
            name=f"Product {product_id}",
            unit_code="C62",
            standard_cost_amount=Decimal("3.337"),
            **self._header,
        )

    def fx_rate(self, base: str, quote: str) -> FxRate | None:
        return FxRate(
            rate_key=f"{base}:{quote}:2026-11-21",
            base_currency_code=base,
            quote_currency_code=quote,
            rate_date=date(2026, 11, 21),
            rate=Decimal({quote: "1", "JPY": "0.0061"}.get(base, "0.8731")),
            provider="ECB",
            **self._header,
        )


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a world is brought back to."""

    states: dict[str, OrderState]
    entries: list[JournalEntry]
    sources: list[tuple[DatabaseSettings, dict[str, bytes]]]


@dataclass(slots=True)
class World:
    """The systems and what was written to them."""

    settings: ReconcileSettings
    registry: SchemaRegistry
    states: dict[str, OrderState] = field(default_factory=dict)
    entries: list[JournalEntry] = field(default_factory=list)
    position: int = 0
    _baseline: Baseline | None = None

    def keep(self) -> None:
        """Remember everything as it is now."""
        tables = [(source.database, _contents(source.database)) for source in self.settings.sources]
        self._baseline = Baseline(dict(self.states), list(self.entries), tables)

    def restore(self) -> None:
        """Bring every system back to what was kept; only dead letters stay, which no topic forgets."""
        assert self._baseline is not None
        self.states, self.entries = dict(self._baseline.states), list(self._baseline.entries)
        for database, contents in self._baseline.sources:
            _refill(database, contents)
        for database in (self.settings.erp, self.settings.ledger):
            _refill(database, dict.fromkeys(_contents(database), b""))
        self.write_everywhere()
        self.produce(PARKED, dict.fromkeys(self.states))

    def capture(self, order_id: str, section: Section, facts: Facts | None, system: str) -> OrderState:
        """Let the rules decide about one captured fact, which they must accept."""
        self.position += 1
        owner, model = _EVENTS[section]
        source = SourcePosition(system=system, transaction_id=self.position, position=self.position, sequence=0)
        event = model.model_validate(
            {
                "event_id": event_id_of(owner.value, order_id, source),
                "order_id": OrderId(order_id),
                "operation": "upserted",
                "source": source,
                "committed_at": NOW,
                "captured_at": NOW,
                section.value: facts,
            }
        )
        policy = EnrichmentPolicy(functional_currency_code="EUR")
        knowledge = Knowledge(EveryRecord(), policy, builtin_rules())
        decision = decide(owner, event, self.states.get(order_id), knowledge, NOW)
        assert isinstance(decision, Accepted), (order_id, decision)
        self.states[order_id] = decision.state
        self.entries += decision.entries
        return decision.state

    def capture_sources(self) -> None:
        """Take in all facts of all sources, each owner's in turn."""
        for source in self.settings.sources:
            reader = SourceReader(source)
            for found in reader.facts():
                assert found.error is None
                self.capture(found.order_id, found.locator.section, found.facts, reader.system)

    def write_everywhere(self) -> None:
        """Bring states and entries to the topic, the ERP and the ledger."""
        self.produce_states(self.states.values())
        self.write_erp(self.states.values())
        self.write_ledger(self.entries)

    def produce_states(self, states: Iterable[OrderState]) -> None:
        codec = TopicCodec(ORDER_STATE, OrderState, self.registry)
        self.produce(ORDER_STATE, {state.order_id: codec.encode(state) for state in states})

    def produce(self, topic: str, values: Mapping[str, bytes | None]) -> None:
        """Write records and wait until the broker has them."""
        self.produce_all(topic, values.items())

    def produce_all(self, topic: str, records: Iterable[tuple[str, bytes | None]]) -> None:
        """Write records, several of a key too, and wait until the broker has them."""
        producer = Producer(self.settings.kafka.client_config(acks="all"))
        failures: list[object] = []
        for key, value in records:
            producer.produce(
                topic, key=key, value=value, on_delivery=lambda error, _: failures.append(error) if error else None
            )
        assert producer.flush(30) == 0
        assert failures == []

    def write_erp(self, states: Iterable[OrderState]) -> None:
        events = [OrderEvent(event_type="OrderChanged", topic="x", captured_at=NOW, state=state) for state in states]
        with psycopg.connect(self.settings.erp.conninfo()) as connection:
            connection.execute((files(consumers.erp) / "tables.sql").read_bytes())
            connection.execute((files(consumers.postgres) / "position.sql").read_bytes())
            for table, rows in OrderRows(events).by_table.items():
                _copy(connection, table, rows)

    def write_ledger(self, entries: list[JournalEntry]) -> None:
        ledger = WarehouseSettings(database=self.settings.ledger, writer_role=None)
        with closing(WarehouseSink(ledger, self.registry)) as sink:
            sink.prepare()
            place = Partition(POSTINGS, 0)
            known = sink.positions([place]).get(place)
            sink.write(Batch([sink.shape(entries)], {place: Advance(known, (known or 0) + len(entries))}, None))

    def execute(self, database: DatabaseSettings, *statements: str) -> None:
        """Change a database by hand, past all triggers."""
        with psycopg.connect(database.conninfo()) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                assert connection.execute(statement.encode()).rowcount > 0, statement


@contextmanager
def world_of(
    stack: Endpoints, mappings: Mapping[str, DatabaseSettings], erp: DatabaseSettings, ledger: DatabaseSettings
) -> Iterator[World]:
    """A world with these sources, and topics without a record."""
    with closing(SchemaRegistry(stack.registry())) as registry:
        clear_topics(stack.kafka(), registry)
        settings = ReconcileSettings(
            kafka=stack.kafka(),
            registry=stack.registry(),
            sources=[SourceSettings(mapping=name, database=database) for name, database in mappings.items()],
            erp=erp,
            ledger=ledger,
            settle_seconds=0,
        )
        yield World(settings, registry)


def clear_topics(kafka: KafkaSettings, registry: SchemaRegistry) -> None:
    """Make the topics of the catalogue anew, so that nothing of another test is on them."""
    admin = AdminClient(kafka.client_config())
    present = [name for name in CATALOGUE if name in admin.list_topics(timeout=10).topics]
    for future in admin.delete_topics(present).values() if present else ():
        future.result()
    until = monotonic() + 30
    while set(CATALOGUE) & set(admin.list_topics(timeout=10).topics):
        assert monotonic() < until, "the topics were not deleted in time"
        sleep(0.05)
    apply_topics(kafka, registry, TopicLayout(order_partitions=3))


def _copy(connection: psycopg.Connection[Any], table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table.target, table.listed)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _contents(database: DatabaseSettings) -> dict[str, bytes]:
    """All rows of each table, as COPY gives them."""
    with psycopg.connect(database.conninfo()) as connection, connection.cursor() as cursor:
        names = cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        contents = {}
        for (name,) in names:
            with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(name))) as copy:
                contents[name] = b"".join(bytes(block) for block in copy)
        return contents


def _refill(database: DatabaseSettings, contents: Mapping[str, bytes]) -> None:
    with psycopg.connect(database.conninfo()) as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        tables = sql.SQL(", ").join(map(sql.Identifier, contents))
        cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(tables))
        for name, rows in contents.items():
            with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy:
                copy.write(rows)
