"""The dashboards: the committed JSON is what the declarations give, and shows only what there is."""

from __future__ import annotations

import json
import re

import pytest

from deploy.grafana.declarations import Dashboard
from deploy.grafana.registry import DASHBOARDS, DIRECTORY
from deploy.grafana.writing import json_of
from schemas import metrics

OURS = {one.name for one in vars(metrics).values() if isinstance(one, metrics.Metric)}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_the_committed_file_is_what_is_declared(dashboard: Dashboard) -> None:
    committed = (DIRECTORY / f"{dashboard.name}.json").read_text()
    assert committed == json_of(dashboard), "run `python -m deploy.grafana.writing`"


def test_no_other_file_is_committed() -> None:
    assert {file.stem for file in DIRECTORY.iterdir()} == {one.name for one in DASHBOARDS}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_each_panel_has_a_question_and_names_only_metrics_of_ours(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        assert panel.question and panel.queries
        for query in panel.queries:
            told = {re.sub(r"_(bucket|count)$", "", name) for name in re.findall(r"\bordersync_\w+", query.expr)}
            assert told <= OURS, f"{panel.title}: {told - OURS}"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_the_json_is_a_dashboard_that_asks_the_chosen_prometheus(dashboard: Dashboard) -> None:
    shown = json.loads((DIRECTORY / f"{dashboard.name}.json").read_text())
    assert shown["uid"] == f"ordersync-{dashboard.name}"
    assert len({panel["id"] for panel in shown["panels"]}) == len(dashboard.panels)
    for panel, declared in zip(shown["panels"], dashboard.panels, strict=True):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${prometheus}"}
        assert [target["expr"] for target in panel["targets"]] == [query.expr for query in declared.queries]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    assert [one["name"] for one in shown["templating"]["list"]] == ["prometheus"]
