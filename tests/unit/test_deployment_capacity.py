"""The arithmetic of size, and the guide's tables, which are nothing but it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import deploy.capacity
from deploy.capacity import MOST_ORDERS_PER_SECOND, Measured, Shape, capacity, names
from deploy.cli import run
from schemas.errors import ConfigurationError

GUIDE = Path(deploy.capacity.__file__).parent / "guide" / "capacity.md"
README = GUIDE.parents[2] / "README.md"
SIZES = st.integers(1, MOST_ORDERS_PER_SECOND)


def table(beginning: str) -> list[list[str]]:
    """The rows of the guide's table whose first row begins so."""
    lines = GUIDE.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {beginning}"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_guide_says_what_the_arithmetic_says() -> None:
    head, _, *rows = table("Orders/s")
    reckoned = [asdict(capacity(int(size.replace(",", "")))) for size in head[1:]]
    assert len(reckoned) == 4
    assert [row[0] for row in rows] == [name.replace("_", " ") for name in names()[1:]]
    for name, *values in rows:
        assert values == [f"{one[name.replace(' ', '_')]:,}" for one in reckoned], name


def test_the_measured_inputs_are_the_readme_s() -> None:
    readme = README.read_text()
    told = [row[1] for row in table("Measured on one core")[2:]]
    rates = [getattr(Measured(), field.name) for field in fields(Measured) if field.name != "order_bytes"]
    assert told == [f"{rate:,.0f}" for rate in rates]
    for rate in told:
        assert re.search(rf"(?<![\d,]){rate}(?![\d,])", readme), f"{rate} is not in README.md"


@given(SIZES, SIZES)
def test_more_orders_never_need_less(one: int, other: int) -> None:
    less, more = sorted((one, other))
    smaller, larger = asdict(capacity(less)), asdict(capacity(more))
    assert all(smaller[name] <= larger[name] for name in names())


@given(SIZES)
def test_no_worker_is_planned_above_half_of_what_was_measured(orders: int) -> None:
    planned, shape = capacity(orders), Shape()
    assert orders / planned.stream_workers <= Measured().stream_orders * shape.utilization
    lines = orders * shape.journal_lines_of_an_event
    assert lines / planned.ledger_workers <= Measured().journal_lines * shape.utilization
    assert planned.partitions >= 2 * planned.stream_workers and planned.partitions % 12 == 0
    assert planned.brokers >= shape.copies


@pytest.mark.parametrize("orders", [0, -1, MOST_ORDERS_PER_SECOND + 1])
def test_what_it_is_not_good_for_is_refused(orders: int) -> None:
    with pytest.raises(ConfigurationError, match="1,000,000"):
        capacity(orders)


def test_the_command_shows_it_to_people_and_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["capacity", "--orders-per-second", "100000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == asdict(capacity(100_000))
    assert run(["capacity", "--orders-per-second", "100000"]) == 0
    assert re.search(r"partitions +48\n", capsys.readouterr().out)
    assert run(["capacity", "--orders-per-second", "0"]) == 2
