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
from producers.documents.pdf import pages
from producers.documents.source import Source
from producers.documents.text.families import family_of
from producers.documents.text.goods import table_of
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
