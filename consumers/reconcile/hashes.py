"""Hashes of orders' rows that the database computes itself: of all orders by bucket, or of some one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, LiteralString, NamedTuple

from psycopg import sql

from consumers.reconcile.row_hash import hash_functions, row_hash
from consumers.reconcile.rows import Row, Snapshot, Snapshots, snapshot, text_array
from schemas.settings import DatabaseSettings

BUCKETS: Final = 16_384
"""Few enough to be added up in a processor's cache; of a million orders, one bucket that differs leads to sixty."""
MODULUS: Final = 1 << 64

_EVERY: Final = sql.SQL("true")
_OF_ALL: Final = "SET LOCAL work_mem = '128MB'; SET LOCAL enable_partitionwise_join = on; SET LOCAL jit = off"
"""Sums of millions of rows are formed in memory; compiling them costs more than it saves."""
_OF_SOME: Final = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; "
    "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off"
)
"""Some orders are found by their index, also where the server thinks little of reading the table."""


@dataclass(frozen=True, slots=True)
class HashedTable:
    """Rows of one table of which orders are made, each under the key of what it belongs to."""

    name: str
    key: sql.Composable
    columns: Sequence[sql.Composable]
    """What is hashed beside the key. Of types with a hash: two equal values have the same, however they are written."""
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
    with those of another one. Source: PostgreSQL's extended hash functions, version 14 and later.
    """

    def __init__(
        self, settings: DatabaseSettings, tables: Sequence[HashedTable], snapshots: Snapshots = snapshot
    ) -> None:
        self._settings, self._snapshots = settings, snapshots
        self._tables = tables
        self._hashes: list[sql.Composed] | None = None

    def sums(self) -> dict[int, int]:
        """The sum of each bucket that is not empty; reads every row.

        Raises:
            ConfigurationError: a table or column is missing, or the role may not read it.
            Transient: the database is away.
        """
        with self._snapshots(self._settings) as database:
            query = sql.SQL("SELECT bucket, sum(hash) FROM ({}) AS hashed GROUP BY 1").format(
                self._union(database, None)
            )
            return {int(bucket): int(total) % MODULUS for bucket, total in self._rows(database, query, _OF_ALL)}

    def of_buckets(self, buckets: Collection[int]) -> Iterator[RowHash]:
        """The hash of each key of these buckets; reads every row's key.

        Raises:
            ConfigurationError, Transient: as `sums`.
        """
        numbers = sql.SQL(", ").join([sql.Literal(bucket) for bucket in sorted(buckets)])
        wanted = sql.SQL("{} IN ({})")
        return self._by_key(lambda table: wanted.format(_bucket(table), numbers), _OF_ALL)

    def of_keys(self, keys: Collection[str]) -> Iterator[RowHash]:
        """The hash of each of these keys that there is; only where the key is a column that has an index.

        Raises:
            ConfigurationError, Transient: as `sums`.
        """
        array = text_array(sorted(keys))
        return self._by_key(lambda table: sql.SQL("{} = ANY({})").format(table.key, array), _OF_SOME)

    def _by_key(self, condition: _Condition, tuning: LiteralString) -> Iterator[RowHash]:
        with self._snapshots(self._settings) as database:
            query = sql.SQL("SELECT key, min(bucket), sum(hash) FROM ({}) AS hashed GROUP BY key").format(
                self._union(database, condition)
            )
            for key, bucket, total in self._rows(database, query, tuning):
                yield RowHash(str(key), int(bucket), int(total) % MODULUS)

    def _union(self, database: Snapshot, condition: _Condition | None) -> sql.Composed:
        if self._hashes is None:
            self._hashes = _hashes(database, self._tables)
        part = sql.SQL(
            "SELECT {bucket} AS bucket, {key} AS key, {hash} AS hash FROM {source} WHERE {condition} AND {wanted}"
        )
        return sql.SQL(" UNION ALL ").join(
            [
                part.format(
                    bucket=_bucket(table),
                    key=table.key,
                    hash=hash,
                    source=table.source,
                    condition=table.condition,
                    wanted=_EVERY if condition is None else condition(table),
                )
                for table, hash in zip(self._tables, self._hashes, strict=True)
            ]
        )

    def _rows(self, database: Snapshot, query: sql.Composed, tuning: LiteralString) -> list[Row]:
        return database.all_rows(query, [table.name for table in self._tables], tuning)


def _hashes(database: Snapshot, tables: Sequence[HashedTable]) -> list[sql.Composed]:
    functions = hash_functions(database)
    hashes = []
    for number, table in enumerate(tables):
        kinds = database.types(table.columns, table.source, table.name)
        columns = list(zip(table.columns, kinds, strict=True))
        hashes.append(row_hash(number, table.key, columns, functions))
    return hashes


def _bucket(table: HashedTable) -> sql.Composed:
    return sql.SQL("(hashtextextended({}, 0) & {})").format(table.key, sql.Literal(BUCKETS - 1))
