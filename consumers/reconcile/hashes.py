"""Hashes of orders' rows that the database computes itself: of all orders by bucket, or of some one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from psycopg import sql

from consumers.reconcile.rows import Row, Snapshot, snapshot, text_array
from schemas.settings import DatabaseSettings

BUCKETS: Final = 4096
MODULUS: Final = 1 << 64

_EVERY: Final = sql.SQL("true")
_TUNING: Final = "SET LOCAL work_mem = '128MB'; SET LOCAL jit = off"
"""Sums of millions of rows are formed in memory; compiling them costs more than it saves."""


@dataclass(frozen=True, slots=True)
class HashedTable:
    """Rows of one table of which orders are made, each under the key of what it belongs to."""

    name: str
    key: sql.Composable
    columns: Sequence[sql.Composable]
    """What is hashed. Of types that have a hash: two equal values have the same, however they are written."""
    source: sql.Composable
    condition: sql.Composable = field(default_factory=lambda: _EVERY)


_Condition = Callable[[HashedTable], sql.Composable]


class RowHash(NamedTuple):
    """The hash of all rows under one key; `bucket` is the server's own choice."""

    key: str
    bucket: int
    hash: int


class RowHashes:
    """Hashes of one part of one database, each call from one snapshot.

    A key's hash is the sum, modulo 2^64, of its rows' hashes, and a bucket's that of its keys: one query tells of
    millions of orders in a few thousand numbers. They are compared with what this same database said before, never
    with those of another one. Source: PostgreSQL's `hash_record_extended`, version 14 and later.
    """

    def __init__(self, settings: DatabaseSettings, tables: Sequence[HashedTable]) -> None:
        self._settings = settings
        self._tables = tables

    def sums(self) -> dict[int, int]:
        """The sum of each bucket that is not empty; reads every row.

        Raises:
            ConfigurationError: a table or column is missing, or the role may not read it.
            Transient: the database is away.
        """
        query = sql.SQL("SELECT bucket, sum(hash) FROM ({}) AS hashed GROUP BY 1").format(self._union(None))
        with snapshot(self._settings) as database:
            return {int(bucket): int(total) % MODULUS for bucket, total in self._all(database, query)}

    def of_buckets(self, buckets: Collection[int]) -> Iterator[RowHash]:
        """The hash of each key of these buckets; reads every row's key.

        Raises:
            ConfigurationError, Transient: as `sums`.
        """
        numbers = sql.SQL(", ").join([sql.Literal(bucket) for bucket in sorted(buckets)])
        wanted = sql.SQL("{} IN ({})")
        return self._by_key(lambda table: wanted.format(_bucket(table), numbers))

    def of_keys(self, keys: Collection[str]) -> Iterator[RowHash]:
        """The hash of each of these keys that there is; only where the key is a column that has an index.

        Raises:
            ConfigurationError, Transient: as `sums`.
        """
        array = text_array(sorted(keys))
        return self._by_key(lambda table: sql.SQL("{} = ANY({})").format(table.key, array))

    def _by_key(self, condition: _Condition) -> Iterator[RowHash]:
        query = sql.SQL("SELECT key, min(bucket), sum(hash) FROM ({}) AS hashed GROUP BY key").format(
            self._union(condition)
        )
        with snapshot(self._settings) as database:
            for key, bucket, total in self._all(database, query):
                yield RowHash(str(key), int(bucket), int(total) % MODULUS)

    def _union(self, condition: _Condition | None) -> sql.Composed:
        part = sql.SQL(
            "SELECT {bucket} AS bucket, {key} AS key, hash_record_extended(ROW({columns}), {seed}) AS hash "
            "FROM {source} WHERE {condition} AND {wanted}"
        )
        return sql.SQL(" UNION ALL ").join(
            [
                part.format(
                    bucket=_bucket(table),
                    key=table.key,
                    columns=sql.SQL(", ").join([table.key, *table.columns]),
                    seed=sql.Literal(number),
                    source=table.source,
                    condition=table.condition,
                    wanted=_EVERY if condition is None else condition(table),
                )
                for number, table in enumerate(self._tables)
            ]
        )

    def _all(self, database: Snapshot, query: sql.Composed) -> list[Row]:
        return database.all_rows(query, [table.name for table in self._tables], _TUNING)


def _bucket(table: HashedTable) -> sql.Composed:
    return sql.SQL("(hashtextextended({}, 0) & {})").format(table.key, sql.Literal(BUCKETS - 1))
