"""The functions that a mapping expression may call; None stays None where a column may be empty."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from schemas.allocation import rounded
from schemas.errors import InvalidValue


def concat(*parts: Any) -> str | None:
    """All parts as one text; None if any part is None."""
    return None if any(part is None for part in parts) else "".join(map(_as_text, parts))


def text(value: Any) -> str | None:
    """The value as text; None stays None."""
    return None if value is None else _as_text(value)


def number(value: Any) -> Decimal | None:
    """The value as an exact decimal; None stays None."""
    return None if value is None else _exact(value)


def coalesce(*values: Any) -> Any:
    """The first value that is not None."""
    return next((value for value in values if value is not None), None)


def money(value: Any, currency: Any) -> Decimal | None:
    """The value rounded half up to the currency's smallest coin (ISO 4217); None stays None."""
    if value is None:
        return None
    exact = _exact(value)
    if not exact.is_finite():
        raise InvalidValue(f"{exact} is not a finite number", rule="mapping")
    return rounded(exact, currency)


def decimals(value: Any, places: int) -> Decimal | None:
    """The value rounded half up to so many decimals; None stays None."""
    return None if value is None else _exact(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def divide(dividend: Any, divisor: Any) -> Decimal:
    """What `/` means: an exact division (28 digits), also of two integers."""
    return _exact(dividend) / _exact(divisor)


def upper(value: str | None) -> str | None:
    """The text in capitals."""
    return None if value is None else value.upper()


def lower(value: str | None) -> str | None:
    """The text in small letters."""
    return None if value is None else value.lower()


def strip(value: str | None) -> str | None:
    """Without surrounding blanks; an empty text is None."""
    return None if value is None else value.strip() or None


def total(items: Iterable[Any], attribute: str) -> Decimal:
    """The sum of one attribute over a list built before, such as `total(order_lines, 'line_extension_amount')`."""
    return sum((getattr(item, attribute) for item in items), Decimal(0))


def functions_of(zone: ZoneInfo, lookups: Mapping[str, Mapping[str, Any]]) -> dict[str, Callable[..., Any]]:
    """What the compiled expressions of one mapping call, by name; `zone` is where its source keeps its calendar."""

    def day(value: datetime | date | str | None) -> date | None:
        """The calendar day, in the source's zone, of a time, a date or an ISO 8601 text."""
        if isinstance(value, str):
            value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
        if not isinstance(value, datetime):
            return value
        return (value if value.tzinfo is None else value.astimezone(zone)).date()

    def instant(value: datetime | date | str | None) -> datetime | None:
        """The value as a time; a mere day begins at midnight in the source's zone, as does a time without zone."""
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if value is None:
            return None
        return (value if value.tzinfo is not None else value.replace(tzinfo=zone)).astimezone(UTC)

    def lookup(table: str, value: Any) -> Any:
        """The entry of `[lookups.TABLE]` for the value; None stays None."""
        if value is None:
            return None
        try:
            return lookups[table][_as_text(value)]
        except KeyError:
            raise InvalidValue(f"[lookups.{table}] has no entry {_as_text(value)!r}; add it", rule="mapping") from None

    plain = (concat, text, number, coalesce, money, decimals, divide, upper, lower, strip, total)
    return {function.__name__: function for function in (*plain, day, instant, lookup)}


SIGNATURES = {
    name: inspect.signature(function)
    for name, function in functions_of(ZoneInfo("UTC"), {}).items()
    if name not in ("total", "lookup")
}
"""What may be called with any values; `total`, `lookup` and `column` name parts of the mapping: checked apart."""


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        raise InvalidValue(f"{value!r} is a binary float: its text is a guess", rule="mapping")
    return str(value)


def _exact(value: Any) -> Decimal:
    if isinstance(value, float):
        raise InvalidValue(f"{value!r} is a binary float: its decimal value is a guess", rule="mapping")
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise InvalidValue(f"{value!r} is not a number", rule="mapping")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise InvalidValue(f"{value!r} is not a number", rule="mapping") from None
