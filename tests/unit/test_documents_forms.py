# ruff: noqa: E501 - tables of words are read in one line each
"""Orders as other programs print them: boxes, wrapped texts, titles in several rows, numbers beside their titles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from producers.documents.drafting import Draft, Drafting
from producers.documents.identification import no_alias
from producers.documents.limits import Limits
from producers.documents.masters import Masters
from producers.documents.order import ReadOrder
from producers.documents.pdf import pages
from producers.documents.source import Source
from producers.documents.text.document import read
from producers.documents.text.families import family_of
from producers.documents.text.goods import Goods, table_of
from producers.documents.text.shapes import says_other_day, shaped_number
from producers.documents.text.words import Segment, rows_of
from tests.benchmarks.document_forms import FORMS, Form, Line, order_on, printed
from tests.benchmarks.document_layouts import LANGUAGES, TrueOrder, masters_of
from tests.benchmarks.documents import is_wrong

pytest.importorskip("pdfplumber")
pytest.importorskip("reportlab")
pytest.importorskip("rapidfuzz")
_SOURCE = Source.model_validate({"name": "forms", "kind": "folder", "path": "/nowhere", "system": "shop"})


def _draft(order: TrueOrder, form: Form, language: str) -> Draft:
    content = printed(order, form, language, "shown", 1)
    return Drafting(pages.read_pdf(content, Limits(), None), _SOURCE, Masters(*masters_of(1)), no_alias).draft()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_an_order_flows_and_says_what_was_printed(form: Form, language: str) -> None:
    order = order_on(form, language, 1)
    draft = _draft(order, form, language)
    assert draft.doubts == []
    assert not is_wrong(order, draft)


@dataclass(frozen=True, slots=True)
class _Slip(Line):
    """A line whose amount is not what quantity and price make."""

    @property
    def amount(self) -> Decimal:
        return self.price * self.quantity + 10


@pytest.mark.parametrize("form", [form for form in FORMS if form.has_prices], ids=lambda form: form.name)
def test_a_slip_in_one_line_waits(form: Form) -> None:
    order = order_on(form, "en", 1)
    first = order.lines[0]
    slip = _Slip(first.product, first.quantity, first.price)
    draft = _draft(replace(order, lines=[slip, *order.lines[1:]]), form, "en")
    assert "line.amount" in [doubt.rule for doubt in draft.doubts]


@pytest.mark.parametrize(
    ("table", "phrase", "name"),
    [
        ("fields", "expected delivery", "delivery_date"), ("fields", "our purchase order reference", "number"),
        ("fields", "livraison prevue le", "delivery_date"), ("fields", "document date", "issue_date"),
        ("fields", "supplier nr", None), ("fields", "telephone nr", None), ("fields", "order confirmation nr", None),
        ("fields", "project date", None), ("fields", "order nr 4711", None),
        ("columns", "supplier part nr", "code"), ("columns", "unit cost price", "price"), ("columns", "total price", "amount"),
        ("columns", "qty ordered", "quantity"), ("columns", "qty backordered", None), ("columns", "bestellte menge", "quantity"),
        ("totals", "total amount including vat", "gross"), ("totals", "gesamtsumme ohne mwst", "net"), ("totals", "pallets", None),
        ("titles", "lieferantenbestellung", "order"), ("titles", "order confirmation", None), ("titles", "auftragsbestatigung", None),
        ("titles", "", None),
    ],
)  # fmt: skip
def test_the_words_of_a_label_tell_what_it_means_or_nothing(table: str, phrase: str, name: str | None) -> None:
    assert family_of(table, phrase) == name


def _segments(*cells: tuple[str, float, float, float]) -> list[Segment]:
    return [Segment(text, 1 + int(top // 800), left, top, right, top + 9) for text, left, right, top in cells]


_TITLES = (("Pos", 40, 55, 100), ("Item no.", 80, 115, 100), ("Description", 140, 190, 100), ("Qty", 320, 335, 100),
           ("Price", 400, 420, 100), ("Amount", 480, 515, 100))  # fmt: skip


def test_texts_that_begin_above_their_numbers_stay_together() -> None:
    cells = [*_TITLES]
    for number, top in enumerate((130, 170), 1):
        cells += [
            (f"Name {number}", 140, 180, top - 6),
            (f"remark {number}", 140, 190, top + 6),
            (str(number), 40, 45, top),
        ]
        cells += [
            (f"A-{number}00", 80, 110, top),
            ("5", 325, 335, top),
            ("2.00", 402, 420, top),
            ("10.00", 490, 515, top),
        ]
    found = table_of(rows_of(_segments(*cells)), ".")
    assert found is not None
    assert [(line.text("name"), line.text("name continued")) for line in found.lines] == [
        ("Name 1", "remark 1"), ("Name 2", "remark 2"),
    ]  # fmt: skip


def test_texts_below_their_numbers_stay_there_also_across_pages() -> None:
    cells = [*_TITLES]
    for number, top in enumerate((112, 136, 812), 1):
        cells += [(str(number), 40, 45, top), (f"A-{number}00", 80, 110, top), (f"Name {number}", 140, 180, top)]
        cells += [
            ("5", 325, 335, top),
            ("2.00", 402, 420, top),
            ("10.00", 490, 515, top),
            (f"remark {number}", 140, 190, top + 12),
        ]
    found = table_of(rows_of(_segments(*cells)), ".")
    assert found is not None
    assert [(line.text("name"), line.text("name continued")) for line in found.lines] == [
        (f"Name {number}", f"remark {number}") for number in (1, 2, 3)
    ]


def test_numbers_of_two_businesses_for_one_product_are_both_read() -> None:
    cells = [
        ("Part no.", 80, 115, 100),
        ("Supplier part no.", 140, 210, 100),
        ("Description", 240, 290, 100),
        ("Qty", 320, 335, 100),
    ]
    cells += [("X-1", 80, 95, 112), ("A-100", 140, 160, 112), ("Green Tea", 240, 280, 112), ("5", 325, 335, 112)]
    found = table_of(rows_of(_segments(*cells)), ".")
    assert found is not None
    [line] = found.lines
    assert [line.text(name) for name in ("code", "other code", "name", "quantity")] == [
        "X-1",
        "A-100",
        "Green Tea",
        "5",
    ]


_THREE = ("Quite", "Something", "Else")
_GOODS = (("12", "4.50", "54.00"), ("7", "3.00", "21.00"))


def _table(titles: tuple[str, str, str], lines: tuple[tuple[str, str, str], ...]) -> Goods | None:
    cells = [
        *_TITLES[:3],
        *((text, left, left + 30, 100.0) for text, left in zip(titles, (320, 400, 480), strict=True)),
    ]
    for number, numbers in enumerate(lines, 1):
        top = 100.0 + 14 * number
        cells += [(str(number), 40, 45, top), (f"A-{number}00", 80, 110, top), (f"Name {number}", 140, 180, top)]
        cells += [(text, left, left + 20, top) for text, left in zip(numbers, (320, 400, 480), strict=True)]
    return table_of(rows_of(_segments(*cells)), ".")


@pytest.mark.parametrize(
    ("titles", "lines"),
    [
        (_THREE, _GOODS), (("Quite", "Price", "Amount"), _GOODS), (("Qty", "Something", "Else"), _GOODS),
        (("Quite", "Something", "Amount"), _GOODS),
    ],
)  # fmt: skip
def test_numbers_that_fit_in_one_way_only_tell_what_unknown_columns_are(
    titles: tuple[str, str, str], lines: tuple[tuple[str, str, str], ...]
) -> None:
    found = _table(titles, lines)
    assert found is not None
    assert [tuple(line.text(name) for name in ("quantity", "price", "amount")) for line in found.lines] == list(lines)


@pytest.mark.parametrize(
    "lines",
    [
        (("12", "4.50", "54.00"), ("7", "3.00", "22.00")),
        (("12.00", "4.50", "54.00"), ("7.00", "3.00", "21.00")),
        (("12", "4", "48.00"), ("7", "3", "21.00")),
        (("0", "4.50", "0.00"),),
    ],
    ids=["one line does not fit", "quantities look like prices", "prices look like quantities", "nothing"],
)
def test_numbers_that_do_not_fit_or_fit_in_two_ways_tell_nothing(lines: tuple[tuple[str, str, str], ...]) -> None:
    assert _table(_THREE, lines) is None


@pytest.mark.parametrize(("others", "is_read"), [(2, True), (3, False)])
def test_no_more_than_three_tables_are_read_in_every_way(others: int, is_read: bool) -> None:
    cells: list[tuple[str, float, float, float]] = []
    for place in range(others + 1):
        numbers = ("12", "4.50", "54.00" if place == others else "55.00")
        texts = zip(_THREE, numbers, (320.0, 400.0, 480.0), strict=True)
        top = 30.0 * place
        cells += [("Item no.", 80, 115, top), ("Description", 140, 190, top), ("A-100", 80, 110, top + 15)]
        cells += [("Tea", 140, 160, top + 15), ("Pos", 40, 55, top), ("1", 40, 45, top + 15)]
        cells += [
            cell
            for title, text, left in texts
            for cell in ((title, left, left + 30, top), (text, left, left + 20, top + 15))
        ]
    assert (table_of(rows_of(_segments(*cells)), ".") is not None) is is_read


@pytest.mark.parametrize(
    ("cells", "number"),
    [
        ([("Quelle", 40, 90, 20), ("PO-78852", 140, 190, 20)], "PO-78852"),
        ([("Quelle: BC61716", 40, 150, 20)], "BC61716"),
        ([("Quelle", 40, 90, 20), ("PO-78852", 140, 190, 20), ("PO-78853", 140, 190, 40)], None),
        ([("Replaces", 40, 90, 20), ("PO-78852", 140, 190, 20)], None),
        ([("Your quotation", 40, 90, 20), ("PO-78852", 40, 90, 32)], None),
        ([("Customer no.", 40, 90, 20), ("PO-78852", 140, 190, 20)], None),
        ([("see PO-78852 and the drawing", 40, 190, 20)], None),
        ([("XPO-78852", 40, 190, 20)], None),
        ([("78852", 40, 90, 20)], None),
    ],
)  # fmt: skip
def test_only_what_looks_like_a_number_of_orders_and_nothing_else_is_one(
    cells: list[tuple[str, float, float, float]], number: str | None
) -> None:
    found = shaped_number(rows_of(_segments(*cells)))
    assert (found.text if found is not None else None) == number


@pytest.mark.parametrize(
    ("said", "is_other"),
    [
        ("valid until", True), ("gultig bis", True), ("livraison", True), ("fecha de vencimiento", True),
        ("printed on", True), ("quite", False), ("paris le", False), ("", False),
    ],
)  # fmt: skip
def test_words_around_a_day_may_say_that_it_is_another_one(said: str, is_other: bool) -> None:
    assert says_other_day(said) is is_other


def _order(*more: tuple[str, float, float, float]) -> ReadOrder:
    goods = [("1", 40, 45, 112.0), ("A-100", 80, 110, 112.0), ("Tea", 140, 160, 112.0), ("5", 325, 335, 112.0),
             ("2.00", 402, 420, 112.0), ("10.00", 490, 515, 112.0)]  # fmt: skip
    goods += [(text, left, right, top + 12) for text, left, right, top in goods]
    head = [("Purchase Order no. 4711", 40, 200, 10.0)]
    return read(_segments(*head, *_TITLES, *goods, *more), "pdf", "YMD")


@pytest.mark.parametrize(
    ("days", "day"),
    [
        ([("Quite", "2026-03-02"), ("Delivery date", "2026-03-09")], "2026-03-02"),
        ([("Quite", "2026-03-02"), ("Termin", "2026-03-09")], "2026-03-02"),
        ([("Quite", "2026-03-12"), ("Delivery date", "2026-03-09")], "None"),
        ([("Valid until", "2026-03-02"), ("Delivery date", "2026-03-09")], "None"),
        ([("Quite", "2026-03-02"), ("Something", "2026-03-03"), ("Delivery date", "2026-03-09")], "None"),
    ],
)
def test_the_only_other_day_before_the_delivery_is_the_day_of_the_order(days: list[tuple[str, str]], day: str) -> None:
    cells = [
        cell for at, (label, text) in enumerate(days, 2) for cell in ((label, 40.0, 110.0, 16.0 * at), (text, 140.0, 190.0, 16.0 * at))
    ]  # fmt: skip
    assert str(_order(*cells).issue_date) == day


@pytest.mark.parametrize(("amount", "is_stray"), [("20.00", False), ("21.00", True)])
def test_what_the_lines_make_is_no_lost_line_whatever_it_is_called(amount: str, is_stray: bool) -> None:
    found = _order(("Quite", 320, 350, 150.0), (amount, 490, 515, 150.0))
    assert ("lines.2.row" in found.evidence) is is_stray


def test_titles_of_several_words_and_broken_ones_are_one_column() -> None:
    titles = [("Bestellmeng", 320, 370, 100), ("e", 320, 325, 110), ("Artikelnr.", 80, 115, 100), ("Bezeichnung", 140, 190, 100),
              ("Delivery due", 400, 480, 100)]  # fmt: skip
    found = table_of(
        rows_of(_segments(*titles, ("A-1", 80, 95, 125), ("Tee", 140, 160, 125), ("5", 320, 325, 125))), ","
    )
    assert found is not None
    assert [one.name for one in found.columns] == ["code", "name", "quantity", "delivery_date"]


@pytest.mark.parametrize(("rows", "is_read"), [(900, True), (1000, False)])
def test_only_tables_of_some_pages_are_read_in_every_way(rows: int, is_read: bool) -> None:
    titles = [*_TITLES[:3], ("Quite", 320, 335, 100), ("Something", 400, 420, 100), ("Else", 480, 515, 100)]
    line = [("1", 40, 45, 112), ("A-100", 80, 110, 112), ("Tea", 140, 160, 112), ("12", 320, 335, 112), ("4.50", 400, 420, 112),
            ("54.00", 480, 515, 112)]  # fmt: skip
    more = [("Thank you", 40.0, 90.0, 1000.0 + 12 * place) for place in range(rows)]
    assert (table_of(rows_of(_segments(*titles, *line, *more)), ".") is not None) is is_read


def test_strangers_phrases_are_not_remembered_for_ever() -> None:
    for number in range(10_000):
        family_of("fields", "".join(chr(ord("a") + int(digit)) for digit in str(number)))
    assert 0 < family_of.cache_info().currsize < 10_000
