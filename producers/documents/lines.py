"""Settles the lines of an order: what is sold, in which unit, at which price, and that the amounts fit each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from producers.api.documents import LineDraft
from producers.documents.doubts import Case
from producers.documents.identification import Identification
from producers.documents.masters import KnownProduct
from producers.documents.order import ReadLine
from producers.documents.writing import sound_text, written
from schemas.currencies import exponent_of

SLACK = Decimal("0.02")
"""What documents may be off by, because they round."""
_ZERO, _HUNDRED = Decimal(0), Decimal(100)
_MICRO = Decimal("0.000001")
_LINE_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_PIECES = frozenset({"C62", "H87", "EA", "NAR", "PCE"})


def coin_of(currency: str) -> Decimal:
    """The smallest amount of a currency."""
    return Decimal(1).scaleb(-exponent_of(currency))


@dataclass(slots=True)
class DraftedLine:
    """A line whose product and amounts are settled."""

    read: ReadLine
    product: KnownProduct
    quantity: Decimal
    unit_code: str
    price: Decimal
    allowance: Decimal
    amount: Decimal
    tax_percent: Decimal
    tax_category: str | None
    tax: Decimal = _ZERO


class LineDrafting:
    """For the lines of one order of a document."""

    def __init__(
        self, case: Case, identification: Identification, customer_id: str | None, currency: str | None
    ) -> None:
        """A customer or a currency that is in doubt is none."""
        self._read = case.read
        self._source = case.source
        self._doubts = case.doubts
        self._identification = identification
        self._scope = customer_id or ""
        self._currency = currency

    def line(self, line: ReadLine, place: int) -> DraftedLine | None:
        """The line at `place`, from 0 on, or none with a doubt."""
        try:
            return self._line(line, place)
        except ArithmeticError as exc:
            self._doubts.add(
                "line.amounts", f"line {line.line_id} cannot be calculated: {exc}", f"lines.{place}.amount"
            )
            return None

    def _line(self, line: ReadLine, place: int) -> DraftedLine | None:
        where, currency = f"lines.{place}", self._currency
        product = self._identification.product(line, self._scope, f"{where}.product")
        if line.quantity is None or line.quantity <= 0:
            self._doubts.add(
                "quantity.missing", f"line {line.line_id}: a quantity of {line.quantity}", f"{where}.quantity"
            )
            return None
        if product is None or currency is None:
            return None
        if product.is_discontinued:
            self._doubts.add("product.discontinued", f"{product.id} is no longer sold", f"{where}.product")
        price = self._price(line, product, currency, where)
        unit = line.unit_code or product.unit_code
        is_same_unit = unit == product.unit_code or {unit, product.unit_code} <= _PIECES
        if not is_same_unit and (line.price is None or not self._read.is_certain):
            told = f"line {line.line_id} is in {unit}, and {product.id} is sold in {product.unit_code}"
            self._doubts.add("unit.differs", told, f"{where}.unit")
        if price is None:
            return None
        return self._amounts(line, product, unit, price, currency, where)

    def _price(self, line: ReadLine, product: KnownProduct, currency: str, where: str) -> Decimal | None:
        assert line.quantity is not None
        listed = product.list_price if product.currency in (None, currency) else None
        price = line.price
        if price is None and line.amount is not None:
            price = (line.amount + line.allowance) / line.quantity
        if price is None:
            if listed is None:
                told = f"line {line.line_id} has no price, and {product.id} no list price in {currency}"
                self._doubts.add("price.unknown", told, f"{where}.price")
            return listed
        if listed and not self._read.is_certain:
            percent = abs(price / listed - 1) * _HUNDRED
            if percent > self._source.price_tolerance_percent:
                told = f"line {line.line_id}: {price:f} is {percent:.0f} % away from the list price {listed:f}"
                self._doubts.add("price.tolerance", told, f"{where}.price")
        return price

    def _amounts(
        self, line: ReadLine, product: KnownProduct, unit: str, price: Decimal, currency: str, where: str
    ) -> DraftedLine | None:
        coin = coin_of(currency)
        quantity = line.quantity or _ZERO
        # A charge on a line beyond its discounts is one of the order.
        allowance = max(line.allowance - line.charge, _ZERO)
        expected = (quantity * price - allowance).quantize(coin, ROUND_HALF_UP)
        stated = None if line.amount is None else line.amount - max(line.charge - line.allowance, _ZERO)
        if stated is not None and abs(stated - expected) > max(SLACK, coin):
            told = f"line {line.line_id}: {quantity:f} x {price:f} - {allowance:f} is {expected}, not {stated}"
            self._doubts.add("line.amount", told, f"{where}.amount")
            return None
        amount = expected if stated is None else stated.quantize(coin, ROUND_HALF_UP)
        price, allowance = _fitting(quantity, price, allowance, amount, coin)
        percent = line.tax_percent
        if percent is None:
            percent = _ZERO if self._read.tax_total == 0 else product.tax_percent or _ZERO
        category = line.tax_category_code or (
            product.tax_category_code if line.tax_percent is None and percent else None
        )
        return DraftedLine(line, product, quantity, unit, price, allowance, amount, percent, category)


def line_draft(line: DraftedLine, place: int) -> LineDraft:
    """The line as the API takes it; `place` from 1 on."""
    read = line.read
    return LineDraft(
        line_id=read.line_id if _LINE_ID.fullmatch(read.line_id) else str(place),
        product_id=line.product.id,
        item_name=sound_text(read.name or line.product.name),
        quantity=written(line.quantity, 6),
        unit_code=line.unit_code,
        price_amount=written(line.price, 6),
        allowance_total_amount=written(line.allowance, 4),
        line_extension_amount=written(line.amount, 4),
        tax_category_code=line.tax_category,
        tax_percent=written(line.tax_percent, 4),
        tax_amount=written(line.tax, 4),
        requested_delivery_date=read.delivery_date,
    )


def _fitting(
    quantity: Decimal, price: Decimal, allowance: Decimal, amount: Decimal, coin: Decimal
) -> tuple[Decimal, Decimal]:
    """Price and discount with at most six and four decimals that make exactly `amount`, as every rule wants it.

    Documents round prices and may be one or two coins off; a price is raised by less than that, never lowered.
    """
    fine = price.quantize(_MICRO, ROUND_HALF_UP)
    if (quantity * fine - allowance).quantize(coin, ROUND_HALF_UP) == amount:
        return fine, allowance
    if quantity * fine - allowance < amount:
        fine = ((amount + allowance) / quantity).quantize(_MICRO, ROUND_CEILING)
    rest = (quantity * fine - amount).quantize(Decimal("0.0001"), ROUND_HALF_UP)
    return fine, rest
