"""CSV and XLSX order forms, read by a mapping file that names the columns.

```toml
decimal = ","                       # of numbers written as text
date = "DD.MM.YYYY"                 # or YYYY-MM-DD, YYYYMMDD, MM/DD/YYYY
[columns]                           # field of the order = name of the column
number = "Bestellnummer"
issue_date = "Datum"
buyer_code = "Kundennr"
seller_code = "Artikelnr"
quantity = "Menge"
unit = "Einheit"
price = "Preis"
[constants]                         # what the file does not say
currency = "EUR"
```
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from producers.documents.limits import Limits
from producers.documents.numbers import day_of, number_of
from producers.documents.order import Kind, ReadLine, ReadOrder, ReadParty
from producers.documents.reasons import Findings, RefusedDocument, refused
from producers.documents.units import unit_of_code, unit_of_word
from schemas.errors import ConfigurationError
from schemas.toml_file import read_toml

Name = Literal[
    "number", "issue_date", "delivery_date", "currency", "buyer_code", "buyer_name", "line_id", "seller_code",
    "buyer_item_code", "standard_code", "item_name", "quantity", "unit", "price", "discount", "amount", "tax_percent",
    "note", "delivery_name", "street_name", "city_name", "postal_zone", "country_code",
]  # fmt: skip
_CELLS_A_ROW = 20
_OF_ORDER: tuple[Name, ...] = ("issue_date", "currency", "buyer_code", "buyer_name", "delivery_date")


class FormMapping(BaseModel):
    """A mapping file of order forms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decimal: Literal[".", ","] = "."
    date: Literal["YYYY-MM-DD", "YYYYMMDD", "DD.MM.YYYY", "MM/DD/YYYY"] = "YYYY-MM-DD"
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    encoding: str = "utf-8-sig"
    sheet: str | None = None
    header_row: int = Field(1, ge=1)
    columns: dict[Name, str] = Field(min_length=1)
    constants: dict[Name, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> FormMapping:
        """Read the file. Raises ConfigurationError that names what is wrong with it."""
        mapping = read_toml(cls, path, "mapping file")
        try:
            "".encode(mapping.encoding)
        except LookupError as exc:
            raise ConfigurationError(f"mapping file {path}: {exc}") from exc
        needed = {"number", "issue_date", "quantity"} - set(mapping.columns) - set(mapping.constants)
        if needed:
            raise ConfigurationError(f"mapping file {path}: nothing says {', '.join(sorted(needed))}; add columns")
        return mapping


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    values: dict[Name, Any]

    def place(self, name: Name | None = None) -> str:
        return f"row {self.number}" if name is None else f"row {self.number}, {name}"

    def text(self, name: Name) -> str | None:
        value = self.values.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return None if value is None or not str(value).strip() else str(value).strip()


def read_csv(content: bytes, mapping: FormMapping, limits: Limits) -> list[ReadOrder]:
    """The orders of a CSV file: rows of one number are one order. Raises RefusedDocument."""
    try:
        text = content.decode(mapping.encoding)
    except UnicodeDecodeError as exc:
        raise refused("csv.encoding", f"it is not {mapping.encoding}", f"byte {exc.start + 1}") from exc
    delimiter = mapping.delimiter or _delimiter(text)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[Any]]] = []
    try:
        for fields in reader:
            rows.append((reader.line_num, list(fields)))
            if len(rows) > limits.elements:
                raise refused("csv.rows", f"more than {limits.elements:,} rows", f"row {reader.line_num}")
    except csv.Error as exc:
        raise refused("csv.syntax", str(exc), f"row {reader.line_num}") from exc
    return _Reading("csv", mapping, limits).read(rows)


def read_xlsx(content: bytes, mapping: FormMapping, limits: Limits) -> list[ReadOrder]:
    """The orders of a workbook. Raises RefusedDocument, ConfigurationError where the extra is not installed."""
    try:
        # Only here: it is an extra's library, which refuses entities where the other one is there.
        import defusedxml  # noqa: F401
        import openpyxl
    except ModuleNotFoundError as exc:
        raise ConfigurationError(f"{exc}: XLSX needs ordersync[documents]") from exc
    limits.check_zip(content, "workbook")
    try:
        book = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = book[mapping.sheet] if mapping.sheet else book.worksheets[0]
        rows: list[tuple[int, list[Any]]] = []
        cells = 0
        for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
            # A sheet of two cells may say that it is a million rows long and 16,384 columns wide.
            cells += len(values)
            if number > limits.elements or cells > _CELLS_A_ROW * limits.elements:
                told = f"more than {limits.elements:,} rows, or {_CELLS_A_ROW} cells in each"
                raise refused("xlsx.rows", told, f"row {number}")
            # What is empty is passed over later, too; but the row of the titles is counted to.
            if number <= mapping.header_row or any(value is not None for value in values):
                rows.append((number, list(values)))
    except KeyError as exc:
        raise refused("xlsx.sheet", f"the workbook has no part or sheet {exc}", "workbook") from exc
    except RefusedDocument:
        raise
    except Exception as exc:
        # openpyxl raises whatever it stumbles over in a damaged file.
        raise refused("xlsx.damaged", f"the workbook cannot be read: {exc or type(exc).__name__}", "workbook") from exc
    return _Reading("xlsx", mapping, limits).read(rows)


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(";,\t|", key=first.count)


class _Reading:
    def __init__(self, form: str, mapping: FormMapping, limits: Limits) -> None:
        self._form = form
        self._mapping = mapping
        self._limits = limits
        self._findings = Findings()

    def read(self, rows: list[tuple[int, list[Any]]]) -> list[ReadOrder]:
        orders: dict[str, ReadOrder] = {}
        for row in self._rows(rows):
            number = row.text("number")
            if number is None:
                self._wrong("number", "the row names no order", row, "number")
                continue
            if number not in orders:
                if len(orders) == self._limits.orders:
                    raise refused("document.orders", f"more than {self._limits.orders:,} orders", row.place())
                orders[number] = self._order(number, row)
            else:
                self._agree(orders[number], row)
            self._add(orders[number], row)
        if not orders and not self._findings.reasons:
            self._findings.add(f"{self._form}.rows", "there are no rows below the header", "the end")
        self._findings.check()
        return list(orders.values())

    def _rows(self, rows: list[tuple[int, list[Any]]]) -> Iterator[_Row]:
        mapping = self._mapping
        if len(rows) < mapping.header_row:
            raise refused(f"{self._form}.header", "there is no row with the columns' names", "row 1")
        header = [str(name).strip() if name is not None else "" for name in rows[mapping.header_row - 1][1]]
        missing = [column for column in mapping.columns.values() if column not in header]
        doubled = [column for column in mapping.columns.values() if header.count(column) > 1]
        if missing or doubled:
            told = f"no column {', '.join(missing)}" if missing else f"two columns {', '.join(doubled)}"
            raise refused(f"{self._form}.columns", told, f"row {mapping.header_row}")
        places = {name: header.index(column) for name, column in mapping.columns.items()}
        for number, fields in rows[mapping.header_row :]:
            if all(field is None or not str(field).strip() for field in fields):
                continue
            if self._form == "csv" and len(fields) != len(header):
                told = f"{len(fields)} fields for {len(header)} columns"
                self._findings.add("csv.fields", told, f"row {number}")
                continue
            values: dict[Name, Any] = dict(mapping.constants)
            found = {name: fields[place] if place < len(fields) else None for name, place in places.items()}
            values |= {name: value for name, value in found.items() if value is not None and str(value).strip()}
            yield _Row(number, values)

    def _order(self, number: str, row: _Row) -> ReadOrder:
        code = row.text("buyer_code")
        order = ReadOrder(
            Kind.ORDER,
            self._form,
            number=number,
            document_number=number,
            issue_date=self._day(row, "issue_date"),
            delivery_date=self._day(row, "delivery_date"),
            currency=row.text("currency"),
            buyer=ReadParty([code] if code else [], row.text("buyer_name")),
            note=row.text("note"),
        )
        if order.issue_date is None and "issue_date" not in row.values:
            self._wrong("date", "the order has no date", row, "issue_date")
        if any(row.text(name) for name in ("delivery_name", "street_name", "city_name")):
            order.delivery = ReadParty(
                [], row.text("delivery_name"), row.text("street_name"), row.text("city_name"), row.text("postal_zone"),
                country_code=row.text("country_code"),
            )  # fmt: skip
        return order

    def _agree(self, order: ReadOrder, row: _Row) -> None:
        """Rows of one order say the same of it."""
        said = {
            "issue_date": order.issue_date,
            "currency": order.currency,
            "buyer_code": order.buyer.codes[0] if order.buyer.codes else None,
            "buyer_name": order.buyer.name,
            "delivery_date": order.delivery_date,
        }
        for name in _OF_ORDER:
            value = self._day(row, name) if name.endswith("date") else row.text(name)
            if value is not None and value != said[name]:
                self._wrong("rows_differ", f"order {order.number}: {value}, and {said[name]} before", row, name)

    def _add(self, order: ReadOrder, row: _Row) -> None:
        if len(order.lines) == self._limits.lines:
            raise refused("order.lines", f"more than {self._limits.lines:,} lines", row.place())
        unit = row.text("unit") or "C62"
        code = unit_of_word(unit) or unit_of_code(unit)
        if code is None:
            self._wrong("unit", f"{unit!r} is no unit", row, "unit")
        line = ReadLine(
            row.text("line_id") or str(len(order.lines) + 1),
            row.place(),
            seller_code=row.text("seller_code"),
            buyer_code=row.text("buyer_item_code"),
            standard_code=row.text("standard_code"),
            name=row.text("item_name"),
            quantity=self._number(row, "quantity"),
            unit_code=code,
            price=self._number(row, "price"),
            allowance=self._number(row, "discount") or Decimal(0),
            amount=self._number(row, "amount"),
            tax_percent=self._number(row, "tax_percent"),
        )
        if line.quantity is None or line.quantity <= 0:
            self._wrong("quantity", f"a quantity of {row.text('quantity')}", row, "quantity")
        if line.price is not None and line.price < 0:
            self._wrong("price", f"a price of {line.price}", row, "price")
        if not line.codes and not line.name:
            self._wrong("item", "the row names no product", row, "seller_code")
        if any(known.line_id == line.line_id for known in order.lines):
            self._wrong("line_id", f"order {order.number} has two lines {line.line_id}", row, "line_id")
        order.lines.append(line)

    def _number(self, row: _Row, name: Name) -> Decimal | None:
        value = row.values.get(name)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            # What a spreadsheet shows of a number has at most 15 digits.
            return Decimal(f"{value:.15g}")
        found = number_of(str(value), self._mapping.decimal)
        if found is None:
            self._wrong("number", f"{str(value)[:40]!r} is no number with {self._mapping.decimal!r}", row, name)
        return found

    def _day(self, row: _Row, name: Name) -> date | None:
        value = row.values.get(name)
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.date()
        if isinstance(value, date):
            return value
        found = day_of(str(value), self._mapping.date)
        if found is None:
            self._wrong("date", f"{str(value)[:40]!r} is no date of the form {self._mapping.date}", row, name)
        return found

    def _wrong(self, rule: str, message: str, row: _Row, name: Name) -> None:
        self._findings.add(f"{self._form}.{rule}", message, row.place(name))
