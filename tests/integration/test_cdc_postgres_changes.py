"""Everything that PostgreSQL can send, from a real server: streamed and read in a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest

from producers.cdc.changes import UNCHANGED, ChangeKind, KeyForm, Marker, ReplicaIdentity, RowChange
from schemas.errors import InvalidValue
from tests.conftest import DatabaseFactory
from tests.integration.postgres_capture import Source, changes_of, transactions_of

Kinds = list[tuple[ChangeKind, object, object]]

TYPE_CASES = [
    ("smallint", "-5", -5),
    ("bigint", "9223372036854775807", 9223372036854775807),
    ("numeric(14,4)", "12.5", Decimal("12.5000")),
    ("numeric", "0.000000000000000000000001", Decimal("1e-24")),
    ("real", "0.1", Decimal("0.1")),
    ("double precision", "1e-7", Decimal("1e-07")),
    ("money", "'-1234.5'", Decimal("-1234.50")),
    ("boolean", "true", True),
    ("text", "E'tab\\t line\\n back\\\\slash é \\\\N'", "tab\t line\n back\\slash é \\N"),
    ("varchar(10)", "''", ""),
    ("char(5)", "'EUR'", "EUR"),
    ("uuid", "'11111111-2222-3333-4444-555555555555'", UUID("11111111-2222-3333-4444-555555555555")),
    ("date", "'2026-02-28'", date(2026, 2, 28)),
    ("time", "'23:59:59.25'", time(23, 59, 59, 250000)),
    ("timestamptz", "'2026-07-01 12:00:00.123456+02'", datetime(2026, 7, 1, 10, 0, 0, 123456, UTC)),
    ("timestamp", "'2026-07-01 12:00:00'", datetime(2026, 7, 1, 12, 0, tzinfo=UTC)),
    ("bytea", "'\\x00ff5c'", b"\x00\xff\\"),
    ("jsonb", """'{"n": 0.10, "t": "a\\\\nb"}'""", {"n": Decimal("0.10"), "t": "a\\nb"}),
    ("json", "'[1, null, true]'", [1, None, True]),
    ("int[]", "'{{1,2},{3,NULL}}'", [[1, 2], [3, None]]),
    ("text[]", "ARRAY['a,b', 'NULL', NULL, E'q\"\\\\', '']", ["a,b", "NULL", None, 'q"\\', ""]),
    ("numeric(10,2)[]", "'{1.5,2}'", [Decimal("1.50"), Decimal("2.00")]),
    ("order_status", "'shipped'", "shipped"),
    ("order_status[]", "'{open,shipped}'", ["open", "shipped"]),
    ("amount", "7", Decimal("7.00")),
    ("amount[]", "'{7,8.5}'", [Decimal("7.00"), Decimal("8.50")]),
    ("interval", "'1 day 2 hours'", "P1DT2H"),
    ("inet", "'10.0.0.1'", "10.0.0.1"),
    ("int4range", "'[1,5)'", "[1,5)"),
    ("integer", "NULL", None),
]  # fmt: skip

MEANINGLESS_CASES = [
    ("timestamptz", "'infinity'"),
    ("timestamptz", "'-infinity'"),
    ("timestamptz", "'0044-03-15 12:00:00 BC'"),
    ("timestamp", "'infinity'"),
    ("date", "'0044-03-15 BC'"),
    ("date", "'infinity'"),
    ("timestamptz", "'20000-01-01'"),
]


@pytest.fixture
def source(database_factory: DatabaseFactory) -> Iterator[Source]:
    with Source(database_factory("changes")) as source:
        yield source


def test_each_type_comes_out_the_same_from_the_stream_and_from_the_snapshot(source: Source) -> None:
    source.run(
        "CREATE TYPE order_status AS ENUM ('open', 'shipped')",
        "CREATE DOMAIN amount AS numeric(12, 2) CHECK (VALUE >= 0)",
        "ALTER DATABASE CURRENT SET datestyle = 'SQL, DMY'".replace("CURRENT", source.settings.dbname),
    )
    columns = ", ".join(f"c{number} {kind}" for number, (kind, _, _) in enumerate(TYPE_CASES))
    literals = ", ".join(f"{literal}" for _, literal, _ in TYPE_CASES)
    source.run(f"CREATE TABLE every_type (id int PRIMARY KEY, {columns})")
    (table,) = source.publish("every_type")
    source.run(f"INSERT INTO every_type VALUES (1, {literals})")
    _, slot = source.create_slot()
    (read,) = source.snapshot_rows(slot.snapshot_name, table)
    source.run(f"INSERT INTO every_type VALUES (2, {literals})")
    source.mark_end()
    (streamed,) = changes_of(source.start().until_end())
    assert streamed.new is not None and read.new is not None
    assert tuple(streamed.new)[1:] == tuple(read.new)[1:]
    # How the values of a key compare is known of live tables only.
    assert [column._replace(form=KeyForm.AS_SENT) for column in read.relation.columns] == [*streamed.relation.columns]
    forms = {column.form for column in read.relation.columns}
    assert forms == set(KeyForm)
    for change in (read, streamed):
        values = source.values(change)
        found = {kind: values[f"c{number}"] for number, (kind, _, _) in enumerate(TYPE_CASES)}
        assert found == {kind: expected for kind, _, expected in TYPE_CASES}


def test_not_a_number_is_sent_and_stays_one(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY, n numeric, f float8)")
    source.publish("t")
    source.create_slot()
    source.run("INSERT INTO t VALUES (1, 'NaN', 'Infinity')")
    source.mark_end()
    (change,) = changes_of(source.start().until_end())
    values = source.values(change)
    assert isinstance(values["n"], Decimal) and values["n"].is_nan()
    assert values["f"] == Decimal("Infinity")


@pytest.mark.parametrize(("kind", "literal"), MEANINGLESS_CASES, ids=lambda value: value.strip("'"))
def test_times_that_are_no_point_of_our_calendar_are_refused_by_name(source: Source, kind: str, literal: str) -> None:
    source.run(f"CREATE TABLE t (id int PRIMARY KEY, placed_at {kind})")
    source.publish("t")
    source.create_slot()
    source.run(f"INSERT INTO t VALUES (1, {literal})")
    source.mark_end()
    (change,) = changes_of(source.start().until_end())
    with pytest.raises(InvalidValue, match=r"public\.t\.placed_at holds") as caught:
        source.values(change)
    assert caught.value.field == "placed_at"


BIG = "string_agg(md5(g::text), '')"
EVENT_CASES: list[tuple[str, list[str], list[str], Kinds]] = [
    (
        "update without key change sends no old row",
        ["CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'x')"],
        ["UPDATE t SET a = 'y'"],
        [(ChangeKind.UPDATE, (b"1", b"y"), None)],
    ),
    (
        "key change sends the old key",
        ["CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'x')"],
        ["UPDATE t SET id = 2"],
        [(ChangeKind.UPDATE, (b"2", b"x"), (b"1", UNCHANGED))],
    ),
    (
        "delete sends the key",
        ["CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'x')"],
        ["DELETE FROM t"],
        [(ChangeKind.DELETE, None, (b"1", UNCHANGED))],
    ),
    (
        "composite key",
        ["CREATE TABLE t (o int, l int, a text, PRIMARY KEY (o, l))", "INSERT INTO t VALUES (1, 2, 'x')"],
        ["UPDATE t SET l = 3", "DELETE FROM t"],
        [
            (ChangeKind.UPDATE, (b"1", b"3", b"x"), (b"1", b"2", UNCHANGED)),
            (ChangeKind.DELETE, None, (b"1", b"3", UNCHANGED)),
        ],
    ),
    (
        "FULL sends whole old rows",
        ["CREATE TABLE t (a text, b int)", "ALTER TABLE t REPLICA IDENTITY FULL", "INSERT INTO t VALUES ('x', NULL)"],
        ["UPDATE t SET a = 'y'", "DELETE FROM t"],
        [
            (ChangeKind.UPDATE, (b"y", None), (b"x", None)),
            (ChangeKind.DELETE, None, (b"y", None)),
        ],
    ),
    (
        "USING INDEX sends the index's columns",
        [
            "CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE, a text)",
            "ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key",
            "INSERT INTO t VALUES (1, 'c', 'x')",
        ],
        ["UPDATE t SET code = 'd'", "DELETE FROM t"],
        [
            (ChangeKind.UPDATE, (b"1", b"d", b"x"), (UNCHANGED, b"c", UNCHANGED)),
            (ChangeKind.DELETE, None, (UNCHANGED, b"d", UNCHANGED)),
        ],
    ),
    (
        "truncate",
        ["CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)"],
        ["TRUNCATE t"],
        [(ChangeKind.TRUNCATE, None, None)],
    ),
    (
        "TOASTed value that did not change is not sent",
        [
            "CREATE TABLE t (id int PRIMARY KEY, a int, big text)",
            "ALTER TABLE t ALTER big SET STORAGE EXTERNAL",
            f"INSERT INTO t SELECT 1, 0, {BIG} FROM generate_series(1, 300) g",
        ],
        ["UPDATE t SET a = 1"],
        [(ChangeKind.UPDATE, (b"1", b"1", UNCHANGED), None)],
    ),
    (
        "partitions come under their root",
        [
            "CREATE TABLE t (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
            "CREATE TABLE t25 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
            "CREATE TABLE t26 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        ],
        ["INSERT INTO t VALUES (1, '2025-05-05')", "UPDATE t SET day = '2026-05-05'"],
        [
            (ChangeKind.INSERT, (b"1", b"2025-05-05"), None),
            (ChangeKind.DELETE, None, (b"1", b"2025-05-05")),
            (ChangeKind.INSERT, (b"1", b"2026-05-05"), None),
        ],
    ),
    (
        "generated columns are left out unless they are mapped",
        ["CREATE TABLE t (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED)"],
        ["INSERT INTO t VALUES (1, 4)"],
        [(ChangeKind.INSERT, (b"1", b"4"), None)],
    ),
    (
        "an added column appears from then on",
        ["CREATE TABLE t (id int PRIMARY KEY)"],
        ["INSERT INTO t VALUES (1)", "ALTER TABLE t ADD extra text", "INSERT INTO t VALUES (2, 'e')"],
        [(ChangeKind.INSERT, (b"1",), None), (ChangeKind.INSERT, (b"2", b"e"), None)],
    ),
    (
        "quoted names and a null",
        ['CREATE TABLE t ("Order Id" int PRIMARY KEY, "sel""ect" text)'],
        ["INSERT INTO t VALUES (1, NULL)"],
        [(ChangeKind.INSERT, (b"1", None), None)],
    ),
]


@pytest.mark.parametrize(
    ("title", "before", "statements", "expected"), EVENT_CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_each_kind_of_change_is_read(
    source: Source, title: str, before: list[str], statements: list[str], expected: Kinds
) -> None:
    source.run(*before)
    source.publish("t")
    source.create_slot()
    source.run(*statements)
    source.mark_end()
    changes = changes_of(source.start().until_end())
    assert [(change.kind, change.new, change.old) for change in changes] == expected, title
    assert {str(change.relation.name) for change in changes} == {"public.t"}


def test_a_mapped_generated_column_is_sent(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED)")
    (table,) = source.publish("t", columns=["twice"])
    source.create_slot()
    source.run("INSERT INTO t VALUES (1, 4)")
    source.mark_end()
    (change,) = changes_of(source.start().until_end())
    assert source.values(change) == {"id": 1, "n": 4, "twice": 8}
    assert table.relation(generated_columns=True).columns == change.relation.columns


def test_the_replica_identity_and_its_columns_are_told(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE)")
    source.run("ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key")
    (table,) = source.publish("t")
    source.create_slot()
    source.run("INSERT INTO t VALUES (1, 'c')")
    source.mark_end()
    (change,) = changes_of(source.start().until_end())
    assert change.relation.replica_identity is ReplicaIdentity.INDEX
    assert [column.is_key for column in change.relation.columns] == [False, True]
    assert change.relation.columns == table.relation().columns


def test_a_transaction_is_one_unit_in_commit_order_without_what_was_rolled_back(source: Source) -> None:
    source.run("CREATE TABLE h (id int PRIMARY KEY)", "CREATE TABLE l (h int, n int, PRIMARY KEY (h, n))")
    source.publish("h", "l")
    source.create_slot()
    before = datetime.now(UTC)
    source.in_one_transaction("INSERT INTO h VALUES (1)", "INSERT INTO l VALUES (1, 1), (1, 2)")
    source.run("BEGIN", "INSERT INTO h VALUES (2)", "ROLLBACK")
    source.run(
        "BEGIN",
        "INSERT INTO h VALUES (3)",
        "SAVEPOINT s",
        "INSERT INTO h VALUES (4)",
        "ROLLBACK TO s",
        "INSERT INTO h VALUES (5)",
        "COMMIT",
    )
    source.mark_end()
    first, second = transactions_of(source.start().until_end())
    assert [str(change.relation.name) for change in first.changes] == ["public.h", "public.l", "public.l"]
    assert [change.new for change in second.changes] == [(b"3",), (b"5",)]
    assert before <= first.committed_at <= second.committed_at <= datetime.now(UTC)
    assert first.position < second.position
    assert first.end_position is not None and first.end_position <= second.position


def test_a_prepared_transaction_appears_when_it_is_committed(source: Source) -> None:
    (limit,) = source.sql.execute("SHOW max_prepared_transactions").fetchone() or ("0",)
    if limit == "0":
        pytest.skip("the server allows no prepared transactions")
    source.run("CREATE TABLE t (id int PRIMARY KEY)")
    source.publish("t")
    source.create_slot()
    source.run("BEGIN", "INSERT INTO t VALUES (1)", f"PREPARE TRANSACTION 'one {source.slot}'")
    source.run("BEGIN", "INSERT INTO t VALUES (2)", f"PREPARE TRANSACTION 'two {source.slot}'")
    source.run("INSERT INTO t VALUES (3)", f"ROLLBACK PREPARED 'one {source.slot}'")
    source.run(f"COMMIT PREPARED 'two {source.slot}'")
    source.mark_end()
    assert [change.new for change in changes_of(source.start().until_end())] == [(b"3",), (b"2",)]


def test_a_large_transaction_comes_in_parts_whose_changes_are_numbered(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY, a text)")
    source.publish("t")
    source.create_slot()
    source.run("INSERT INTO t SELECT g, 'x' FROM generate_series(1, 25000) g")
    source.mark_end()
    parts = transactions_of(source.start().until_end())
    assert [(part.first_sequence, len(part.changes), part.complete) for part in parts] == [
        (0, 10_000, False),
        (10_000, 10_000, False),
        (20_000, 5_000, True),
    ]
    assert len({part.position for part in parts}) == 1
    ids = [change.new[0] for part in parts for change in part.changes if change.new is not None]
    assert ids == [str(number).encode() for number in range(1, 25_001)]


def test_what_ordersync_wrote_itself_is_not_captured_again(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY)")
    source.publish("t")
    source.create_slot()
    # Origins belong to the whole server: a sink that ran on it before has made the same one, and may keep it.
    source.run(
        "SELECT pg_replication_origin_create('ordersync') "
        "WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = 'ordersync')"
    )
    try:
        source.run("SELECT pg_replication_origin_session_setup('ordersync')", "INSERT INTO t VALUES (1)")
        source.run("SELECT pg_replication_origin_session_reset()", "INSERT INTO t VALUES (2)")
        source.mark_end()
        assert [change.new for change in changes_of(source.start().until_end())] == [(b"2",)]
    finally:
        source.run("SELECT pg_replication_origin_drop('ordersync')")


def test_markers_come_in_their_place_among_the_transactions(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY)")
    source.publish("t")
    source.create_slot()
    source.run(
        "INSERT INTO t VALUES (1)",
        "SELECT pg_logical_emit_message(false, 'ordersync.watermark', 'low', true)",
        "INSERT INTO t VALUES (2)",
    )
    source.mark_end()
    seen: list[object] = []
    for part in source.start().until_end():
        if isinstance(part, Marker):
            seen.append(part.content.decode())
        else:
            seen += [change.new for change in part.changes]
    assert seen[:3] == [(b"1",), "low", (b"2",)]


def test_rows_of_a_snapshot_and_the_stream_after_it_meet_without_gap_or_double(source: Source) -> None:
    source.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 1000)")
    (table,) = source.publish("t")
    _, slot = source.create_slot()
    source.run("INSERT INTO t SELECT generate_series(1001, 1500)", "DELETE FROM t WHERE id <= 10")
    source.mark_end()
    rows: set[object] = {tuple(change.new or ()) for change in source.snapshot_rows(slot.snapshot_name, table)}
    assert rows == {(str(number).encode(),) for number in range(1, 1001)}
    for change in changes_of(source.start(slot.consistent_position).until_end()):
        _fold(rows, change)
    assert rows == {(str(number).encode(),) for number in range(11, 1501)}


def _fold(rows: set[object], change: RowChange) -> None:
    if change.kind is ChangeKind.INSERT:
        assert change.new is not None and tuple(change.new) not in rows
        rows.add(tuple(change.new))
    else:
        assert change.old is not None
        rows.remove(tuple(change.old))
