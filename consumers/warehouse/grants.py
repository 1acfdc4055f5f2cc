"""Who may do what in the ledger: the sink writes as a role that can insert and read, and nothing else."""

from __future__ import annotations

from psycopg import sql

from consumers.postgres.database import Rows

_CREATE = """
DO $body$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal}) THEN
        CREATE ROLE {role} NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- roles belong to the whole server: another database's worker was first
END $body$
"""
_GRANT = """
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT, INSERT ON account, journal_entry, journal_line TO {role};
GRANT SELECT ON closed_period, budget, trial_balance, period_balance, order_balance TO {role};
GRANT EXECUTE ON FUNCTION open_period(text), open_day(date) TO {role};
GRANT SELECT, INSERT, UPDATE ON sink_position, promised_order TO {role};
GRANT SELECT, INSERT, DELETE ON promised_line TO {role};
GRANT {role} TO CURRENT_USER;
"""


def grant_writer(cursor: Rows, role: str) -> None:
    """Create the role, give it what the sink needs, and let the login role take it."""
    names = {"role": sql.Identifier(role), "literal": sql.Literal(role)}
    cursor.execute(sql.SQL(_CREATE).format(**names))
    cursor.execute(sql.SQL(_GRANT).format(**names))


def become_writer(cursor: Rows, role: str) -> None:
    """Give up, for this session, what the login role may do beyond the writer's."""
    cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
