"""Which rows of ERP, ledger and sources are hashed: all that the reconciliation compares, and nothing else."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from consumers.reconcile.erp import HEADER_COLUMNS, PARTS
from consumers.reconcile.hashes import HashedTable, Membership, Sought
from consumers.reconcile.images import AggregateReader
from consumers.reconcile.rows import Snapshot

KEY_SEPARATOR: Final = "\x1f"
"""Between the columns of a source's key."""
_HASHED_TYPES: Final = frozenset(
    {"bool", "bpchar", "bytea", "date", "float4", "float8", "int2", "int4", "int8", "interval", "jsonb", "numeric"}
    | {"text", "time", "timestamp", "timestamptz", "uuid", "varchar"}
)
_ORDER_ID = sql.Identifier("order_id")
_ENTRY_COLUMNS = ("entry_id", "rule", "currency_code", "functional_currency_code")
_LINE_COLUMNS = (
    "account_code",
    "debit_amount",
    "credit_amount",
    "functional_debit_amount",
    "functional_credit_amount",
)


def erp_tables() -> list[HashedTable]:
    """The ERP's tables, by order."""
    tables = [HashedTable("sales_order", _ORDER_ID, _named(HEADER_COLUMNS), sql.Identifier("sales_order"))]
    for part in PARTS:
        columns = _named((*part.identity, *part.columns))
        tables.append(HashedTable(part.table, _ORDER_ID, columns, sql.Identifier(part.table)))
    return tables


def ledger_tables() -> list[HashedTable]:
    """The journal, by what its entries are about; lines say it themselves, as joining all of them costs most of all."""
    entry, entry_id = sql.Identifier("journal_entry"), sql.Identifier("entry_id")
    of_entries = Sought(sql.SQL("journal_line JOIN journal_entry USING (entry_id, period)"), _ORDER_ID)
    return [
        HashedTable(
            "journal_entry",
            _ORDER_ID,
            _named(_ENTRY_COLUMNS),
            entry,
            membership=Membership(entry_id, sql.Identifier("line_count")),
        ),
        HashedTable(
            "journal_line",
            sql.Identifier("entry_order_id"),
            _named(_LINE_COLUMNS),
            sql.Identifier("journal_line"),
            membership=Membership(entry_id, sql.SQL("-1")),
            sought=of_entries,
        ),
    ]


def source_tables(aggregate: AggregateReader, source: Snapshot) -> list[HashedTable]:
    """The tables of one aggregate of a source, by the native key of its root.

    Raises:
        ConfigurationError: a table is missing.
        Transient: the source is away.
    """
    tables = []
    for query in aggregate.queries:
        types: dict[str, str] = dict(source.all_rows(_types(query.schema, query.table_name), [query.table_name]))
        texts = [sql.SQL("{}::text").format(one) for one in query.keys]
        key = sql.SQL("concat_ws({}, {})").format(sql.Literal(KEY_SEPARATOR), sql.SQL(", ").join(texts))
        columns = [
            # json, money, points and the like have no hash of their own; their text has.
            column if types.get(name, "") in _HASHED_TYPES else sql.SQL("{}::text").format(column)
            for name, column in query.named_columns()
        ]
        present = sql.SQL(" AND ").join([sql.SQL("{} IS NOT NULL").format(one) for one in query.keys])
        own_key = key if len(texts) > 1 else texts[0]
        tables.append(HashedTable(query.table.qualified_name, own_key, columns, query.source, present))
    return tables


def _types(schema: str, table: str) -> sql.Composed:
    return sql.SQL(
        "SELECT attname, typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid "
        "JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = {} AND relname = {} AND attnum > 0"
    ).format(sql.Literal(schema), sql.Literal(table))


def _named(columns: tuple[str, ...]) -> list[sql.Composable]:
    return [sql.Identifier(column) for column in columns]
