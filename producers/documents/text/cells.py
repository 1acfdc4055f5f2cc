"""What stands in the cells of a table: each text by the column it is aligned with, and the values of texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Decimal

from producers.documents.numbers import number_of
from producers.documents.text.columns import Column
from producers.documents.text.words import Row, Segment
from producers.documents.units import unit_of_word

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


def cells_of(row: Row, columns: list[Column]) -> dict[str, Cell]:
    """The texts of a row by the names of their columns."""
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
    if names != ["price", "amount"] or found is None or len(cells[only].segments) > 2:
        return
    if len(cells[only].segments) == 2:
        cells["price"], cells["amount"] = (Cell([one]) for one in cells[only].segments)
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
