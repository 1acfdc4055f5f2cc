"""How a model would have forecast the past: from rolling origins, each with only what was known by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deploy.ledger.forecast.models import LEVELS, predict

_MOST_ORIGINS: Final = 18
"""Older origins tell little about how the business is forecast now, and each one fits every model again."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """Errors of one model over all origins and all steps of the horizon."""

    model: str
    origins: int
    wape: float
    """Sum of absolute errors by sum of actual revenue."""
    bias: float
    """Sum of forecast less actual by sum of actual revenue: positive where it forecasts too much."""
    coverage: dict[int, float]
    """Part of the actual values that lay within the interval of each level."""


def least_history(season: int) -> int:
    """Periods that are needed: a season for the first origin, and three origins."""
    return season + 3


def backtest(model: str, amounts: Sequence[float], season: int, horizon: int) -> Backtest:
    """Forecast from each origin up to `horizon` periods, as far as they are known.

    Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 5.10.
    """
    first = max(season, len(amounts) - _MOST_ORIGINS)
    error = surplus = actual_sum = 0.0
    steps = 0
    within = dict.fromkeys(LEVELS, 0)
    for origin in range(first, len(amounts)):
        actual = amounts[origin : origin + horizon]
        prediction = predict(model, amounts[:origin], season, len(actual))
        for step, value in enumerate(actual):
            difference = float(prediction.mean[step]) - value
            error, surplus, actual_sum = error + abs(difference), surplus + difference, actual_sum + abs(value)
            for level in LEVELS:
                within[level] += bool(prediction.low[level][step] <= value <= prediction.high[level][step])
        steps += len(actual)
    whole = actual_sum or 1.0
    coverage = {level: count / steps for level, count in within.items()}
    return Backtest(model, len(amounts) - first, error / whole, surplus / whole, coverage)
