"""The demonstration backs itself up: encrypted, signed, sound, and with every version of every order."""

from __future__ import annotations

import json
import stat
from decimal import Decimal

import pytest

from deploy.backup.provisioning import local_backup
from deploy.cli import run
from tests.e2e.conftest import Demonstrated
from tests.e2e.demonstrations import figures_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def at_home(demonstrated: Demonstrated, monkeypatch: pytest.MonkeyPatch) -> Demonstrated:
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
    assert len(secrets) == 7
    assert {stat.S_IMODE(secret.stat().st_mode) for secret in secrets} == {0o600}


def test_a_drill_restores_everything_elsewhere_and_proves_it(
    at_home: Demonstrated, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backup", "drill", "--json"]) == 0
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
