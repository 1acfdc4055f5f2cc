"""Turns declared dashboards into Grafana's JSON: `python -m deploy.grafana.writing` writes the committed files.

Needs `grafana-foundation-sdk`, a tool of developers; what is committed needs nothing.
"""

from __future__ import annotations

from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

from deploy.grafana.declarations import Dashboard, Panel, Shape
from deploy.grafana.registry import DASHBOARDS, DIRECTORY

_SOURCE = DataSourceRef("prometheus", "${prometheus}")
_HEIGHT, _FIGURE_HEIGHT = 8, 4


def json_of(declared: Dashboard) -> str:
    """The file of one dashboard, the same for the same declaration."""
    built = (
        dashboard.Dashboard(f"ordersync: {declared.title}")
        .uid(f"ordersync-{declared.name}")
        .description(declared.question)
        .tags(["ordersync"])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("utc")
        .with_variable(dashboard.DatasourceVariable("prometheus").label("Prometheus").type("prometheus"))
    )
    for number, panel in enumerate(declared.panels, 1):
        built = built.with_panel(_panel(panel).id(number))
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def write() -> None:
    """Write the JSON of each dashboard."""
    for declared in DASHBOARDS:
        (DIRECTORY / f"{declared.name}.json").write_text(json_of(declared))


def _panel(declared: Panel) -> Any:
    panel = _shape(declared.shape).title(declared.title).description(declared.question).datasource(_SOURCE)
    panel = panel.unit(declared.unit).span(declared.width)
    panel = panel.height(_FIGURE_HEIGHT if declared.shape is Shape.FIGURE else _HEIGHT)
    if declared.red_from is not None:
        steps = [Threshold(value=None, color="green"), Threshold(value=declared.red_from, color="red")]
        panel = panel.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    for letter, query in zip(ascii_uppercase, declared.queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).expr(query.expr).legend_format(query.legend or "__auto")
        panel = panel.with_target(target.range() if declared.shape is Shape.LINES else target.instant())
    return panel


def _shape(shape: Shape) -> Any:
    match shape:
        case Shape.LINES:
            return timeseries.Panel().min(0).show_points(common.VisibilityMode.NEVER)
        case Shape.FIGURE:
            return stat.Panel()
        case Shape.BARS:
            return bargauge.Panel()


if __name__ == "__main__":
    write()
