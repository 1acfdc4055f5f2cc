"""The demonstration backs itself up: encrypted, signed, sound, and with every version of every order."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import closing, redirect_stdout
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from itertools import chain
from typing import Any

import psycopg
import pytest

from consumers.backup.restore.cut import Cut
from consumers.sink import Partition
from deploy.backup.provisioning import local_backup
from deploy.backup.state import Backup
from deploy.cli import run
from deploy.local.stack import EmbeddedStack
from schemas.settings import DatabaseSettings, secret_of
from schemas.topics import ORDER_EVENTS
from tests.e2e.backups import backup_of, caught_up
from tests.e2e.conftest import Demonstrated
from tests.e2e.demonstrations import figures_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def caught(demonstrated: Demonstrated) -> Iterator[Backup]:
    """The backup, brought up to the ends of the topics; the servers run."""
    with EmbeddedStack(demonstrated.home) as stack:
        yield caught_up(stack.endpoints, demonstrated.home)


@pytest.fixture
def at_home(demonstrated: Demonstrated, caught: Backup, monkeypatch: pytest.MonkeyPatch) -> Demonstrated:
    monkeypatch.setenv("ORDERSYNC_HOME", str(demonstrated.home))
    return demonstrated


def test_both_copies_are_sound_and_readable_by_the_restorer(
    at_home: Demonstrated, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = str(local_backup(at_home.home).identity("restorer"))
    assert run(["backup", "verify", "--identity", identity, "--json"]) == 0
    copies = json.loads(capsys.readouterr().out)
    assert [copy["name"] for copy in copies] == ["first", "second"]
    assert all(copy["is_sound"] and copy["records_read"] and not copy["expired_offsets"] for copy in copies)


def test_every_version_of_both_runs_is_in_the_backup(at_home: Demonstrated, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backup", "list", "--json"]) == 0
    held = {topic["topic"]: topic["records"] for topic in json.loads(capsys.readouterr().out)["topics"]}
    versions = figures_of(at_home.complete.out)["versions"]
    assert held["orders.events"] >= versions


def test_nobody_else_reads_the_keys(at_home: Demonstrated) -> None:
    backup = local_backup(at_home.home)
    secrets = [*backup.directory.glob("*.pem"), *backup.directory.glob("*.age")]
    assert len(secrets) == 8
    assert {stat.S_IMODE(secret.stat().st_mode) for secret in secrets} == {0o600}


def test_a_drill_restores_everything_elsewhere_and_proves_it(
    at_home: Demonstrated, caught: Backup, capsys: pytest.CaptureFixture[str]
) -> None:
    at = caught.catalogue.complete_through_at
    assert at is not None
    assert run(["backup", "drill", "--at", at.isoformat(), "--json"]) == 0
    drill = json.loads(capsys.readouterr().out)
    assert drill["passed"] and drill["orders"] >= 80
    assert {row["account_code"] for row in drill["trial_balance"]} >= {"1000", "1200", "4000"}
    assert sum(Decimal(row["debit_amount"]) - Decimal(row["credit_amount"]) for row in drill["trial_balance"]) == 0
    (ratios,) = drill["ratios"]
    assert Decimal(ratios["operating_cash_flow_to_sales"]) and Decimal(ratios["net_income_to_sales"])
    # Nothing is due for as long as the policy says, and the state tells of it.
    assert run(["backup", "drill", "--if-due"]) == 0
    assert capsys.readouterr().err == "no drill is due\n"
    run(["backup", "status", "--json"])
    assert json.loads(capsys.readouterr().out)["drill_passed_at"] is not None


@pytest.fixture(scope="module")
def restored(demonstrated: Demonstrated, caught: Backup) -> dict[str, Any]:
    """Topics and databases of the middle of the trade, under `restore.`: what the command told of it."""
    told = StringIO()
    with pytest.MonkeyPatch.context() as environment, redirect_stdout(told):
        environment.setenv("ORDERSYNC_HOME", str(demonstrated.home))
        at = middle_of_the_trade(demonstrated).isoformat()
        assert run(["backup", "restore", "--with-databases", "--at", at, "--json"]) == 0
    return dict(json.loads(told.getvalue()))


def test_a_restore_to_the_middle_of_the_trade_has_every_system_at_one_position(
    at_home: Demonstrated, restored: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    at = middle_of_the_trade(at_home)
    assert restored["orders"] and restored["records"]
    assert (restored["erp"], restored["ledger"]) == ("restore_erp", "restore_warehouse")
    # What was restored is never written over.
    assert run(["backup", "restore", "--with-databases", "--at", at.isoformat()]) == 2
    assert "a restore writes to new topics only" in capsys.readouterr().err
    key = local_backup(at_home.home).key
    assert run(["backup", "promote", "--with-databases", "--key", str(key("restorer"))]) == 2
    assert "is no promoter's key" in capsys.readouterr().err
    assert run(["backup", "promote", "--prefix", "other.", "--key", str(key("promoter"))]) == 2
    assert "the audit log knows no restore to 'other.'" in capsys.readouterr().err
    assert run(["backup", "promote", "--with-databases", "--key", str(key("promoter"))]) == 2
    assert "no restore that has ended" in capsys.readouterr().err


def test_databases_with_backups_of_their_own_are_joined_to_restored_topics(
    at_home: Demonstrated,
    caught: Backup,
    restored: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    middle, end = middle_of_the_trade(at_home), caught.catalogue.complete_through_at
    stack = EmbeddedStack.find(at_home.home)
    assert end is not None and stack is not None
    for name, database in (("RESTORED_ERP", restored["erp"]), ("RESTORED_LEDGER", restored["ledger"])):
        settings = stack.database(database)
        as_servers_of_then(at_home, caught, middle, settings)
        monkeypatch.setenv(f"ORDERSYNC_{name}__HOST", settings.host)
        monkeypatch.setenv(f"ORDERSYNC_{name}__PORT", str(settings.port))
        monkeypatch.setenv(f"ORDERSYNC_{name}__DBNAME", settings.dbname)
        monkeypatch.setenv(f"ORDERSYNC_{name}__USER", settings.user)
        monkeypatch.setenv(f"ORDERSYNC_{name}__PASSWORD", secret_of(settings.password, settings.password_file) or "")
    capsys.readouterr()
    early = ["--at", (middle - timedelta(milliseconds=1)).isoformat()]
    assert run(["backup", "join", *early]) == 2
    assert "restore it to an earlier moment" in capsys.readouterr().err
    late = ["--at", end.isoformat()]
    # These topics are of the middle.
    assert run(["backup", "join", *late]) == 2
    assert "restore the topics first" in capsys.readouterr().err
    assert run(["backup", "restore", *late, "--prefix", "joined."]) == 0
    capsys.readouterr()
    assert run(["backup", "join", *late, "--prefix", "joined.", "--json"]) == 0, capsys.readouterr().err
    assert json.loads(capsys.readouterr().out)["orders"] > restored["orders"]
    erp = stack.database(restored["erp"])
    with closing(psycopg.connect(erp.conninfo(application_name="ordersync erp"))):
        assert run(["backup", "join", *late, "--prefix", "joined."]) == 2
    assert "a worker erp is connected" in capsys.readouterr().err
    # Again: the positions were exchanged once.
    assert run(["backup", "join", *late, "--prefix", "joined."]) == 0
    assert "stand at one position" in capsys.readouterr().out


def as_servers_of_then(demonstrated: Demonstrated, backup: Backup, at: datetime, database: DatabaseSettings) -> None:
    """Let the sinks' positions be those that the servers in use had at the moment, as their own backups have them."""
    reader = backup.reader(local_backup(demonstrated.home).identity("escrow"))
    cut = Cut(reader, at)
    with closing(psycopg.connect(database.conninfo(), autocommit=True)) as connection:
        for topic, number in connection.execute("SELECT topic, partition FROM sink_position").fetchall():
            name = topic.removeprefix("restore.")
            offsets = [record.offset for record in cut.records(Partition(name, number))]
            connection.execute(
                "UPDATE sink_position SET topic = %s, next_offset = %s WHERE topic = %s AND partition = %s",
                [name, offsets[-1] + 1 if offsets else 0, topic, number],
            )


def test_a_restore_is_put_into_use_by_somebody_else(at_home: Demonstrated, capsys: pytest.CaptureFixture[str]) -> None:
    at = middle_of_the_trade(at_home)
    prefix = ["--prefix", "second."]
    assert run(["backup", "restore", "--with-databases", "--at", at.isoformat(), *prefix, "--json"]) == 0
    restored = json.loads(capsys.readouterr().out)
    promote = ["backup", "promote", "--with-databases", *prefix]
    promoter = ["--key", str(local_backup(at_home.home).key("promoter"))]
    assert run([*promote, *promoter]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert f"{restored['orders']:,} orders of the restored state, ERP and ledger agree" in told
    assert "second_erp is erp now; what was there is erp_before_" in told
    assert "ORDERSYNC_TOPIC_PREFIX=second." in told
    assert run([*promote, *promoter]) == 2
    assert "was put into use at" in capsys.readouterr().err
    assert run(["backup", "audit"]) == 0
    assert "promoter" in capsys.readouterr().out


def middle_of_the_trade(demonstrated: Demonstrated) -> datetime:
    """When half of the versions had been made."""
    reader = backup_of(demonstrated.home).reader(local_backup(demonstrated.home).identity("escrow"))
    records = (reader.records(one, datetime.now(UTC)) for one in reader.partitions(ORDER_EVENTS))
    times = sorted(record.timestamp_ms for record in chain.from_iterable(records))
    return datetime.fromtimestamp(times[len(times) // 2] / 1000, UTC)
