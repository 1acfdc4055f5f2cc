"""Brings the roles of a PostgreSQL server to what `schemas.database_roles` declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from psycopg import Connection, sql

from consumers.write_back.told import WRITE_BACK_TABLES
from deploy.security.files import SecurityFiles
from schemas.database_roles import LEDGER, NOTE_TAKER, ROLES, DatabaseRole
from schemas.errors import Fatal
from schemas.mapping import WriteBack
from schemas.settings import DatabaseSettings

Reach = Callable[[str], DatabaseSettings]
"""Gives a database of the server, as its owner."""
Session = Connection[tuple[Any, ...]]

_ROLE_EXISTS = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s"
_OWN_TABLES = """
DO $body$ DECLARE found record; BEGIN
    FOR found IN SELECT c.oid::regclass::text AS name FROM pg_catalog.pg_class c
                  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
                    AND NOT c.relispartition AND c.relowner <> {literal}::regrole
    LOOP
        EXECUTE 'ALTER TABLE ' || found.name || ' OWNER TO {role}';
    END LOOP;
END $body$
"""
# By which a sink marks its own changes, so that a capture of the same database does not take them for news.
_ORIGINS = (
    "pg_replication_origin_create(text)",
    "pg_replication_origin_session_setup(text)",
)
_HAS_NOTES = (
    "SELECT FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace('reconciliation') AND relname = 'note'"
)
_NOTE_FUNCTIONS = ("note_order()", "note_line()", "note_truncation()")
_RESTORING = (
    "GRANT INSERT, DELETE ON journal_entry, journal_line TO {}",
    "GRANT EXECUTE ON FUNCTION open_period(text), open_day(date) TO {}",
    # Past the triggers that keep the journal append-only; those of the reconciliation note it all the same.
    "GRANT SET ON PARAMETER session_replication_role TO {}",
)
_HAS_JOURNAL = "SELECT to_regclass('journal_entry') IS NOT NULL"


def login_roles(server: DatabaseSettings, files: SecurityFiles) -> None:
    """Create each role and let it log in with the password of its file; passwords are sent as SCRAM verifiers.

    Called at each start of the server, as its owner. Raises `Fatal`.
    """
    with _session(server, "making the roles") as session:
        for group in {group for role in ROLES.values() for _, group in role.member_of}:
            _ensure_group(session, group)
        for role in ROLES.values():
            name = sql.Identifier(role.name)
            if session.execute(_ROLE_EXISTS, (role.name,)).fetchone() is None:
                session.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
            password = files.ensure_password(role.name).encode()
            verifier = session.pgconn.encrypt_password(password, role.name.encode(), b"scram-sha-256").decode()
            replication = sql.SQL("REPLICATION" if role.replicates else "NOREPLICATION")
            session.execute(
                sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {} PASSWORD {}").format(
                    name, replication, sql.Literal(verifier)
                )
            )


def _ensure_group(session: Session, name: str) -> None:
    """A role that nobody logs in as."""
    if session.execute(_ROLE_EXISTS, (name,)).fetchone() is None:
        session.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


def own_database(server: DatabaseSettings, dbname: str) -> None:
    """Close a database to all, and hand it to the role that owns it. Raises `Fatal`."""
    with _session(server, f"closing the database {dbname}") as session:
        name = sql.Identifier(dbname)
        session.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        for role in ROLES.values():
            if dbname in role.databases:
                session.execute(
                    sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(name, sql.Identifier(role.name))
                )
            for group in (group for one, group in role.member_of if one == dbname):
                # Who takes the group's rights for its session gives up its own.
                session.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(name, sql.Identifier(group)))
            if dbname in role.owns:
                session.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(role.name)))


def grant_tables(reach: Reach, dbname: str, told: WriteBack | None = None) -> None:
    """Give each role what it may do in the tables of a database, also in those that will be made later.

    Called by the deployer after the tables were made; again changes nothing. `told` are the columns in which the
    records of a source say how their orders stand. Raises `Fatal`.
    """
    with _session(reach(dbname), f"giving rights in {dbname}") as session:
        session.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        for role in ROLES.values():
            if dbname in role.databases:
                _grant(session, dbname, role)
                if told is not None and dbname in role.tells:
                    _grant_telling(session, sql.Identifier(role.name), told)
        if session.execute(_HAS_NOTES).fetchone() is not None:
            _grant_notes(session, dbname)


def _grant_notes(session: Session, dbname: str) -> None:
    """Notes are written by a role that can do nothing else, and read by those who may."""
    _ensure_group(session, NOTE_TAKER)
    taker = sql.Identifier(NOTE_TAKER)
    session.execute(sql.SQL("GRANT USAGE ON SCHEMA reconciliation, public TO {}").format(taker))
    session.execute(sql.SQL("GRANT INSERT ON reconciliation.note TO {}").format(taker))
    if dbname == LEDGER:
        session.execute(sql.SQL("GRANT SELECT ON journal_entry TO {}").format(taker))
    for function in _NOTE_FUNCTIONS:
        # They run with their owner's rights: as the owner of the server they would lend these to the tables' owner.
        session.execute(sql.SQL("ALTER FUNCTION reconciliation.{} OWNER TO {}").format(sql.SQL(function), taker))
    for role in ROLES.values():
        if dbname in role.notes:
            name = sql.Identifier(role.name)
            session.execute(sql.SQL("GRANT USAGE ON SCHEMA reconciliation TO {}").format(name))
            session.execute(sql.SQL("GRANT SELECT, DELETE ON reconciliation.note TO {}").format(name))


def _grant(session: Session, dbname: str, role: DatabaseRole) -> None:
    name = sql.Identifier(role.name)
    session.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
    if dbname in role.owns:
        session.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(name))
        # Those that were made before the server was secured.
        session.execute(sql.SQL(_OWN_TABLES).format(role=name, literal=sql.Literal(role.name)))
    for databases, rights in ((role.selects, "SELECT"), (role.changes, "SELECT, INSERT, UPDATE, DELETE")):
        if dbname in databases:
            _grant_all_tables(session, dbname, name, sql.SQL(rights))
    if dbname in role.restores and session.execute(_HAS_JOURNAL).fetchone() == (True,):
        for statement in _RESTORING:
            session.execute(sql.SQL(statement).format(name))
    for database, granted in role.member_of:
        if database == dbname:
            session.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(granted), name))
    if role.owns or role.member_of or role.changes or role.tells:
        session.execute(sql.SQL("GRANT SELECT ON pg_catalog.pg_replication_origin TO {}").format(name))
        for function in _ORIGINS:
            session.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.SQL(function), name))


def _grant_telling(session: Session, name: sql.Identifier, told: WriteBack) -> None:
    """The columns of the source's own records that are ordersync's, and the tables beside them."""
    own = sql.SQL(", ").join(sql.Identifier(table) for table in WRITE_BACK_TABLES)
    session.execute(sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}").format(own, name))
    columns = sql.SQL(", ").join(map(sql.Identifier, told.columns))
    session.execute(
        sql.SQL("GRANT SELECT ({}, {}), UPDATE ({}) ON {} TO {}").format(
            sql.Identifier(told.key), columns, columns, sql.Identifier(*told.table.qualified_name.split(".")), name
        )
    )


def _grant_all_tables(session: Session, dbname: str, name: sql.Identifier, rights: sql.SQL) -> None:
    """Those that there are, and those that their owners will make."""
    session.execute(sql.SQL("GRANT {} ON ALL TABLES IN SCHEMA public TO {}").format(rights, name))
    for owner in [*(one.name for one in ROLES.values() if dbname in one.owns), session.info.user]:
        session.execute(
            sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA public GRANT {} ON TABLES TO {}").format(
                sql.Identifier(owner), rights, name
            )
        )


@contextmanager
def _session(database: DatabaseSettings, doing: str) -> Iterator[Session]:
    """A session as the owner of the server, whose faults are told."""
    try:
        with closing(psycopg.connect(database.conninfo(connect_timeout="10"), autocommit=True)) as session:
            yield session
    except psycopg.Error as exc:
        raise Fatal(f"{doing}: {exc}") from exc
