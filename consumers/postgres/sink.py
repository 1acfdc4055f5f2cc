"""What every sink into PostgreSQL shares: positions and rows in one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Generic, TypeVar

from confluent_kafka import Message
from psycopg import sql

from consumers.postgres.database import Database, Rows
from consumers.postgres.positions import advance_positions, read_positions
from consumers.sink import Batch, Partition, Reading
from schemas.settings import DatabaseSettings

V = TypeVar("V")


class PostgresSink(ABC, Generic[V]):
    """A `Sink` whose author writes `read` and `stage`, and names the script with its tables."""

    commits_group_offsets = False

    def __init__(self, name: str, topics: tuple[str, ...], database: DatabaseSettings, tables: Traversable) -> None:
        self.name = name
        self.topics = topics
        self._tables = tables
        self._database = Database(database, f"ordersync {name}", self.set_up_session)

    @abstractmethod
    def read(self, messages: Sequence[Message]) -> Reading[V]:
        """See `Sink.read`."""

    @abstractmethod
    def stage(self, cursor: Rows, values: Sequence[V]) -> Sequence[sql.SQL | sql.Composed]:
        """Copy the values, at least one, into the session's temporary tables; gives the statements that apply them.

        Touches no table of the destination: a worker that freezes while it copies would hold locks against its
        successor, and the server does not end a COPY whose client is silent. psycopg's errors may pass: they are
        mapped outside.
        """

    @abstractmethod
    def set_up_session(self, cursor: Rows) -> None:
        """Prepare a new connection: temporary tables, role."""

    def prepare(self) -> None:
        """Create what is missing of the sink's tables and of the position table."""
        self._database.migrate(files("consumers.postgres") / "position.sql", self._tables)

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The positions in the database."""
        with self._database.transaction(f"{self.name}: reading positions") as cursor:
            return read_positions(cursor, self.name, partitions)

    def write(self, batch: Batch[V]) -> None:
        """Positions and rows in one transaction.

        1. The values are copied into temporary tables, which nobody else sees.
        2. The positions are compared and moved: a zombie stops here, before it writes.
        3. The statements of the sink bring the staged rows into its tables.
        """
        with self._database.transaction(f"{self.name}: writing {len(batch.values)} values") as cursor:
            statements = self.stage(cursor, batch.values) if batch.values else ()
            advance_positions(cursor, self.name, batch.advances)
            for statement in statements:
                cursor.execute(statement)

    def close(self) -> None:
        """End the session."""
        self._database.close()
