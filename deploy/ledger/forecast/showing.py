"""A forecast on the screen and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich.console import Console

from deploy.ledger.explanation import show_rows
from deploy.ledger.forecast.forecast import Forecast


def forecast_as_json(found: Forecast) -> dict[str, Any]:
    """Everything, by name."""
    first, last, count = found.history
    return {
        "currency_code": found.currency_code,
        "history": {"first_period": first, "last_period": last, "periods": count},
        "model": found.model,
        "remark": found.remark,
        "backtests": [
            asdict(test) | {"coverage": {f"{level}": part for level, part in test.coverage.items()}}
            for test in found.backtests
        ],
        "forecast": [
            {
                "period": one.period,
                "expected_amount": one.expected_amount,
                "baseline_amount": one.baseline_amount,
                **_bounds(one.low, one.high),
            }
            for one in found.periods
        ],
    }


def show_forecast(found: Forecast, console: Console) -> None:
    """How the models did, then the forecast."""
    first, last, count = found.history
    tests = [
        {
            "model": test.model,
            "WAPE": f"{test.wape:.1%}",
            "bias": f"{test.bias:+.1%}",
            **{f"within {level}%": f"{part:.0%}" for level, part in test.coverage.items()},
        }
        for test in found.backtests
    ]
    origins = found.backtests[0].origins
    show_rows(f"backtest from {origins} rolling origins, {first} to {last} ({count} periods)", tests, console)
    rows = [
        {
            "period": one.period,
            "expected": one.expected_amount,
            "last year's": one.baseline_amount,
            **_bounds(one.low, one.high),
        }
        for one in found.periods
    ]
    show_rows(f"revenue in {found.currency_code} by {found.model}", rows, console)
    console.print(found.remark)


def _bounds(low: Mapping[int, Decimal], high: Mapping[int, Decimal]) -> dict[str, Decimal]:
    return {f"low_{level}_amount": low[level] for level in low} | {
        f"high_{level}_amount": high[level] for level in high
    }
