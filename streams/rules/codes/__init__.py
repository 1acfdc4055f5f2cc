"""Code lists of standards, as committed text files; `extraction.py` says where they come from and makes them anew."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def unit_codes() -> frozenset[str]:
    """UN/ECE Recommendation 20, with the packages of Recommendation 21 behind an X."""
    return _codes("units.txt")


@cache
def country_codes() -> frozenset[str]:
    """ISO 3166-1 alpha-2."""
    return _codes("countries.txt")


@cache
def payment_means_codes() -> frozenset[str]:
    """UN/CEFACT 4461, means of payment."""
    return _codes("payment_means.txt")


def _codes(name: str) -> frozenset[str]:
    text = files(__package__).joinpath(name).read_text(encoding="ascii")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
