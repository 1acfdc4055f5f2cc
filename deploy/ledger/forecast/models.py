"""The models that may forecast: the seasonal-naive baseline, and those of statsforecast that may be better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.errors import ConfigurationError

try:
    from statsforecast.models import AutoARIMA, AutoCES, AutoETS, SeasonalNaive
except ImportError as exc:
    raise ConfigurationError(
        "a forecast needs the packages of the extra `planning`: pip install 'ordersync[planning]'"
    ) from exc

LEVELS: Final = (80, 95)
"""Prediction intervals, in percent."""
BASELINE: Final = "seasonal naive"
MODELS: Final[Mapping[str, Callable[[int], Any]]] = MappingProxyType(
    {
        BASELINE: lambda season: SeasonalNaive(season_length=season),
        "ETS": lambda season: AutoETS(season_length=season),
        "ARIMA": lambda season: AutoARIMA(season_length=season),
        "CES": lambda season: AutoCES(season_length=season),
    }
)
"""Seasonal naive repeats the last year; the others choose their form by AICc: exponential smoothing (error, trend,
season), ARIMA, complex exponential smoothing. Source: Hyndman and Athanasopoulos, Forecasting, 3rd ed., 5, 8, 9."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Expected values of the next periods, and the bounds of each level. Estimates, not money: floats."""

    mean: NDArray[np.float64]
    low: Mapping[int, NDArray[np.float64]]
    high: Mapping[int, NDArray[np.float64]]


def predict(model: str, amounts: Sequence[float], season: int, horizon: int) -> Prediction:
    """What `model` expects of the `horizon` periods after `amounts`, of which there is at least one season."""
    history = np.asarray(amounts, dtype=np.float64)
    # One year alone does not tell a season from chance; only the baseline claims it.
    known_season = season if model == BASELINE or len(history) >= 2 * season else 1
    # The library tries forms with as many parameters as there are values, and drops them by what this gives.
    with np.errstate(divide="ignore", invalid="ignore"):
        found = MODELS[model](known_season).forecast(y=history, h=horizon, level=list(LEVELS))
    return Prediction(
        np.asarray(found["mean"], dtype=np.float64),
        {level: np.asarray(found[f"lo-{level}"], dtype=np.float64) for level in LEVELS},
        {level: np.asarray(found[f"hi-{level}"], dtype=np.float64) for level in LEVELS},
    )
