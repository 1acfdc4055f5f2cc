"""Dates in text, in English, German, French and Spanish; which number is the day is never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache

from producers.documents.text.words import plain

Order = str
"""DMY, MDY or YMD."""

_NUMERIC = re.compile(r"(?<!\d)(\d{4}|\d{1,2})\s?([./-])\s?(\d{1,2})\s?\2\s?(\d{4}|\d{2})(?!\d)")
_NAMED = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|\.|º)?\s+(?:de\s+|of\s+)?([^\W\d_]{3,12})\.?,?\s+(?:de\s+|del\s+)?(\d{4})(?!\d)"
)
_NAMED_FIRST = re.compile(r"([^\W\d_]{3,12})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})(?!\d)")
_DASHED = re.compile(r"(?<!\d)(\d{1,2})[-/ ]([^\W\d_]{3,9})\.?[-/ ](\d{4}|\d{2})(?!\d)")
_SHORT = re.compile(r"(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|\.|º)?\s+(?:de\s+|of\s+)?([^\W\d_]{3,12})(?!\w)")


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date as written; `day` is None where it can be read in two ways."""

    text: str
    day: date | None


@cache
def months() -> dict[str, int]:
    """Every name and abbreviation of a month in the four languages."""
    found: dict[str, int] = {}
    try:
        # Only here: it is an extra's library.
        from babel.dates import get_month_names
    except ModuleNotFoundError:
        return found
    for language in ("en", "de", "fr", "es"):
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                for number, name in get_month_names(width, context, language).items():
                    found[plain(name).replace(" ", "")] = number
    return found | {
        "sept": 9,
        "mrz": 3,
        "marz": 3,
        "maerz": 3,
        "jan": 1,
        "feb": 2,
        "ene": 1,
        "dez": 12,
        "dic": 12,
        "avr": 4,
        "juil": 7,
    }


def order_of(texts: Iterable[str], language: str | None, told: Order | None) -> Order | None:
    """Which part of a numeric date is the day: as agreed, as the document's dates show, or as its language writes."""
    if told is not None:
        return told
    shown = set()
    for text in texts:
        for first, sign, second, _ in _NUMERIC.findall(text):
            if len(first) == 4:
                continue
            if sign == "." or int(first) > 12:
                shown.add("DMY")
            elif int(second) > 12:
                shown.add("MDY")
    if len(shown) == 1:
        return shown.pop()
    if len(shown) > 1:
        return None
    return "DMY" if language in ("de", "fr", "es") else None


def dates_in(text: str, order: Order | None, after: date | None = None) -> list[FoundDate]:
    """Every date of a text, in its order; `after` gives dates without a year the first year behind it."""
    found: list[tuple[int, FoundDate]] = []
    taken: list[tuple[int, int]] = []

    def note(match: re.Match[str], day: date | None) -> None:
        if not any(start < match.end() and match.start() < end for start, end in taken):
            taken.append(match.span())
            found.append((match.start(), FoundDate(match[0].strip(), day)))

    for match in _NUMERIC.finditer(text):
        note(match, _numeric(match[1], match[2], match[3], match[4], order))
    for shape, places in ((_NAMED, (1, 2, 3)), (_DASHED, (1, 2, 3)), (_NAMED_FIRST, (2, 1, 3))):
        for match in shape.finditer(text):
            month = months().get(plain(match[places[1]]).replace(" ", ""))
            if month is not None:
                note(match, _day(int(match[places[2]]), month, int(match[places[0]])))
    if after is not None:
        for match in _SHORT.finditer(text):
            month = months().get(plain(match[2]).replace(" ", ""))
            day = None if month is None else _day(after.year, month, int(match[1]))
            if month is not None and day is not None and day < after:
                day = _day(after.year + 1, month, int(match[1]))
            if day is not None:
                note(match, day)
    return [one for _, one in sorted(found, key=lambda one: one[0])]


def _numeric(first: str, sign: str, second: str, third: str, order: Order | None) -> date | None:
    if len(first) == 4:
        return _day(int(first), int(second), int(third))
    if sign == "." or order == "DMY":
        return _day(int(third), int(second), int(first))
    if order == "MDY":
        return _day(int(third), int(first), int(second))
    if int(first) == int(second):
        return _day(int(third), int(first), int(second))
    return None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year if year > 99 else 2000 + year, month, day)
    except ValueError:
        return None
