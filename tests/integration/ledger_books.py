"""A ledger's database that tests write entries and states of orders to, as its sink does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg

from consumers.sink import Advance, Batch, Partition
from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink
from schemas.models import JournalEntry, OrderState
from schemas.registry import InMemorySchemas
from schemas.settings import DatabaseSettings
from schemas.topics import POSTINGS
from tests.unit.processing_desk import Desk

_steps = count()


@dataclass(frozen=True)
class Books:
    """The sink of one ledger."""

    database: DatabaseSettings
    sink: WarehouseSink

    def write(self, values: Sequence[JournalEntry | OrderState]) -> None:
        """One batch."""
        self.sink.write(Batch([self.sink.shape(values)], {Partition(POSTINGS, next(_steps)): Advance(None, 1)}, None))

    def take_over(self, desk: Desk) -> None:
        """All entries and all versions that a desk wrote."""
        self.write([*desk.entries(), *(event.state for event in desk.events())])

    def rows(self, query: str) -> list[Any]:
        """What the database answers."""
        with psycopg.connect(self.database.conninfo()) as session:
            return session.execute(query.encode()).fetchall()


@contextmanager
def open_books(database: DatabaseSettings, **settings: Any) -> Iterator[Books]:
    """An empty ledger in `database`."""
    with closing(WarehouseSink(WarehouseSettings(database=database, **settings), InMemorySchemas())) as sink:
        sink.prepare()
        yield Books(database, sink)
