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
_HASHED: Final = sql.SQL(
    "SELECT {bucket} AS bucket, {key} AS key, {hash} AS hash FROM {source} WHERE {condition} AND {wanted}"
)
_HASHED_WITH_MEMBERSHIP: Final = sql.SQL(
    "SELECT {bucket} AS bucket, {hash} AS hash, {balance} AS balance FROM {source} WHERE {condition}"
)
_SUMS: Final = sql.SQL("SELECT bucket, sum(hash), sum(balance) FROM ({}) AS hashed GROUP BY 1")
_MEMBERS: Final = sql.SQL(
    "SELECT {key} AS key, {group} AS member_of, {count} AS count FROM {source} WHERE {condition} AND {wanted}"
)
_ASTRAY: Final = sql.SQL(
    "SELECT DISTINCT key FROM ({every}) AS member WHERE member_of IN ("
    "SELECT member_of FROM ({some}) AS suspect GROUP BY member_of, key HAVING sum(count) <> 0) ORDER BY 1"
)
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
    membership: Membership | None = None
    """What its rows share with those of other tables of the part, where they must."""
    sought: Sought | None = None
    """How the rows of some keys are found; by default their key has an index."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Rows of several tables belong to a group, and have its key: over all of them `count` adds up to nothing.

    It shows without a join whether every row says the key of its group.
    """

    group: sql.Composable
    """A text."""
    count: sql.Composable
    """An integer of 32 bits at most."""


@dataclass(frozen=True, slots=True)
class Sought:
    """Where rows are found by the keys of their groups, which they count as their own then."""

    source: sql.Composable
    key: sql.Composable


@dataclass(frozen=True, slots=True)
class Sums:
    """What a part says of all its rows."""

    by_bucket: dict[int, int]
    """The sum of each bucket that is not empty."""
    astray: frozenset[int] = frozenset()
    """Buckets in which rows say another key than their group."""


_Condition = Callable[[HashedTable], sql.Composable]
_Part = Callable[[HashedTable, sql.Composed], sql.Composed]


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

    def sums(self) -> Sums:
        """The sum of each bucket; reads every row.

        Raises:
            ConfigurationError: a table or column is missing, or the role may not read it.
            Transient: the database is away.
        """
        with self._snapshots(self._settings) as database:
            rows = self._rows(database, _SUMS.format(self._union(database, _hashed_with_membership)), _OF_ALL)
        by_bucket = {int(bucket): int(total) % MODULUS for bucket, total, _ in rows}
        return Sums(by_bucket, frozenset(int(bucket) for bucket, _, balance in rows if balance))

    def astray(self, buckets: Collection[int]) -> list[str]:
        """The keys of groups of which a row says another one, and what it says; of these buckets.

        Raises:
            ConfigurationError, Transient: as `sums`.
        """
        query = _ASTRAY.format(every=self._members(lambda _: _EVERY), some=self._members(_in_buckets(buckets)))
        with self._snapshots(self._settings) as database:
            return [str(key) for (key,) in self._rows(database, query, _OF_ALL)]

    def of_buckets(self, buckets: Collection[int]) -> Iterator[RowHash]:
        """The hash of each key of these buckets; reads every row's key.

        Raises:
            ConfigurationError, Transient: as `sums`.
        """
        wanted = _in_buckets(buckets)
        return self._by_key(lambda table, hashed: _hashed(table, hashed, wanted(table)), _OF_ALL)

    def of_keys(self, keys: Collection[str]) -> Iterator[RowHash]:
        """The hash of each of these keys that there is; only where an index finds them.

        Raises:
            ConfigurationError, Transient: as `sums`.
        """
        array = text_array(sorted(keys))

        def found(table: HashedTable, hashed: sql.Composed) -> sql.Composed:
            sought = table.sought or Sought(table.source, table.key)
            return _hashed(table, hashed, sql.SQL("{} = ANY({})").format(sought.key, array), sought)

        return self._by_key(found, _OF_SOME)

    def _by_key(self, part: _Part, tuning: LiteralString) -> Iterator[RowHash]:
        with self._snapshots(self._settings) as database:
            query = sql.SQL("SELECT key, min(bucket), sum(hash) FROM ({}) AS hashed GROUP BY key").format(
                self._union(database, part)
            )
            for key, bucket, total in self._rows(database, query, tuning):
                yield RowHash(str(key), int(bucket), int(total) % MODULUS)

    def _union(self, database: Snapshot, part: _Part) -> sql.Composed:
        if self._hashes is None:
            self._hashes = _hashes(database, self._tables)
        return sql.SQL(" UNION ALL ").join(map(part, self._tables, self._hashes))

    def _members(self, condition: _Condition) -> sql.Composed:
        parts = [
            _MEMBERS.format(
                key=table.key,
                group=table.membership.group,
                count=table.membership.count,
                source=table.source,
                condition=table.condition,
                wanted=condition(table),
            )
            for table in self._tables
            if table.membership is not None
        ]
        return sql.SQL(" UNION ALL ").join(parts)

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


def _hashed(
    table: HashedTable, hashed: sql.Composed, wanted: sql.Composable, sought: Sought | None = None
) -> sql.Composed:
    place = sought or Sought(table.source, table.key)
    return _HASHED.format(
        bucket=_bucket(place.key),
        key=place.key,
        hash=hashed,
        source=place.source,
        condition=table.condition,
        wanted=wanted,
    )


def _hashed_with_membership(table: HashedTable, hashed: sql.Composed) -> sql.Composed:
    balance: sql.Composable = sql.SQL("0::bigint")
    if (member := table.membership) is not None:
        # What tells group and key from all others, in the bits that the count leaves.
        balance = sql.SQL("(hashtextextended({}, hashtextextended({}, 0)) & 4294967295) * {}").format(
            member.group, table.key, member.count
        )
    return _HASHED_WITH_MEMBERSHIP.format(
        bucket=_bucket(table.key), hash=hashed, balance=balance, source=table.source, condition=table.condition
    )


def _in_buckets(buckets: Collection[int]) -> _Condition:
    numbers = sql.SQL(", ").join([sql.Literal(bucket) for bucket in sorted(buckets)])
    return lambda table: sql.SQL("{} IN ({})").format(_bucket(table.key), numbers)


def _bucket(key: sql.Composable) -> sql.Composed:
    return sql.SQL("(hashtextextended({}, 0) & {})").format(key, sql.Literal(BUCKETS - 1))
