"""The star schema: its tables, and the queries of the ledger that fill them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

_AMOUNT: Final = pa.decimal128(19, 4)
_QUANTITY: Final = pa.decimal128(19, 6)
_RATE: Final = pa.decimal128(19, 10)
_INSTANT: Final = pa.timestamp("us", tz="UTC")
_TEXT: Final = pa.string()


@dataclass(frozen=True)
class StarTable:
    """One table: its directory, its columns, and where in the ledger they come from."""

    name: str
    schema: pa.Schema
    source: str
    """FROM clause and what belongs to it."""
    order: str
    expressions: tuple[tuple[str, str], ...] = ()
    """Columns that are not called so in the ledger, with what they are."""

    @property
    def selected(self) -> str:
        """The SELECT list."""
        known = dict(self.expressions)
        return ", ".join(f"{known[name]} AS {name}" if name in known else name for name in self.schema.names)


JOURNAL_LINE: Final = StarTable(
    "journal_line",
    pa.schema(
        [
            ("entry_id", _TEXT),
            ("line_number", pa.int32()),
            ("order_id", _TEXT),
            ("line_id", _TEXT),
            ("account_code", _TEXT),
            ("product_id", _TEXT),
            ("product_category", _TEXT),
            ("customer_id", _TEXT),
            ("customer_segment", _TEXT),
            ("customer_region", _TEXT),
            ("sales_channel", _TEXT),
            ("posting_date", pa.date32()),
            ("rule", _TEXT),
            ("currency_code", _TEXT),
            ("functional_currency_code", _TEXT),
            ("debit_amount", _AMOUNT),
            ("credit_amount", _AMOUNT),
            ("functional_debit_amount", _AMOUNT),
            ("functional_credit_amount", _AMOUNT),
            ("quantity", _QUANTITY),
        ]
    ),
    "journal_line JOIN journal_entry AS entry USING (entry_id, period)",
    "transaction_id, entry_id, line_number",
)
"""The facts: one row for each line of an entry, with what it is about as it was when it was posted."""
JOURNAL_ENTRY: Final = StarTable(
    "journal_entry",
    pa.schema(
        [
            ("entry_id", _TEXT),
            ("order_id", _TEXT),
            ("order_version", pa.int64()),
            ("event_id", _TEXT),
            ("rule", _TEXT),
            ("standard_reference", _TEXT),
            ("posting_date", pa.date32()),
            ("effective_date", pa.date32()),
            ("due_date", pa.date32()),
            ("currency_code", _TEXT),
            ("functional_currency_code", _TEXT),
            ("exchange_rate", _RATE),
            ("exchange_rate_date", pa.date32()),
            ("exchange_rate_provider", _TEXT),
            ("description", _TEXT),
            ("explanation", _TEXT),
            ("refers_to_entry_id", _TEXT),
            ("committed_at", _INSTANT),
            ("recorded_at", _INSTANT),
            ("line_count", pa.int32()),
        ]
    ),
    "journal_entry AS entry",
    "transaction_id, entry_id",
)
"""What led to the lines: order, version, event, rule, paragraph, arithmetic."""
APPENDED: Final = (JOURNAL_ENTRY, JOURNAL_LINE)
"""Tables that grow, in directories by period; an entry and its lines are in one file each."""

_BEFORE: Final = "transaction_id < {position}::text::xid8"
DIMENSIONS: Final = (
    StarTable(
        "account",
        pa.schema(
            [
                (name, _TEXT)
                for name in ("account_code", "account_name", "account_type", "normal_side", "control_code", "cash_flow")
            ]
        ),
        "account",
        "account_code",
    ),
    StarTable(
        "customer",
        pa.schema([(name, _TEXT) for name in ("customer_id", "customer_segment", "customer_region")]),
        "(SELECT DISTINCT ON (customer_id) customer_id, customer_segment, customer_region FROM journal_entry "
        f"WHERE customer_id IS NOT NULL AND {_BEFORE} "
        "ORDER BY customer_id, transaction_id DESC, entry_id DESC) AS latest",
        "customer_id",
    ),
    StarTable(
        "product",
        pa.schema([(name, _TEXT) for name in ("product_id", "product_category")]),
        "(SELECT DISTINCT ON (product_id) product_id, product_category FROM journal_line "
        f"JOIN journal_entry USING (entry_id, period) WHERE product_id IS NOT NULL AND {_BEFORE} "
        "ORDER BY product_id, transaction_id DESC, entry_id DESC, line_number DESC) AS latest",
        "product_id",
    ),
    StarTable(
        "calendar",
        pa.schema(
            [
                ("date", pa.date32()),
                *[(name, pa.int32()) for name in ("year", "quarter", "month", "iso_week", "iso_weekday")],
                ("period", _TEXT),
            ]
        ),
        "(SELECT generate_series(date_trunc('year', min(posting_date)), "
        "date_trunc('year', max(posting_date)) + interval '1 year - 1 day', interval '1 day')::date AS day "
        f"FROM journal_entry WHERE {_BEFORE}) AS days",
        "day",
        (
            ("date", "day"),
            ("year", "extract(year FROM day)::integer"),
            ("quarter", "extract(quarter FROM day)::integer"),
            ("month", "extract(month FROM day)::integer"),
            ("iso_week", "extract(week FROM day)::integer"),
            ("iso_weekday", "extract(isodow FROM day)::integer"),
            ("period", "to_char(day, 'YYYY-MM')"),
        ),
    ),
)
"""Small tables that each export writes anew: customers and products as they were last posted."""
