"""The tables of a source that a mapping file names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """`columns` of the child hold the key of the parent `table` (an alias)."""

    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableMapping:
    """One source table, known inside the mapping by its alias.

    Without schema and name it is virtual: a key that rows of several tables share (all shipments of an order in a
    database that has no table of orders). Its row is the key alone.
    """

    alias: str
    schema: str | None
    name: str | None
    key: tuple[str, ...]
    parent: Link | None

    @property
    def is_virtual(self) -> bool:
        """Whether there is no such table in the source."""
        return self.name is None

    @property
    def qualified_name(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.name}"
