"""The reconciliation's own role: it notices who changed ERP and ledger, and can change neither; the operator mends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from click.testing import CliRunner

from consumers.reconcile.comparison import ERP, LEDGER
from consumers.reconcile.notes import NoteBook
from consumers.reconcile.restoration import ErpRestoration, LedgerRestoration
from consumers.reconcile.watched import note_books
from deploy.commands.security import command as security
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from deploy.security.preparation import prepare_sinks
from schemas.database_roles import NOTE_TAKER
from schemas.errors import ConfigurationError
from schemas.registry import SchemaRegistry

pytestmark = pytest.mark.integration

_FOREIGN_ENTRY = """
SELECT open_period('2026-01');
SET session_replication_role = replica;
INSERT INTO journal_entry (entry_id, period, order_id, order_version, event_id, rule, standard_reference, posting_date,
    effective_date, currency_code, functional_currency_code, exchange_rate, description, committed_at, processed_at,
    line_count) VALUES ('by-hand', '2026-01', 'crm:by-hand', 1, 'none', 'invoiced', 'none', '2026-01-02', '2026-01-02',
    'EUR', 'EUR', 1, 'by hand', now(), now(), 2);
"""


@pytest.fixture
def endpoints(secured: EmbeddedStack) -> Endpoints:
    return secured.endpoints


@pytest.fixture
def books(endpoints: Endpoints) -> Iterator[dict[str, NoteBook]]:
    made = note_books(endpoints.database(ERP, "reconcile"), endpoints.database(LEDGER, "reconcile"))
    yield made
    for book in made.values():
        book.close()


def owner(endpoints: Endpoints, dbname: str, *statements: str) -> None:
    with closing(psycopg.connect(endpoints.database(dbname).conninfo(), autocommit=True)) as session:
        for statement in statements:
            session.execute(statement.encode())


def test_a_change_by_hand_is_noted_for_the_reconciliation_to_read_and_forget(
    endpoints: Endpoints, books: dict[str, NoteBook]
) -> None:
    with psycopg.connect(endpoints.database(ERP, "erp").conninfo(application_name="psql")) as session:
        session.execute("TRUNCATE shipment_line")
    books[ERP].prepare()
    found = books[ERP].read().notes
    assert [(one.table_name, one.deed, one.changed_by) for one in found] == [("shipment_line", "TRUNCATE", "erp")]
    books[ERP].forget(found)
    read = books[ERP].read()
    assert not read.notes and read.is_trusted


def test_it_refuses_where_its_owner_has_laid_nothing_out_and_says_what(
    endpoints: Endpoints, books: dict[str, NoteBook]
) -> None:
    try:
        owner(endpoints, ERP, "DROP TRIGGER reconciliation_note ON sales_order")
        with pytest.raises(ConfigurationError, match=r"triggers on sales_order,.*ordersync security databases"):
            books[ERP].prepare()
        owner(endpoints, ERP, "DROP SCHEMA reconciliation CASCADE")
        with pytest.raises(ConfigurationError, match=r"the table reconciliation\.note and triggers on sales_order, "):
            books[ERP].prepare()
        owner(
            endpoints,
            LEDGER,
            "REVOKE DELETE ON reconciliation.note FROM reconcile",
            "REVOKE SELECT ON journal_line FROM reconcile",
        )
        with pytest.raises(ConfigurationError, match=r"lacks SELECT on journal_line, DELETE on reconciliation\.note"):
            books[LEDGER].prepare()
    finally:
        prepare_sinks(endpoints.database)
    for book in books.values():
        book.prepare()


@pytest.mark.parametrize("dbname", [ERP, LEDGER])
def test_what_notes_changes_works_with_the_rights_of_a_role_that_can_do_nothing_else(
    endpoints: Endpoints, dbname: str
) -> None:
    with closing(psycopg.connect(endpoints.database(dbname).conninfo())) as session:
        functions = session.execute(
            "SELECT pg_get_userbyid(proowner), has_function_privilege('erp', oid, 'EXECUTE') FROM pg_proc "
            "WHERE pronamespace = 'reconciliation'::regnamespace"
        ).fetchall()
        held = session.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relnamespace = ANY("
            "ARRAY['public', 'reconciliation']::regnamespace[]) "
            "AND has_table_privilege(%s, oid, 'SELECT, INSERT, UPDATE, DELETE')",
            (NOTE_TAKER,),
        ).fetchall()
    assert functions == [(NOTE_TAKER, False)] * 3
    assert {name for (name,) in held} == {"reconciliation.note"} | ({"journal_entry"} if dbname == LEDGER else set())


def test_the_operator_brings_a_journal_back_which_the_reconciliation_may_not(
    endpoints: Endpoints, books: dict[str, NoteBook]
) -> None:
    owner(endpoints, LEDGER, _FOREIGN_ENTRY)
    kafka, schemas = endpoints.kafka("operator"), SchemaRegistry(endpoints.registry())
    with closing(schemas):
        with pytest.raises(ConfigurationError):
            LedgerRestoration(endpoints.database(LEDGER, "reconcile"), kafka, schemas).restore(["crm:by-hand"])
        LedgerRestoration(endpoints.database(LEDGER, "operator"), kafka, schemas).restore(["crm:by-hand"])
        ErpRestoration(endpoints.database(ERP, "operator"), kafka, schemas).restore(["crm:by-hand"])
    with closing(psycopg.connect(endpoints.database(LEDGER).conninfo())) as session:
        assert session.execute("SELECT FROM journal_entry WHERE order_id = 'crm:by-hand'").fetchone() is None
    noted = [one for one in books[LEDGER].read().notes if one.order_id == "crm:by-hand"]
    assert [(one.deed, one.changed_by) for one in noted] == [("INSERT", "postgres"), ("DELETE", "operator")]
    books[LEDGER].forget(noted)


def test_the_command_prepares_a_server_of_ones_own_as_often_as_it_is_called(
    endpoints: Endpoints, books: dict[str, NoteBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert endpoints.security is not None
    server = endpoints.database("postgres")
    assert server.password is not None
    told = server.model_dump(mode="json", exclude={"password"}, exclude_none=True)
    for name, value in (told | {"password": server.password.get_secret_value()}).items():
        monkeypatch.setenv(f"ORDERSYNC_DATABASE__{name.upper()}", str(value))
    owner(endpoints, ERP, "DROP SCHEMA reconciliation CASCADE", "REVOKE SELECT ON sales_order FROM reconcile")
    for _ in range(2):
        done = CliRunner().invoke(security, ["databases", str(endpoints.security.directory)])
        assert done.exit_code == 0, done.output
    for book in books.values():
        book.prepare()
