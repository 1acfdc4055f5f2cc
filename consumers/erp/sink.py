"""Keeps the ERP database at the latest version of every order."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from confluent_kafka import Message
from psycopg import sql

from consumers.erp import statements
from consumers.erp.latest import read_latest
from consumers.erp.rows import OrderRows
from consumers.erp.settings import ErpSettings
from consumers.erp.tables import PARTS, SALES_ORDER
from consumers.postgres.database import Rows
from consumers.postgres.sink import PostgresSink, Staging
from consumers.postgres.text import copied
from consumers.sink import Reading
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import OrderEvent
from schemas.topics import ORDER_EVENTS

NAME = "erp"


class ErpSink(PostgresSink[OrderEvent]):
    """From `orders.events`. An older version never overwrites a newer one; parts that vanished are removed.

    A deleted order stays, with `order_status` deleted, `deleted_at`, and its last commercial facts.
    """

    def __init__(self, settings: ErpSettings, schemas: SchemaIds) -> None:
        topic = settings.topic(ORDER_EVENTS)
        super().__init__(NAME, (topic,), settings.database, files("consumers.erp") / "tables.sql")
        self._codec = TopicCodec(topic, OrderEvent, schemas)
        self._changes = [(part, statements.remove_vanished(part), statements.upsert(part)) for part in PARTS]

    def decode(self, messages: Sequence[Message]) -> Reading[OrderEvent]:
        """The highest version of each order among the records."""
        return read_latest(self._codec, messages)

    def shape(self, values: Sequence[OrderEvent]) -> Staging:
        """Every row; then the orders that are newer are applied, and their parts."""
        found = OrderRows(values).by_table
        applying: list[sql.SQL | sql.Composed] = [*statements.APPLY_ORDERS]
        for part, remove_vanished, upsert in self._changes:
            applying.append(remove_vanished)
            if found[part]:
                applying.append(upsert)
        return Staging([(table, copied(rows)) for table, rows in found.items() if rows], applying)

    def set_up_session(self, cursor: Rows) -> None:
        """Create the temporary tables."""
        cursor.execute(statements.CREATE_APPLIED)
        for table in (SALES_ORDER, *PARTS):
            table.create_staged(cursor)
