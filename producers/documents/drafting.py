"""Makes of what was read an order as the API takes it, and names every doubt that a person has to settle first."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from pydantic import ValidationError

from producers.api.documents import AddressDraft, LineDraft, NewOrder
from producers.documents.identity import order_id_of
from producers.documents.masters import EXACT, KnownCustomer, KnownProduct, Masters, Match
from producers.documents.order import ReadLine, ReadOrder
from producers.documents.source import Source
from schemas.allocation import allocate
from schemas.attributes import OrderId
from schemas.currencies import exponent_of, is_currency

_ZERO, _HUNDRED = Decimal(0), Decimal(100)
_SLACK = Decimal("0.02")
_MICRO = Decimal("0.000001")
_LINE_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_PIECES = frozenset({"C62", "H87", "EA", "NAR", "PCE"})
_CRITICAL = ("number", "issue_date", "currency", "buyer")
_CRITICAL_OF_LINE = ("product", "quantity")
_LEAST_NAME = 0.9

Alias = Callable[[str, str, str], str | None]
"""What a person once said that a text means: kind (customer, product), scope, text -> id."""


def no_alias(_kind: str, _scope: str, _text: str) -> str | None:
    """Where nobody has said anything yet."""
    return None


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that a person has to look at."""

    rule: str
    message: str
    where: str
    candidates: list[tuple[str, str, float]] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """An order to be taken; it flows by itself only without doubts."""

    order_id: OrderId | None
    customer_id: str | None
    order: NewOrder | None
    doubts: list[Doubt]


@dataclass(slots=True)
class _Line:
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


class Drafting:
    """For one order of a document."""

    def __init__(self, read: ReadOrder, source: Source, masters: Masters, alias: Alias) -> None:
        self._read = read
        self._source = source
        self._masters = masters
        self._alias = alias
        self._doubts: list[Doubt] = []
        self._scope = ""

    def draft(self) -> Draft:
        """The draft, or none where too much is missing; never raises for what a document says."""
        read = self._read
        customer = self._customer()
        customer_id = None if customer is None else customer.id
        # The same words may mean different products to different customers.
        self._scope = customer_id or ""
        order_id = None
        if read.number is None:
            self._doubt("number.missing", "the document names no order number", "number")
        else:
            order_id = order_id_of(self._source.system, read.number, self._source.identity, customer_id)
            if order_id is None:
                self._doubt("number.unusable", f"{read.number!r} cannot be an order's id", "number")
        if read.issue_date is None:
            self._doubt("date.missing", "the document names no date", "issue_date")
        currency = self._currency(customer)
        self._confidence()
        lines = [self._sound_line(line, place, currency) for place, line in enumerate(read.lines)]
        if not lines:
            self._doubt("lines.missing", "no line was found", "lines")
        order = None
        known = [line for line in lines if line is not None]
        if order_id and customer_id and currency and read.issue_date and known and len(known) == len(lines):
            order = self._calculated(order_id, customer_id, currency, known)
        return Draft(order_id, customer_id, order, self._doubts)

    def _calculated(self, order_id: OrderId, customer_id: str, currency: str, lines: list[_Line]) -> NewOrder | None:
        assert self._read.issue_date is not None
        try:
            return self._order(order_id, customer_id, currency, self._read.issue_date, lines)
        except (ArithmeticError, ValueError) as exc:
            self._doubt("order.amounts", f"the amounts cannot be calculated: {exc}", "order")
            return None

    def _doubt(
        self, rule: str, message: str, where: str, match: Match[KnownProduct] | Match[KnownCustomer] | None = None
    ) -> None:
        self._doubts.append(Doubt(rule, message, where, [] if match is None else match.candidates))

    def _customer(self) -> KnownCustomer | None:
        read, customers = self._read, self._masters.customers
        named = read.customer_id or self._source.customer_id
        if named is not None:
            found = customers.get(named)
            if found is None:
                self._doubt("customer.unknown", f"there is no customer {named}", "buyer")
            return self._unblocked(found)
        by_code = {record.id: record for code in read.buyer.codes if (record := customers.by_code(code)) is not None}
        texts = [
            *read.buyer.codes,
            *([read.buyer.name] if read.buyer.name else []),
            *([read.buyer.email] if read.buyer.email else []),
        ]
        for text in texts:
            told = self._alias("customer", "", text)
            record = None if told is None else customers.get(told)
            if record is not None:
                by_code[record.id] = record
        if len(by_code) == 1:
            return self._unblocked(next(iter(by_code.values())))
        if len(by_code) > 1:
            self._doubt("customer.ambiguous", f"the codes belong to {', '.join(sorted(by_code))}", "buyer")
            return None
        return self._customer_by_name()

    def _customer_by_name(self) -> KnownCustomer | None:
        read = self._read
        customers = self._masters.customers
        named = {record.id: record for name in read.buyer.names if (record := customers.named(name)) is not None}
        if len(named) == 1 and (read.buyer.name is None or customers.named(read.buyer.name) is None):
            return self._unblocked(next(iter(named.values())))
        if read.buyer.name is None:
            self._doubt(
                "customer.unknown", f"no customer has the code {', '.join(read.buyer.codes) or '(none)'}", "buyer"
            )
            return None
        match = self._masters.customers.by_name(read.buyer.name, _LEAST_NAME)
        if match.record is None or match.confidence < EXACT:
            self._doubt("customer.unknown", f"which customer is {read.buyer.name!r}?", "buyer", match)
            return None
        return self._unblocked(match.record)

    def _unblocked(self, customer: KnownCustomer | None) -> KnownCustomer | None:
        if customer is not None and customer.is_blocked:
            self._doubt("customer.blocked", f"{customer.id} is blocked", "buyer")
        return customer

    def _currency(self, customer: KnownCustomer | None) -> str | None:
        stated = self._read.currency or (None if customer is None else customer.currency)
        if stated is None:
            self._doubt("currency.missing", "the document names no currency, and the customer has none", "currency")
        elif not is_currency(stated):
            self._doubt("currency.unknown", f"{stated!r} is no currency (ISO 4217)", "currency")
            return None
        return stated

    def _confidence(self) -> None:
        if self._read.is_certain:
            return
        least = self._source.least_confidence
        for name, evidence in self._read.evidence.items():
            is_critical = name in _CRITICAL or name.startswith(("lines.", "totals."))
            if is_critical and evidence.confidence < least:
                told = f"{evidence.text!r} was read with a confidence of {evidence.confidence:.2f}"
                self._doubt("confidence.low", told, name)

    def _product(self, line: ReadLine, where: str) -> KnownProduct | None:
        products = self._masters.products
        if line.product_id is not None:
            found = products.get(line.product_id)
            if found is None:
                self._doubt("product.unknown", f"there is no product {line.product_id}", where)
            return found
        told = {record.id: record for code in line.codes if (record := products.by_code(code)) is not None}
        for text in [*line.codes, *([line.name] if line.name and not told else [])]:
            said = self._alias("product", self._scope, text)
            record = None if said is None else products.get(said)
            if record is not None:
                told[record.id] = record
        if len(told) > 1:
            self._doubt("product.ambiguous", f"the codes belong to {', '.join(sorted(told))}", where)
            return None
        if told:
            return self._agreeing(next(iter(told.values())), line, where)
        match = self._product_by_name(line)
        # A code that nobody knows may be another product of nearly the same name.
        if match.record is None or match.confidence < EXACT or line.seller_code:
            self._doubt(
                "product.unknown", f"which product is {', '.join([*line.codes, line.name or ''])!r}?", where, match
            )
            return None
        return match.record

    def _product_by_name(self, line: ReadLine) -> Match[KnownProduct]:
        """A name may go on below: then the whole is the name, if there is such a product."""
        products = self._masters.products
        whole = f"{line.name or ''} {line.more_name or ''}".strip()
        match = products.by_name(whole, _LEAST_NAME)
        if match.confidence < EXACT and line.more_name and line.name:
            return products.by_name(line.name, _LEAST_NAME)
        return match

    def _agreeing(self, product: KnownProduct, line: ReadLine, where: str) -> KnownProduct:
        """Read from text, code and name have to speak of one thing."""
        if not self._read.is_certain and line.name:
            match = self._masters.products.by_name(line.name, EXACT)
            if match.record is not None and match.record.id != product.id:
                told = f"the code belongs to {product.id}, and the name {line.name!r} to {match.record.id}"
                self._doubt("product.contradiction", told, where, match)
        return product

    def _sound_line(self, line: ReadLine, place: int, currency: str | None) -> _Line | None:
        try:
            return self._line(line, place, currency)
        except ArithmeticError as exc:
            self._doubt("line.amounts", f"line {line.line_id} cannot be calculated: {exc}", f"lines.{place}.amount")
            return None

    def _line(self, line: ReadLine, place: int, currency: str | None) -> _Line | None:
        where = f"lines.{place}"
        product = self._product(line, f"{where}.product")
        if line.quantity is None or line.quantity <= 0:
            self._doubt("quantity.missing", f"line {line.line_id}: a quantity of {line.quantity}", f"{where}.quantity")
            return None
        if product is None or currency is None:
            return None
        if product.is_discontinued:
            self._doubt("product.discontinued", f"{product.id} is no longer sold", f"{where}.product")
        price = self._price(line, product, currency, where)
        unit = line.unit_code or product.unit_code
        is_same_unit = unit == product.unit_code or {unit, product.unit_code} <= _PIECES
        if not is_same_unit and (line.price is None or not self._read.is_certain):
            told = f"line {line.line_id} is in {unit}, and {product.id} is sold in {product.unit_code}"
            self._doubt("unit.differs", told, f"{where}.unit")
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
                self._doubt("price.unknown", told, f"{where}.price")
            return listed
        if listed and not self._read.is_certain:
            percent = abs(price / listed - 1) * _HUNDRED
            if percent > self._source.price_tolerance_percent:
                told = f"line {line.line_id}: {price:f} is {percent:.0f} % away from the list price {listed:f}"
                self._doubt("price.tolerance", told, f"{where}.price")
        return price

    def _amounts(
        self, line: ReadLine, product: KnownProduct, unit: str, price: Decimal, currency: str, where: str
    ) -> _Line | None:
        coin = Decimal(1).scaleb(-exponent_of(currency))
        quantity = line.quantity or _ZERO
        # A charge on a line beyond its discounts is one of the order.
        allowance = max(line.allowance - line.charge, _ZERO)
        expected = (quantity * price - allowance).quantize(coin, ROUND_HALF_UP)
        stated = None if line.amount is None else line.amount - max(line.charge - line.allowance, _ZERO)
        if stated is not None and abs(stated - expected) > max(_SLACK, coin):
            told = f"line {line.line_id}: {quantity:f} x {price:f} - {allowance:f} is {expected}, not {stated}"
            self._doubt("line.amount", told, f"{where}.amount")
            return None
        amount = expected if stated is None else stated.quantize(coin, ROUND_HALF_UP)
        price, allowance = _fitting(quantity, price, allowance, amount, coin)
        percent = line.tax_percent
        if percent is None:
            percent = _ZERO if self._read.tax_total == 0 else product.tax_percent or _ZERO
        category = line.tax_category_code or (
            product.tax_category_code if line.tax_percent is None and percent else None
        )
        return _Line(line, product, quantity, unit, price, allowance, amount, percent, category)

    def _order(
        self, order_id: OrderId, customer_id: str, currency: str, issued: date, lines: list[_Line]
    ) -> NewOrder | None:
        read = self._read
        coin = Decimal(1).scaleb(-exponent_of(currency))
        charge = read.charge + sum((max(one.read.charge - one.read.allowance, _ZERO) for one in lines), _ZERO)
        before = sum((line.amount for line in lines), _ZERO)
        self._spread(lines, currency)
        net = sum((line.amount for line in lines), _ZERO)
        tax_on_charges = self._tax(lines, charge, coin, currency)
        self._totals(before, net + charge, sum((line.tax for line in lines), _ZERO) + tax_on_charges)
        taxes = sum((line.tax for line in lines), _ZERO) + tax_on_charges
        try:
            return NewOrder(
                id=order_id.partition(":")[2],
                system=self._source.system,
                customer_reference=read.number,
                issue_date=issued,
                requested_delivery_date=read.delivery_date,
                document_currency_code=currency,
                buyer_customer_party_id=customer_id,
                delivery_name=None if read.delivery is None else _text(read.delivery.name),
                delivery_address=self._address(),
                sales_channel=self._source.sales_channel,
                payment_terms_code=_text(read.payment_terms),
                note=None if read.note is None else read.note.replace("\x00", "")[:4000],
                charge_total_amount=_written(charge.quantize(coin, ROUND_HALF_UP), 4),
                tax_amount=_written(taxes, 4),
                order_lines=[_line_draft(line, place) for place, line in enumerate(lines, 1)],
            )
        except ValidationError as exc:
            for error in exc.errors():
                where = ".".join(map(str, error["loc"]))
                self._doubt("order.shape", f"{where}: {error['msg']}", where)
            return None

    def _spread(self, lines: list[_Line], currency: str) -> None:
        """A discount on the whole order is one on each line, because the ledger knows none other."""
        if not self._read.allowance:
            return
        parts = allocate(self._read.allowance, [line.amount for line in lines], currency)
        for line, part in zip(lines, parts, strict=True):
            line.allowance += part
            line.amount -= part

    def _tax(self, lines: list[_Line], charge: Decimal, coin: Decimal, currency: str) -> Decimal:
        """Set the lines' tax; gives the tax on charges."""
        stated = self._read.tax_total
        if stated and all(line.read.tax_percent is None for line in lines):
            self._rate_of_totals(lines, stated, charge)
        for line in lines:
            line.tax = (line.amount * line.tax_percent / _HUNDRED).quantize(coin, ROUND_HALF_UP)
        if stated is None:
            return _ZERO
        total = sum((line.tax for line in lines), _ZERO)
        difference = stated - total
        if abs(difference) <= coin * len(lines) + _SLACK and any(line.tax for line in lines):
            # Rounded once for the whole order instead of line by line.
            taxed = [line for line in lines if line.tax]
            for line, part in zip(taxed, allocate(stated, [line.tax for line in taxed], currency), strict=True):
                line.tax = part
            return _ZERO
        if 0 < difference <= charge:
            return difference
        if difference:
            self._doubt("tax.total", f"the tax is {stated}, and the lines make {total}", "totals.tax")
        return _ZERO

    def _rate_of_totals(self, lines: list[_Line], stated: Decimal, charge: Decimal) -> None:
        """One rate for all lines where only the total of tax is stated."""
        net = sum((line.amount for line in lines), _ZERO)
        usual = sum((line.amount * line.tax_percent / _HUNDRED for line in lines), _ZERO)
        if abs(usual - stated) <= _SLACK * len(lines) or not net:
            return
        for base in (net + charge, net):
            rate = (stated / base * _HUNDRED).quantize(Decimal("0.1"), ROUND_HALF_UP)
            if base and abs(base * rate / _HUNDRED - stated) <= _SLACK:
                for line in lines:
                    line.tax_percent, line.tax_category = rate, None
                return

    def _totals(self, lines: Decimal, net: Decimal, tax: Decimal) -> None:
        read = self._read
        checks = [("totals.lines", read.line_total, lines), ("totals.net", read.net_total, net)]
        for where, stated, computed in checks:
            if stated is not None and abs(stated - computed) > _SLACK:
                self._doubt("total.mismatch", f"the document says {stated}, and the parts make {computed}", where)
        if read.payable is None:
            return
        due = net + tax - read.prepaid + read.rounding
        says_which = read.tax_total is not None or (read.is_certain and read.net_total is not None)
        possible = [due] if says_which else [due, net]
        if all(abs(read.payable - amount) > _SLACK for amount in possible):
            self._doubt(
                "total.mismatch", f"the document says {read.payable}, and the parts make {due}", "totals.payable"
            )

    def _address(self) -> AddressDraft | None:
        party = self._read.delivery
        if party is None or not any((party.street_name, party.city_name, party.postal_zone, party.country_code)):
            return None
        code = (party.country_code or "").upper()
        return AddressDraft(
            street_name=_text(party.street_name),
            city_name=_text(party.city_name),
            postal_zone=_text(party.postal_zone),
            country_subentity=_text(party.country_subentity),
            country_code=code if re.fullmatch("[A-Z]{2}", code) else None,
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


def _line_draft(line: _Line, place: int) -> LineDraft:
    read = line.read
    return LineDraft(
        line_id=read.line_id if _LINE_ID.fullmatch(read.line_id) else str(place),
        product_id=line.product.id,
        item_name=_text(read.name or line.product.name),
        quantity=_written(line.quantity, 6),
        unit_code=line.unit_code,
        price_amount=_written(line.price, 6),
        allowance_total_amount=_written(line.allowance, 4),
        line_extension_amount=_written(line.amount, 4),
        tax_category_code=line.tax_category,
        tax_percent=_written(line.tax_percent, 4),
        tax_amount=_written(line.tax, 4),
        requested_delivery_date=read.delivery_date,
    )


def _written(number: Decimal, places: int) -> str:
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    # More decimals than fit are refused by the shape of the field, not cut off.
    return text or "0" if len(text.partition(".")[2]) <= places else f"{number:f}"


def _text(text: str | None) -> str | None:
    cleaned = (text or "").replace("\x00", "").strip()
    return cleaned[:255] or None
