"""Revenue forecasts: series without gaps, backtests that can be checked by hand, and series with known properties."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest

from deploy.ledger.forecast.backtest import backtest
from deploy.ledger.forecast.forecast import Forecast, forecast
from deploy.ledger.forecast.models import BASELINE
from deploy.ledger.forecast.series import Grain, RevenueSeries, revenue_series
from deploy.ledger.forecast.showing import forecast_as_json
from schemas.errors import ConfigurationError
from tests.northwind import northwind_directory

D = Decimal


def monthly(amounts: Sequence[float], first: int = 2020 * 12) -> RevenueSeries:
    return RevenueSeries("EUR", Grain.MONTH, first, tuple(D(repr(float(amount))) for amount in amounts))


def test_a_series_has_no_gaps_and_ends_with_the_last_whole_period() -> None:
    months = {"2025-11": D(7), "2026-02": D(5), "2026-03": D(9)}
    series = revenue_series(months, "EUR", Grain.MONTH, "2026-02")
    assert series.amounts == (7, 0, 0, 5)
    assert [series.label(index) for index in (0, 3, 4)] == ["2025-11", "2026-02", "2026-03"]
    with pytest.raises(ConfigurationError, match="no revenue in EUR up to 2024-12"):
        revenue_series(months, "EUR", Grain.MONTH, "2024-12")


def test_quarters_that_are_not_whole_are_left_out() -> None:
    months = {f"2026-{number:02d}": D(number) for number in range(2, 9)}
    series = revenue_series(months, "EUR", Grain.QUARTER, "2026-08")
    assert (series.amounts, series.label(0), series.label(1)) == ((4 + 5 + 6,), "2026-Q2", "2026-Q3")
    with pytest.raises(ConfigurationError, match="no whole quarter"):
        revenue_series({"2026-02": D(1)}, "EUR", Grain.QUARTER, "2026-03")


def test_the_baselines_errors_are_those_of_a_hand_calculation() -> None:
    amounts = [100.0] * 12 + [110.0, 120.0, 90.0]
    found = backtest(BASELINE, amounts, 12, 2)
    # Origins 12, 13, 14; two steps where they are known: 110, 120; 120, 90; 90. Last year's figure is always 100.
    assert found.origins == 3
    assert found.wape == pytest.approx((10 + 20 + 20 + 10 + 10) / (110 + 120 + 120 + 90 + 90))
    assert found.bias == pytest.approx((-10 - 20 - 20 + 10 + 10) / 530)


def test_trend_and_season_are_found_and_beat_the_baseline() -> None:
    noise, months = np.random.default_rng(7), np.arange(54)
    truth = (1000 + 12 * months) * (1 + 0.25 * np.sin(2 * np.pi * months / 12))
    seen = truth[:48] * (1 + noise.normal(0, 0.03, 48))
    found = forecast(monthly(seen.tolist()), 6)
    baseline, best = found.backtests[0], min(found.backtests, key=lambda test: test.wape)
    assert found.model == best.model != BASELINE
    assert best.wape < 0.6 * baseline.wape
    assert baseline.bias < -0.05 < best.bias < 0.05, "a growing business outgrows last year's figures"
    for expected, one in zip(truth[48:], found.periods, strict=True):
        assert float(one.expected_amount) == pytest.approx(expected, rel=0.12)
        assert one.low[95] < one.low[80] < one.expected_amount < one.high[80] < one.high[95]
    assert [one.period for one in found.periods] == [f"2024-{number:02d}" for number in range(1, 7)]


def test_a_business_that_repeats_itself_is_forecast_by_last_year() -> None:
    year = [50.0, 900.0, 20.0, 400.0, 10.0, 700.0, 30.0, 800.0, 60.0, 100.0, 5.0, 300.0]
    found = forecast(monthly(year + year[:4]), 3)
    assert found.model == BASELINE
    assert "no model did better" in found.remark
    assert [one.expected_amount for one in found.periods] == [D("10.00"), D("700.00"), D("30.00")]


def test_too_little_history_is_said_and_not_forecast() -> None:
    with pytest.raises(ConfigurationError, match=r"14 months of revenue in EUR .*2020-01 to 2021-02.*15 are needed"):
        forecast(monthly([1.0] * 14), 3)


def test_the_same_history_gives_the_same_forecast() -> None:
    amounts = np.random.default_rng(3).gamma(5, 100, 15).tolist()
    assert forecast_as_json(forecast(monthly(amounts), 2)) == forecast_as_json(forecast(monthly(amounts), 2))


def northwind() -> RevenueSeries:
    """Order value after discount by month of the order; the last month has six days and is left out."""
    directory = northwind_directory()
    if not (directory / "orders.csv").is_file():
        pytest.skip(
            f"Northwind's orders.csv not found in {directory}: set NORTHWIND_DATA to the directory of its files"
        )
    with (directory / "orders.csv").open(encoding="utf-8") as file:
        months = {row["order_id"]: row["order_date"][:7] for row in csv.DictReader(file)}
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    with (directory / "order_details.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            value = D(row["unit_price"]) * D(row["quantity"]) * (1 - D(row["discount"]))
            revenue[months[row["order_id"]]] += value
    return revenue_series(revenue, "USD", Grain.MONTH, "1998-04")


def test_northwind_is_forecast_better_than_by_last_year() -> None:
    found: Forecast = forecast(northwind(), 3)
    assert found.history == ("1996-07", "1998-04", 22)
    by_model = {test.model: test for test in found.backtests}
    assert found.model != BASELINE
    assert by_model[found.model].wape < 0.75 * by_model[BASELINE].wape
    assert by_model[BASELINE].bias < -0.3, "it grew fast"
    assert [one.period for one in found.periods] == ["1998-05", "1998-06", "1998-07"]
