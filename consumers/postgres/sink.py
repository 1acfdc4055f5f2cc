"""What every sink into PostgreSQL shares: positions and rows in one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Generic, TypeVar

from confluent_kafka import Message
from psycopg import sql

from consumers.postgres.bulk import Table
from consumers.postgres.database import Database, Rows
from consumers.postgres.positions import advance_positions, read_positions
from consumers.sink import Batch, Partition, Reading
from schemas.settings import DatabaseSettings

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Staging:
    """What the values of a batch become in the database."""

    rows: Sequence[tuple[Table, bytes]]
    """For temporary tables, in COPY's text format."""
    statements: Sequence[sql.SQL | sql.Composed]
    """What then brings them into the sink's tables."""


class PostgresSink(ABC, Generic[V]):
    """A `Sink` of one `Staging` a batch, whose author writes `decode` and `shape`, and names the script of its tables.

    The rows are shaped when they are read, so that the worker has that done while the database writes.
    """

    commits_group_offsets = False
    reads_ahead = True

    def __init__(self, name: str, topics: tuple[str, ...], database: DatabaseSettings, tables: Traversable) -> None:
        self.name = name
        self.topics = topics
        self._tables = tables
        self._database = Database(database, f"ordersync {name}", self.set_up_session)

    @abstractmethod
    def decode(self, messages: Sequence[Message]) -> Reading[V]:
        """The values of the records, as `Sink.read` wants them; uses nothing that `write` changes."""

    @abstractmethod
    def shape(self, values: Sequence[V]) -> Staging:
        """The rows of the values, at least one, and the statements that apply them; pure.

        The statements come after the rows: a worker that freezes while it copies would hold locks on tables of the
        destination against its successor, and the server does not end a COPY whose client is silent.
        """

    @abstractmethod
    def set_up_session(self, cursor: Rows) -> None:
        """Prepare a new connection: temporary tables, role."""

    def prepare(self) -> None:
        """Create what is missing of the sink's tables, or see that their owner did it where this role may not."""
        if self._database.may_define("sink_position"):
            self.define()

    def define(self) -> None:
        """Create what is missing of the sink's tables and of the position table."""
        self._database.migrate(files("consumers.postgres") / "position.sql", self._tables)

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The positions in the database."""
        with self._database.transaction(f"{self.name}: reading positions") as cursor:
            return read_positions(cursor, self.name, partitions)

    def read(self, messages: Sequence[Message]) -> Reading[Staging]:
        """The records' values, shaped."""
        reading = self.decode(messages)
        staged = [self.shape(reading.values)] if reading.values else []
        return Reading(staged, reading.refused, reading.committed_at)

    def write(self, batch: Batch[Staging]) -> None:
        """Positions and rows in one transaction.

        1. The rows are copied into temporary tables, which nobody else sees.
        2. The positions are compared and moved: a zombie stops here, before it writes.
        3. The statements of the sink bring the staged rows into its tables.
        """
        with self._database.transaction(f"{self.name}: writing a batch") as cursor:
            for staging in batch.values:
                for table, rows in staging.rows:
                    table.stage(cursor, rows)
            advance_positions(cursor, self.name, batch.advances)
            for staging in batch.values:
                for statement in staging.statements:
                    cursor.execute(statement)

    def close(self) -> None:
        """End the session."""
        self._database.close()
