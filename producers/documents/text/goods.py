"""The table of an order: its columns by their titles, its lines by their quantities."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from producers.documents.text import labels
from producers.documents.text.arithmetic import assignments, is_proved, numbers_of
from producers.documents.text.cells import Cell, cells_of, money_of, quantity_of
from producers.documents.text.columns import OTHER, Column, is_same_header, names_of, titles_at, widened
from producers.documents.text.words import Row, plain

_ALIKE = 0.85
"""Gaps between rows that differ by less are one gap."""
_NUMERIC = ("quantity", "price", "amount", "discount", "tax")
_TEXTS = {"name", "code"}
_MOST_UNKNOWN = 4
_MOST_TABLES = 3
_MOST_ROWS = 1000
"""Tables are read in every way up to here: twenty pages; longer documents with unknown titles wait."""


@dataclass(slots=True)
class GoodsLine:
    """One line as written."""

    cells: dict[str, Cell]
    row: Row

    @property
    def texts(self) -> dict[str, str]:
        """All of it by columns."""
        return {name: cell.text.strip() for name, cell in self.cells.items()}

    def text(self, name: str) -> str | None:
        """What stands in a column."""
        cell = self.cells.get(name)
        return cell.text.strip() or None if cell is not None else None


@dataclass(slots=True)
class Goods:
    """The table."""

    columns: list[Column]
    lines: list[GoodsLine]
    header: int
    """Row of its titles."""
    end: int
    """The first row behind it."""
    stray: list[Row] = field(default_factory=list)
    """Rows within the table with numbers that belong to no line: something was not understood."""


def table_of(rows: Sequence[Row], mark: str | None) -> Goods | None:
    """The table of ordered goods; None where no row holds the titles of one."""
    for at in range(len(rows)):
        columns, used = titles_at(rows, at)
        names = names_of(columns)
        if "quantity" in names and len(names) >= 3 and names & {"name", "code"}:
            return _lines(rows, used, columns, mark)
    return _proved_table(rows, mark or ".")


def _proved_table(rows: Sequence[Row], mark: str) -> Goods | None:
    """A table whose quantities have an unknown title, where the numbers of all its lines leave one way to read it."""
    tried = 0
    if len(rows) > _MOST_ROWS:
        return None
    for at in range(len(rows)):
        columns, used = titles_at(rows, at, share=2)
        names = names_of(columns)
        unknown = len(columns) - len(names)
        if "quantity" in names or len(names) < 2 or not names & _TEXTS or not 1 <= unknown <= _MOST_UNKNOWN:
            continue
        read = [(_lines(rows, used, one, mark), set(one) - set(columns)) for one in assignments(columns)]
        most = max((len(goods.lines) for goods, _ in read), default=0)
        proved = [
            goods
            for goods, told in read
            if most
            and len(goods.lines) == most
            and not goods.stray
            and is_proved([line.texts for line in goods.lines], mark, {column.name for column in told})
        ]
        if len({tuple(numbers_of(line.texts, mark) for line in goods.lines) for goods in proved}) == 1:
            return proved[0]
        tried += bool(read)
        if tried == _MOST_TABLES:
            # Each is read in many ways: a document of nothing but titles must not take minutes.
            return None
    return None


def _lines(rows: Sequence[Row], header: int, columns: list[Column], mark: str | None) -> Goods:
    goods = Goods(columns, [], header, len(rows))
    bottom, page = rows[header].bottom, rows[header].page
    columns = goods.columns = widened(columns, [row for row in rows[header + 1 :] if not _is_total(row)])
    loose: list[_Loose] = []
    anchor = rows[header]
    for at in range(header + 1, len(rows)):
        row = rows[at]
        if row.page != page:
            page = row.page
            bottom = row.top
        if is_same_header(row, columns) or _is_page_furniture(row):
            bottom, anchor = row.bottom, row
            continue
        is_far = row.top - bottom > 4.5 * row.height and bool(goods.lines)
        if is_far or _is_total(row):
            goods.end = at
            break
        cells = cells_of(row, columns)
        if _is_line(cells):
            goods.lines.append(GoodsLine(cells, row))
            anchor = row
        elif cells.keys() <= _TEXTS:
            loose.append(_Loose(row, cells, len(goods.lines), anchor))
        elif goods.lines and not any(name in cells for name in ("price", "amount")):
            _continue(goods.lines[-1], cells)
        elif any(name in cells for name in _NUMERIC) and (goods.lines or any(mark.isdigit() for mark in row.text)):
            # Words alone above the first line are the rest of its titles.
            goods.stray.append(row)
        bottom = row.bottom
    _attach(goods, loose)
    _infer(goods, mark or ".")
    goods.stray = [row for row in goods.stray if not _is_sum(row, goods, mark or ".")]
    return goods


def _is_sum(row: Row, goods: Goods, mark: str) -> bool:
    """Whether a row below all lines says nothing but what they make, by a name that is not known."""
    amounts = [money_of(line.text("amount") or "", mark) for line in goods.lines]
    known = [one for one in amounts if one is not None]
    if len(amounts) < 2 or len(known) < len(amounts) or row.page < goods.lines[-1].row.page:
        return False
    is_below = row.page > goods.lines[-1].row.page or row.top > goods.lines[-1].row.top
    *words, last = row.segments
    is_named = len(words) == 1 and not any(sign.isdigit() for sign in words[0].text)
    return is_below and is_named and money_of(last.text, mark) == sum(known)


@dataclass(frozen=True, slots=True)
class _Loose:
    """A row of text alone, behind so many lines."""

    row: Row
    cells: dict[str, Cell]
    lines: int
    anchor: Row
    """The line or the titles above it."""


def _attach(goods: Goods, loose: list[_Loose]) -> None:
    """Rows of text alone belong to the line that they stand nearer to.

    Between two lines they are parted at the widest gap: where numbers stand half way down, a text begins above them.
    """
    runs: dict[int, list[_Loose]] = {}
    for one in loose:
        runs.setdefault(one.lines, []).append(one)
    for count, run in runs.items():
        above = goods.lines[count - 1] if count else None
        below = goods.lines[count] if count < len(goods.lines) else None
        rows = [run[0].anchor, *(one.row for one in run), *([below.row] if below else [])]
        left = run[0].row.segments[0].left
        gaps = [_gap(one, other, left) for one, other in pairwise(rows)]
        # Gaps that are alike say nothing: a text goes on below its line then.
        split = len(run) if below is None else max(place for place, gap in enumerate(gaps) if gap >= _ALIKE * max(gaps))
        for one in run[:split]:
            if above is not None and one.anchor is above.row:
                _continue(above, one.cells)
        if below is not None and run[split:]:
            _precede(below, [one.cells for one in run[split:]])


def _gap(one: Row, other: Row, left: float) -> float:
    """How far it is down from one row to the other near `left`: sheets that were scanned askew differ there."""
    if one.page != other.page:
        return float("inf")
    near = [min(row.segments, key=lambda segment: abs(segment.left - left)) for row in (one, other)]
    return near[1].middle - near[0].middle


def _precede(line: GoodsLine, several: list[dict[str, Cell]]) -> None:
    """What stands above the numbers of a line is the beginning of its texts."""
    for name in ("name", "code"):
        found = [cells[name] for cells in several if name in cells]
        if not found:
            continue
        rest = [*found[1:], *([line.cells[name]] if name in line.cells else [])]
        line.cells[name] = found[0]
        segments = [segment for cell in rest for segment in cell.segments]
        if segments:
            later = line.cells.get(f"{name} continued", Cell()).segments
            line.cells[f"{name} continued"] = Cell(segments + later)


def _infer(goods: Goods, mark: str) -> None:
    """A column with an unknown title is the price or the amount where all lines prove it."""
    known = {column.name for column in goods.columns}
    for wanted, given in (("price", "amount"), ("amount", "price")):
        if wanted in known or given not in known:
            continue
        for column in [one.name for one in goods.columns if one.name.startswith(OTHER)]:
            if goods.lines and all(_proves(line, column, wanted, mark) for line in goods.lines):
                for line in goods.lines:
                    line.cells[wanted] = line.cells.pop(column)
                known.add(wanted)
                break
    if not known & {"price", "amount"}:
        _infer_both(goods, mark)


def _infer_both(goods: Goods, mark: str) -> None:
    """Price and amount, where of the columns with unknown titles only two can be these."""
    fits: dict[tuple[object, ...], dict[str, str]] = {}
    for columns in assignments(goods.columns):
        new = {one.name: own.name for one, own in zip(columns, goods.columns, strict=True) if one != own}
        old = {before: after for after, before in new.items()}
        texts = [{old.get(name, name): text for name, text in line.texts.items()} for line in goods.lines]
        if is_proved(texts, mark, set(new)):
            fits[tuple(numbers_of(one, mark) for one in texts)] = old
    for line in goods.lines if len(fits) == 1 else []:
        [old] = fits.values()
        line.cells = {old.get(name, name): cell for name, cell in line.cells.items()}


def _proves(line: GoodsLine, column: str, wanted: str, mark: str) -> bool:
    quantity = quantity_of(line.text("quantity") or "", mark)
    value = money_of(line.text(column) or "", mark)
    given = money_of(line.text("amount" if wanted == "price" else "price") or "", mark)
    if quantity is None or value is None or given is None:
        return False
    price, amount = (value, given) if wanted == "price" else (given, value)
    return abs(quantity[0] * price - amount) <= Decimal("0.02")


def _is_line(cells: dict[str, Cell]) -> bool:
    quantity = cells.get("quantity")
    if quantity is None or (quantity_of(quantity.text, ".") is None and quantity_of(quantity.text, ",") is None):
        return False
    return any(name in cells for name in ("name", "code", "amount", "price"))


def _continue(line: GoodsLine, cells: dict[str, Cell]) -> None:
    """More of the description, on a line of its own."""
    for name in ("name", "code"):
        if name in cells:
            line.cells.setdefault(f"{name} continued", Cell()).segments.extend(cells[name].segments)


def _is_page_furniture(row: Row) -> bool:
    """A page's number, or what is carried over to the next page."""
    text = plain(row.text)
    return bool(
        re.fullmatch(r"(?:page|seite|pagina|p)\s*\d+(?:\s*(?:of|von|sur|de|\s)\s*\d+)?", text)
    ) or text.startswith(
        ("carried forward", "ubertrag", "a reporter", "report", "suma y sigue", "continued", "fortsetzung", "suite")
    )


def _is_total(row: Row) -> bool:
    first = row.segments[0]
    text = plain(re.sub(r"\d[\d.,]*\s*%?", " ", first.text))
    if labels.longest(text, labels.totals()) is None and not labels.meanings_of("totals", text):
        return False
    # A product may be called `Freight`; a line of the table has more than a text and an amount.
    return len(row.segments) <= 3
