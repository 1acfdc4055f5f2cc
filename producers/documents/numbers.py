"""Numbers and dates as people write them, in the document's own locale; what can be read in two ways is not read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?\d[\d.,'’\u00a0\u202f ]*")
_GROUPED = {
    ",": re.compile(r"\d{1,3}(?:([.'’\u00a0\u202f ])\d{3}(?:\1\d{3})*)?(?:,\d+)?|\d+(?:,\d+)?"),
    ".": re.compile(r"\d{1,3}(?:([,'’\u00a0\u202f ])\d{3}(?:\1\d{3})*)?(?:\.\d+)?|\d+(?:\.\d+)?"),
}


def decimal_mark_of(texts: Iterable[str]) -> str | None:
    """The decimal mark that all numbers of a document agree on; None where they do not, or none of them tells."""
    votes = set()
    for text in texts:
        mark = _mark(text.strip())
        if mark is not None:
            votes.add(mark)
    return votes.pop() if len(votes) == 1 else None


def _mark(text: str) -> str | None:
    """What one number alone tells: 1.234,5 and 12,50 tell, 1.234 does not."""
    marks = [sign for sign in text if sign in ".,"]
    if not marks:
        return None
    last = marks[-1]
    behind = len(text) - text.rfind(last) - 1
    if len(set(marks)) == 2:
        return last
    if len(marks) > 1:
        return "," if last == "." else "."
    before = text[: text.rfind(last)].lstrip("+-")
    if behind == 3 and 0 < len(before.strip()) <= 3 and before.strip("0"):
        return None
    return last


def number_of(text: str, mark: str) -> Decimal | None:
    """The number with `mark` as decimal mark; None where it is none, or grouped in a way that the mark forbids."""
    text = text.strip()
    sign = -1 if text.startswith("-") or (text.startswith("(") and text.endswith(")")) or text.endswith("-") else 1
    digits = text.strip("+-() ")
    if not _GROUPED[mark].fullmatch(digits):
        return None
    plain = re.sub(r"[^\d]" if mark not in digits else rf"[^\d{re.escape(mark)}]", "", digits).replace(mark, ".")
    return sign * Decimal(plain)


def numbers_in(text: str) -> list[str]:
    """Every number of a text, as written."""
    return [found.rstrip(" .,'’\u00a0\u202f") for found in _NUMBER.findall(text)]


_DATE_FORMS = {
    "YYYY-MM-DD": (re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"), (0, 1, 2)),
    "YYYYMMDD": (re.compile(r"(\d{4})(\d\d)(\d\d)"), (0, 1, 2)),
    "DD.MM.YYYY": (re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d\d)"), (2, 1, 0)),
    "MM/DD/YYYY": (re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d\d)"), (2, 0, 1)),
}
DATE_FORMS = tuple(_DATE_FORMS)


def day_of(text: str, form: str) -> date | None:
    """The day written in one of `DATE_FORMS`, whose order of the parts is explicit; None where it is none."""
    shape, order = _DATE_FORMS[form]
    found = shape.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day = (int(found.groups()[place]) for place in order)
    try:
        return date(year if year > 99 else 2000 + year, month, day)
    except ValueError:
        return None
