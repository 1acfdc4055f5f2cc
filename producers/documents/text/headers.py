"""Header fields of an order: a label, and its value behind it, beside it or below it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from producers.documents.text import labels
from producers.documents.text.dates import FoundDate, Order, dates_in
from producers.documents.text.words import Row, Segment, plain

SAME, BESIDE, BELOW = 1.0, 0.98, 0.95
"""How sure it is that a text belongs to a label."""
_WORD = re.compile(r"[^\s:]+")
_ID = re.compile(r"(?=[^\s]*\d)[A-Za-z0-9][A-Za-z0-9._/\-]{0,39}")
_TAX_ID = re.compile(
    r"\b(?:[A-Z]{2}\s?(?:\d[\s.]?){7,11}\d|[A-Z]{2}\s?[A-Z0-9]\d{7}[A-Z0-9]|FR\s?[A-Z0-9]{2}\s?(?:\d\s?){9})\b"
)


@dataclass(frozen=True, slots=True)
class FoundText:
    """A value, where it stands, and how sure its label is."""

    segment: Segment
    anchor: float

    @property
    def text(self) -> str:
        """As written."""
        return self.segment.text


def labelled(rows: Sequence[Row], name: str, fits: Callable[[str], str | None]) -> list[FoundText]:
    """Every value of a field; `fits` gives the part of a text that may be one, or None."""
    found: list[FoundText] = []
    for at, row in enumerate(rows):
        for place, segment in enumerate(row.segments):
            rest = _behind_label(segment.text, name)
            if rest is None:
                continue
            value = fits(rest) if rest else None
            if value is not None:
                found.append(FoundText(segment.part(value), SAME))
                continue
            if rest and not _is_label(rest):
                # Something else stands there: a sentence that begins with the word.
                continue
            beside = row.segments[place + 1] if place + 1 < len(row.segments) else None
            value = None if beside is None else fits(beside.text.lstrip(": "))
            if beside is not None and value is not None:
                found.append(FoundText(beside.part(value), BESIDE))
                continue
            if beside is not None and beside.left - segment.right < 3 * segment.height and not _is_label(beside.text):
                continue
            below = _below(rows, at, segment)
            value = None if below is None else fits(below.text)
            if below is not None and value is not None:
                found.append(FoundText(below.part(value), BELOW))
    return found


def _behind_label(text: str, name: str) -> str | None:
    """What follows the label of that field; None where the text begins with none or with another one's."""
    words = list(_WORD.finditer(text))
    best: str | None = None
    for count in range(min(len(words), 7), 0, -1):
        phrase = plain(text[: words[count - 1].end()])
        meanings = labels.meanings_of("fields", phrase)
        if not meanings:
            continue
        if all(meaning != name for meaning, _ in meanings):
            return None
        rest = text[words[count - 1].end() :].lstrip(" :.-\u2013#°º")
        best = rest
        break
    return best


def _is_label(text: str) -> bool:
    said = plain(text)
    return labels.longest(said, labels.fields()) is not None or bool(labels.meanings_of("fields", said))


def _below(rows: Sequence[Row], at: int, label: Segment) -> Segment | None:
    for row in rows[at + 1 : at + 3]:
        if row.page != label.page or row.top - label.bottom > 2.0 * label.height:
            return None
        near = [
            one
            for one in row.segments
            if one.left < label.right and one.right > label.left and abs(one.left - label.left) < 40
        ]
        if near:
            return near[0]
    return None


def id_in(text: str) -> str | None:
    """An order's or customer's number at the beginning of a text."""
    text = text.strip()
    # A date is no number of an order.
    if dates_in(text.split("  ")[0], "DMY"):
        return None
    found = _ID.match(text)
    if found is None:
        return None
    rest = text[found.end() :].strip()
    return found[0].rstrip(".,/-") if len(rest.split()) <= 6 else None


def date_in(order: Order | None) -> Callable[[str], str | None]:
    """For `labelled`: the date at the beginning of a text."""

    def fits(text: str) -> str | None:
        found = dates_in(text[:40], order)
        return found[0].text if found and text.find(found[0].text) <= 6 else None

    return fits


def day_of(found: FoundText, order: Order | None) -> FoundDate | None:
    """The date of a value."""
    dates = dates_in(found.text, order)
    return dates[0] if dates else None


def agreed(values: list[FoundText]) -> FoundText | None:
    """The value that all places agree on; of several different ones the first, with half of its anchor."""
    if not values:
        return None
    best = max(values, key=lambda one: (one.anchor, one.segment.recognition))
    if any(plain(one.text) != plain(best.text) for one in values):
        return FoundText(best.segment, 0.5)
    return best


def tax_ids(rows: Sequence[Row]) -> Iterator[str]:
    """Everything that looks like a tax number."""
    for row in rows:
        for segment in row.segments:
            for match in _TAX_ID.finditer(segment.text):
                yield re.sub(r"[\s.]", "", match[0])


def block_below(rows: Sequence[Row], name: str) -> list[Segment]:
    """The lines of an address under (or behind) a label such as `Ship to`."""
    for at, row in enumerate(rows):
        for segment in row.segments:
            rest = _behind_label(segment.text, name)
            if rest is None or (rest and not rest[0].isupper()):
                continue
            lines = [segment.part(rest)] if rest else []
            bottom = segment.bottom
            for other in rows[at + 1 : at + 8]:
                if other.page != segment.page or other.top - bottom > 1.6 * segment.height:
                    break
                near = [one for one in other.segments if abs(one.left - segment.left) < 3 * segment.height]
                if not near or (_is_label(near[0].text) and ":" in near[0].text):
                    break
                lines.append(near[0])
                bottom = near[0].bottom
            if not rest and not lines:
                beside = [one for one in row.segments if one.left > segment.right]
                lines = beside[:1]
            if lines:
                return lines
    return []
