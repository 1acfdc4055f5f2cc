"""Order forms in CSV and XLSX: what they say is taken, and whatever is wrong or hostile is refused with its place."""

from __future__ import annotations

import struct
import zipfile
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from producers.documents.limits import Limits
from producers.documents.reasons import RefusedDocument
from producers.documents.tables import FormMapping, read_csv, read_xlsx
from schemas.errors import ConfigurationError

TITLES = ["Bestellung", "Datum", "Kunde", "Artikel", "Menge", "Einheit", "Preis"]
MAPPING = FormMapping.model_validate(
    {
        "decimal": ",",
        "date": "DD.MM.YYYY",
        "columns": {
            "number": "Bestellung",
            "issue_date": "Datum",
            "buyer_code": "Kunde",
            "seller_code": "Artikel",
            "quantity": "Menge",
            "unit": "Einheit",
            "price": "Preis",
        },
        "constants": {"currency": "EUR"},
    }
)
ROWS: list[list[Any]] = [
    ["PO-1", "21.11.2026", "C1", "P1", "12", "Stück", "1.234,50"],
    ["PO-1", "21.11.2026", "C1", "P2", "2,5", "kg", "3"],
    ["PO-2", "22.11.2026", "C2", "P1", "1", "C62", "9,95"],
]


def csv_of(rows: list[list[Any]], titles: list[str] = TITLES, end: str = "\r\n") -> bytes:
    return "".join(";".join(map(str, row)) + end for row in [titles, *rows]).encode("utf-8-sig")


def xlsx_of(rows: list[list[Any]], titles: list[str] = TITLES) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [titles, *rows]:
        sheet.append(row)
    written = BytesIO()
    book.save(written)
    return written.getvalue()


def altered(content: bytes, member: str, old: bytes, new: bytes) -> bytes:
    """The archive with other content in one member."""
    written = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as source, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = source.read(name)
            assert name != member or old in data
            target.writestr(name, data.replace(old, new) if name == member else data)
    return written.getvalue()


def zipped(**members: bytes) -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return written.getvalue()


def refusal_of(content: bytes, **limits: int) -> list[tuple[str, str]]:
    read = read_xlsx if content.startswith(b"PK") else read_csv
    with pytest.raises(RefusedDocument) as refused:
        read(content, MAPPING, Limits(**limits))
    return [(reason.rule, reason.place) for reason in refused.value.reasons]


@pytest.mark.parametrize("read", ["csv", "xlsx"])
def test_rows_of_one_number_are_one_order(read: str) -> None:
    if read == "csv":
        first, second = read_csv(csv_of(ROWS), MAPPING, Limits())
    else:
        first, second = read_xlsx(xlsx_of(ROWS), MAPPING, Limits())
    assert (first.number, first.issue_date, first.currency, first.buyer.codes) == (
        "PO-1",
        date(2026, 11, 21),
        "EUR",
        ["C1"],
    )
    assert [(line.seller_code, line.quantity, line.unit_code, line.price) for line in first.lines] == [
        ("P1", Decimal(12), "C62", Decimal("1234.50")),
        ("P2", Decimal("2.5"), "KGM", Decimal(3)),
    ]
    assert (second.number, len(second.lines)) == ("PO-2", 1)


def test_cells_of_a_workbook_are_numbers_and_days_of_their_own() -> None:
    rows = [[4711, date(2026, 11, 21), 17, 42, 0.1 + 0.2, None, 9.95], [None] * 7]
    (order,) = read_xlsx(xlsx_of(rows), MAPPING, Limits())
    (line,) = order.lines
    assert (order.number, order.issue_date, order.buyer.codes) == ("4711", date(2026, 11, 21), ["17"])
    assert (line.seller_code, line.quantity, line.price) == ("42", Decimal("0.3"), Decimal("9.95"))


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"Menge": "zwölf"}, [("number", "quantity"), ("quantity", "quantity")]),
        ({"Menge": "0"}, [("quantity", "quantity")]),
        ({"Preis": "1,234.50"}, [("number", "price")]),
        ({"Preis": "-1"}, [("price", "price")]),
        ({"Datum": "31.02.2026"}, [("date", "issue_date")]),
        ({"Datum": "2026-11-21"}, [("date", "issue_date")]),
        ({"Einheit": "Handvoll"}, [("unit", "unit")]),
        ({"Artikel": ""}, [("item", "seller_code")]),
        ({"Bestellung": ""}, [("number", "number")]),
    ],
)
def test_what_is_wrong_is_named_with_row_and_column(changes: dict[str, str], reasons: list[tuple[str, str]]) -> None:
    row = [changes.get(title, value) for title, value in zip(TITLES, ROWS[0], strict=True)]
    for form, content in (("csv", csv_of([row, ROWS[2]])), ("xlsx", xlsx_of([row, ROWS[2]]))):
        assert refusal_of(content) == [(f"{form}.{rule}", f"row 2, {column}") for rule, column in reasons]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (csv_of(ROWS, [title for title in TITLES if title != "Preis"]), "csv.columns"),
        (csv_of(ROWS, [*TITLES[:-1], "Menge"]), "csv.columns"),
        (csv_of([]), "csv.rows"),
        (b"", "csv.header"),
        (csv_of([ROWS[0][:-1]]), "csv.fields"),
        (csv_of([[*ROWS[0], "more"]]), "csv.fields"),
        (csv_of([[*ROWS[0][:-1], '"open']]), "csv.syntax"),
        (csv_of(ROWS).decode("utf-8-sig").encode("latin-1"), "csv.encoding"),
        (csv_of([ROWS[0], [*ROWS[1][:2], "C9", *ROWS[1][3:]]]), "csv.rows_differ"),
        (xlsx_of(ROWS)[:-200], "document.zip"),
        (b"PK\x03\x04" + b"\0" * 200, "document.zip"),
        (zipped(a=b"no workbook"), "xlsx.sheet"),
        (altered(xlsx_of(ROWS), "xl/worksheets/sheet1.xml", b"<sheetData>", b"<sheetData"), "xlsx.damaged"),
        (altered(xlsx_of(ROWS), "xl/workbook.xml", b"rId1", b"rId99"), "xlsx.sheet"),
    ],
)
def test_a_damaged_table_is_refused(content: bytes, rule: str) -> None:
    assert rule in {found for found, _ in refusal_of(content)}


def test_more_than_the_limits_is_refused_before_it_is_kept() -> None:
    many = [[f"PO-{number}", *ROWS[0][1:]] for number in range(30)]
    for form, content in (("csv", csv_of(many)), ("xlsx", xlsx_of(many))):
        assert refusal_of(content, elements=20) == [(f"{form}.rows", "row 21")]
        assert refusal_of(content, orders=10)[0][0] == "document.orders"
        lines = [[*many[0][:3], f"P{number}", *many[0][4:]] for number in range(30)]
        same = csv_of(lines) if form == "csv" else xlsx_of(lines)
        assert refusal_of(same, lines=10)[0][0] == "order.lines"


def test_two_cells_far_apart_are_no_million_rows() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"], sheet["XFD1048576"] = "Bestellung", "x"
    written = BytesIO()
    book.save(written)
    assert refusal_of(written.getvalue()) == [("xlsx.rows", "row 611")]


@pytest.mark.parametrize("name", ["xl/worksheets/sheet1.xml", "whatever/else.bin"])
def test_a_zip_bomb_is_refused_while_it_unfolds(name: str) -> None:
    bomb = zipped(**{name: b"0" * (3 << 20)})
    assert len(bomb) < 10_000
    assert refusal_of(bomb) == [("document.zip_bomb", "workbook")]
    # None of them unfolds too far, all of them together do.
    several = zipped(**{f"{number}.bin": bytes(range(256)) * 3_000 for number in range(9)})
    assert refusal_of(several, expanded_bytes=4 << 20) == [("document.zip_bomb", "workbook")]


def test_a_directory_that_lies_about_sizes_is_refused() -> None:
    bomb = bytearray(zipped(**{"a.bin": b"0" * (3 << 20)}))
    # The size in the local header and in the directory: it says that the member is ten bytes long.
    for at, offset in ((bomb.find(b"PK\x03\x04"), 22), (bomb.find(b"PK\x01\x02"), 24)):
        bomb[at + offset : at + offset + 4] = struct.pack("<I", 10)
    assert refusal_of(bytes(bomb))[0][0] in ("document.zip", "document.zip_bomb")


def test_entities_of_a_workbook_are_refused() -> None:
    laughs = b'<!DOCTYPE x [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;">]><worksheet'
    assert refusal_of(altered(xlsx_of(ROWS), "xl/worksheets/sheet1.xml", b"<worksheet", laughs))[0][0] == "xlsx.damaged"


def test_formulas_count_with_what_the_sheet_has_worked_out() -> None:
    # What nobody has worked out is no quantity.
    assert refusal_of(xlsx_of([[*ROWS[0][:4], "=6*2", *ROWS[0][5:]]])) == [("xlsx.quantity", "row 2, quantity")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[columns]\nnumber = 'a'\n", "nothing says issue_date, quantity"),
        ("encoding = 'klingon'\n[columns]\nnumber='a'\nissue_date='b'\nquantity='c'\n", "klingon"),
        ("decimal = ';'\n[columns]\nnumber='a'\n", "decimal"),
        ("[columns]\nnumbr='a'\n", "numbr"),
        ("[columns", "not TOML"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "form.toml"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=told):
        FormMapping.load(file)
