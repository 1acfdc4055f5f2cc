# ruff: noqa: E501 - tables of words are read in one line each
"""Orders in sentences and on pages: what is certain flows, what is not waits, and nothing else becomes an order."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from producers.documents.drafting import Draft, Drafting
from producers.documents.identification import no_alias
from producers.documents.limits import Limits
from producers.documents.masters import KnownCustomer, KnownProduct, Masters
from producers.documents.numbers import day_of, decimal_mark_of, number_of
from producers.documents.order import Kind, ReadOrder
from producers.documents.reading import Reader
from producers.documents.reasons import RefusedDocument
from producers.documents.source import Source
from producers.documents.text import document, free_text
from producers.documents.text.dates import dates_in, order_of
from producers.documents.text.framing import strange_words, without_salutation
from producers.documents.text.numerals import WORDS
from producers.documents.text.words import Segment, plain
from producers.documents.units import unit_of_code, unit_of_word
from tests.unit import document_samples as samples

pytest.importorskip("babel")
pytest.importorskip("rapidfuzz")
_SENT = date(2026, 11, 21)
_SOURCE = Source.model_validate({"name": "mail", "kind": "folder", "path": "/nowhere", "system": "shop"})
_TABLE = """\
Purchase Order

Order number: PO-99
Date: 2026-11-20
Customer no.: C1

Qty   Item code   Description        Unit price   Amount
12    P1          Chai                    18.00    216.00
2     P2          Olive Oil 5 l           21.50     43.00

Total                                              259.00 EUR
"""


@pytest.mark.parametrize(
    ("text", "number", "delivery"),
    [
        (
            "Hello,\nplease send us 12 Chai and two Olive Oil 5 l by 3 March.\nPO 4711, customer no. C1\nRegards\nTom",
            "4711",
            date(2027, 3, 3),
        ),
        (
            "wir bestellen 12 Stück Chai und 2 Olive Oil 5 l, Lieferung bis 3. März 2027. Bestellung Nr. B-47, Kundennummer C1",
            "B-47",
            date(2027, 3, 3),
        ),
        (
            "Nous commandons:\n- 12 x Chai à 18,00 €\n- 2 unités de Olive Oil 5 l\nCommande n° 2026/77, numéro client C1.\nLivraison le 03/03/2027.\nCordialement",
            "2026/77",
            date(2027, 3, 3),
        ),
        (
            "Por favor envíen 12 unidades de Chai y 2 Olive Oil 5 l. Pedido nº 55-1. Código cliente C1. Entrega: 3 de marzo de 2027\nSaludos",
            "55-1",
            date(2027, 3, 3),
        ),
        (
            "Dear Sir or Madam,\n\nplease send us 12 pcs. of Chai and 2 x Olive Oil 5 l.\nOur PO number is 4711. Customer number is C1\nRegards",
            "4711",
            None,
        ),
        (
            "Buenos días,\nles pedimos 12 uds. de Chai y 2 uds. de Olive Oil 5 l.\nPedido número B-47, número de cliente C1\nEntrega: 3 de marzo de 2027",
            "B-47",
            date(2027, 3, 3),
        ),
        (
            "Hallo,\nwir benötigen:\n- 12 Stk. Chai\n- 2 Stk. Olive Oil 5 l\nBestellung Nr. B-47, Kunden-Nr. C1",
            "B-47",
            None,
        ),
        (_TABLE, "PO-99", None),
    ],
)
def test_an_order_in_sentences_is_read(text: str, number: str, delivery: date | None) -> None:
    read = free_text.read(text, "", "buyer@example.com", None, _SENT)
    draft = Drafting(read, _SOURCE, samples.masters(), no_alias).draft()
    assert (read.number, read.delivery_date, draft.doubts) == (number, delivery, [])
    assert draft.order is not None
    assert [(line.product_id, line.quantity) for line in draft.order.order_lines] == [
        ("shop:P1", "12"),
        ("shop:P2", "2"),
    ]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Please send 12 cases of Chai. PO 123, customer no. C1", "unit.differs"),
        ("Please send 12 of the usual tea. PO 123, customer no. C1", "product.unknown"),
        ("Please send 12 Olive Oil 1 l. PO 123, customer no. C1", "product.unknown"),
        ("Please send 12 Chai. Customer no. C1", "number.missing"),
        ("Please send 12 Chai. PO 123", "customer.unknown"),
        ("Please send 12 Chai. PO 123 or PO 124, customer no. C1", "confidence.low"),
        ("We order 1200 Chai and 12 Olive Oil 5 l. Customer no. C1", "number.missing"),
        ("We order\n   1200  Chai and 12 Olive Oil 5 l. Customer no. C1", "number.missing"),
        ("Our order is 1200 Chai and 12 Olive Oil 5 l. Customer no. C1", "number.missing"),
        ("Nous vous commandons : commande 1200 Chai et 12 Olive Oil 5 l. Code client C1", "number.missing"),
        ("Dear Tom, please do not\nsend 12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("Dear Tom, 12 or 13 Chai please, or send\n12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("Please send 12 Chai if it is below 20 EUR. PO 123, customer no. C1", "confidence.low"),
        ("Please send 12 Chai, the last 10 were fine. PO 123, customer no. C1", "product.unknown"),
        ("Can you send 12 Chai? PO 123, customer no. C1", "confidence.low"),
        ("No envíen 12 Chai. Pedido nº 123, código cliente C1", "confidence.low"),
        ("Please send 12 Chai at 81.00 EUR. PO 123, customer no. C1", "price.tolerance"),
        ("Please deliver 12 Chai by 3/4/2027 or 5/4/2027. PO 123, customer no. C1", "confidence.low"),
        ("We deliver 12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("Your order: 12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("We would like to send you 12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("You can order 12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("As soon as he agrees, please send 12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("Please send 12 Chai and the rest as last time. PO 123, customer no. C1", "confidence.low"),
        ("Dear Tom send thirteen boxes, please send 12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("Please send 12 Chai and ninety-nine bags. PO 123, customer no. C1", "confidence.low"),
        ("Please send half a dozen of it and 12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("Please send 12 Chai and thirty one Olive Oil 5 l. PO 123, customer no. C1", "product.unknown"),
        ("Bitte liefern Sie 12 Chai sobald es geht. Bestellung Nr. 123, Kunden-Nr. C1", "product.unknown"),
        ("Wir haben 12 Chai bestellt. Bestellung Nr. 123, Kunden-Nr. C1", "confidence.low"),
        ("Heute liefern wir 12 Chai. Bestellung Nr. 123, Kunden-Nr. C1", "confidence.low"),
        ("Nous avons commandé 12 Chai. Commande n° 123, code client C1", "confidence.low"),
        ("Merci de réserver 12 Chai. Commande n° 123, code client C1", "confidence.low"),
        ("Quizás necesitemos 12 Chai. Pedido nº 123, código cliente C1", "confidence.low"),
        ("Por favor envíen 12 Chai y treinta y seis cosas. Pedido nº 123, código cliente C1", "product.unknown"),
        ("Please send 12 Chai. PO 123, customer no. C1\nThanks\nTom\nPS: twenty would be better", "confidence.low"),
        ("Please send 12 Chai. Please confirm receipt of 2 Olive Oil 5 l. PO 123, customer no. C1", "confidence.low"),
        ("Please send 12 Chai. Thanks for the delivery of 2 Olive Oil 5 l. PO 123, customer no. C1", "confidence.low"),
        ("Thanks. Our Chai: please send 12 Chai, we have 2 Olive Oil 5 l. PO 123, customer no. C1", "confidence.low"),
        ("Please send 12+ Chai, and 2 Olive Oil 5 l. PO 123, customer no. C1", "confidence.low"),
        ("Please send 1.200 Chai, and 2 Olive Oil 5 l. PO 123, customer no. C1", "confidence.low"),
        ("We could order 12 Chai. PO 123, customer no. C1", "confidence.low"),
        ("Could we order 12 Chai. PO 123, customer no. C1", "confidence.low"),
        (
            "Our customer would like to order 12 Chai from you, and 2 Olive Oil 5 l. PO 123, customer no. C1",
            "product.unknown",
        ),
        (_TABLE.replace("216.00", "261.00"), "line.amount"),
        (_TABLE.replace("259.00", "295.00"), "total.mismatch"),
        (_TABLE.replace("P1  ", "P3  "), "product.contradiction"),
        (_TABLE.replace("P1  ", "P77 "), "product.unknown"),
        (_TABLE.replace("2026-11-20", "03/04/2026"), "confidence.low"),
        (_TABLE.replace("Date:", "Order number: PO-98\nDate:"), "confidence.low"),
        (_TABLE.replace("EUR", "EUR or 280.00 USD"), "confidence.low"),
    ],
)
def test_what_can_be_meant_in_two_ways_waits(text: str, rule: str) -> None:
    read = free_text.read(text, "", "", None, _SENT)
    draft = Drafting(read, _SOURCE, samples.masters(), no_alias).draft()
    assert rule in [doubt.rule for doubt in draft.doubts], (draft.doubts, read.lines)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Thanks for the 12 nice bottles of Chai!", "document.no_order"),
        ("We have 12 Chai. PO 123, customer no. C1", "document.no_order"),
        ("Delivery of 12 Chai. Please confirm receipt. PO 123, customer no. C1", "document.no_order"),
        ("Please confirm receipt of:\n- 12 Chai\n PO 123, customer no. C1", "document.no_order"),
        ("Thank you for the delivery of 12 Chai. We like them. PO 123, customer no. C1", "document.no_order"),
        ("Please reserve 12 Chai. PO 123, customer no. C1", "document.no_order"),
        ("Please send us your price list.", "document.no_lines"),
        (_TABLE.replace("Purchase Order", "Invoice"), "document.not_an_order"),
        (_TABLE.replace("Purchase Order", "Auftragsbestätigung"), "document.not_an_order"),
        (_TABLE.replace("Purchase Order", "Devis"), "document.not_an_order"),
        (_TABLE.replace("Purchase Order", "Albarán"), "document.not_an_order"),
        (_TABLE.replace("Purchase Order", "Lieferschein Nr. 4711"), "document.not_an_order"),
    ],
)
def test_what_orders_nothing_is_refused(text: str, rule: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        free_text.read(text, "", "", None, _SENT)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    "text",
    [
        "Please cancel 12 Chai of order PO-123",
        "Bitte ändern Sie: 12 Chai, Bestellung 4711",
        _TABLE.replace("Purchase Order", "Order change"),
    ],
)
def test_a_change_in_words_is_never_a_new_order(text: str) -> None:
    assert free_text.read(text, "", "", None, _SENT).kind is Kind.CHANGE


# What recognition made of a worn scan of an order, as text, left, right, top and certainty.
_SCAN: list[tuple[str, float, float, float, float]] = [
    ("Northside Dairy Ltd", 49, 194, 32, 0.999), ("Purchase Order", 51, 159, 81, 1.0), ("Supplier:", 51, 89, 122, 0.998),
    ("Kontor Handels GmbH", 50, 144, 135, 1.0), ("20457 Hamburg", 50, 118, 150, 1.0), ("Order No.: 396656", 50, 127, 200, 0.995),
    ("Date: 10 March 2026", 50, 137, 215, 0.995), ("Delivery date: 15 March 2026", 49, 170, 229, 0.987),
    ("All prices in EUR", 49, 120, 243, 0.999), ("Pos.", 47, 71, 272, 1.0), ("Item no.", 90, 128, 273, 1.0),
    ("Description", 158, 212, 273, 1.0), ("Quantity Unit", 326, 392, 274, 0.978), ("Unit price", 430, 476, 276, 0.972),
    ("Amount", 506, 544, 276, 0.999), ("1", 48, 57, 288, 0.999), ("P1", 90, 123, 287, 0.999), ("Chai", 159, 219, 288, 0.999),
    ("3 pcs", 356, 388, 289, 0.931), ("18.00", 449, 475, 289, 0.999), ("54.00", 518, 544, 291, 0.999), ("2", 48, 57, 303, 0.999),
    ("P2", 89, 123, 302, 0.999), ("Olive Oil 5 l", 158, 235, 302, 0.999), ("36 pcs", 352, 388, 303, 0.917),
    ("21.50", 449, 476, 305, 0.999), ("774.00", 513, 544, 305, 0.999), ("Net total", 363, 401, 371, 0.989),
    ("828.00", 505, 543, 373, 0.999), ("VAT 19 %", 364, 408, 387, 0.997), ("157.32", 513, 543, 388, 0.999),
    ("Grand total", 364, 411, 401, 0.999), ("985.32", 505, 543, 401, 0.999),
]  # fmt: skip
_NORTHSIDE = KnownCustomer("shop:C9", "Northside Dairy Ltd", currency="EUR")


def scan(**misread: str) -> tuple[ReadOrder, Draft]:
    """The scan with some texts read wrongly: `t3_pcs` stands for `3 pcs`."""
    wrong = {name[1:].replace("_", " "): text for name, text in misread.items()}
    segments = [
        Segment(wrong.get(text, text), 1, left, top, right, top + 9, sure) for text, left, right, top, sure in _SCAN
    ]
    read = document.read(segments, "scan", None)
    masters = Masters([_NORTHSIDE, samples.CUSTOMER], [samples.CHAI, samples.OIL, samples.SALT])
    return read, Drafting(read, _SOURCE, masters, no_alias).draft()


def test_a_scan_whose_numbers_prove_each_other_flows() -> None:
    read, draft = scan()
    assert draft.doubts == [] and draft.order is not None
    assert (read.number, read.issue_date, read.delivery_date) == ("396656", date(2026, 3, 10), date(2026, 3, 15))
    assert [(line.product_id, line.quantity) for line in draft.order.order_lines] == [
        ("shop:P1", "3"),
        ("shop:P2", "36"),
    ]
    assert draft.order.buyer_customer_party_id == "shop:C9"


@pytest.mark.parametrize(
    "misread",
    [
        {"t3_pcs": "8 pcs"},
        {"t36_pcs": "86 pcs"},
        {"t18.00": "13.00"},
        {"t774.00": "714.00"},
        {"t828.00": "823.00"},
        {"t985.32": "935.32"},
        {"tP1": "P2"},
        {"tChai": "Sea Salt 1 kg"},
        {"t3_pcs": "3 pc5"},
        {"tNorthside Dairy Ltd".replace(" ", "_"): "Northside Diary Ltd"},
        {"tDate: 10 March 2026".replace(" ", "_"): "Date: 1O March 2026"},
        {"tOrder No.: 396656".replace(" ", "_"): "Order No.: B3966S6"},
        {"tPurchase Order".replace(" ", "_"): "Invoice"},
    ],
)
def test_a_misread_scan_never_flows(misread: dict[str, str]) -> None:
    try:
        _, draft = scan(**misread)
    except RefusedDocument:
        return
    assert draft.doubts, f"taken: {draft.order}"


def test_what_looks_alike_and_can_be_nothing_else_is_found() -> None:
    worn = {
        "tP1": "Pl",
        "tOlive Oil 5 l": "0live Oil51",
        "tNorthside Dairy Ltd": "NorthsideDairy Ltd",
        "t774.00": "774,00",
    }
    _, draft = scan(**{name.replace(" ", "_"): text for name, text in worn.items()})
    assert draft.doubts == [] and draft.order is not None
    assert [line.product_id for line in draft.order.order_lines] == ["shop:P1", "shop:P2"]
    assert draft.order.buyer_customer_party_id == "shop:C9"


def test_two_products_that_look_alike_wait() -> None:
    twins = Masters([], [KnownProduct("shop:A", "Oil 1 l"), KnownProduct("shop:B", "Oil 1 I")])
    assert twins.products.named("Oil 1 1", is_recognised=True) is None
    assert twins.products.named("Oil 1 I", is_recognised=True) == twins.products.get("shop:B")
    twins.products.remove("shop:B")
    assert twins.products.named("Oil 1 1", is_recognised=True) == twins.products.get("shop:A")
    assert twins.products.named("Oil 1 1") is None


@pytest.mark.parametrize(
    ("number", "is_sure"),
    [
        ("396656", True), ("B396656", True), ("PO-396656", True), ("2026/1234", True), ("S396656", True), ("45-1B", False),
        ("P0396656", False), ("PO396656", False), ("S05568", False), ("0396656", False), ("39665O", False), ("BCl5025", False),
        ("396B56", False), ("I39665", False),
    ],
)  # fmt: skip
def test_a_recognised_number_with_signs_that_are_taken_for_each_other_waits(number: str, is_sure: bool) -> None:
    read, _ = scan(**{"tOrder_No.:_396656": f"Order No.: {number}"})
    assert (read.number, read.evidence["number"].confidence >= 0.9) == (number, is_sure)


def test_quantities_and_amounts_that_became_one_text_are_parted_where_they_prove_each_other() -> None:
    row = [("24 Red Lentils", 110, 183, 0.98), ("37.72 905.28", 417, 544, 0.99)]
    titles = [
        ("Qty", 90, 105, 1.0),
        ("Description", 114, 209, 1.0),
        ("Price", 420, 446, 1.0),
        ("Amount", 514, 544, 1.0),
    ]
    read = _table_of(titles, row, "905.28")
    [line] = read.lines
    assert (line.quantity, line.name, line.price, line.amount) == (
        24,
        "Red Lentils",
        Decimal("37.72"),
        Decimal("905.28"),
    )
    assert read.evidence["lines.0.quantity"].confidence >= 0.9
    # What stands below a name is no line, and what does not come out is not sure.
    below = _table_of(titles, [*row, ("12 bottles in a box", 114, 190, 0.99, 380)], "905.28")
    assert len(below.lines) == 1
    other = _table_of(titles, [("2 Red Lentils", 110, 183, 0.98), ("37.72 905.28", 417, 544, 0.99)], "905.28")
    assert other.evidence["lines.0.quantity"].confidence < 0.9


def _table_of(titles: list[Any], row: list[Any], total: str) -> ReadOrder:
    cells = [
        ("Purchase Order 4711", 50, 150, 0.99, 50),
        ("Date: 2026-03-10", 50, 150, 0.99, 70),
        ("EUR", 50, 70, 0.99, 90),
    ]
    cells += [(*one, 340) for one in titles] + [one if len(one) == 5 else (*one, 360) for one in row]
    cells += [("Total", 400, 440, 0.99, 420), (total, 514, 544, 0.99, 420)]
    segments = [Segment(text, 1, left, top, right, top + 12, sure) for text, left, right, sure, top in cells]
    return document.read(segments, "scan", None)


def test_a_gross_total_alone_proves_the_lines_at_a_usual_rate_only() -> None:
    titles = [
        ("Qty", 90, 105, 1.0),
        ("Description", 140, 209, 1.0),
        ("Price", 420, 446, 1.0),
        ("Amount", 514, 544, 1.0),
    ]
    row = [
        ("24", 92, 104, 0.98),
        ("Red Lentils", 140, 183, 0.98),
        ("37.72", 420, 446, 0.99),
        ("905.28", 514, 544, 0.99),
    ]
    assert _table_of(titles, row, "1,077.28").evidence["lines.0.quantity"].confidence >= 0.9
    assert _table_of(titles, row, "1,177.28").evidence["lines.0.quantity"].confidence < 0.9


def test_number_and_name_of_two_customers_wait() -> None:
    text = _TABLE.replace("Customer no.: C1", "Customer no.: C1\nBuyer: Bon app'")
    draft = Drafting(free_text.read(text, "", "", None, _SENT), _SOURCE, samples.masters(), no_alias).draft()
    assert "customer.contradiction" in [doubt.rule for doubt in draft.doubts]


@pytest.mark.parametrize(
    "subject", ["Fwd: order", "WG: Bestellung", "Automatic reply", "Cancelled?", "Angebot", "Order if possible"]
)
def test_what_the_subject_says_of_it_counts(subject: str) -> None:
    read = free_text.read("Please send 12 Chai. PO 123, customer no. C1", subject, "", None, _SENT)
    doubts = Drafting(read, _SOURCE, samples.masters(), no_alias).draft().doubts
    assert doubts != [] or read.kind is Kind.CHANGE


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("one", 1), ("twelve", 12), ("nineteen", 19), ("ninety-nine", 99), ("vierundzwanzig", 24), ("einundzwanzig", 21),
        ("dreissig", 30), ("vingt-et-un", 21), ("soixante", 60), ("veintidos", 22), ("treinta-y-seis", 36), ("cien", 100),
        ("half", None), ("vierund", None), ("twenty-eleven", None), ("", None),
    ],
)  # fmt: skip
def test_a_number_in_words_is_read_or_is_none(word: str, value: int | None) -> None:
    assert WORDS.get(word) == value


@pytest.mark.parametrize(
    ("text", "strange"),
    [
        ("Please send us the following", []), ("Wir benötigen bitte", []), ("merci de nous livrer", []), ("les pedimos", []),
        ("please send it later", ["later"]), ("nicht", ["nicht"]), ("ya necesitamos", ["ya"]), ("12", ["12"]), ("", []), ("...", []),
    ],
)  # fmt: skip
def test_words_that_say_more_than_the_order_are_strange(text: str, strange: list[str]) -> None:
    assert strange_words(text) == strange


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Dear Tom,\nplease", "\nplease"), ("Liebe Frau Meier, bitte", " bitte"), ("Bonjour à tous\nmerci", "merci"),
        ("Dear Tom send twelve", "Dear Tom send twelve"), ("Hola", ""), ("", ""),
    ],
)  # fmt: skip
def test_only_the_name_of_whom_a_letter_greets_is_left_out(text: str, rest: str) -> None:
    assert without_salutation(text) == rest


def test_what_is_asked_for_below_the_thanks_is_not_lost() -> None:
    text = "Please send 12 Chai. PO 123\nThank you.\nAlso 5 Olive Oil 5 l\nTom\nDelivery by 3 March\nFrom: Tim\nPlease send 900 Chai"
    read = free_text.read(text, "", "", None, _SENT)
    assert [line.quantity for line in read.lines] == [12, 5]
    assert read.delivery_date == date(2027, 3, 3)


def test_quoted_and_signed_text_orders_nothing() -> None:
    text = "Please send 12 Chai. PO 123\nRegards\nTom, 5 High Street\nOn Monday Tim wrote:\n> Please send 900 Chai"
    assert [line.quantity for line in free_text.read(text, "", "", None, _SENT).lines] == [12]


@pytest.mark.parametrize(
    ("text", "mark", "number"),
    [
        ("1.234,50", ",", "1234.50"), ("1,234.50", ".", "1234.50"), ("1'234.50", ".", "1234.50"), ("1 234,50", ",", "1234.50"),
        ("1.234", ",", "1234"), ("1.234", ".", "1.234"), ("12", ",", "12"), ("-3,5", ",", "-3.5"), ("1.23,4", ",", None),
        ("1,2,3", ".", None), ("1.2.3", ",", None), ("", ",", None), ("12.345.67", ",", None),
    ],
)  # fmt: skip
def test_numbers_are_read_with_their_mark_only(text: str, mark: str, number: str | None) -> None:
    assert number_of(text, mark) == (None if number is None else Decimal(number))


def test_the_decimal_mark_is_what_all_numbers_agree_on() -> None:
    assert decimal_mark_of(["1.234", "12,50"]) == ","
    assert decimal_mark_of(["1,234", "12.50"]) == "."
    assert decimal_mark_of(["1.234"]) is None
    assert decimal_mark_of(["1.50", "1,50"]) is None


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("3. März 2027", None, date(2027, 3, 3)), ("3 mars 2027", None, date(2027, 3, 3)), ("March 3, 2027", None, date(2027, 3, 3)),
        ("3 de marzo de 2027", None, date(2027, 3, 3)), ("2027-03-04", None, date(2027, 3, 4)), ("04.03.2027", None, date(2027, 3, 4)),
        ("03/04/2027", "DMY", date(2027, 4, 3)), ("03/04/2027", "MDY", date(2027, 3, 4)), ("03/04/2027", None, None),
        ("03/03/2027", None, date(2027, 3, 3)), ("4-Mar-27", None, date(2027, 3, 4)), ("31/02/2027", "DMY", None),
    ],
)  # fmt: skip
def test_a_date_is_read_in_one_way_or_not_at_all(text: str, order: str | None, day: date | None) -> None:
    [found] = dates_in(text, order)
    assert found.day == day


def test_the_dates_of_a_document_tell_their_order() -> None:
    assert order_of(["03/04/2027", "25/04/2027"], "en", None) == "DMY"
    assert order_of(["03/04/2027", "04/25/2027"], "en", None) == "MDY"
    assert order_of(["03/04/2027"], "en", None) is None
    assert order_of(["03/04/2027"], "fr", None) == "DMY"
    assert day_of("2027-03-04", "YYYY-MM-DD") == date(2027, 3, 4)


def test_units_and_signs_for_number_are_known_in_four_languages() -> None:
    assert [unit_of_word(word) for word in ("cases", "Kisten", "caisse", "cajas", "Stk.", "douzaine", "kg")] == [
        "XCS"
    ] * 4 + ["C62", "DZN", "KGM"]
    assert (unit_of_word("Chai"), unit_of_code("EA"), unit_of_code("barrel of")) == (None, "C62", None)
    assert {plain(text) for text in ("Order No.", "Order #", "order n°", "Order Nº", "Order n.º", "ORDER NUMBER:")} == {
        "order nr"
    }


@pytest.mark.parametrize(
    ("text", "subject", "rule"),
    [
        ("please send us 12 Chai\n" * 9_000, "", "text.size"),
        ("please send us 12 Chai and " * 400, "", "text.line"),
        ("please send us 12 Chai", "a" * 10_001, "text.line"),
    ],
)
def test_what_nobody_writes_by_hand_is_refused_before_it_takes_minutes(text: str, subject: str, rule: str) -> None:
    with pytest.raises(RefusedDocument) as refusal:
        Reader(_SOURCE, Limits()).read_text(text, subject)
    assert [reason.rule for reason in refusal.value.reasons] == [rule]


def test_a_long_thread_of_e_mails_is_read() -> None:
    text = "please send us 12 Chai\n\nAnn wrote:\n" + "> We hope that this finds you well.\n" * 4_000
    (order,) = Reader(_SOURCE, Limits()).read_text(text).orders
    assert [(line.quantity, line.name) for line in order.lines] == [(Decimal(12), "Chai")]
