"""The source's `pg_type`: read once, asked again for a type that was created since."""

from __future__ import annotations

from typing import LiteralString

import psycopg

from producers.cdc.postgres.errors import mapped_errors
from producers.cdc.postgres.values import PgType

_TYPES: LiteralString = """
    SELECT oid::bigint, typname::text, typtype::text, typbasetype::bigint,
           CASE WHEN typcategory = 'A' THEN typelem::bigint ELSE 0 END, typdelim::text
      FROM pg_catalog.pg_type
"""


_ALIKE = (frozenset({20, 21, 23}), frozenset({25, 1043}))
"""Integers of each size, and texts: a column may change between these without another meaning to expressions."""


def same_meaning(former: int, present: int) -> bool:
    """Whether values of both types (OIDs) are the same to the expressions of a mapping."""
    return any({former, present} <= alike for alike in _ALIKE)


class TypeCatalog:
    """Finds types by OID (a `TypeLookup`); owned by the capture worker, on an ordinary connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._types: dict[int, PgType] = {}

    def __call__(self, type_id: int) -> PgType | None:
        """The type, None if the database has none of this OID. Raises Transient if the server is away."""
        if type_id not in self._types:
            self._load()
        return self._types.get(type_id)

    def _load(self) -> None:
        with mapped_errors("reading the types of the source database"):
            for row in self._connection.execute(_TYPES):
                self._types[row[0]] = PgType(*row)
