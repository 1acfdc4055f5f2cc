"""The alert rules by promtool: they parse, each fires when it should and not for the near miss, each has a runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus.rules import RULES_FILE
from tests.unit.alert_cases import CASES, THROUGH, Case, Series, clock, differing, late, standing

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool of Prometheus")
ROOT = Path(__file__).parents[2]
HEALTHY_MINUTES = 60


GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES_FILE.read_text())["groups"]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judged(tmp_path: Path, tests: list[dict[str, Any]], *, alert: str | None = None, step: str = "1m") -> None:
    """Run promtool's tests; with the group of one alert alone, for each evaluation takes its time."""
    groups = [one for one in GROUPS if alert is None or alert in (rule.get("alert") for rule in one["rules"])]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": groups}))
    plan = {"rule_files": ["rules.json"], "evaluation_interval": step, "tests": tests}
    (tmp_path / "tests.json").write_text(json.dumps(plan))
    promtool("test", "rules", str(tmp_path / "tests.json"))


def expectation(name: str, series: Series, case: Case, *, fires: bool) -> dict[str, Any]:
    expr = f'group by (alertname) (ALERTS{{alertname="{case.alert}",alertstate="firing"}})'
    samples = [{"labels": f'{{alertname="{case.alert}"}}', "value": 1}] if fires else []
    return {
        "name": name,
        "interval": "5m" if case.is_long else "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": f"{case.minute}m", "exp_samples": samples}],
    }


def of_case(case: Case) -> list[dict[str, Any]]:
    misses = enumerate(case.misses, 1)
    return [
        expectation(f"{case.alert} fires", case.fires, case, fires=True),
        *(expectation(f"{case.alert}, near miss {number}", one, case, fires=False) for number, one in misses),
    ]


def test_the_rules_are_sound() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(RULES_FILE))


@pytest.mark.parametrize(("alert", "is_long"), sorted({(case.alert, case.is_long) for case in CASES}))
def test_the_alert_fires_and_not_for_the_near_miss(alert: str, is_long: bool, tmp_path: Path) -> None:
    cases = [case for case in CASES if (case.alert, case.is_long) == (alert, is_long)]
    judged(tmp_path, [test for case in cases for test in of_case(case)], alert=alert, step="30m" if is_long else "1m")


def test_there_is_a_case_with_a_near_miss_for_each_alert() -> None:
    assert {case.alert for case in CASES if case.misses} == alerts().keys()


def test_a_wrong_expectation_is_noticed(tmp_path: Path) -> None:
    healthy = clock("ordersync_lag_observed_timestamp_seconds", 10)
    planted = expectation("planted", healthy, Case("OrdersyncLagUnknown", 30, {}, ()), fires=True)
    with pytest.raises(AssertionError, match="OrdersyncLagUnknown"):
        judged(tmp_path, [planted], alert="OrdersyncLagUnknown")


def test_an_hour_of_healthy_flow_raises_no_alert(tmp_path: Path) -> None:
    anything = 'group by (alertname) (ALERTS{alertstate="firing"})'
    checked = [
        {"expr": anything, "eval_time": f"{minute}m", "exp_samples": []} for minute in range(HEALTHY_MINUTES + 1)
    ]
    series = [{"series": one, "values": values} for one, values in healthy_flow().items()]
    judged(tmp_path, [{"name": "healthy", "interval": "1m", "input_series": series, "promql_expr_test": checked}])


def healthy_flow() -> Series:
    """An hour of all that the rules look at, with what is usual: some lag, some late events, one short difference."""
    flow: Series = {}
    for stage in ("erp", "warehouse", "backup"):
        flow |= late(0.2, stage=stage) | clock(f'{THROUGH}{{sink="{stage}"}}', 3)
        flow |= {f'ordersync_events_total{{stage="{stage}",outcome="refused"}}': "0x100"}
    for name in ("stopped", "stalled", "slow", "rewound"):
        flow |= standing(name, "0x100")
    for one in ("steady", "full", "source"):
        flow |= {f'ordersync_reconciled_timestamp_seconds{{round="{one}"}}': "-5+60x100"}
    for worker in ("streams", "erp", "capture-crm"):
        labels = f'job="ordersync",worker="{worker}",instance="{worker}"'
        flow |= {f"up{{{labels}}}": "1x100", f"ordersync_worker_ready{{{labels}}}": "1x100"}
        flow |= {f"process_start_time_seconds{{{labels}}}": "-90x100"}
    return (
        flow
        | differing(0, minutes=100)
        | clock(f'{THROUGH}{{sink="archive"}}', 60)
        | {
            "ordersync_lag_observed_timestamp_seconds": "-10+60x100",
            'ordersync_consumer_lag_records{group="g",topic="t",partition="0"}': "0 7 3 0 9x90",
            'ordersync_consumer_expired_records{group="g",topic="t",partition="0"}': "0x100",
            'ordersync_ledger_imbalance{currency="EUR"}': "0x100",
            "ordersync_audit_faults": "0x100",
            'ordersync_audit_verified_timestamp_seconds{scope="new"}': "-5+60x100",
            'ordersync_audit_verified_timestamp_seconds{scope="whole"}': "-5x100",
            'ordersync_events_total{stage="streams",outcome="rejected"}': "3x100",
            'ordersync_events_total{stage="capture",outcome="written"}': "0+300x100",
            "ordersync_parked_oldest_timestamp_seconds": "0x20 1200x9 0x80",
            'ordersync_replication_slot_present{slot="s",instance="capture-crm"}': "1x100",
            'ordersync_replication_slot_retained_bytes{slot="s"}': "120000 9000000 120000x90",
            'ordersync_capture_gaps_total{instance="capture-crm"}': "0x100",
            'ordersync_capture_stopped{table="orders"}': "0x100",
            "ordersync_backup_commits_total": "0+1x100",
            "ordersync_backup_published_commit": "0+1x100",
            'ordersync_backup_copy_behind_files{copy="first"}': "0 2 0x100",
            'ordersync_backup_drill_timestamp_seconds{outcome="failed"}': "0x100",
            'ordersync_backup_drill_timestamp_seconds{outcome="passed"}': "0x100",
            "ordersync_backup_drill_overdue": "0x100",
        }
    )


@pytest.mark.parametrize("alert", sorted(alerts()))
def test_each_alert_says_what_where_and_what_to_do(alert: str) -> None:
    rule = alerts()[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"] and rule["annotations"]["description"]
    page, _, section = rule["annotations"]["runbook_url"].partition("#")
    sections = re.findall(r"^#{2,4} (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert alert in sections, f"{page} has no section {alert}"
    assert section == alert.lower()


def test_the_guide_has_no_runbook_without_an_alert() -> None:
    told = re.findall(r"^#{2,4} (Ordersync\w+)$", (ROOT / "deploy/guide/observing.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(alerts())


def test_rules_name_only_metrics_of_ours() -> None:
    from schemas import metrics

    ours = {one.name for one in vars(metrics).values() if isinstance(one, metrics.Metric)}
    told = set(re.findall(r"\bordersync_\w+", RULES_FILE.read_text())) - {"ordersync_late_events"}
    told = {re.sub(r"_(bucket|count)$", "", name) for name in told if not name.startswith("ordersync_disagreeing")}
    assert told <= ours, told - ours
