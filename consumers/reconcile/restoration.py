"""Restores orders in the databases of ERP and ledger to what their owners say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from decimal import Decimal
from typing import Final

from psycopg import sql

from consumers.erp.rows import OrderRows
from consumers.erp.tables import PARTS, SALES_ORDER
from consumers.postgres.database import Database, Rows
from consumers.postgres.text import copied
from consumers.reading import key_of
from consumers.reconcile.ledger import OF_NO_ORDER
from consumers.reconcile.state import StateReader
from consumers.reconcile.topic import TopicReader, value_of
from consumers.sink import Batch
from consumers.warehouse.chart import ChartOfAccounts
from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import JournalEntry, OrderEvent, OrderState
from schemas.settings import DatabaseSettings, KafkaSettings
from schemas.topics import ORDER_STATE, POSTINGS

_APPLICATION: Final = "ordersync repair"
_LINE = tuple[str, Decimal, Decimal, Decimal, Decimal]


class ErpRestoration:
    """The rows of an order anew from its state; where there is no state, none."""

    def __init__(self, settings: DatabaseSettings, kafka: KafkaSettings, schemas: SchemaIds) -> None:
        self._settings, self._kafka, self._schemas = settings, kafka, schemas

    def restore(self, order_ids: Sequence[str]) -> None:
        """See `Restoration`."""
        states = self._states(order_ids)
        with (
            closing(Database(self._settings, _APPLICATION, _stage_orders)) as database,
            database.transaction("restoring orders") as cursor,
        ):
            held = {
                order_id: (version, event_type)
                for order_id, version, event_type in cursor.execute(
                    "SELECT order_id, version, event_type FROM sales_order WHERE order_id = ANY(%s) "
                    "ORDER BY order_id FOR UPDATE",
                    (list(order_ids),),
                )
            }
            # The sink may have come with a newer version since the state was read.
            stale = {one for one, state in states.items() if state and held.get(one, (0, ""))[0] > state.version}
            wanted = [order_id for order_id in order_ids if order_id not in stale]
            for table in (SALES_ORDER, *PARTS):
                cursor.execute(sql.SQL("DELETE FROM {} WHERE order_id = ANY(%s)").format(table.target), (wanted,))
            events = [
                OrderEvent(
                    event_type=held.get(order_id, (0, "OrderRestored"))[1],
                    topic=ORDER_STATE,
                    captured_at=state.processed_at,
                    state=state,
                )
                for order_id in wanted
                if (state := states[order_id]) is not None
            ]
            for table, rows in OrderRows(events).by_table.items():
                if rows:
                    table.stage(cursor, copied(rows))
                    cursor.execute(
                        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
                            table.target, table.listed, table.listed, table.staged
                        )
                    )

    def _states(self, order_ids: Sequence[str]) -> dict[str, OrderState | None]:
        with closing(StateReader(self._kafka, self._schemas)) as reader:
            reader.watch(order_ids)
            found = dict(reader.watched(order_ids))
        # A state that cannot be read owns nothing: its order stays as it is.
        return {order_id: state for order_id, state in found.items() if state is None or isinstance(state, OrderState)}


def _stage_orders(cursor: Rows) -> None:
    for table in (SALES_ORDER, *PARTS):
        table.create_staged(cursor)


class LedgerRestoration:
    """The journal of an order as it was posted: what is missing is added, what was not posted so is taken away.

    Entries are append-only for everybody else; this needs a role that may go past the ledger's triggers, and each
    entry that goes stands in the audit with its amounts.
    """

    def __init__(self, settings: DatabaseSettings, kafka: KafkaSettings, schemas: SchemaIds) -> None:
        self._settings, self._kafka, self._schemas = settings, kafka, schemas

    def restore(self, order_ids: Sequence[str]) -> None:
        """See `Restoration`."""
        posted = self._posted(set(order_ids))
        settings = WarehouseSettings(kafka=self._kafka, database=self._settings, writer_role=None)
        self._remove_foreign(order_ids, posted, ChartOfAccounts.load(settings.accounts, settings.account_assignments))
        entries = list(posted.values())
        if entries:
            with closing(WarehouseSink(settings, self._schemas)) as sink:
                sink.prepare()
                # Entries that it has, the ledger keeps; no position moves.
                sink.write(Batch([sink.shape(entries)], {}, None))

    def _posted(self, order_ids: set[str]) -> dict[str, JournalEntry]:
        codec = TopicCodec(POSTINGS, JournalEntry, self._schemas)
        found: dict[str, JournalEntry] = {}
        with closing(TopicReader(self._kafka, POSTINGS)) as reader:
            for message in reader.scan({}, reader.ends()):
                value = value_of(message)
                if key_of(message) in order_ids and value is not None:
                    entry = codec.decode(value)
                    found[entry.entry_id] = entry
        return found

    def _remove_foreign(
        self, order_ids: Sequence[str], posted: dict[str, JournalEntry], chart: ChartOfAccounts
    ) -> None:
        wanted = {entry_id: Counter(_lines(entry, chart)) for entry_id, entry in posted.items()}
        with (
            closing(Database(self._settings, _APPLICATION, lambda _: None)) as database,
            database.transaction("restoring journals") as cursor,
        ):
            held: dict[str, Counter[_LINE]] = defaultdict(Counter)
            for entry_id, *line in cursor.execute(
                "SELECT entry_id, account_code, debit_amount, credit_amount, functional_debit_amount, "
                "functional_credit_amount FROM journal_entry LEFT JOIN journal_line USING (entry_id, period) "
                "WHERE order_id = ANY(%s) AND rule <> ALL(%s)",
                (list(order_ids), list(OF_NO_ORDER)),
            ):
                held[entry_id].update([tuple(line)] if line[0] is not None else [])
            foreign = [entry_id for entry_id, lines in held.items() if lines != wanted.get(entry_id)]
            if foreign:
                cursor.execute("SET LOCAL session_replication_role = replica")
                for table in ("journal_line", "journal_entry"):
                    cursor.execute(
                        sql.SQL("DELETE FROM {} WHERE entry_id = ANY(%s)").format(sql.Identifier(table)), (foreign,)
                    )


def _lines(entry: JournalEntry, chart: ChartOfAccounts) -> Iterable[_LINE]:
    for line in entry.lines:
        yield (
            chart.account_for(line.account_code, line.product_category, entry.customer_region),
            line.debit_amount,
            line.credit_amount,
            line.functional_debit_amount,
            line.functional_credit_amount,
        )
