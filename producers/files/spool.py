"""Keeps a delivery's rows on the local disk while they are put together, so that its size needs no memory."""

from __future__ import annotations

import pickle
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

from producers.files.formats import Values
from schemas.errors import Transient
from schemas.mapping import SourceMapping, TableMapping

_TABLES: Final = """
    CREATE TABLE delivered (
        place INTEGER NOT NULL, key TEXT NOT NULL, parent TEXT, number INTEGER NOT NULL, row BLOB NOT NULL,
        other INTEGER, PRIMARY KEY (place, key)
    ) WITHOUT ROWID;
    CREATE TABLE keyless (place INTEGER NOT NULL, number INTEGER NOT NULL, row BLOB NOT NULL);
    CREATE TABLE stated (topic TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (topic, key)) WITHOUT ROWID;
    """
_INDEX: Final = "CREATE INDEX below ON delivered (place, parent, number)"
_SEPARATOR: Final = "\x1f"


class SpooledRow(NamedTuple):
    """One row; `other` is the line of another row that has the same key and says something else."""

    key: str
    number: int
    row: Values
    other: int | None


class Spool:
    """The rows of one delivery in a database of its own, which is gone afterwards; use it as a context.

    Raises `Transient` where the disk is full.
    """

    def __init__(self, mapping: SourceMapping) -> None:
        self._mapping = mapping
        self._places = {alias: number for number, alias in enumerate(mapping.tables)}
        self._columns = {alias: mapping.columns_of(alias) for alias in mapping.tables}
        self._directory = tempfile.TemporaryDirectory(prefix="ordersync-delivery-")
        self._database = sqlite3.connect(Path(self._directory.name) / "rows", isolation_level=None)
        self._database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
        self._database.execute("BEGIN")

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self._directory.cleanup()
        if isinstance(exc, sqlite3.OperationalError):
            raise Transient(f"the delivery's rows cannot be kept in {self._directory.name}: {exc}") from exc

    def put(self, alias: str, number: int, values: Values) -> None:
        """Keep what the mapping reads of one row; one that was kept before counts once."""
        table, place = self._mapping.tables[alias], self._places[alias]
        row = {column: values.get(column) for column in self._columns[alias]}
        packed = pickle.dumps(row, protocol=5)
        key = _key(row[column] for column in table.key)
        parent = None if table.parent is None else _key(row[column] for column in table.parent.columns)
        if key is None or (table.parent is not None and parent is None):
            self._database.execute("INSERT INTO keyless VALUES (?, ?, ?)", (place, number, packed))
            return
        entry = (place, key, parent, number, packed)
        done = self._database.execute("INSERT OR IGNORE INTO delivered VALUES (?, ?, ?, ?, ?, NULL)", entry)
        if done.rowcount == 0:
            query = "SELECT row FROM delivered WHERE place = ? AND key = ?"
            [before] = self._database.execute(query, (place, key)).fetchone()
            if pickle.loads(before) != row:
                self._database.execute(
                    "UPDATE delivered SET other = ? WHERE place = ? AND key = ?", (number, place, key)
                )

    def finish(self) -> None:
        """All rows are in."""
        self._database.execute(_INDEX)

    def roots(self, alias: str) -> Iterator[SpooledRow]:
        """The rows of a root table in the order of its file; of a virtual one a row of each key that others share."""
        table = self._mapping.tables[alias]
        if not table.is_virtual:
            query = "SELECT key, number, row, other FROM delivered WHERE place = ? ORDER BY number, key"
            yield from self._rows(query, (self._places[alias],))
            return
        children = [child for child in self._children(alias) if child.parent is not None]
        marks = ", ".join("?" * len(children))
        query = f"SELECT DISTINCT parent FROM delivered WHERE place IN ({marks}) ORDER BY parent"
        for (key,) in self._database.execute(query, [self._places[child.alias] for child in children]):
            yield SpooledRow(key, 0, self._virtual(table, children, key), None)

    def below(self, alias: str, key: str) -> Iterator[tuple[str, SpooledRow]]:
        """The rows that belong to a row, each with its table's alias."""
        query = "SELECT key, number, row, other FROM delivered WHERE place = ? AND parent = ? ORDER BY number, key"
        for child in self._children(alias):
            for row in self._rows(query, (self._places[child.alias], key)):
                yield child.alias, row

    def orphans(self) -> Iterator[tuple[str, SpooledRow]]:
        """Rows whose parent row was not delivered, each with its table's alias."""
        query = """SELECT key, number, row, other FROM delivered child WHERE place = ? AND NOT EXISTS (
            SELECT 1 FROM delivered WHERE place = ? AND key = child.parent) ORDER BY number, key"""
        for alias, table in self._mapping.tables.items():
            if table.parent is not None and not self._mapping.tables[table.parent.table].is_virtual:
                places = (self._places[alias], self._places[table.parent.table])
                yield from ((alias, row) for row in self._rows(query, places))

    def keyless(self) -> Iterator[tuple[str, SpooledRow]]:
        """Rows without a key of their own or of their parent, each with its table's alias."""
        aliases = list(self._places)
        for place, number, row in self._database.execute("SELECT * FROM keyless ORDER BY place, number"):
            yield aliases[place], SpooledRow("", number, pickle.loads(row), None)

    def state(self, topic: str, key: str) -> bool:
        """Note that this key of a topic is stated; False where it was before."""
        done = self._database.execute("INSERT OR IGNORE INTO stated VALUES (?, ?)", (topic, key))
        return done.rowcount == 1

    def has_stated(self, topic: str, key: str) -> bool:
        """Whether it was."""
        query = "SELECT 1 FROM stated WHERE topic = ? AND key = ?"
        return self._database.execute(query, (topic, key)).fetchone() is not None

    def forget_stated(self) -> None:
        """Begin to note anew."""
        self._database.execute("DELETE FROM stated")

    def _children(self, alias: str) -> list[TableMapping]:
        return [one for one in self._mapping.tables.values() if one.parent is not None and one.parent.table == alias]

    def _rows(self, query: str, arguments: tuple[Any, ...]) -> Iterator[SpooledRow]:
        for key, number, row, other in self._database.execute(query, arguments):
            yield SpooledRow(key, number, pickle.loads(row), other)

    def _virtual(self, table: TableMapping, children: list[TableMapping], key: str) -> Values:
        for child in children:
            query = "SELECT row FROM delivered WHERE place = ? AND parent = ? ORDER BY number LIMIT 1"
            found = self._database.execute(query, (self._places[child.alias], key)).fetchone()
            if found is not None and child.parent is not None:
                row = pickle.loads(found[0])
                return {name: row[column] for name, column in zip(table.key, child.parent.columns, strict=True)}
        raise AssertionError("a virtual row stands for rows that share its key")


def _key(values: Iterator[Any]) -> str | None:
    """One text for a key, equal for equal values of any format; None where a part is NULL."""
    parts = [None if value is None else str(value) for value in values]
    return None if None in parts else _SEPARATOR.join(part for part in parts if part is not None)
