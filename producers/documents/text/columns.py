"""The titles of a table: which columns it has, and where they stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from producers.documents.text import labels
from producers.documents.text.words import Row, Segment, plain

OTHER = "other"
"""Columns whose titles are not known."""
_TITLE_ROWS = 2
"""Further rows that titles may take."""
_KNOWN_SHARE = 3
_EITHER = re.compile(r"\s[/&+]\s|\w/\w")


@dataclass(frozen=True, slots=True)
class Column:
    """One column and where it stands."""

    name: str
    left: float
    right: float


def titles_at(rows: Sequence[Row], at: int, share: int = _KNOWN_SHARE) -> tuple[list[Column], int]:
    """The columns whose titles begin in a row, and the last row of the titles: they may stand above each other.

    One title of `share` may be unknown.
    """
    row = rows[at]
    columns, used = columns_of(row, share), at
    merged = row
    for below in range(at + 1, min(at + 1 + _TITLE_ROWS, len(rows))):
        if rows[below].page != row.page or rows[below].top - rows[below - 1].bottom > 0.8 * row.height:
            break
        merged = _merged(merged, rows[below])
        several = columns_of(merged, share)
        if len(names_of(several)) > len(names_of(columns)):
            columns, used = several, below
    return columns, used


def names_of(columns: Sequence[Column]) -> set[str]:
    """What is known of them."""
    return {column.name for column in columns if not column.name.startswith(OTHER)}


def _merged(first: Row, second: Row) -> Row:
    """Titles of two lines, put together where they stand above each other."""
    made = list(first.segments)
    for one in second.segments:
        over = [place for place, other in enumerate(made) if other.left < one.right and other.right > one.left]
        if len(over) == 1:
            other = made[over[0]]
            made[over[0]] = Segment(
                f"{other.text} {one.text}",
                one.page,
                min(one.left, other.left),
                other.top,
                max(one.right, other.right),
                one.bottom,
            )
        elif not over:
            made.append(one)
    return Row(tuple(sorted(made, key=lambda one: one.left)))


def columns_of(row: Row, share: int = _KNOWN_SHARE) -> list[Column]:
    """The titles of a row; none where a good part of it is no title."""
    found: list[Column] = []
    misses = 0
    for segment in row.segments:
        for text, left, right in _titles_in(segment):
            # Narrow boxes break words: `Bestellmeng` above `e`.
            meanings = labels.meanings_of("columns", text) or labels.columns().get(text.replace(" ", ""), [])
            if not meanings:
                # What stands below it belongs to no other column.
                found.append(Column(f"{OTHER}{misses}", left, right))
                misses += 1
                continue
            found.append(Column("|".join(dict.fromkeys(name for name, _ in meanings)), left, right))
    if misses > max(1, len(found) // share):
        return []
    return _decided(found)


def _titles_in(segment: Segment) -> list[tuple[str, float, float]]:
    """Titles of a segment; several stand in one where columns are narrow."""
    text = re.sub(r"\((?:EUR|USD|GBP|CHF|€|\$|£|net|netto|ht|HT)\)|\b(?:EUR|USD|GBP|CHF)\b|[€$£]", " ", segment.text)
    whole = plain(text)
    if not whole or whole in labels.columns():
        return [(whole, segment.left, segment.right)] if whole else []
    words, at, parts = whole.split(), 0, list[tuple[str, int, int]]()
    while at < len(words):
        for count in range(min(4, len(words) - at), 0, -1):
            phrase = " ".join(words[at : at + count])
            if phrase in labels.columns():
                parts.append((phrase, at, at + count))
                at += count
                break
        else:
            return [(whole, segment.left, segment.right)]
    sign = _EITHER.search(text)
    if sign is not None:
        parts = _one_column(parts, len(plain(text[: sign.start() + 1]).split()))
    names = [{name for name, _ in labels.columns()[phrase]} for phrase, _, _ in parts]
    if len(names) > 1 and len(names[0]) == 1 and all(one == names[0] for one in names):
        # `Delivery due` is one column, however many of its words are titles themselves.
        return [(parts[-1][0], segment.left, segment.right)]
    # Where each of them stands is told by the share of the letters.
    total = sum(len(word) + 1 for word in words)
    width = segment.right - segment.left
    ends = [0, *(sum(len(word) + 1 for word in words[: place + 1]) for place in range(len(words)))]
    return [
        (phrase, segment.left + width * ends[start] / total, segment.left + width * (ends[end] - 1) / total)
        for phrase, start, end in parts
    ]


def _one_column(parts: list[tuple[str, int, int]], at: int) -> list[tuple[str, int, int]]:
    """`Article / Description` is one column, and what its goods are called counts; the sign stands before word `at`."""
    for place, (one, other) in enumerate(pairwise(parts)):
        if one[2] == at == other[1]:
            is_name = "name" in {name for name, _ in labels.columns()[other[0]]}
            return [*parts[:place], ((other if is_name else one)[0], one[1], other[2]), *parts[place + 2 :]]
    return parts


def _decided(columns: list[Column]) -> list[Column]:
    """Titles that may mean several columns mean the one that no other title says."""
    certain = {column.name for column in columns if "|" not in column.name}
    made: list[Column] = []
    for column in columns:
        names = [name for name in column.name.split("|") if name not in certain] or column.name.split("|")
        # Numbers of lines are called `Item` as well, but only where something else tells the article.
        names.sort(key=lambda name: name == "position")
        made.append(Column(names[0], column.left, column.right))
        certain.add(names[0])
    seen: dict[str, int] = {}
    for place, column in enumerate(made):
        if column.name in seen and column.name == "name":
            # An article and its description: the first is a code then.
            made[seen["name"]] = Column("code", made[seen["name"]].left, made[seen["name"]].right)
        if column.name in seen and column.name == "code":
            # An article number and the article; or the numbers that two businesses have for it.
            name = "name" if "name" not in certain else "other code"
            made[place] = Column(name, column.left, column.right)
            certain.add(name)
        seen[column.name] = place
    return made


def widened(columns: list[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns with the room that rows take in which every one of them is filled."""
    made = list(columns)
    for row in rows:
        if len(row.segments) != len(columns):
            continue
        pairs = list(zip(row.segments, columns, strict=True))
        if any(_overlap(one, other) > _overlap(one, own) for one, own in pairs for other in columns):
            continue
        made = [
            Column(one.name, min(one.left, cell.left), max(one.right, cell.right))
            for one, cell in zip(made, row.segments, strict=True)
        ]
    is_clear = all(one.right <= other.left for one, other in pairwise(made))
    return made if is_clear else columns


def _overlap(segment: Segment, column: Column) -> float:
    return max(0.0, min(segment.right, column.right) - max(segment.left, column.left))


def is_same_header(row: Row, columns: list[Column]) -> bool:
    """Whether a row repeats the titles."""
    return len(names_of(columns_of(row)) & names_of(columns)) >= max(3, len(names_of(columns)) - 1)
