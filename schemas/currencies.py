"""ISO 4217: which currencies exist and how many decimals their smallest coin has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from iso4217 import Currency

from schemas.errors import InvalidValue


@cache
def _exponents() -> dict[str, int]:
    return {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}


def currency_exponents() -> Mapping[str, int]:
    """Every current ISO 4217 code with the decimals of its smallest coin."""
    return MappingProxyType(_exponents())


def is_currency(code: str) -> bool:
    """Whether `code` is a current ISO 4217 code with a smallest coin."""
    return code in _exponents()


def exponent_of(code: str) -> int:
    """Decimals of the currency's smallest coin.

    Raises:
        InvalidValue: no such currency.
    """
    try:
        return _exponents()[code]
    except KeyError:
        raise InvalidValue(f"{code!r} is not an ISO 4217 currency", rule="currency") from None
