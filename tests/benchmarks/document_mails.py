# ruff: noqa: E501 - tables of words are read in one line each
"""Orders as people write them in e-mails, in four languages, and e-mails that must not become orders.

Each sentence is drawn from `document_mails.toml`, from the list that the reader may be mended by or from the one that is
only for measuring.
"""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from email.message import EmailMessage
from functools import cache
from pathlib import Path

from producers.documents.masters import KnownCustomer, KnownProduct
from tests.benchmarks.document_layouts import LANGUAGES, TrueLine, TrueOrder, masters_of

_HIDDEN = 0.5
"""Of the measured e-mails, how many sentences are of the hidden list: the one that orders always is."""
_AND = {"en": " and ", "de": " und ", "fr": " et ", "es": " y "}
_OF = {"en": ("of ", "of the usual "), "de": ("", "vom üblichen "), "fr": ("de ",), "es": ("de ",)}
_UNITS: dict[str, dict[str, tuple[str, ...]]] = {
    "C62": {"en": ("", "pcs ", "x "), "de": ("", "Stück ", "Stk. "), "fr": ("", "pièces de ", "x "), "es": ("", "unidades de ", "uds. de ")},
    "XCS": {"en": ("case ", "cases "), "de": ("Kiste ", "Kisten "), "fr": ("caisse ", "caisses "), "es": ("caja ", "cajas ")},
    "XCT": {"en": ("carton ", "cartons "), "de": ("Karton ", "Kartons "), "fr": ("carton ", "cartons "), "es": ("cartón ", "cartones ")},
    "KGM": {"en": ("kg ", "kg "), "de": ("kg ", "kg "), "fr": ("kg ", "kg "), "es": ("kg ", "kg ")},
    "DZN": {"en": ("dozen ", "dozen "), "de": ("Dutzend ", "Dutzend "), "fr": ("douzaine ", "douzaines "), "es": ("docena ", "docenas ")},
}  # fmt: skip
_SOLD_BY = ("C62", "C62", "C62", "XCS", "C62", "KGM", "XCT", "C62", "DZN", "XCS")
_NUMERALS = {
    "en": {1: "one", 2: "two", 3: "three", 6: "six", 10: "ten", 12: "twelve", 20: "twenty", 24: "twenty-four", 50: "fifty"},
    "de": {1: "ein", 2: "zwei", 3: "drei", 6: "sechs", 10: "zehn", 12: "zwölf", 20: "zwanzig", 24: "vierundzwanzig", 50: "fünfzig"},
    "fr": {1: "un", 2: "deux", 3: "trois", 6: "six", 10: "dix", 12: "douze", 20: "vingt", 24: "vingt-quatre", 50: "cinquante"},
    "es": {1: "un", 2: "dos", 3: "tres", 6: "seis", 10: "diez", 12: "doce", 20: "veinte", 24: "veinticuatro", 50: "cincuenta"},
}  # fmt: skip
_SUBJECTS = {"en": "Order", "de": "Bestellung", "fr": "Commande", "es": "Pedido"}
_FEMININE = frozenset({"Kiste ", "caisse ", "caja ", "douzaine ", "docena "})
_ONE = {"en": "a ", "de": "eine ", "fr": "une ", "es": "una "}


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail, and what it says."""

    order: TrueOrder
    content: bytes
    has_delivery: bool
    is_order: bool
    """Otherwise nothing of it may flow."""
    totals: tuple[str, ...] = ()
    has_prices: bool = False
    name: str = "mail"


@cache
def _sentences() -> dict[str, dict[str, dict[str, list[str]]]]:
    return tomllib.loads(Path(__file__).with_name("document_mails.toml").read_text(encoding="utf-8"))


def mail_masters_of(seed: int) -> tuple[list[KnownCustomer], list[KnownProduct]]:
    """The customers and products of the layouts, sold by pieces, cases, cartons, dozens and kilograms."""
    customers, products = masters_of(seed)
    return customers, [replace(one, unit_code=_SOLD_BY[n % len(_SOLD_BY)]) for n, one in enumerate(products)]


def mails(language: str, split: str, seed: int, count: int, *, is_order: bool) -> list[Mail]:
    """`count` e-mails of a language with sentences of `shown` or, most of them, of `hidden`."""
    return [_Letter(language, split, seed, number, is_order=is_order).mail() for number in range(count)]


class _Letter:
    def __init__(self, language: str, split: str, seed: int, number: int, *, is_order: bool) -> None:
        self._language, self._split, self._is_order, self._number = language, split, is_order, number
        self._chance = random.Random(f"{seed}/{language}/{split}/{number}/{is_order}")
        self._customers, self._products = mail_masters_of(seed)

    def mail(self) -> Mail:
        """Write it."""
        chance, order = self._chance, self._order()
        has_delivery = chance.random() < 0.75
        items = [self._item(line) for line in order.lines]
        joined = ", ".join(items[:-1]) + _AND[self._language] + items[-1] if len(items) > 1 else items[0]
        ask = self._ask()
        facts = {
            "{items}": joined,
            "{list}": "\n".join(f"{chance.choice(('-', '*'))} {item}" for item in items),
            "{first}": order.lines[0].product.name,
            "{n}": order.number,
            "{c}": order.customer.id.partition(":")[2],
            "{d}": self._day(order.delivery),
        }
        parts = [self._say("greeting"), "", ask, self._say("reference")]
        parts += [self._say("delivery")] if has_delivery else []
        parts += [self._say("aside")] if chance.random() < 0.3 else []
        parts += ["", self._say("closing")]
        parts += ["", self._say("tail")] if chance.random() < 0.4 else []
        text = "\n".join(parts)
        for name, fact in facts.items():
            text = text.replace(name, fact)
        return Mail(order, self._eml(text, order), has_delivery, self._is_order)

    def _eml(self, text: str, order: TrueOrder) -> bytes:
        message = EmailMessage()
        message["From"] = "Anna <anna@buyer.example>"
        message["To"] = "orders@seller.example"
        message["Subject"] = _SUBJECTS[self._language]
        message["Date"] = f"{order.issued:%a, %d %b %Y} 09:00:00 +0000"
        message["Message-ID"] = f"<{order.number.replace('/', '.')}@buyer.example>"
        message.set_content(text)
        return message.as_bytes()

    def _order(self) -> TrueOrder:
        chance = self._chance
        start = 4 * LANGUAGES.index(self._language)
        customer = chance.choice(self._customers[start : start + 4])
        lines = []
        for one in chance.sample(self._products, chance.randint(1, 4)):
            assert one.list_price is not None
            lines.append(TrueLine(one, chance.choice((1, 2, 3, 6, 10, 12, 20, 24, 50, 100, 1200)), one.list_price))
        number = chance.choice(("PO-", "", "B-", "2026/")) + "".join(chance.choices("0123456789", k=5))
        issued = date(2026, 1, 5) + timedelta(days=chance.randint(0, 320))
        return TrueOrder(number, issued, issued + timedelta(days=chance.randint(2, 50)), customer, "EUR", lines)

    def _say(self, name: str) -> str:
        is_hidden = self._split == "hidden" and self._chance.random() < _HIDDEN
        return self._chance.choice(_sentences()[name]["hidden" if is_hidden else "shown"][self._language])

    def _ask(self) -> str:
        """Of what waits each sentence in turn: it may not be left to chance that one is never tried."""
        said = _sentences()["ask" if self._is_order else "waits"][self._split][self._language]
        return self._chance.choice(said) if self._is_order else said[self._number % len(said)]

    def _item(self, line: TrueLine) -> str:
        chance, quantity, product = self._chance, line.quantity, line.product
        code = f" ({product.id.partition(':')[2]})" if chance.random() < 0.25 else ""
        words = _UNITS[product.unit_code][self._language]
        if product.unit_code == "C62":
            unit = chance.choice(words) if quantity > 1 else words[0]
        else:
            unit = words[quantity > 1] + chance.choice(_OF[self._language]) if product.unit_code != "DZN" else ""
            unit = unit or words[quantity > 1] + ("" if self._language in ("en", "de") else "de ")
        count = str(quantity)
        if quantity in _NUMERALS[self._language] and chance.random() < 0.3:
            count = _NUMERALS[self._language][quantity]
            if quantity == 1 and words[0] in _FEMININE:
                count = _ONE[self._language].strip()
        return f"{count} {unit}{product.name}{code}"

    def _day(self, day: date) -> str:
        from babel.dates import format_date

        shape = self._chance.choice(("long", "d MMMM", "dd.MM.yyyy" if self._language == "de" else "yyyy-MM-dd"))
        if shape == "d MMMM" and self._language == "es":
            shape = "d 'de' MMMM"
        return str(format_date(day, shape, self._language))
