"""When a drill is overdue, what makes one fail, and how a ledger that is not the archive's is found out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from consumers.backup.archive.keeping import KeeperWorker
from consumers.backup.archive.settings import KeeperSettings
from consumers.backup.restore.proof import Account, Proof, Turnover, differences
from consumers.backup.vault.audit import Deed, record
from consumers.backup.vault.drills import FAILED, PASSED, Rehearsals
from deploy.backup.drill import DrillReport
from tests.integration.backup_world import RunningWorker
from tests.unit.backup_people import NOW, Vault

AT = datetime(2026, 11, 21, tzinfo=UTC)
DAY = timedelta(days=1)
CASH, SALES = Account("EUR", "1000"), Account("EUR", "4000")


def turnover(debit: str, credit: str) -> Turnover:
    return Turnover(Decimal(debit), Decimal(credit))


@pytest.mark.parametrize(
    ("rehearsals", "alarm"),
    [
        (Rehearsals(), "no restore was ever rehearsed"),
        (Rehearsals(passed_at=AT - 29 * DAY), None),
        (Rehearsals(passed_at=AT - 31 * DAY), "more than 30 days ago"),
        (Rehearsals(failed_at=AT - DAY), "failed"),
        (Rehearsals(passed_at=AT - 2 * DAY, failed_at=AT - DAY), "failed"),
        (Rehearsals(passed_at=AT - DAY, failed_at=AT - 2 * DAY), None),
    ],
)
def test_a_stale_or_failed_drill_alarms(rehearsals: Rehearsals, alarm: str | None) -> None:
    found = rehearsals.alarm(30, AT)
    assert found is None if alarm is None else found is not None and alarm in found


def test_a_ledger_with_anything_but_the_archived_postings_is_found_out() -> None:
    posted = {CASH: turnover("10", "0"), SALES: turnover("0", "10")}
    assert list(differences(posted, dict(posted))) == []
    (missing,) = differences(posted, {CASH: posted[CASH]})
    assert missing == ("account 4000 in EUR: the archive has debits 0 and credits 10, the ledger 0 and 0")
    (more,) = differences({CASH: posted[CASH]}, posted)
    assert "account 4000" in more
    # A debit and a credit too many: the balance is the same.
    assert list(differences(posted, posted | {CASH: turnover("11", "1")})) != []


@pytest.mark.parametrize(
    ("seconds", "faults", "action"),
    [(60.0, (), PASSED), (60.1, (), FAILED), (1.0, ("state and erp differ",), FAILED)],
)
def test_a_drill_fails_by_what_differs_and_by_the_clock(seconds: float, faults: tuple[str, ...], action: str) -> None:
    report = DrillReport(AT, 1, Proof(1, {}, (), faults), 0.5, seconds, seconds + 1, rto_seconds=60)
    assert report.action == action
    assert all(fault in str(report) for fault in report.faults)


def test_the_keeper_tells_of_drills(tmp_path: Path) -> None:
    vault, metrics = Vault(tmp_path), CollectorRegistry()
    vault.commit(vault.new_creator(), [])
    settings = KeeperSettings(
        policy=tmp_path, root=tmp_path, keeper_key=tmp_path, data_dir=tmp_path, interval_seconds=0.01
    )

    def told(name: str, **labels: str) -> float | None:
        return metrics.get_sample_value(f"ordersync_backup_drill_{name}", labels)

    with RunningWorker(KeeperWorker(settings, vault.policy, vault.keeper, metrics), metrics) as running:
        running.until(lambda: told("overdue") == 1, "an alarm before the first drill")
        record(vault.copies, vault.people.restorer, Deed(PASSED, "all agree", NOW), vault.roots)
        running.until(lambda: told("overdue") == 0, "no alarm after a drill")
        assert told("timestamp_seconds", outcome="passed") == NOW.timestamp()
        record(vault.copies, vault.people.restorer, Deed(FAILED, "orders differ", NOW + DAY), vault.roots)
        running.until(lambda: told("overdue") == 1, "an alarm after a failed drill")
    assert told("timestamp_seconds", outcome="failed") == (NOW + DAY).timestamp()
