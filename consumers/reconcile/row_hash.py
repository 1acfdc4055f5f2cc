"""The SQL of a row's hash: of each column the hash that its type has, bound together by the row's key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

from psycopg import sql

from consumers.reconcile.rows import Snapshot

_FUNCTIONS: Final = sql.SQL(
    "SELECT class.opcintype::bigint, space.nspname, function.proname FROM pg_opclass AS class "
    "JOIN pg_am AS method ON method.oid = class.opcmethod AND method.amname = 'hash' "
    "JOIN pg_amproc AS support ON support.amprocfamily = class.opcfamily AND support.amprocnum = 2 "
    "AND support.amproclefttype = class.opcintype AND support.amprocrighttype = class.opcintype "
    "JOIN pg_proc AS function ON function.oid = support.amproc "
    "JOIN pg_namespace AS space ON space.oid = function.pronamespace "
    # Some types are hashed by the function of another one, which takes them from the index only.
    "WHERE class.opcdefault AND function.proargtypes[0] = class.opcintype"
)
_TEXT_TYPE: Final = 25
_VARCHAR_TYPE: Final = 1043

HashFunctions = Mapping[int, sql.Composable]
"""Type by its number in the catalogue to the function that hashes its values with a seed."""


def hash_functions(database: Snapshot) -> HashFunctions:
    """The functions that this server has, by its catalogue.

    Raises:
        Transient: it is away.
    """
    rows = database.all_rows(_FUNCTIONS.format(), ["pg_opclass"])
    functions: dict[int, sql.Composable] = {number: sql.Identifier(space, name) for number, space, name in rows}
    return functions | {_VARCHAR_TYPE: functions[_TEXT_TYPE]}


def row_hash(
    table: int, key: sql.Composable, columns: Sequence[tuple[sql.Composable, int]], functions: HashFunctions
) -> sql.Composed:
    """An expression: 64 bits that tell whether a row of that number of table is as it was.

    The columns, each an expression and its type, are hashed with seeds of their own, so that no two can change places,
    and are mixed into the seed with which the key is hashed, so that no two rows can. That is a third cheaper than
    `hash_record_extended`, which makes a row of all values first; it serves for types that have no function.
    """
    parts: list[sql.Composable] = [sql.Literal(_constant(table, "table"))]
    others = []
    for number, (column, kind) in enumerate(columns):
        if kind in functions:
            seed, absent = _constant(table, f"seed {number}"), _constant(table, f"null {number}")
            hashed = sql.SQL("coalesce({}({}, {}), {})")
            parts.append(hashed.format(functions[kind], column, sql.Literal(seed), sql.Literal(absent)))
        else:
            others.append(column)
    if others:
        seed = _constant(table, "others")
        record = sql.SQL("hash_record_extended(ROW({}), {})")
        parts.append(record.format(sql.SQL(", ").join(others), sql.Literal(seed)))
    return sql.SQL("hashtextextended({}, {})").format(key, sql.SQL(" # ").join(parts))


def _constant(table: int, purpose: str) -> int:
    digest = blake2b(f"{table} {purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
