"""The statements that move staged rows into the ledger: entries once, promises where they are newer."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from consumers.postgres.bulk import assignments, names
from consumers.warehouse.promises import PROMISED_LINE, PROMISED_ORDER
from consumers.warehouse.rows import JOURNAL_ENTRY, JOURNAL_LINE

CREATE_ADDED: Final = (
    'CREATE TEMPORARY TABLE added_entry (entry_id text COLLATE "C", period text COLLATE "C", '
    'order_id text COLLATE "C") ON COMMIT DELETE ROWS; '
    'CREATE TEMPORARY TABLE posting_day (told date, opened date, period text COLLATE "C", is_open boolean) '
    "ON COMMIT DELETE ROWS; "
    'CREATE TEMPORARY TABLE newer_promise (order_id text COLLATE "C" PRIMARY KEY) ON COMMIT DELETE ROWS'
)
"""What the statements tell each other within a transaction."""

_OPEN_PERIODS = sql.SQL(
    "INSERT INTO posting_day SELECT told, opened, to_char(opened, 'YYYY-MM'), "
    "open_period(to_char(opened, 'YYYY-MM')) IS NULL "
    "FROM (SELECT posting_date AS told, open_day(posting_date) AS opened "
    "FROM staged_journal_entry GROUP BY posting_date) AS days"
)
# An entry that the ledger has in any period, it keeps; what is about a closed period is posted to the open one.
_ADD_ENTRIES = sql.SQL(
    "WITH added AS (INSERT INTO journal_entry ({columns}, effective_date, period) "
    "SELECT {staged}, told, posting_day.period "
    "FROM staged_journal_entry AS staged JOIN posting_day ON told = staged.posting_date "
    "WHERE NOT EXISTS (SELECT FROM journal_entry AS held WHERE held.entry_id = staged.entry_id) "
    "RETURNING entry_id, period, order_id) "
    "INSERT INTO added_entry SELECT * FROM added"
).format(
    columns=JOURNAL_ENTRY.listed,
    staged=sql.SQL(", ").join(
        sql.SQL("opened") if column == "posting_date" else sql.SQL("staged.{}").format(sql.Identifier(column))
        for column in JOURNAL_ENTRY.columns
    ),
)
_ADD_LINES = sql.SQL(
    "INSERT INTO journal_line ({columns}, period, entry_order_id) SELECT {columns}, period, order_id "
    "FROM staged_journal_line JOIN added_entry USING (entry_id)"
).format(columns=names(JOURNAL_LINE.columns))
POST = (_OPEN_PERIODS, _ADD_ENTRIES, _ADD_LINES)
"""Staged entries and lines into the journal."""

_RENEW_ORDERS = sql.SQL(
    "WITH newer AS (INSERT INTO promised_order AS held ({columns}) "
    "SELECT {columns} FROM staged_promised_order ORDER BY order_id "
    "ON CONFLICT (order_id) DO UPDATE SET {assignments} WHERE held.order_version < excluded.order_version "
    "RETURNING order_id) INSERT INTO newer_promise SELECT order_id FROM newer"
).format(columns=PROMISED_ORDER.listed, assignments=assignments(PROMISED_ORDER.values))
_REMOVE_LINES = sql.SQL(
    "DELETE FROM promised_line AS held USING newer_promise WHERE held.order_id = newer_promise.order_id"
)
_ADD_PROMISED_LINES = sql.SQL(
    "INSERT INTO promised_line ({columns}) SELECT {columns} "
    "FROM staged_promised_line JOIN newer_promise USING (order_id)"
).format(columns=PROMISED_LINE.listed)
RENEW_PROMISES = (_RENEW_ORDERS, _REMOVE_LINES, _ADD_PROMISED_LINES)
"""Staged promises in the place of those of older versions."""

ADD_ACCOUNT: Final = (
    "INSERT INTO account (account_code, account_name, account_type, normal_side, control_code, cash_flow) "
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (account_code) DO NOTHING"
)
