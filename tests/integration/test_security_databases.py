"""What each role may do in the databases of the secured stack, asked of the server itself."""

from __future__ import annotations

import re
from contextlib import closing
from typing import LiteralString

import psycopg
import pytest
from psycopg import errors, pq, sql

from consumers.sink import Advance, Batch, Partition
from consumers.write_back.settings import WriteBackSettings
from consumers.write_back.sink import WriteBackSink
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from deploy.security.matrix import DATABASES, IN_A_DATABASE, actions_in
from schemas.database_roles import ERP, LEDGER, REGISTRY, ROLES, VENDORS
from schemas.registry import InMemorySchemas
from schemas.topics import ORDER_STATE
from tests.contract.sink_samples import order_event

pytestmark = pytest.mark.integration

_TABLES = {
    "crm": "sales_order",
    "inventory": "shipment",
    "finance": "payment",
    ERP: "sales_order",
    LEDGER: "journal_entry",
    VENDORS: "subscriber",
    REGISTRY: "artifacts",
}
_ACTIONS: dict[str, LiteralString] = {
    "read": "SELECT * FROM {table} LIMIT 0",
    "add": "INSERT INTO {table} DEFAULT VALUES",
    "change": "UPDATE {table} SET {column} = NULL WHERE false",
    "remove": "DELETE FROM {table} WHERE false",
    "empty": "TRUNCATE {table} CASCADE",
    "pass the triggers": "SET LOCAL session_replication_role = replica",
    "read notes": "SELECT FROM reconciliation.note LIMIT 0",
    "remove notes": "DELETE FROM reconciliation.note WHERE false",
    "write notes": "INSERT INTO reconciliation.note (table_name, deed) VALUES ('sales_order', 'UPDATE')",
    "tell how orders stand": "UPDATE sales_order SET sync_status = NULL WHERE false",
    "make tables": "CREATE TABLE made (n integer)",
    "make roles": "CREATE ROLE made",
    "run programs": "COPY (SELECT 1) TO PROGRAM 'true'",
    "read the server's files": "SELECT pg_read_file('/etc/hostname')",
}


@pytest.fixture
def endpoints(secured: EmbeddedStack) -> Endpoints:
    return secured.endpoints


@pytest.mark.parametrize("dbname", DATABASES)
@pytest.mark.parametrize("name", ROLES)
def test_a_role_enters_its_own_databases_only(endpoints: Endpoints, name: str, dbname: str) -> None:
    conninfo = endpoints.database(dbname, name).conninfo()
    if dbname in ROLES[name].databases:
        psycopg.connect(conninfo).close()
    else:
        with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
            psycopg.connect(conninfo)


@pytest.mark.parametrize(("name", "dbname"), [(role.name, one) for role in ROLES.values() for one in role.databases])
def test_a_role_does_there_what_it_is_for_and_nothing_else(endpoints: Endpoints, name: str, dbname: str) -> None:
    with closing(psycopg.connect(endpoints.database(dbname, name).conninfo())) as session:
        may = {action for action in _ACTIONS if attempt(session, action, _TABLES[dbname])}
    assert set(_ACTIONS) == set(IN_A_DATABASE)
    assert may == actions_in(ROLES[name], dbname)


def attempt(session: psycopg.Connection[tuple[object, ...]], action: str, table: str) -> bool:
    column = session.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 2", (f"public.{table}",)
    ).fetchone()
    assert column is not None
    statement = sql.SQL(_ACTIONS[action]).format(table=sql.Identifier(table), column=sql.Identifier(str(column[0])))
    try:
        session.execute(statement)
    except (errors.InsufficientPrivilege, errors.UndefinedTable, errors.UndefinedColumn):
        # Notes are there in ERP and ledger only, and how orders stand is told in the CRM only.
        return False
    except (errors.IntegrityError, errors.RaiseException):
        # The server let it in: the row itself is what was wrong.
        return True
    finally:
        session.rollback()
    return True


@pytest.mark.parametrize("name", ROLES)
def test_only_the_archive_copies_the_servers_files_by_a_connection_made_for_that(
    endpoints: Endpoints, name: str
) -> None:
    conninfo = endpoints.database("postgres", name).conninfo(replication="true")
    if ROLES[name].copies_files:
        with closing(psycopg.connect(conninfo, autocommit=True)) as session:
            assert session.execute("IDENTIFY_SYSTEM").fetchone() is not None
    else:
        with pytest.raises(psycopg.OperationalError, match="rejects replication connection"):
            psycopg.connect(conninfo)


@pytest.mark.parametrize("name", [role.name for role in ROLES.values() if role.databases])
def test_only_captures_open_a_stream_of_changes_and_copies_by_one_are_told_in_the_log(
    secured: EmbeddedStack, endpoints: Endpoints, name: str
) -> None:
    role = ROLES[name]
    conninfo = endpoints.database(role.databases[0], name).conninfo(replication="database")
    if not role.replicates:
        with pytest.raises(psycopg.OperationalError, match="permission denied to start WAL sender"):
            psycopg.connect(conninfo)
        return
    with closing(psycopg.connect(conninfo, autocommit=True)) as session:
        session.pgconn.send_query(b"BASE_BACKUP (CHECKPOINT 'fast')")
        answer = session.pgconn.get_result()
    # PostgreSQL has one attribute for both. Should it learn to tell them apart, forbid this and say so in the guide.
    assert answer is not None and answer.status == pq.ExecStatus.TUPLES_OK
    told = (secured.home / "logs" / "postgres.log").read_text()
    assert re.search(rf" {name}@{role.databases[0]} LOG:  received replication command: BASE_BACKUP", told)


def test_passwords_are_kept_as_verifiers_only(endpoints: Endpoints) -> None:
    with closing(psycopg.connect(endpoints.database("postgres").conninfo())) as session:
        kept = session.execute("SELECT rolpassword FROM pg_authid WHERE rolcanlogin").fetchall()
    assert len(kept) == len(ROLES) + 1
    assert all(str(verifier).startswith("SCRAM-SHA-256$") for (verifier,) in kept)


def test_a_wrong_password_opens_nothing(endpoints: Endpoints) -> None:
    conninfo = endpoints.database(ERP, "erp").conninfo(password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(conninfo)


def test_who_tells_the_crm_how_orders_stand_can_do_it_with_its_rights(endpoints: Endpoints) -> None:
    settings = WriteBackSettings(mapping="crm", database=endpoints.database("crm", "write-back-crm"))
    with closing(WriteBackSink(settings, InMemorySchemas())) as sink:
        sink.prepare()
        sink.write(Batch([sink.shape([order_event(77).state])], {Partition(ORDER_STATE, 0): Advance(None, 1)}, None))
    with closing(psycopg.connect(endpoints.database("crm").conninfo(), autocommit=True)) as owner:
        found = owner.execute("DELETE FROM ordersync_order WHERE order_number = '77' RETURNING status").fetchall()
        owner.execute("DELETE FROM ordersync_version WHERE order_number = '77'")
        owner.execute("DELETE FROM sink_position")
    assert found == [("accepted",)]
