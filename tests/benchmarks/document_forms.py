# ruff: noqa: E501 - rows of cells are read in one line each
"""Purchase orders as other programs print them: ten forms that share neither drawing nor wordings with the layouts.

What things are called is drawn for each document from `document_wordings.toml`, from the list that the reader may be
mended by or from the one that is only for measuring.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.benchmarks.document_layouts import LANGUAGES, TrueLine, TrueOrder, masters_of

_CENT, _HUNDRED = Decimal("0.01"), Decimal(100)
_RARE = 0.3
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "CHF": "CHF"}
_US = ("Kontor Trading Ltd", "Speicherstr. 3", "20457 Hamburg")
_NOTES = {
    "en": ("Packed in cartons of 12, pallets to be returned", "Best before at least 6 months from delivery"),
    "de": ("In Kartons zu 12 verpackt, Paletten zurück", "Mindestens 6 Monate haltbar ab Lieferung"),
    "fr": ("En cartons de 12, palettes consignées", "Conservation de 6 mois au moins après livraison"),
    "es": ("En cajas de 12, palés retornables", "Caducidad mínima de 6 meses desde la entrega"),
}
_PIECES = {
    "en": ("pcs", "EA", "Units", "each"),
    "de": ("Stk.", "Stück", "ST", "St"),
    "fr": ("pièce", "pce", "U", "pcs"),
    "es": ("ud.", "uds", "UN", "unidades"),
}
_PROSE = {
    "en": "Please supply the goods below on the terms agreed. Confirm receipt of this order within 2 working days.",
    "de": "Sehr geehrte Damen und Herren, hiermit bestellen wir zu den vereinbarten Bedingungen die folgenden Artikel.",
    "fr": "Madame, Monsieur, veuillez nous livrer les articles ci-dessous aux conditions convenues.",
    "es": "Estimados señores: les rogamos nos suministren los artículos siguientes en las condiciones acordadas.",
}
_TERMS = {
    "en": ("Payment terms: 30 days net", "Phone 020 7946 0123, VAT no. GB999999973"),
    "de": ("Zahlungsbedingungen: 30 Tage netto", "Telefon 040 1234567, IBAN DE02120300000000202051"),
    "fr": ("Conditions de paiement : 30 jours fin de mois", "Tél. 01 42 68 53 00, SIRET 732 829 320 00074"),
    "es": ("Condiciones de pago: 30 días", "Tel. 91 123 45 67, CIF B12345674"),
}


@dataclass(frozen=True, slots=True)
class Form:
    """How one program prints orders."""

    name: str
    draw: Callable[[_Sheet], list[Any]]
    currencies: tuple[str, ...] = ("EUR",)
    many: int = 0
    has_discounts: bool = False
    has_shipping: bool = False
    totals: tuple[str, ...] = ("net", "tax", "gross")
    buyer: str = "name"
    """Whether the customer is told by its name or by its number."""
    has_prices: bool = True

    @property
    def is_unseen(self) -> bool:
        """As layouts have it."""
        return True


@dataclass(frozen=True, slots=True)
class Line(TrueLine):
    """One with a discount."""

    discount_percent: int = 0

    @property
    def amount(self) -> Decimal:
        """Less the discount."""
        whole = self.price * self.quantity * (100 - self.discount_percent) / _HUNDRED
        return whole.quantize(_CENT, ROUND_HALF_UP)


@cache
def _wordings() -> dict[str, dict[str, dict[str, list[str]]]]:
    return tomllib.loads(Path(__file__).with_name("document_wordings.toml").read_text(encoding="utf-8"))


def order_on(form: Form, language: str, seed: int) -> TrueOrder:
    """What the document of that form, language and seed says."""
    chance = random.Random(f"{seed}/{form.name}/{language}/form")
    customers, products = masters_of(seed)
    own = customers[4 * LANGUAGES.index(language) : 4 * LANGUAGES.index(language) + 4]
    lines: list[TrueLine] = []
    for one in chance.sample(products, form.many or chance.randint(1, 7)):
        off = chance.choice((0, 0, 5, 10)) if form.has_discounts else 0
        assert one.list_price is not None
        lines.append(Line(one, chance.choice((1, 2, 4, 6, 10, 12, 20, 48, 144, 1000, 2500)), one.list_price, off))
    number = chance.choice(("P0", "PO", "45", "2026-", "BC", "")) + "".join(chance.choices("0123456789", k=5))
    # Days beyond the twelfth: which part of a date is the day shows.
    issued = date(2026, chance.randint(1, 9), chance.randint(13, 28))
    delivery = date(2026, issued.month + chance.randint(1, 3), chance.randint(13, 28))
    currency = chance.choice(form.currencies)
    shipping = Decimal(chance.randint(500, 4_000)) / 100 if form.has_shipping else Decimal(0)
    return TrueOrder(number, issued, delivery, chance.choice(own), currency, lines, shipping=shipping)


class _Sheet:
    """What a form draws with: one order in one language, in words drawn by chance."""

    def __init__(self, order: TrueOrder, form: Form, language: str, split: str, chance: random.Random) -> None:
        from reportlab.lib.styles import ParagraphStyle

        self.order, self.form, self.language, self.chance = order, form, language, chance
        self._split = split
        self._said: dict[str, str] = {}
        self.unit = chance.choice(_PIECES[language])
        self.size = chance.choice((8.0, 9.0, 10.0))
        self._style = ParagraphStyle("text", fontName="Helvetica", fontSize=self.size, leading=self.size * 1.25)
        self._dates = chance.choice(("long", "numeric", "iso"))
        self.totals = {"net": order.net, "tax": order.tax, "gross": order.net + order.tax}
        self.totals["lines"] = order.net - order.shipping

    def say(self, name: str) -> str:
        """The word of this document for it."""
        # Nobody names everything in an unusual way: of the measured wordings three in ten are of the hidden list.
        is_rare = self._split == "hidden" and self.chance.random() < _RARE
        words = _wordings()[name]["hidden" if is_rare else "shown"][self.language]
        return self._said.setdefault(name, self.chance.choice(words))

    def text(self, text: str, *, size: float | None = None, is_bold: bool = False, is_right: bool = False) -> Any:
        """A paragraph."""
        from reportlab.platypus import Paragraph

        style = self._style.clone("one")
        if size is not None:
            style.fontSize, style.leading = size, size * 1.25
        if is_bold:
            style.fontName = "Helvetica-Bold"
        style.alignment = 2 if is_right else 0
        return Paragraph(escape(text).replace("\n", "<br/>"), style)

    def table(self, rows: list[list[Any]], widths: list[float], *styles: tuple[Any, ...], **more: Any) -> Any:
        """Cells with plain texts stand as they are, paragraphs are wrapped."""
        from reportlab.platypus import Table, TableStyle

        usual = [("FONTSIZE", (0, 0), (-1, -1), self.size), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")]
        usual += [("TOPPADDING", (0, 0), (-1, -1), 2), ("BOTTOMPADDING", (0, 0), (-1, -1), 2)]
        return Table(rows, colWidths=widths, style=TableStyle(usual + list(styles)), hAlign="LEFT", **more)

    def gap(self, points: float) -> Any:
        """Space."""
        from reportlab.platypus import Spacer

        return Spacer(1, points)

    def day(self, day: date) -> str:
        """As this document writes dates."""
        from babel.dates import format_date

        if self._dates == "iso":
            return day.isoformat()
        if self._dates == "long":
            return format_date(day, "long", self.language)
        return day.strftime({"en": "%m/%d/%Y", "de": "%d.%m.%Y"}.get(self.language, "%d/%m/%Y"))

    def number(self, number: Decimal, places: int) -> str:
        """As the language writes it."""
        marks = {"en": ",.", "de": ".,", "fr": "\u00a0,", "es": ".,"}[self.language]
        return f"{number:,.{places}f}".translate({ord(","): marks[0], ord("."): marks[1]})

    def money(self, amount: Decimal, *, sign: str = "") -> str:
        """With the sign of the currency before or behind, or without."""
        text, mark = self.number(amount, 2), _SYMBOLS[self.order.currency]
        return {"before": f"{mark} {text}", "close": f"{mark}{text}", "behind": f"{text} {mark}"}.get(sign, text)

    def address(self, name: str) -> str:
        """Of the buyer, or of its store."""
        towns = {"en": "London E1 6AN", "de": "50667 Köln", "fr": "33000 Bordeaux", "es": "36202 Vigo"}
        return (
            f"{name}\n{self.chance.choice(('Lindenallee 8', '14 Dock Road', '3 rue du Port'))}\n{towns[self.language]}"
        )

    def code(self, line: TrueLine) -> str:
        """The seller's."""
        return line.product.id.partition(":")[2]

    def fields(self) -> list[tuple[str, str]]:
        """Labels and values of the header."""
        told = [
            (self.say("number"), self.order.number),
            (self.say("issued"), self.day(self.order.issued)),
            (self.say("delivery"), self.day(self.order.delivery)),
        ]
        if self.form.buyer == "number":
            told.append((self.say("customer"), self.order.customer.id.partition(":")[2]))
        return told

    def sums(self, *, sign: str = "", mark: str = "") -> list[list[str]]:
        """Labels and amounts of the totals; the rate of tax stands by its label."""
        rows = []
        for name in self.form.totals:
            if name == "tax":
                rows.append([f"{self.say('t-tax')} 19%{mark}", self.money(self.totals["tax"], sign=sign)])
            elif name == "charge":
                rows.append([f"{self.say('t-shipping')}{mark}", self.money(self.order.shipping, sign=sign)])
            else:
                said = self.say("t-net" if name == "lines" else f"t-{name}")
                rows.append([f"{said}{mark}", self.money(self.totals[name], sign=sign)])
        return rows


_RIGHT = ("ALIGN", (-3, 0), (-1, -1), "RIGHT")
_GRID = ("GRID", (0, 0), (-1, -1), 0.5, "black")
_SHADE = ("BACKGROUND", (0, 0), (-1, 0), "lightgrey")


def _parties(sheet: _Sheet) -> Any:
    order = sheet.order
    rows = [[sheet.say("seller"), sheet.say("ship"), sheet.say("buyer")]]
    addresses = ["\n".join(_US), sheet.address(order.customer.name), sheet.address(order.customer.name)]
    return sheet.table([*rows, [sheet.text(one) for one in addresses]], [175, 175, 175], _SHADE)


def _boxed(sheet: _Sheet) -> list[Any]:
    """Everything in boxes, as spreadsheets make them; long descriptions are wrapped, other cells stand in the middle."""
    titles = [sheet.say(name) for name in ("position", "code", "name", "quantity", "unit", "price", "amount")]
    rows: list[list[Any]] = [titles]
    for number, line in enumerate(sheet.order.lines, 1):
        name = (
            line.product.name if number % 2 else f"{line.product.name}\n{sheet.chance.choice(_NOTES[sheet.language])}"
        )
        told = [str(number), sheet.code(line), sheet.text(name), sheet.number(Decimal(line.quantity), 0), sheet.unit]
        rows.append([*told, sheet.money(line.price), sheet.money(line.amount)])
    head = [[label, value] for label, value in sheet.fields()]
    return [
        sheet.text(sheet.say("title"), size=16, is_bold=True), sheet.gap(14),
        sheet.table(head, [130, 130], _GRID), sheet.gap(12), _parties(sheet), sheet.gap(14),
        sheet.table(rows, [38, 62, 165, 60, 50, 75, 75], _GRID, _SHADE, _RIGHT),
        sheet.table(sheet.sums(sign="behind"), [120, 80], ("ALIGN", (1, 0), (1, -1), "RIGHT"), _GRID),
        sheet.gap(10), sheet.text(sheet.chance.choice(_TERMS[sheet.language])),
    ]  # fmt: skip


def _erp(sheet: _Sheet) -> list[Any]:
    """Labels above their values in a bar; the code stands in brackets before the name, the unit behind the quantity."""
    bar = list(zip(*sheet.fields(), strict=True))
    titles = [sheet.say("name"), sheet.say("quantity"), sheet.say("price"), sheet.say("amount")]
    rows: list[list[Any]] = [titles]
    for line in sheet.order.lines:
        quantity = f"{sheet.number(Decimal(line.quantity), 2)} {sheet.unit}"
        name = sheet.text(f"[{sheet.code(line)}] {line.product.name}")
        rows.append([name, quantity, sheet.money(line.price), sheet.money(line.amount, sign="close")])
    return [
        sheet.text(sheet.order.customer.name, size=12, is_bold=True), sheet.text("Lindenallee 8 · 50667 Köln"), sheet.gap(20),
        sheet.text("\n".join(_US)), sheet.gap(20),
        sheet.text(f"{sheet.say('title')} #{sheet.order.number}", size=17), sheet.gap(12),
        sheet.table([list(one) for one in bar], [130] * len(bar[0]), ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold")), sheet.gap(16),
        sheet.table(rows, [270, 90, 75, 90], _RIGHT, ("LINEBELOW", (0, 0), (-1, -1), 0.3, "grey")), sheet.gap(12),
        sheet.table(sheet.sums(sign="close"), [120, 90], ("ALIGN", (1, 0), (1, -1), "RIGHT")),
    ]  # fmt: skip


def _two_lines(sheet: _Sheet) -> list[Any]:
    """A line in two rows: code, quantity and amounts above, the name below; titles stand in two rows as well."""
    titles = [
        sheet.say("position"),
        f"{sheet.say('code')}\n{sheet.say('name')}",
        sheet.say("quantity"),
        sheet.say("unit"),
    ]
    titles += [sheet.say("price"), sheet.say("amount")]
    rows: list[list[Any]] = [[sheet.text(one, is_bold=True) for one in titles]]
    for number, line in enumerate(sheet.order.lines, 1):
        told = [
            f"{number * 10:05}",
            f"{sheet.code(line)}\n{line.product.name}",
            sheet.number(Decimal(line.quantity), 0),
            sheet.unit,
        ]
        rows.append([*told, sheet.money(line.price), sheet.money(line.amount)])
    head = [[label, value] for label, value in sheet.fields()] + [["", ""]]
    left = sheet.text(sheet.address(sheet.order.customer.name))
    return [
        sheet.text(f"{sheet.say('title')} {sheet.order.number}", size=14, is_bold=True), sheet.gap(10),
        sheet.table([[left, sheet.table(head, [115, 110])]], [290, 235], ("VALIGN", (0, 0), (-1, -1), "TOP")), sheet.gap(10),
        sheet.text(f"{sheet.say('seller')}:\n" + "\n".join(_US)), sheet.gap(14),
        sheet.table(rows, [45, 200, 60, 50, 80, 90], _RIGHT, ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, 0), 1, "black")),
        sheet.gap(10), sheet.table(sheet.sums(), [140, 90], ("ALIGN", (1, 0), (1, -1), "RIGHT")),
        sheet.gap(16), sheet.text(f"{sheet.say('buyer')}: {sheet.order.customer.name}"), sheet.text(f"Currency: {sheet.order.currency}"),
    ]  # fmt: skip


def _american(sheet: _Sheet) -> list[Any]:
    """A word processor's template: the title at the right, a bar of terms, empty rows under the goods, signs before amounts."""
    titles = [sheet.say("code"), sheet.say("name"), sheet.say("quantity"), sheet.say("price"), sheet.say("amount")]
    rows: list[list[Any]] = [[one.upper() for one in titles]]
    for line in sheet.order.lines:
        told = [sheet.code(line), line.product.name, sheet.number(Decimal(line.quantity), 0)]
        rows.append([*told, sheet.money(line.price, sign="close"), sheet.money(line.amount, sign="close")])
    rows += [["", "", "", "", ""]] * sheet.chance.randint(1, 5)
    right = "\n".join(f"{label}: {value}" for label, value in sheet.fields())
    top = [[sheet.text(sheet.address(sheet.order.customer.name)), sheet.text(right, is_right=True)]]
    bar = [["REQUISITIONER", "SHIP VIA", "F.O.B.", "TERMS"], ["J. Smith", "UPS Ground", "Destination", "Net 30"]]
    return [
        sheet.text(sheet.say("title").upper(), size=20, is_bold=True, is_right=True), sheet.gap(8),
        sheet.table(top, [260, 265], ("VALIGN", (0, 0), (-1, -1), "TOP")), sheet.gap(10), _parties(sheet), sheet.gap(10),
        sheet.table(bar, [131] * 4, _GRID, _SHADE), sheet.gap(10),
        sheet.table(rows, [85, 215, 65, 80, 80], _GRID, _SHADE, _RIGHT),
        sheet.table([["", *row] for row in sheet.sums(sign="close")], [325, 110, 90], ("ALIGN", (2, 0), (2, -1), "RIGHT")),
    ]  # fmt: skip


def _letter(sheet: _Sheet) -> list[Any]:
    """A business letter with a block of references, a subject that names the order, and sentences around the table."""
    titles = [sheet.say(name) for name in ("position", "quantity", "unit", "code", "name", "price", "amount")]
    rows: list[list[Any]] = [titles]
    for number, line in enumerate(sheet.order.lines, 1):
        told = [
            str(number),
            sheet.number(Decimal(line.quantity), 0),
            sheet.unit,
            sheet.code(line),
            sheet.text(line.product.name),
        ]
        rows.append([*told, sheet.money(line.price), sheet.money(line.amount)])
    block = "\n".join(f"{label}: {value}" for label, value in sheet.fields()[1:])
    top = [[sheet.text("\n".join(_US)), sheet.text(block)]]
    return [
        sheet.text(f"{sheet.order.customer.name} · Lindenallee 8 · 50667 Köln", size=7), sheet.gap(6),
        sheet.table(top, [330, 195], ("VALIGN", (0, 0), (-1, -1), "TOP")), sheet.gap(30),
        sheet.text(f"{sheet.say('title')} {'Nr.' if sheet.language == 'de' else 'No.' if sheet.language == 'en' else 'n.º' if sheet.language == 'es' else 'n°'} {sheet.order.number}", size=12, is_bold=True),
        sheet.gap(10), sheet.text(_PROSE[sheet.language]), sheet.gap(10),
        sheet.table(rows, [35, 55, 45, 70, 160, 80, 80], ("ALIGN", (-2, 0), (-1, -1), "RIGHT"), ("LINEBELOW", (0, 0), (-1, 0), 0.5, "black")),
        sheet.gap(8), sheet.table([["", *row] for row in sheet.sums(sign="behind")], [305, 130, 90], ("ALIGN", (2, 0), (2, -1), "RIGHT")),
        sheet.gap(20), sheet.text(_TERMS[sheet.language][0]), sheet.gap(30), sheet.text(sheet.order.customer.name, is_bold=True),
        sheet.text(_TERMS[sheet.language][1], size=7),
    ]  # fmt: skip


def _discounts(sheet: _Sheet) -> list[Any]:
    """With a discount for each line, in percent."""
    titles = [sheet.say(name) for name in ("code", "name", "quantity", "price", "discount", "amount")]
    rows: list[list[Any]] = [titles]
    for line in sheet.order.lines:
        assert isinstance(line, Line)
        off = f"{line.discount_percent}%" if line.discount_percent else sheet.chance.choice(("", "0%"))
        told = [sheet.code(line), sheet.text(line.product.name), sheet.number(Decimal(line.quantity), 0)]
        rows.append([*told, sheet.money(line.price), off, sheet.money(line.amount)])
    head = [[f"{label} :", value] for label, value in sheet.fields()]
    return [
        sheet.text(sheet.order.customer.name, size=14, is_bold=True), sheet.gap(16),
        sheet.text(sheet.say("title"), size=16), sheet.gap(8), sheet.table(head, [140, 140]), sheet.gap(8), _parties(sheet), sheet.gap(14),
        sheet.table(rows, [70, 190, 60, 75, 55, 75], _GRID, ("ALIGN", (2, 0), (-1, -1), "RIGHT")), sheet.gap(6),
        sheet.table([["", *row] for row in sheet.sums(sign="behind", mark=" :")], [305, 130, 90], ("ALIGN", (2, 0), (2, -1), "RIGHT")),
    ]  # fmt: skip


def _shop(sheet: _Sheet) -> list[Any]:
    """Printed from a web page: the code below the name, `x` between quantity and price, everything far apart."""
    rows: list[list[Any]] = [[sheet.say("name"), sheet.say("quantity"), sheet.say("price"), sheet.say("amount")]]
    for line in sheet.order.lines:
        name = f"{line.product.name}\nSKU: {sheet.code(line)}"
        told = [sheet.text(name), str(line.quantity), sheet.money(line.price, sign="behind")]
        rows.append([*told, sheet.money(line.amount, sign="behind")])
    head = [
        [sheet.text(label, size=7), ""] if row == 0 else [value, ""]
        for label, value in sheet.fields()
        for row in (0, 1)
    ]
    return [
        sheet.text(sheet.say("title"), size=18, is_bold=True), sheet.gap(10), sheet.table(head, [200, 200]), sheet.gap(10), _parties(sheet),
        sheet.gap(12), sheet.table(rows, [270, 60, 95, 100], _RIGHT, ("VALIGN", (0, 0), (-1, -1), "TOP")), sheet.gap(14),
        sheet.table([["", *row] for row in sheet.sums(sign="behind")], [305, 130, 90], ("ALIGN", (2, 0), (2, -1), "RIGHT")),
    ]  # fmt: skip


def _pages(sheet: _Sheet) -> list[Any]:
    """On several pages: the titles again on each of them, the totals on the last."""
    titles = [sheet.say(name) for name in ("position", "code", "name", "quantity", "unit", "price", "amount")]
    rows: list[list[Any]] = [titles]
    for number, line in enumerate(sheet.order.lines, 1):
        told = [
            str(number),
            sheet.code(line),
            sheet.text(line.product.name),
            sheet.number(Decimal(line.quantity), 0),
            sheet.unit,
        ]
        rows.append([*told, sheet.money(line.price), sheet.money(line.amount)])
    head = [[label, value] for label, value in sheet.fields()]
    return [
        sheet.text(sheet.order.customer.name, is_bold=True), sheet.text(sheet.say("title"), size=15), sheet.gap(8),
        sheet.table(head, [130, 130]), sheet.gap(8), sheet.text(f"{sheet.say('seller')}:\n" + "\n".join(_US)), sheet.gap(8),
        sheet.table(rows, [38, 62, 165, 60, 50, 75, 75], _SHADE, _RIGHT, repeatRows=1),
        sheet.table([["", *row] for row in sheet.sums()], [325, 120, 80], ("ALIGN", (2, 0), (2, -1), "RIGHT")),
        sheet.text(f"{sheet.say('t-gross')} in {sheet.order.currency}" if sheet.language in ("en", "de") else sheet.order.currency),
    ]  # fmt: skip


def _due_dates(sheet: _Sheet) -> list[Any]:
    """A date of delivery for each line, no unit, prices with four decimals."""
    titles = [sheet.say(name) for name in ("position", "code", "name", "delivery", "quantity", "price", "amount")]
    rows: list[list[Any]] = [[sheet.text(one, is_bold=True) for one in titles]]
    for number, line in enumerate(sheet.order.lines, 1):
        told = [
            str(number),
            sheet.code(line),
            sheet.text(line.product.name),
            sheet.text(sheet.day(sheet.order.delivery)),
        ]
        rows.append(
            [*told, sheet.number(Decimal(line.quantity), 3), sheet.number(line.price, 4), sheet.money(line.amount)]
        )
    head = [[label, value] for label, value in sheet.fields() if value != sheet.day(sheet.order.delivery)]
    return [
        _parties(sheet), sheet.gap(16), sheet.text(sheet.say("title"), size=15, is_bold=True), sheet.gap(8),
        sheet.table(head, [130, 130]), sheet.gap(8),
        sheet.table(rows, [38, 60, 140, 85, 68, 62, 72], _GRID, _RIGHT), sheet.gap(4),
        sheet.table([["", *row] for row in sheet.sums(sign="before")], [325, 110, 90], ("ALIGN", (2, 0), (2, -1), "RIGHT"), _GRID),
    ]  # fmt: skip


def _bare(sheet: _Sheet) -> list[Any]:
    """No prices at all: only what is wanted, by a buyer who names its number."""
    titles = [sheet.say(name) for name in ("quantity", "code", "name")]
    rows: list[list[Any]] = [titles]
    rows += [[sheet.number(Decimal(one.quantity), 0), sheet.code(one), one.product.name] for one in sheet.order.lines]
    lines = "\n".join(f"{label}: {value}" for label, value in sheet.fields())
    return [
        sheet.text(sheet.say("title"), size=15, is_bold=True), sheet.gap(8), sheet.text(lines), sheet.gap(12),
        sheet.table(rows, [75, 90, 300], ("LINEBELOW", (0, 0), (-1, 0), 0.5, "black")),
        sheet.gap(16), sheet.text(sheet.order.currency),
    ]  # fmt: skip


FORMS = (
    Form("boxed", _boxed),
    Form("erp", _erp, currencies=("EUR", "USD", "GBP")),
    Form("two-lines", _two_lines, currencies=("EUR", "CHF")),
    Form(
        "american",
        _american,
        currencies=("USD", "EUR"),
        has_shipping=True,
        totals=("lines", "charge", "tax", "gross"),
    ),
    Form("letter", _letter),
    Form("discounts", _discounts, has_discounts=True),
    Form("shop", _shop, currencies=("EUR", "GBP")),
    Form("pages", _pages, many=38, buyer="number"),
    Form("due-dates", _due_dates),
    Form("bare", _bare, buyer="number", totals=(), has_prices=False),
)


def printed(order: TrueOrder, form: Form, language: str, split: str, seed: int) -> bytes:
    """The PDF, in the wordings of one of the lists: `shown` or `hidden`."""
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import SimpleDocTemplate

    sheet = _Sheet(order, form, language, split, random.Random(f"{seed}/{form.name}/{language}/{split}"))
    buffer = BytesIO()
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), 32)
    SimpleDocTemplate(buffer, pagesize=A4, invariant=1, **margins).build(form.draw(sheet))
    return buffer.getvalue()
