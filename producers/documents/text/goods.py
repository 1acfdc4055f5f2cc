"""The table of an order: its columns by their titles, its lines by their quantities."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from producers.documents.numbers import number_of
from producers.documents.text import labels
from producers.documents.text.words import Row, Segment, plain
from producers.documents.units import unit_of_word

OTHER = "other"
"""Columns whose titles are not known."""
_NUMERIC = ("quantity", "price", "amount", "discount", "tax")
_MONEY = re.compile(
    r"(?:EUR|USD|GBP|CHF|[A-Z]{3}|[€$£¥])?\s*([+-]?\d[\d.,'’\u00a0\u202f ]*\d|\d)\s*(?:[€$£¥%]|[A-Z]{3})?\s*(?:%)?"
)
_QUANTITY = re.compile(
    r"([+-]?\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?|[+-]?\d[\d.,'’]*)\s*(?:x\s*)?"
    r"([^\W\d_][\w.²³]{0,14})?\.?\s*(?:\(s\))?"
)
_CENTS = re.compile(r"[€$£]?\s?(\d{1,3}(?:[.,' ]?\d{3})*)[.,](\d{2})(?:\s?[€$£])?")
_LEADING = re.compile(r"(?P<quantity>\d{1,6}(?:[.,]\d{1,3})?)\s?(?=[^\W\d_]{2})(?P<rest>\S.*)")
_TRAILING = re.compile(r"(?P<rest>.*[^\W\d_]{2}.*?)\s(?P<quantity>\d{1,6}(?:[.,]\d{1,3})?)")
_TWO_AMOUNTS = re.compile(r"(?P<first>[€$£]?\s?\d[\d.,'’]*[.,]\d\d)\s+(?P<second>[€$£]?\s?\d[\d.,'’ ]*[.,]\d\d)")
_CODE = re.compile(r"(?=\S*\d)[A-Za-z0-9][A-Za-z0-9._/\-]{1,29}|\d+")


@dataclass(frozen=True, slots=True)
class Column:
    """One column and where it stands."""

    name: str
    left: float
    right: float


@dataclass(slots=True)
class Cell:
    """What stands in one column of one line."""

    segments: list[Segment] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(one.text for one in self.segments)

    @property
    def recognition(self) -> float:
        """Of its characters."""
        return min((one.recognition for one in self.segments), default=1.0)


@dataclass(slots=True)
class GoodsLine:
    """One line as written."""

    cells: dict[str, Cell]
    row: Row

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
    for at, row in enumerate(rows):
        columns = _columns(row)
        used = at
        names = _names(columns)
        if at + 1 < len(rows) and rows[at + 1].page == row.page and rows[at + 1].top - row.bottom < 0.8 * _height(row):
            both = _columns(_merged(row, rows[at + 1]))
            if len(_names(both)) > len(names):
                columns, names, used = both, _names(both), at + 1
        if "quantity" in names and len(names) >= 3 and names & {"name", "code"}:
            return _lines(rows, used, columns, mark)
    return None


def _names(columns: list[Column]) -> set[str]:
    return {column.name for column in columns if not column.name.startswith(OTHER)}


def _height(row: Row) -> float:
    return max(one.height for one in row.segments)


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


def _columns(row: Row) -> list[Column]:
    """The titles of a row; none where a good part of it is no title."""
    found: list[Column] = []
    misses = 0
    for segment in row.segments:
        for text, left, right in _titles_in(segment):
            meanings = labels.columns().get(text)
            if meanings is None:
                # What stands below it belongs to no other column.
                found.append(Column(f"{OTHER}{misses}", left, right))
                misses += 1
                continue
            found.append(Column("|".join(dict.fromkeys(name for name, _ in meanings)), left, right))
    if misses > max(1, len(found) // 3):
        return []
    return _decided(found)


def _titles_in(segment: Segment) -> list[tuple[str, float, float]]:
    """Titles of a segment; several stand in one where columns are narrow."""
    text = re.sub(r"\((?:EUR|USD|GBP|CHF|€|\$|£|net|netto|ht|HT)\)|\b(?:EUR|USD|GBP|CHF)\b|[€$£]", " ", segment.text)
    whole = plain(text)
    if whole in labels.columns() or not whole:
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
    # Where each of them stands is told by the share of the letters.
    total = sum(len(word) + 1 for word in words)
    width = segment.right - segment.left
    ends = [0, *(sum(len(word) + 1 for word in words[: place + 1]) for place in range(len(words)))]
    return [
        (phrase, segment.left + width * ends[start] / total, segment.left + width * (ends[end] - 1) / total)
        for phrase, start, end in parts
    ]


def _decided(columns: list[Column]) -> list[Column]:
    """Titles that may mean several columns mean the one that no other title says."""
    certain = {column.name for column in columns if "|" not in column.name}
    made: list[Column] = []
    for column in columns:
        names = [name for name in column.name.split("|") if name not in certain] or column.name.split("|")
        made.append(Column(names[0], column.left, column.right))
        certain.add(names[0])
    seen: dict[str, int] = {}
    for place, column in enumerate(made):
        if column.name in seen and column.name == "name":
            # An article and its description: the first is a code then.
            made[seen["name"]] = Column("code", made[seen["name"]].left, made[seen["name"]].right)
        seen[column.name] = place
    return made


def _lines(rows: Sequence[Row], header: int, columns: list[Column], mark: str | None) -> Goods:
    goods = Goods(columns, [], header, len(rows))
    bottom, page = rows[header].bottom, rows[header].page
    for at in range(header + 1, len(rows)):
        row = rows[at]
        if row.page != page:
            page = row.page
            bottom = row.top
        if _is_same_header(row, columns) or _is_page_furniture(row):
            bottom = row.bottom
            continue
        is_far = row.top - bottom > 4.5 * _height(row) and bool(goods.lines)
        if is_far or _is_total(row):
            goods.end = at
            break
        cells = _cells(row, columns)
        if _is_line(cells):
            goods.lines.append(GoodsLine(cells, row))
        elif goods.lines and not any(name in cells for name in ("price", "amount")):
            _continue(goods.lines[-1], cells)
        elif any(name in cells for name in _NUMERIC):
            goods.stray.append(row)
        bottom = row.bottom
    _infer(goods, mark or ".")
    return goods


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


def _cells(row: Row, columns: list[Column]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for segment in row.segments:
        column = min(columns, key=lambda one: _distance(segment, one))
        cells.setdefault(column.name, Cell()).segments.append(segment)
    unit = cells.get("unit")
    if unit is not None and "quantity" not in cells and unit.text[:1].isdigit():
        # Number and unit stand together, and nearer to the title of the unit.
        cells["quantity"] = cells.pop("unit")
    if ("price" in cells) != ("amount" in cells):
        _part_amount(cells, columns)
    if "quantity" not in cells and "price" in cells and "amount" in cells:
        # Only where both stand beside it: `12 bottles in a box` below a name is no line, and both together prove it.
        _part_quantity(cells, columns)
    return cells


def _part_quantity(cells: dict[str, Cell], columns: list[Column]) -> None:
    """A quantity that stands so near to the text beside it that both became one: `8Jasmine Rice`."""
    names = [column.name for column in columns]
    if "quantity" not in names:
        return
    at = names.index("quantity")
    for name, shape in ((names[at + 1 : at + 2], _LEADING), (names[at - 1 : at] if at else [], _TRAILING)):
        cell = cells.get(name[0]) if name and name[0] in ("name", "code") else None
        found = None if cell is None else shape.fullmatch(cell.segments[0 if shape is _LEADING else -1].text)
        if cell is None or found is None:
            continue
        place = 0 if shape is _LEADING else len(cell.segments) - 1
        whole = cell.segments[place]
        cells["quantity"] = Cell([_piece(whole, found, "quantity")])
        cell.segments[place] = _piece(whole, found, "rest")
        return


def _part_amount(cells: dict[str, Cell], columns: list[Column]) -> None:
    """Price and amount that became one text."""
    names = [column.name for column in columns if column.name in ("price", "amount")]
    only = "price" if "price" in cells else "amount"
    found = _TWO_AMOUNTS.fullmatch(cells[only].text)
    if names != ["price", "amount"] or found is None or len(cells[only].segments) != 1:
        return
    whole = cells[only].segments[0]
    cells["price"], cells["amount"] = Cell([_piece(whole, found, "first")]), Cell([_piece(whole, found, "second")])


def _piece(whole: Segment, found: re.Match[str], group: str) -> Segment:
    """Where a part of a text stands is told by the share of the letters."""
    width = (whole.right - whole.left) / max(1, len(whole.text))
    left, right = (whole.left + width * place for place in found.span(group))
    return replace(whole, text=found[group], left=left, right=right)


def _distance(segment: Segment, column: Column) -> float:
    """How badly a text is aligned with a title: by its left, its right or its middle, whichever is best."""
    middle = abs((segment.left + segment.right) / 2 - (column.left + column.right) / 2)
    apart = max(segment.left - column.right, column.left - segment.right, 0.0)
    return min(abs(segment.left - column.left), abs(segment.right - column.right), middle) + 3 * apart


def _is_same_header(row: Row, columns: list[Column]) -> bool:
    return len(_names(_columns(row)) & _names(columns)) >= max(3, len(_names(columns)) - 1)


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
    if labels.longest(plain(re.sub(r"\d[\d.,]*\s*%", "", first.text)), labels.totals()) is None:
        return False
    # A product may be called `Freight`; a line of the table has more than a text and an amount.
    return len(row.segments) <= 3


def quantity_of(text: str, mark: str) -> tuple[Decimal, str | None] | None:
    """A number, and the unit behind it where there is one."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        return None
    number = number_of(found[1], mark)
    if number is None:
        return None
    unit = found[2]
    if unit is None:
        return number, None
    code = unit_of_word(unit)
    return None if code is None else (number, code)


def money_of(text: str, mark: str) -> Decimal | None:
    """An amount, with or without its currency."""
    found = _MONEY.fullmatch(text.strip())
    return None if found is None else number_of(found[1], mark)


def recognised_money_of(text: str, mark: str) -> Decimal | None:
    """An amount of a scan, where a comma may look like a point: two digits at the end are cents."""
    found = money_of(text, mark)
    if found is not None:
        return found
    cents = _CENTS.fullmatch(text.strip())
    return None if cents is None else Decimal(f"{re.sub(r'[^0-9]', '', cents[1])}.{cents[2]}")


def code_of(text: str) -> str | None:
    """The code of a product."""
    text = text.strip()
    return text if _CODE.fullmatch(text) else None
