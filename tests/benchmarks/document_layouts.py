# ruff: noqa: E501 - tables of words are read in one line each
"""Orders as many businesses would print them: twenty layouts in four languages, as text PDF and as a bad scan of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from io import BytesIO
from typing import Any

from producers.documents.masters import KnownCustomer, KnownProduct

LANGUAGES = ("en", "de", "fr", "es")
_CENT = Decimal("0.01")
_FIRMS = (
    "Harbour Bistro Ltd", "Northside Deli Ltd", "Northside Dairy Ltd", "Kettle & Fork Catering", "Alster Feinkost GmbH",
    "Feinkost Mahler KG", "Gasthof Zum Anker", "Bäckerei Hölderlin", "Au Petit Marché SARL", "Traiteur Lefèvre",
    "Brasserie du Canal", "Boulangerie Marchand", "Casa Olmedo S.L.", "Restaurante La Ría", "Ultramarinos Peña", "Bodegas Sanz",
)  # fmt: skip
_GOODS = (
    "Green Tea 100 g", "Green Tea 250 g", "Black Tea 100 g", "Earl Grey Tea", "Olive Oil 0.5 l", "Olive Oil 1 l",
    "Sunflower Oil 1 l", "Sea Salt 1 kg", "Sea Salt Fine 500 g", "Brown Sugar", "White Sugar", "Wheat Flour Type 405",
    "Wheat Flour Type 550", "Rye Flour", "Basmati Rice 5 kg", "Jasmine Rice 5 kg", "Tomato Sauce", "Tomato Paste",
    "Strawberry Jam", "Apricot Jam", "Acacia Honey", "Forest Honey", "Dijon Mustard", "Grain Mustard", "Red Wine Vinegar",
    "Balsamic Vinegar", "Dark Chocolate 70 %", "Milk Chocolate", "Roasted Almonds", "Cashew Nuts", "Oat Flakes", "Corn Flakes",
    "Spaghetti No. 5", "Penne Rigate", "Coconut Milk", "Chick Peas", "Red Lentils", "Vanilla Extract", "Cinnamon Ground",
    "Black Pepper Whole",
)  # fmt: skip
_DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class TrueLine:
    """What a line says."""

    product: KnownProduct
    quantity: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """Quantity times price."""
        return (self.price * self.quantity).quantize(_CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class TrueOrder:
    """What a document says."""

    number: str
    issued: date
    delivery: date
    customer: KnownCustomer
    currency: str
    lines: list[TrueLine]
    tax_percent: Decimal = Decimal(19)
    shipping: Decimal = Decimal(0)

    @property
    def net(self) -> Decimal:
        """Without tax."""
        return sum((line.amount for line in self.lines), self.shipping)

    @property
    def tax(self) -> Decimal:
        """All of it."""
        return (self.net * self.tax_percent / 100).quantize(_CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a business prints its orders."""

    name: str
    fields: str = "same"
    """same: label and value are one text; beside: in two columns; below: the value stands under its label."""
    columns: tuple[str, ...] = ("position", "code", "name", "quantity", "unit", "price", "amount")
    words: int = 0
    """Which of the wordings."""
    dates: int = 0
    size: float = 9.0
    font: str = "Helvetica"
    is_ruled: bool = False
    totals: tuple[str, ...] = ("net", "tax", "gross")
    money: str = "code"
    """code: once in the document; behind: 1.00 €; before: € 1.00."""
    buyer: str = "top"
    """top: letterhead; block: under a label; number: and its customer number."""
    has_shipping: bool = False
    unit_in_quantity: bool = False
    notes: bool = False
    """A remark under some lines."""
    many: int = 0
    """More lines, on several pages."""
    leading: float = 1.6
    is_unseen: bool = False
    """Of the evaluation split: rules were not tuned on it."""
    has_prices: bool = True
    extra: dict[str, Any] = field(default_factory=dict)


_FEW = ("code", "name", "quantity", "price", "amount")
LAYOUTS = (
    Layout("plain"),
    Layout("beside", fields="beside", words=1, dates=1, is_ruled=True),
    Layout("below", fields="below", words=2, buyer="block", columns=("code", "name", "unit", "quantity", "price", "amount")),
    Layout("serif", font="Times-Roman", size=10.5, words=1, dates=2, buyer="block", money="behind"),
    Layout("small", size=7.5, words=2, columns=_FEW, totals=("gross",), buyer="number"),
    Layout("quantity-first", columns=("quantity", "unit", "code", "name", "price", "amount"), words=0, dates=1),
    Layout("no-code", columns=("position", "name", "quantity", "unit", "price", "amount"), words=1, buyer="number"),
    Layout("shipping", has_shipping=True, totals=("lines", "charge", "net", "tax", "gross"), fields="beside", money="before"),
    Layout("notes", notes=True, words=2, is_ruled=True, buyer="block"),
    Layout("long", many=45, size=8.5, columns=_FEW, words=1),
    Layout("courier", font="Courier", size=8.5, columns=_FEW, words=0, dates=2),
    Layout("joined-unit", unit_in_quantity=True, columns=("position", "code", "name", "quantity", "price", "amount"), words=2, money="behind"),
    Layout("wide", fields="below", words=0, dates=2, leading=2.4, totals=("lines", "tax", "gross"), is_unseen=True),
    Layout("boxed", fields="beside", words=2, is_ruled=True, buyer="number", columns=("position", "name", "code", "quantity", "price", "amount"), is_unseen=True),
    Layout("no-totals", totals=(), columns=("code", "name", "quantity", "unit", "price", "amount"), words=1, is_unseen=True),
    Layout("price-before", columns=("code", "name", "price", "quantity", "amount"), words=0, money="behind", buyer="block", is_unseen=True),
    Layout("letter", font="Times-Roman", size=11, fields="same", words=2, dates=2, columns=("quantity", "name", "price", "amount"), buyer="top", is_unseen=True),
    Layout("many-pages", many=60, size=9, words=2, notes=True, money="before", buyer="number", is_unseen=True),
    Layout("dense", size=7, leading=1.25, fields="beside", words=1, has_shipping=True, totals=("lines", "charge", "tax", "gross"), is_unseen=True),
    Layout("monospace-units", font="Courier", size=8, unit_in_quantity=True, columns=("code", "name", "quantity", "price", "amount"), words=1, fields="below", dates=1, is_unseen=True),
)  # fmt: skip

_TEXTS: dict[str, dict[str, tuple[str, str, str]]] = {
    "title": {"en": ("Purchase Order", "PURCHASE ORDER", "Order"), "de": ("Bestellung", "BESTELLUNG", "Auftrag"), "fr": ("Bon de commande", "BON DE COMMANDE", "Commande"), "es": ("Pedido", "ORDEN DE COMPRA", "Pedido de compra")},
    "number": {"en": ("Order No.", "PO Number", "P.O. #"), "de": ("Bestellnummer", "Bestell-Nr.", "Auftragsnummer"), "fr": ("Commande n°", "N° de commande", "Numéro de commande"), "es": ("Pedido n.º", "Nº de pedido", "Número de pedido")},
    "issued": {"en": ("Date", "Order date", "Date of issue"), "de": ("Datum", "Bestelldatum", "Belegdatum"), "fr": ("Date", "Date de commande", "Date d'émission"), "es": ("Fecha", "Fecha de pedido", "Fecha de emisión")},
    "delivery": {"en": ("Delivery date", "Required by", "Requested delivery date"), "de": ("Liefertermin", "Lieferdatum", "Gewünschter Liefertermin"), "fr": ("Date de livraison", "Livraison souhaitée", "Date de livraison souhaitée"), "es": ("Fecha de entrega", "Entrega solicitada", "Fecha prevista de entrega")},
    "customer": {"en": ("Customer No.", "Account number", "Customer ID"), "de": ("Kundennummer", "Kunden-Nr.", "Kd.-Nr."), "fr": ("N° client", "Code client", "Numéro client"), "es": ("Nº de cliente", "Código de cliente", "Cliente n.º")},
    "buyer": {"en": ("Buyer", "Bill to", "Ordered by"), "de": ("Besteller", "Rechnungsadresse", "Auftraggeber"), "fr": ("Acheteur", "Facturer à", "Adresse de facturation"), "es": ("Comprador", "Facturar a", "Datos de facturación")},
    "seller": {"en": ("Supplier", "Vendor", "To"), "de": ("Lieferant", "An", "Lieferant"), "fr": ("Fournisseur", "Vendeur", "Fournisseur"), "es": ("Proveedor", "Vendedor", "Para")},
    "currency": {"en": ("All prices in", "Currency", "Prices in"), "de": ("Alle Preise in", "Währung", "Beträge in"), "fr": ("Prix en", "Devise", "Montants en"), "es": ("Precios en", "Moneda", "Importes en")},
    "thanks": {"en": ("Please confirm this order by return.", "Please quote our number on your invoice.", "Thank you."), "de": ("Bitte bestätigen Sie diese Bestellung.", "Bitte geben Sie unsere Nummer auf der Rechnung an.", "Mit freundlichen Grüßen"), "fr": ("Merci de confirmer cette commande.", "Merci de rappeler notre numéro sur votre facture.", "Cordialement"), "es": ("Rogamos confirmen este pedido.", "Indiquen nuestro número en su factura.", "Atentamente")},
    "note": {"en": ("best before 6 months", "as last time", "packed singly"), "de": ("mindestens 6 Monate haltbar", "wie beim letzten Mal", "einzeln verpackt"), "fr": ("comme la dernière fois", "emballage individuel", "qualité A"), "es": ("como la última vez", "envasado individual", "calidad A")},
    "c.position": {"en": ("Pos.", "Line", "#"), "de": ("Pos.", "Position", "Nr."), "fr": ("Pos.", "Ligne", "N°"), "es": ("Pos.", "Línea", "Nº")},
    "c.code": {"en": ("Item no.", "SKU", "Product code"), "de": ("Artikelnr.", "Art.-Nr.", "Artikelnummer"), "fr": ("Référence", "Réf.", "Code article"), "es": ("Referencia", "Código", "Ref.")},
    "c.name": {"en": ("Description", "Product", "Item description"), "de": ("Bezeichnung", "Artikelbezeichnung", "Beschreibung"), "fr": ("Désignation", "Description", "Produit"), "es": ("Descripción", "Producto", "Concepto")},
    "c.quantity": {"en": ("Quantity", "Qty", "Qty ordered"), "de": ("Menge", "Anzahl", "Menge"), "fr": ("Quantité", "Qté", "Quantité"), "es": ("Cantidad", "Cant.", "Unidades")},
    "c.unit": {"en": ("Unit", "UOM", "Unit"), "de": ("Einheit", "ME", "Einh."), "fr": ("Unité", "U.", "Unité"), "es": ("Unidad", "Ud.", "U.M.")},
    "c.price": {"en": ("Unit price", "Price", "Price each"), "de": ("Einzelpreis", "Preis", "E-Preis"), "fr": ("Prix unitaire", "P.U. HT", "Prix unit."), "es": ("Precio unitario", "Precio", "P. unitario")},
    "c.amount": {"en": ("Amount", "Total", "Line total"), "de": ("Betrag", "Gesamt", "Gesamtpreis"), "fr": ("Montant", "Total HT", "Montant HT"), "es": ("Importe", "Total", "Importe neto")},
    "t.lines": {"en": ("Subtotal", "Goods total", "Sub-total"), "de": ("Zwischensumme", "Warenwert", "Summe Positionen"), "fr": ("Sous-total", "Sous-total HT", "Total marchandises"), "es": ("Subtotal", "Suma", "Total mercancías")},
    "t.charge": {"en": ("Shipping", "Freight", "Delivery charge"), "de": ("Versandkosten", "Fracht", "Versand"), "fr": ("Frais de port", "Transport", "Frais de livraison"), "es": ("Gastos de envío", "Portes", "Transporte")},
    "t.net": {"en": ("Net total", "Total excl. VAT", "Net amount"), "de": ("Nettobetrag", "Summe netto", "Gesamt netto"), "fr": ("Total HT", "Montant HT", "Total hors taxes"), "es": ("Base imponible", "Total sin IVA", "Importe neto")},
    "t.tax": {"en": ("VAT 19 %", "VAT (19%)", "Sales tax"), "de": ("MwSt. 19 %", "19 % USt.", "zzgl. MwSt."), "fr": ("TVA 19 %", "TVA (19%)", "Montant TVA"), "es": ("IVA 19 %", "IVA (19%)", "Total IVA")},
    "t.gross": {"en": ("Grand total", "Total", "Order total"), "de": ("Gesamtbetrag", "Gesamtsumme", "Endbetrag"), "fr": ("Total TTC", "Montant total", "Net à payer"), "es": ("Total", "Importe total", "Total a pagar")},
}  # fmt: skip
_UNITS = {
    "en": ("pcs", "pc", "each"),
    "de": ("Stk", "Stück", "Stk."),
    "fr": ("pce", "pièces", "u"),
    "es": ("ud", "uds", "unidades"),
}
_FORMS = {
    "en": ("%d %B %Y", "%Y-%m-%d", "%d/%m/%Y"),
    "de": ("%d.%m.%Y", "%Y-%m-%d", "%d.%m.%y"),
    "fr": ("%d/%m/%Y", "%Y-%m-%d", "%d %B %Y"),
    "es": ("%d/%m/%Y", "%Y-%m-%d", "%d de %B de %Y"),
}
_WIDTHS = {"position": 46, "code": 75, "name": 170, "quantity": 62, "unit": 45, "price": 75, "amount": 75}
_RIGHT = frozenset({"quantity", "price", "amount"})


def masters_of(seed: int) -> tuple[list[KnownCustomer], list[KnownProduct]]:
    """Customers and products that resemble each other, as in life."""
    chance = random.Random(seed)
    customers = [KnownCustomer(f"shop:{10_000 + 37 * n}", name, currency="EUR") for n, name in enumerate(_FIRMS)]
    products = [
        KnownProduct(f"shop:{'ABCDE'[n % 5]}-{1000 + 13 * n}", name, "C62", Decimal(chance.randint(80, 4_000)) / 100, "EUR", "S", Decimal(19))
        for n, name in enumerate(_GOODS)
    ]  # fmt: skip
    return customers, products


def order_of(layout: Layout, language: str, seed: int) -> TrueOrder:
    """What the document of that layout, language and seed says."""
    chance = random.Random(f"{seed}/{layout.name}/{language}")
    customers, products = masters_of(seed)
    own = customers[4 * LANGUAGES.index(language) : 4 * LANGUAGES.index(language) + 4]
    issued = date(2026, 1, 1) + timedelta(days=chance.randint(0, 320))
    chosen = chance.sample(products, min(len(products), layout.many or chance.randint(1, 9)))
    lines = [
        TrueLine(
            one, chance.choice((1, 2, 3, 5, 6, 8, 10, 12, 24, 36, 48, 100, 120, 1200)), one.list_price or Decimal(1)
        )
        for one in chosen
    ]
    prefix = chance.choice(("PO-", "", "B", "45", "2026/"))
    number = prefix + "".join(chance.choice(_DIGITS) for _ in range(6))
    shipping = Decimal(chance.randint(400, 2_900)) / 100 if layout.has_shipping else Decimal(0)
    delivery = issued + timedelta(days=chance.randint(2, 30))
    return TrueOrder(number, issued, delivery, chance.choice(own), "EUR", lines, shipping=shipping)


class Printing:
    """Prints one order."""

    def __init__(self, order: TrueOrder, layout: Layout, language: str) -> None:
        from reportlab.lib.pagesizes import A4
        from reportlab.pdfgen.canvas import Canvas

        self._order, self._layout, self._language = order, layout, language
        self._buffer = BytesIO()
        self._width, self._height = A4
        self._canvas = Canvas(self._buffer, pagesize=A4, invariant=1)
        self._down = 50.0

    def print(self) -> bytes:
        """The PDF."""
        layout, order = self._layout, self._order
        self._font(bold=True, size=layout.size + 6)
        if layout.buyer == "top":
            self._text(50, order.customer.name)
            self._next(1.2)
            self._font(size=layout.size)
            self._text(50, "Hafenweg 12, 20457 Hamburg")
            self._next(2)
        self._font(bold=True, size=layout.size + 5)
        self._text(self._width - 250 if layout.words == 1 else 50, self._say("title"))
        self._next(2.5)
        self._font(size=layout.size)
        self._parties()
        self._fields()
        self._table()
        self._totals()
        self._next(3)
        self._text(50, self._say("thanks"))
        self._canvas.save()
        return self._buffer.getvalue()

    def _say(self, name: str) -> str:
        return _TEXTS[name][self._language][self._layout.words]

    def _font(self, *, bold: bool = False, size: float) -> None:
        font = self._layout.font
        face = {"Times-Roman": "Times-Bold"}.get(font, f"{font}-Bold") if bold else font
        self._canvas.setFont(face, size)

    def _text(self, left: float, text: str, *, is_right: bool = False) -> None:
        draw = self._canvas.drawRightString if is_right else self._canvas.drawString
        draw(left, self._height - self._down, text)

    def _next(self, lines: float = 1.0) -> None:
        self._down += lines * self._layout.size * self._layout.leading

    def _parties(self) -> None:
        layout, order = self._layout, self._order
        start = self._down
        self._text(50, f"{self._say('seller')}:")
        self._next()
        for text in ("Kontor Handels GmbH", "Speicherstr. 3", "20457 Hamburg"):
            self._text(50, text)
            self._next()
        end = self._down
        if layout.buyer in ("block", "number"):
            self._down = start
            self._text(320, f"{self._say('buyer')}:")
            self._next()
            for text in (order.customer.name, "Lindenallee 8", "50667 Köln"):
                self._text(320, text)
                self._next()
        self._down = max(end, self._down)
        self._next(1.5)

    def _fields(self) -> None:
        layout, order = self._layout, self._order
        told = [("number", order.number), ("issued", self._day(order.issued)), ("delivery", self._day(order.delivery))]
        if layout.buyer == "number":
            told.append(("customer", order.customer.id.partition(":")[2]))
        if layout.fields == "below":
            for place, (name, _) in enumerate(told):
                self._text(50 + 125 * place, self._say(name))
            self._next()
            for place, (_, value) in enumerate(told):
                self._text(50 + 125 * place, value)
            self._next()
        else:
            for name, value in told:
                if layout.fields == "same":
                    self._text(50, f"{self._say(name)}: {value}")
                else:
                    self._text(330, self._say(name))
                    self._text(460, value)
                self._next()
        if layout.money == "code":
            self._text(50, f"{self._say('currency')} EUR")
        self._next(2)

    def _table(self) -> None:
        layout = self._layout
        self._titles()
        for number, line in enumerate(self._order.lines, 1):
            if self._down > self._height - 110:
                self._canvas.showPage()
                self._down = 60.0
                self._font(size=layout.size)
                self._titles()
            self._line(number, line)

    def _places(self) -> Iterator[tuple[str, float, float]]:
        left = 45.0
        scale = (self._width - 95) / sum(_WIDTHS[name] for name in self._layout.columns)
        for name in self._layout.columns:
            yield name, left, left + _WIDTHS[name] * scale
            left += _WIDTHS[name] * scale

    def _titles(self) -> None:
        self._font(bold=True, size=self._layout.size)
        for name, left, right in self._places():
            is_right = name in _RIGHT
            self._text(right - 4 if is_right else left + 4, self._say(f"c.{name}"), is_right=is_right)
        self._rule()
        self._font(size=self._layout.size)
        self._next()

    def _line(self, number: int, line: TrueLine) -> None:
        layout = self._layout
        unit = _UNITS[self._language][layout.words]
        values = {
            "position": str(number),
            "code": line.product.id.partition(":")[2],
            "name": line.product.name,
            "quantity": self._number(Decimal(line.quantity), 0) + (f" {unit}" if layout.unit_in_quantity else ""),
            "unit": unit,
            "price": self._money(line.price),
            "amount": self._money(line.amount),
        }
        for name, left, right in self._places():
            is_right = name in _RIGHT
            self._text(right - 4 if is_right else left + 4, values[name], is_right=is_right)
        self._rule()
        self._next()
        if layout.notes and number % 2 == 0:
            left = next(left for name, left, _ in self._places() if name == "name")
            self._text(left + 4, self._say("note"))
            self._next()

    def _rule(self) -> None:
        if self._layout.is_ruled:
            self._canvas.setLineWidth(0.4)
            down = self._height - self._down - self._layout.size * 0.4
            self._canvas.line(45, down, self._width - 50, down)

    def _totals(self) -> None:
        order = self._order
        lines = sum((line.amount for line in order.lines), Decimal(0))
        amounts = {
            "lines": lines,
            "charge": order.shipping,
            "net": order.net,
            "tax": order.tax,
            "gross": order.net + order.tax,
        }
        if self._layout.totals == ("gross",):
            amounts["gross"] = order.net + order.tax
        self._next(0.7)
        for name in self._layout.totals:
            self._text(self._width - 230, self._say(f"t.{name}"))
            self._text(self._width - 54, self._money(amounts[name]), is_right=True)
            self._next()

    def _day(self, day: date) -> str:
        from babel.dates import get_month_names

        form = _FORMS[self._language][self._layout.dates]
        return day.strftime(form.replace("%B", get_month_names("wide", "format", self._language)[day.month]))

    def _number(self, number: Decimal, places: int) -> str:
        text = f"{number:,.{places}f}"
        marks = {"en": ",.", "de": ".,", "fr": " ,", "es": ".,"}[self._language]
        return text.translate({ord(","): marks[0], ord("."): marks[1]})

    def _money(self, amount: Decimal) -> str:
        text = self._number(amount, 2)
        if self._layout.money == "behind":
            return f"{text} €"
        return f"€ {text}" if self._layout.money == "before" else text


def scanned(pdf: bytes, seed: int) -> bytes:
    """The document as a worn scanner gives it: askew, blurred, noisy, with the losses of JPEG."""
    import numpy
    import pypdfium2
    from PIL import Image, ImageFilter
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    chance = random.Random(seed)
    noise = numpy.random.default_rng(seed)
    buffer = BytesIO()
    canvas = Canvas(buffer, invariant=1)
    with pypdfium2.PdfDocument(pdf) as document:
        for page in document:
            image = page.render(scale=170 / 72).to_pil().convert("L")
            image = image.rotate(chance.uniform(-0.6, 0.6), Image.Resampling.BICUBIC, fillcolor=255)
            image = image.filter(ImageFilter.GaussianBlur(chance.uniform(0.3, 0.8)))
            pixels = numpy.asarray(image).astype(numpy.int16) + noise.normal(-6, 9, (image.height, image.width)).astype(
                numpy.int16
            )
            worn = BytesIO()
            Image.fromarray(numpy.clip(pixels, 0, 255).astype(numpy.uint8)).save(
                worn, "JPEG", quality=chance.randint(45, 75)
            )
            size = page.get_size()
            canvas.setPageSize(size)
            canvas.drawImage(ImageReader(worn), 0, 0, *size)
            canvas.showPage()
    canvas.save()
    return buffer.getvalue()
