"""Slots, positions, publications and the messages of what is wrong, against a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from producers.cdc.changes import Position, TableName
from producers.cdc.portions import KeyRange, Keys
from producers.cdc.postgres.catalog import read_tables, require_mapped
from producers.cdc.postgres.errors import SlotLost, SlotMissing, SnapshotGone
from producers.cdc.postgres.publication import ensure_publication
from producers.cdc.postgres.readiness import require_ready
from producers.cdc.postgres.replication import ReplicationConnection
from producers.cdc.postgres.session import connect
from producers.cdc.postgres.slots import drop_slot, require_usable, slot_state
from producers.cdc.postgres.subtrees import SubtreeReader
from schemas.errors import ConfigurationError, Transient
from tests.conftest import DatabaseFactory
from tests.integration.postgres_capture import DEADLINE_SECONDS, Reading, Source, changes_of, lone_plan, transactions_of


@pytest.fixture
def source(database_factory: DatabaseFactory) -> Iterator[Source]:
    with Source(database_factory("slots")) as source:
        yield source


def ready(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY)")
    source.publish("t")
    source.create_slot()


def test_the_server_says_who_it_is(source: Source) -> None:
    with ReplicationConnection(source.conninfo) as connection:
        identity = connection.identify()
    assert identity.database == source.settings.dbname
    assert identity.position > 0
    assert identity.system_id.isdigit()


def test_only_what_was_confirmed_is_not_sent_again(source: Source) -> None:
    ready(source)
    source.run("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)")
    source.mark_end()
    reading = source.start()
    first, second, _third = transactions_of(reading.until_end())
    assert first.end_position is not None and second.end_position is not None
    reading.stream.confirm(first.end_position)
    reading.stream.stop()
    again = source.start()
    assert [change.new for change in changes_of(again.until_end())] == [(b"2",), (b"3",)]
    again.stream.confirm(second.end_position)
    again.connection.close()
    # What was not told to the server before the connection broke may come twice, never be missed.
    last = resumed(source, second.end_position)
    assert [change.new for change in changes_of(last.until_end())] == [(b"3",)]


def resumed(source: Source, position: Position) -> Reading:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            return source.start(position)
        except Transient:
            if time.monotonic() > deadline:
                raise


def test_an_idle_stream_waits_no_longer_than_told_and_learns_the_servers_position(source: Source) -> None:
    ready(source)
    reading = source.start()
    source.run("CREATE TABLE unmapped (id int)", "INSERT INTO unmapped VALUES (1)")
    (row,) = source.sql.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchall()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while reading.stream.server_position < row[0] and time.monotonic() < deadline:
        started = time.monotonic()
        assert changes_of(reading.assembler.feed(reading.stream.receive(0.2), 25)) == []
        assert time.monotonic() - started < 5
        reading.stream.send_status()
    assert reading.stream.server_position >= row[0]
    assert not reading.assembler.in_transaction
    reading.stream.confirm(reading.stream.server_position)
    reading.stream.stop()
    state = slot_state(source.sql, source.slot)
    assert state is not None and state.confirmed_position is not None
    assert state.confirmed_position >= row[0]


def test_a_stream_that_was_stopped_amid_a_backlog_frees_its_slot_at_once(source: Source) -> None:
    ready(source)
    reading = source.start()
    source.run("INSERT INTO t SELECT generate_series(1, 20000)")
    assert reading.stream.receive(DEADLINE_SECONDS, max_messages=10)
    reading.stream.stop()
    state = slot_state(source.sql, source.slot)
    assert state is not None and not state.active
    assert reading.connection.identify().database == source.settings.dbname


def test_the_state_of_a_slot_is_known(source: Source) -> None:
    assert slot_state(source.sql, source.slot) is None
    ready(source)
    state = slot_state(source.sql, source.slot)
    assert state is not None
    assert (state.plugin, state.database, state.active) == ("pgoutput", source.settings.dbname, False)
    assert state.wal_status == "reserved" and not state.lost
    source.run("INSERT INTO t SELECT generate_series(1, 20000)")
    later = slot_state(source.sql, source.slot)
    assert later is not None and later.retained_bytes > state.retained_bytes + 1_000_000
    assert drop_slot(source.sql, source.slot) is True
    assert drop_slot(source.sql, source.slot) is False


def test_a_permanent_slot_survives_a_failover_where_the_server_can(source: Source) -> None:
    ready(source)
    if source.sql.info.server_version < 170000:
        pytest.skip("failover slots came with PostgreSQL 17")
    query = "SELECT failover FROM pg_replication_slots WHERE slot_name = %s"
    assert source.sql.execute(query, (source.slot,)).fetchone() == (True,)


def test_a_missing_slot_is_told(source: Source) -> None:
    with pytest.raises(SlotMissing, match="does not exist"):
        source.start()
    with pytest.raises(SlotMissing, match="somebody dropped it"):
        require_usable(None, source.slot, source.settings.dbname, None)


def test_a_slot_in_use_is_tried_again_later(source: Source) -> None:
    ready(source)
    source.start()
    with pytest.raises(Transient, match="is active") as caught:
        source.start()
    assert caught.value.retry_after_seconds >= 1


def test_a_slot_name_that_is_taken_is_told(source: Source) -> None:
    ready(source)
    with pytest.raises(ConfigurationError, match="already exists"):
        source.create_slot()


def test_a_slot_that_was_recreated_behind_our_back_is_found_out(source: Source) -> None:
    ready(source)
    reading = source.start()
    source.run("INSERT INTO t VALUES (1)")
    source.mark_end()
    (seen,) = transactions_of(reading.until_end())
    reading.connection.close()
    assert seen.end_position is not None
    dropped = psycopg.connect(source.conninfo, autocommit=True)
    with dropped:
        dropped.execute("SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE active_pid > 0")
        drop_slot(dropped, source.slot)
    source.run("INSERT INTO t VALUES (2)")
    source.create_slot()
    state = slot_state(source.sql, source.slot)
    with pytest.raises(SlotLost, match="recreated"):
        require_usable(state, source.slot, source.settings.dbname, seen.end_position)
    assert require_usable(state, source.slot, source.settings.dbname, None) is state
    with pytest.raises(ConfigurationError, match="choose another slot name"):
        require_usable(state, source.slot, "another", None)


def test_a_dying_server_process_is_transient(source: Source) -> None:
    ready(source)
    reading = source.start()
    with pytest.raises(Transient, match="streaming from replication slot"):
        source.run("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid > 0")
        for _ in range(10):
            reading.stream.receive(DEADLINE_SECONDS / 10)


def test_an_unreachable_server_is_transient_and_a_missing_database_is_said(source: Source) -> None:
    elsewhere = source.settings.model_copy(update={"host": "127.0.0.1", "port": 1})
    with pytest.raises(Transient, match="connecting to the source database failed"):
        connect(elsewhere.conninfo())


def test_everything_missing_is_listed_at_once_with_the_way_to_mend_it(source: Source) -> None:
    source.run(
        "CREATE TABLE orders (id int PRIMARY KEY, total numeric, v int GENERATED ALWAYS AS (id * 2) VIRTUAL)",
        "CREATE TABLE lines (id int, n int)",
        "CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY)",
        "CREATE VIEW open_orders AS SELECT * FROM orders",
        "CREATE TABLE part (id int) PARTITION BY LIST (id)",
        "CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1)",
        "CREATE TABLE nothing (id int PRIMARY KEY)",
        "ALTER TABLE nothing REPLICA IDENTITY NOTHING",
    )
    wanted = {
        "order": (),
        "orders": ("id", "totl", "v"),
        "lines": ("id",),
        "scratch": (),
        "open_orders": (),
        "part": (),
        "nothing": (),
    }
    mapped = {TableName("public", table): columns for table, columns in wanted.items()}
    with pytest.raises(ConfigurationError) as caught:
        require_mapped(read_tables(source.catalog), mapped, source.catalog.info.server_version)
    problems = str(caught.value).splitlines()[1:]
    expected = [
        "table public.order does not exist (did you mean public.orders?)",
        "table public.orders has no column totl (did you mean total?)",
        "column public.orders.v is a virtual generated column",
        "public.lines has no replica identity",
        "table public.scratch is not logged: ALTER TABLE public.scratch SET LOGGED",
        "public.open_orders is a view",
        "public.part1 has no replica identity",
        "ALTER TABLE public.nothing REPLICA IDENTITY FULL",
    ]
    assert len(problems) == len(expected)
    for problem, start in zip(problems, expected, strict=True):
        assert start in problem


def test_the_publication_follows_the_mapping(source: Source) -> None:
    source.run("CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)")
    tables = read_tables(source.catalog)
    one = {TableName("public", "a"): ("id",)}
    both = one | {TableName("public", "b"): ("id",)}
    for mapped, added, removed in (
        (one, ["a"], []),
        (one, [], []),
        (both, ["b"], []),
        (one, [], ["b"]),
    ):
        result = ensure_publication(source.catalog, "p", [tables[name] for name in mapped], mapped)
        assert [name.table for name in result.added] == added
        assert [name.table for name in result.removed] == removed
        published = source.sql.execute("SELECT tablename FROM pg_publication_tables ORDER BY 1").fetchall()
        assert [TableName("public", name) for (name,) in published] == list(mapped)
    assert source.sql.execute("SELECT pubviaroot FROM pg_publication").fetchone() == (True,)


def test_a_publication_that_hides_rows_columns_or_kinds_is_mended(source: Source) -> None:
    source.run("CREATE TABLE a (id int PRIMARY KEY, x int)")
    source.run("CREATE PUBLICATION p FOR TABLE a (id) WHERE (id > 5) WITH (publish = 'insert')")
    mapped = {TableName("public", "a"): ("x",)}
    ensure_publication(source.catalog, "p", [read_tables(source.catalog)[TableName("public", "a")]], mapped)
    found = source.sql.execute("SELECT attnames, rowfilter FROM pg_publication_tables").fetchone()
    assert found == (["id", "x"], None)
    query = "SELECT pubviaroot AND pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM pg_publication"
    assert source.sql.execute(query).fetchone() == (True,)


def test_a_role_without_the_privilege_is_told_what_to_run(source: Source) -> None:
    source.run("CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)")
    role = f"reader_{source.settings.dbname}"
    source.run(f"CREATE ROLE {role}")
    try:
        mapped = {TableName("public", "a"): ("id",)}
        tables = [read_tables(source.catalog)[TableName("public", "a")]]
        source.catalog.execute(f"SET ROLE {role}".encode())
        with pytest.raises(ConfigurationError, match=r'run: CREATE PUBLICATION "p" FOR TABLE "public"\."a"'):
            ensure_publication(source.catalog, "p", tables, mapped)
        source.run("CREATE PUBLICATION p FOR TABLE a WITH (publish_via_partition_root = true)")
        assert ensure_publication(source.catalog, "p", tables, mapped).added == ()
    finally:
        source.catalog.execute("RESET ROLE")
        source.run(f"DROP ROLE {role}")


def test_a_role_that_may_neither_replicate_nor_read_is_told_before_anything_is_created(source: Source) -> None:
    source.run("CREATE TABLE a (id int PRIMARY KEY)")
    tables = [read_tables(source.catalog)[TableName("public", "a")]]
    require_ready(source.catalog, source.slot, tables)
    role = f"reader_{source.settings.dbname}"
    source.run(f"CREATE ROLE {role}")
    try:
        source.catalog.execute(f"SET ROLE {role}".encode())
        with pytest.raises(ConfigurationError) as caught:
            require_ready(source.catalog, source.slot, tables)
    finally:
        source.catalog.execute("RESET ROLE")
        source.run(f"DROP ROLE {role}")
    _, replicate, read = str(caught.value).splitlines()
    assert replicate.endswith(f'ALTER ROLE "{role}" REPLICATION')
    assert read.endswith(f'GRANT SELECT ON "public"."a" TO "{role}"')


def test_a_reading_goes_on_behind_the_last_key_and_stops_at_a_bound(source: Source) -> None:
    source.run(
        "CREATE TABLE l (o text, n int, x text, PRIMARY KEY (o, n))",
        "INSERT INTO l SELECT 'o''' || g / 10, g % 10, NULL FROM generate_series(0, 99) g",
    )
    (table,) = source.publish("l")
    plan = lone_plan(table)
    with SubtreeReader(source.conninfo, {table.name: table}) as reader:
        chunks = [reader.read(plan, KeyRange(), 30)]
        while chunks[-1].last_key is not None:
            chunks.append(reader.read(plan, KeyRange(after=chunks[-1].last_key), 30))
        assert [chunk.row_count for chunk in chunks] == [30, 30, 30, 10]
        assert chunks[0].last_key == (b"o'2", b"9")
        rows = {tuple(row) for chunk in chunks for row in chunk.tables[0].rows}
        assert len(rows) == 100
        middle = reader.rows(plan, KeyRange(after=chunks[0].last_key, up_to=chunks[1].last_key))
        assert {tuple(row) for row in middle.tables[0].rows} == {tuple(row) for row in chunks[1].tables[0].rows}
        chosen = reader.rows(plan, Keys(((b"o'3", b"4"), (b"o'3", b"44"))))
        assert chosen.tables[0].rows == [(b"o'3", b"4", None)]


def test_a_reading_tells_which_transactions_it_saw(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY)")
    (table,) = source.publish("t")
    number = "SELECT pg_current_xact_id()::text::bigint & 4294967295"
    with psycopg.connect(source.conninfo) as open_one, SubtreeReader(source.conninfo, {table.name: table}) as reader:
        open_one.execute("INSERT INTO t VALUES (1)")
        ((running,),) = open_one.execute(number).fetchall()
        with source.sql.transaction():
            source.run("INSERT INTO t VALUES (2)")
            ((seen,),) = source.sql.execute(number).fetchall()
        reading = reader.read(lone_plan(table), KeyRange(), 10)
        open_one.commit()
        with source.sql.transaction():
            source.run("INSERT INTO t VALUES (3)")
            ((later,),) = source.sql.execute(number).fetchall()
    assert reading.tables[0].rows == [(b"2",)]
    assert [reading.view.sees(transaction) for transaction in (seen, running, later)] == [True, False, False]


def test_a_snapshot_that_has_gone_is_told(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY)")
    (table,) = source.publish("t")
    connection, slot = source.create_slot()
    connection.close()
    with pytest.raises(SnapshotGone, match="has ended"):
        SubtreeReader(source.conninfo, {table.name: table}, slot.snapshot_name)
