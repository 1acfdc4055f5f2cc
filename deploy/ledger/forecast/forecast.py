"""A forecast: the model that did best in the backtest, beside the baseline, with prediction intervals."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from deploy.ledger.forecast.backtest import Backtest, backtest, least_history
from deploy.ledger.forecast.models import BASELINE, LEVELS, MODELS, Prediction, predict
from deploy.ledger.forecast.series import RevenueSeries
from schemas.allocation import rounded
from schemas.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ForecastPeriod:
    """What is expected of one period; amounts rounded to the currency."""

    period: str
    expected_amount: Decimal
    baseline_amount: Decimal
    low: dict[int, Decimal]
    high: dict[int, Decimal]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The chosen model's forecast, and how all of them did in the past."""

    currency_code: str
    history: tuple[str, str, int]
    """First and last period that it rests on, and their number."""
    model: str
    backtests: tuple[Backtest, ...]
    """The baseline's first, then the others'."""
    periods: tuple[ForecastPeriod, ...]

    @property
    def remark(self) -> str:
        """How far it is to be trusted, for people."""
        baseline = self.backtests[0]
        if self.model == BASELINE:
            return "no model did better than last year's revenue of the same period: that is the forecast"
        chosen = next(one for one in self.backtests if one.model == self.model)
        return (
            f"{self.model} was wrong by {chosen.wape:.1%} of revenue where last year's figures were by "
            f"{baseline.wape:.1%}, over {chosen.origins} origins"
        )


def forecast(series: RevenueSeries, horizon: int) -> Forecast:
    """Forecast the `horizon` periods after the series with the model whose WAPE from rolling origins is the lowest.

    Raises:
        ConfigurationError: the history is too short for a season and a backtest.
    """
    season, needed = series.grain.season, least_history(series.grain.season)
    count = len(series.amounts)
    if count < needed:
        raise ConfigurationError(
            f"{count} {series.grain}s of revenue in {series.currency_code} are over ({series.label(0)} to "
            f"{series.label(count - 1)}), and {needed} are needed: {season} for a season and 3 to test the forecast "
            "on. Until then plan with `ordersync ledger view backlog` and `view cash-forecast`"
        )
    amounts = [float(amount) for amount in series.amounts]
    tests = tuple(backtest(model, amounts, season, horizon) for model in MODELS)
    best = min(tests, key=lambda test: test.wape).model
    return Forecast(
        series.currency_code,
        (series.label(0), series.label(count - 1), count),
        best,
        tests,
        _periods(series, predict(best, amounts, season, horizon), predict(BASELINE, amounts, season, horizon)),
    )


def _periods(series: RevenueSeries, best: Prediction, baseline: Prediction) -> tuple[ForecastPeriod, ...]:
    def money(value: float) -> Decimal:
        return rounded(Decimal(repr(float(value))), series.currency_code)

    return tuple(
        ForecastPeriod(
            series.label(len(series.amounts) + step),
            money(best.mean[step]),
            money(baseline.mean[step]),
            {level: money(best.low[level][step]) for level in LEVELS},
            {level: money(best.high[level][step]) for level in LEVELS},
        )
        for step in range(len(best.mean))
    )
