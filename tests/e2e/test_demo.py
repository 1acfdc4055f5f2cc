"""The whole product at work: the demonstration as an operator runs it."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Demonstrated
from tests.e2e.demonstrations import figures_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_FIGURES = {
    "orders",
    "events",
    "versions",
    "mismatches",
    "ledger_imbalance",
    "rejected",
    "parked",
    "seconds",
    "latency_seconds",
    "orders_per_second",
}


def test_an_interrupted_run_leaves_no_process(demonstrated: Demonstrated) -> None:
    assert demonstrated.interrupted.exit_code == 130, demonstrated.interrupted.told
    assert demonstrated.interrupted.left == []


def test_every_system_agrees_also_after_an_interrupted_run(demonstrated: Demonstrated) -> None:
    complete = demonstrated.complete
    assert complete.exit_code == 0, complete.told
    figures = figures_of(complete.out)
    assert (figures["orders"], figures["mismatches"], figures["ledger_imbalance"]) == (80, 0, 0)
    assert figures["parked"] == 0
    assert figures["rejected"] >= 1
    assert figures["versions"] > figures["orders"]
    assert complete.left == []


def test_standard_output_is_one_line_of_figures(demonstrated: Demonstrated) -> None:
    figures = figures_of(demonstrated.complete.out)
    assert figures.keys() >= _FIGURES
    assert figures["events"] > figures["orders"]
    assert figures["seconds"] > 0 and figures["orders_per_second"] > 0
    latency = figures["latency_seconds"]
    assert latency.keys() == {"p50", "p99"}
    assert 0 < latency["p50"] <= latency["p99"]
