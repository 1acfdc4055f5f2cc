"""Row hashes that the database computes, and the sessions that they are asked for in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from consumers.reconcile.hashes import HashedTable, RowHashes
from consumers.reconcile.ledger import LedgerReader
from consumers.reconcile.rows import snapshot
from consumers.reconcile.sessions import Sessions
from consumers.reconcile.texts import CANONICAL_TEXTS
from schemas.errors import ConfigurationError
from schemas.settings import DatabaseSettings
from tests.conftest import DatabaseFactory

_COLUMNS = ("name", "code", "amount", "count", "day", "moment", "flag", "share", "blob", "document", "span", "id")
_ROW = (
    "('a', 1, 'x', 'v', 1.50, 7, '2026-11-21', '2026-11-21 10:00Z', true, 0.5, '\\x01', '{\"a\": 1}', '1 day', "
    "'00000000-0000-0000-0000-000000000001')"
)


@pytest.fixture(scope="module")
def database(module_database_factory: DatabaseFactory) -> DatabaseSettings:
    """A table with a column of each type that is hashed."""
    settings = module_database_factory("hashes")
    with psycopg.connect(settings.conninfo()) as connection:
        connection.execute(
            "CREATE TABLE thing (key text, number int, name text, code varchar(9), amount numeric(9, 4), count bigint, "
            "day date, moment timestamptz, flag boolean, share float8, blob bytea, document jsonb, span interval, "
            "id uuid)"
        )
    return settings


@pytest.fixture
def hashes(database: DatabaseSettings) -> Iterator[RowHashes]:
    """Of that table, with two rows."""
    with psycopg.connect(database.conninfo()) as connection:
        connection.execute("TRUNCATE thing")
        connection.execute(f"INSERT INTO thing VALUES {_ROW}, {_ROW}".encode())
        connection.execute("UPDATE thing SET key = 'b', name = 'y' WHERE ctid = (SELECT max(ctid) FROM thing)")
    table = HashedTable("thing", sql.Identifier("key"), [*map(sql.Identifier, _COLUMNS)], sql.Identifier("thing"))
    with closing(Sessions()) as sessions:
        yield RowHashes(database, [table], sessions.snapshot)


_CHANGES = {
    "text": "UPDATE thing SET name = 'z' WHERE key = 'a'",
    "varchar": "UPDATE thing SET code = 'w' WHERE key = 'a'",
    "numeric": "UPDATE thing SET amount = 1.51 WHERE key = 'a'",
    "bigint": "UPDATE thing SET count = 8 WHERE key = 'a'",
    "date": "UPDATE thing SET day = '2026-11-22' WHERE key = 'a'",
    "timestamptz": "UPDATE thing SET moment = moment + interval '1 microsecond' WHERE key = 'a'",
    "boolean": "UPDATE thing SET flag = false WHERE key = 'a'",
    "float8": "UPDATE thing SET share = 0.25 WHERE key = 'a'",
    "bytea": "UPDATE thing SET blob = '\\x02' WHERE key = 'a'",
    "jsonb": "UPDATE thing SET document = '{}' WHERE key = 'a'",
    "interval": "UPDATE thing SET span = '2 days' WHERE key = 'a'",
    "uuid": "UPDATE thing SET id = '00000000-0000-0000-0000-000000000002' WHERE key = 'a'",
    "null": "UPDATE thing SET name = NULL WHERE key = 'a'",
    "empty": "UPDATE thing SET name = '' WHERE key = 'a'",
    "columns change places": "UPDATE thing SET name = code, code = name WHERE key = 'a'",
    "rows change places": "UPDATE thing SET name = CASE key WHEN 'a' THEN 'y' ELSE 'x' END",
    "twice": "INSERT INTO thing SELECT * FROM thing",
    "gone": "DELETE FROM thing WHERE key = 'a'",
    "key": "UPDATE thing SET key = 'c' WHERE key = 'a'",
}


def test_every_change_shows_in_the_sums_and_its_way_back_too(hashes: RowHashes, database: DatabaseSettings) -> None:
    before, by_key = hashes.sums().by_bucket, {one.key: one for one in hashes.of_keys(["a", "b", "c"])}
    assert sorted(by_key) == ["a", "b"]
    seen = {tuple(sorted(before.items()))}
    with psycopg.connect(database.conninfo(), autocommit=True) as connection:
        for change in _CHANGES.values():
            connection.execute("BEGIN")
            connection.execute(change.encode())
            connection.execute("COMMIT")
            seen.add(tuple(sorted(hashes.sums().by_bucket.items())))
            connection.execute("TRUNCATE thing")
            connection.execute(f"INSERT INTO thing VALUES {_ROW}, {_ROW}".encode())
            connection.execute("UPDATE thing SET key = 'b', name = 'y' WHERE ctid = (SELECT max(ctid) FROM thing)")
            assert hashes.sums().by_bucket == before, change
        # Equal values, written differently, and a column that is not compared.
        connection.execute("UPDATE thing SET amount = 1.5, moment = '2026-11-21 12:00+02', number = 2")
    assert len(seen) == len(_CHANGES) + 1
    assert hashes.sums().by_bucket == before
    assert {one.key: one for one in hashes.of_buckets([one.bucket for one in by_key.values()])} == by_key


def test_a_kept_session_outlives_its_end_by_the_server(hashes: RowHashes, database: DatabaseSettings) -> None:
    before = hashes.sums()
    with psycopg.connect(database.conninfo(), autocommit=True) as connection:
        ended = connection.execute(
            "SELECT count(*), bool_and(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'ordersync-reconcile'"
        ).fetchone()
    assert ended == (1, True)
    assert hashes.sums() == before


def test_what_is_held_is_of_one_moment(database: DatabaseSettings) -> None:
    count = sql.SQL("SELECT count(*) FROM thing").format()
    with closing(Sessions()) as sessions, psycopg.connect(database.conninfo(), autocommit=True) as connection:
        with sessions.held([database]):
            with sessions.snapshot(database) as thing:
                before = thing.all_rows(count)
            connection.execute(f"INSERT INTO thing VALUES {_ROW}".encode())
            with sessions.snapshot(database) as thing:
                assert thing.all_rows(count) == before
        with sessions.snapshot(database) as thing:
            assert thing.all_rows(count) == [(before[0][0] + 1,)]


def test_columns_come_as_the_texts_that_attributes_have(database: DatabaseSettings) -> None:
    query = sql.SQL(
        "SELECT 1.5000, 0.000, -12e3::numeric, '2026-11-21 12:00:00.5+02'::timestamptz, "
        "'2026-11-21 12:00Z'::timestamptz, date '2026-11-21', 7, 8::bigint, 'x'::text, NULL::numeric, "
        "'infinity'::timestamptz"
    ).format()
    with snapshot(database) as thing:
        (row,) = thing.rows(query, [], CANONICAL_TEXTS)
    assert row == (
        "1.5", "0", "-12000", "2026-11-21T10:00:00.500000+00:00", "2026-11-21T12:00:00.000000+00:00", "2026-11-21",
        "7", "8", "x", None, "infinity",
    )  # fmt: skip


def test_a_database_without_a_column_says_so(database: DatabaseSettings) -> None:
    table = HashedTable("thing", sql.Identifier("key"), [sql.Identifier("absent")], sql.Identifier("thing"))
    with pytest.raises(ConfigurationError, match="thing"):
        RowHashes(database, [table]).sums()
    with pytest.raises(ConfigurationError, match="journal_entry"):
        LedgerReader(database).imbalances()
