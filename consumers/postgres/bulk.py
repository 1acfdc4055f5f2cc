"""Bulk writing: rows go by COPY into temporary tables, one statement then moves them where they belong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from psycopg import sql

from consumers.postgres.database import Rows


@dataclass(frozen=True)
class Table:
    """A table of the destination, as far as a sink writes it; its temporary twin is named `staged_...`."""

    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Key, then values: the order of a staged row."""
        return self.key + self.values

    @cached_property
    def target(self) -> sql.Identifier:
        """Its name, quoted."""
        return sql.Identifier(self.name)

    @cached_property
    def staged(self) -> sql.Identifier:
        """Its temporary twin's name, quoted."""
        return sql.Identifier(f"staged_{self.name}")

    @cached_property
    def listed(self) -> sql.Composed:
        """Its columns, quoted and separated by commas."""
        return names(self.columns)

    def create_staged(self, cursor: Rows) -> None:
        """Create the twin for the session, without constraints; it is empty at the start of each transaction."""
        cursor.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA").format(
                self.staged, self.listed, self.target
            )
        )

    def stage(self, cursor: Rows, rows: bytes) -> None:
        """Copy rows in COPY's text format, each in the order of `columns`, into the twin."""
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(self.staged, self.listed)
        with cursor.copy(statement) as copy:
            copy.write(rows)


def names(columns: Iterable[str]) -> sql.Composed:
    """Column names, quoted and separated by commas."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def assignments(columns: Iterable[str]) -> sql.Composed:
    """`SET` list of an upsert that takes over the proposed row's columns."""
    return sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in columns)
