"""Text with its place on a page: segments that stand together, and rows of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from producers.documents.order import Box

_APART = 0.55
"""Of the height of the letters: words further apart belong to different cells."""
_LETTERS_APART = 1.35
"""Of the width of a letter: what matters where all letters are equally wide."""
_NUMBER = re.compile(r"\b(?:nr|no|num|nro|numero|nummer|number|numer|n)(?=[\s.:°º]|$)\.?(?:\s?[°º]|o\b)?|[#№]|\bn[°º]")


@dataclass(frozen=True, slots=True)
class Segment:
    """Words that stand together on one line; in points from the upper left corner."""

    text: str
    page: int
    left: float
    top: float
    right: float
    bottom: float
    recognition: float = 1.0
    is_turned: bool = False
    """Whether the page was turned to be read: its places are not those of the sheet then."""

    @property
    def height(self) -> float:
        """Of its letters."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Half of its height."""
        return (self.top + self.bottom) / 2

    @property
    def box(self) -> Box | None:
        """For people who look at the page; None where they see it lying otherwise."""
        return None if self.is_turned else Box(self.page, self.left, self.top, self.right, self.bottom)

    @property
    def place(self) -> str:
        """For people."""
        return f"page {self.page}, {self.left:.0f} right, {self.top:.0f} down"

    def part(self, text: str) -> Segment:
        """The end of it that holds `text`."""
        share = min(1.0, len(text) / max(1, len(self.text)))
        left = self.right - (self.right - self.left) * share
        return replace(self, text=text, left=left)


@dataclass(frozen=True, slots=True)
class Row:
    """Segments of one line, from left to right."""

    segments: tuple[Segment, ...]

    @property
    def page(self) -> int:
        """Where it stands."""
        return self.segments[0].page

    @property
    def top(self) -> float:
        """Where it begins."""
        return min(one.top for one in self.segments)

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return max(one.bottom for one in self.segments)

    @property
    def height(self) -> float:
        """Of its largest letters."""
        return max(one.height for one in self.segments)

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(one.text for one in self.segments)


def plain(text: str) -> str:
    """Lower case without accents; signs that stand for `number` are one, other signs are spaces."""
    folded = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss"))
    folded = "".join(mark for mark in folded if not unicodedata.combining(mark))
    folded = _NUMBER.sub(" nr ", folded)
    return " ".join(re.findall(r"[^\W_]+|%", folded))


def rows_of(segments: Iterable[Segment]) -> list[Row]:
    """Rows in the order of reading: what overlaps by half of its height stands on one line."""
    rows: list[list[Segment]] = []
    # Of the row in hand, so that a long one takes no longer for each of its words.
    middles, least_height = 0.0, 0.0
    for one in sorted(segments, key=lambda one: (one.page, one.middle, one.left)):
        row = rows[-1] if rows and rows[-1][0].page == one.page else None
        if row is not None and abs(one.middle - middles / len(row)) < 0.5 * min(one.height, least_height):
            row.append(one)
            middles, least_height = middles + one.middle, min(least_height, one.height)
        else:
            rows.append([one])
            middles, least_height = one.middle, one.height
    return [Row(tuple(sorted(row, key=lambda one: one.left))) for row in rows]


def joined(words: Iterable[Segment]) -> list[Segment]:
    """Words put together to segments."""
    made: list[Segment] = []
    for row in rows_of(words):
        current: Segment | None = None
        for word in row.segments:
            if current is not None and word.left - current.right <= _gap(current, word):
                current = replace(
                    current,
                    text=f"{current.text} {word.text}",
                    top=min(current.top, word.top),
                    right=max(current.right, word.right),
                    bottom=max(current.bottom, word.bottom),
                    recognition=min(current.recognition, word.recognition),
                )
            else:
                if current is not None:
                    made.append(current)
                current = word
        if current is not None:
            made.append(current)
    return made


def _gap(one: Segment, other: Segment) -> float:
    """The widest space between two words of one cell."""
    letter = (one.right - one.left + other.right - other.left) / (len(one.text) + len(other.text))
    return max(_APART * min(one.height, other.height), _LETTERS_APART * letter)
