"""The life of one order of the demonstration business, drawn from a seed: its source transactions, in their order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from random import Random

from deploy.demo.documents import Documents, Quantities
from deploy.demo.master_data import MasterData, customer_statement, draw_customer, draw_product, product_statement
from deploy.demo.sales import Amounts, Line, Order
from deploy.demo.transactions import Statement, Step, System, Transaction
from schemas.allocation import allocate, rounded, smallest_coin

_OLDEST_DAYS, _YOUNGEST_DAYS = 60, 40
"""How long ago an order was placed; a life lasts at most `_YOUNGEST_DAYS`, so that nothing lies in the future."""


UNKNOWN_CURRENCY = "XQQ"


class Fault(StrEnum):
    """What goes wrong on purpose at the beginning of an order's life, and is mended by the source soon after."""

    LATE_CUSTOMER = "the customer is created after the order"
    LATE_PRODUCT = "a product is created after the order"
    WRONG_TOTAL = "the payable amount is wrong by one coin"
    UNKNOWN_CURRENCY = "the currency does not exist"
    NO_LINES = "the lines are entered after the order"

    @property
    def is_refused(self) -> bool:
        """Whether the wrong order must end in the dead letters; the other faults only make it wait."""
        return self in (Fault.WRONG_TOTAL, Fault.UNKNOWN_CURRENCY, Fault.NO_LINES)


@dataclass(frozen=True, slots=True)
class Life:
    """The transactions of one order and the fault at its beginning, if any."""

    number: int
    transactions: tuple[Transaction, ...]
    fault: Fault | None = None


def draw_life(seed: int, number: int, master: MasterData, today: date, *, fault: Fault | None = None) -> Life:
    """The life of order `number`; the same arguments give the same life."""
    drawing = _Drawing(Random(f"{seed}:order:{number}"), number, master, today)
    drawing.place(fault)
    drawing.live()
    return Life(number, tuple(drawing.transactions), fault)


class _Drawing:
    """Draws one life, step by step; `order` is the order as the CRM holds it at that moment."""

    def __init__(self, draw: Random, number: int, master: MasterData, today: date) -> None:
        self.draw = draw
        self.master = master
        day = today - timedelta(days=draw.randint(_YOUNGEST_DAYS, _OLDEST_DAYS))
        self.now = datetime.combine(day, time(8, 0), UTC) + timedelta(minutes=draw.randrange(600))
        self.order = self._drawn_order(number)
        self.documents = Documents(number, self.order.currency)
        self.transactions: list[Transaction] = []

    def live(self) -> None:
        """After placing: deleted, cancelled, or carried out and perhaps returned."""
        kind = self.draw.random()
        if kind < 0.03:
            self._crm(Step.DELETED, self.order.deletion())
            return
        if self._likely(0.3):
            self._change()
        self._crm(Step.CONFIRMED, self.order.status_update("confirmed"))
        prepaid = self._likely(0.15)
        if prepaid:
            self._finance(Step.PAID, self.documents.payment(self.now, self.order.amounts.gross))
        if kind < 0.11:
            self._cancel(prepaid)
            return
        self._ship()
        self._finance(Step.INVOICED, self.documents.invoice(self.now, self.order.amounts))
        if not prepaid:
            self._pay()
        self._crm(Step.COMPLETED, self.order.status_update("completed"))
        if self._likely(0.1):
            self._give_back()

    def place(self, fault: Fault | None) -> None:
        """The order appears in the CRM, rightly or, with a fault, wrongly at first."""
        mending = self._mending(fault)
        lines = tuple(self.order.line_insertion(line) for line in self.order.lines)
        coin = smallest_coin(self.order.currency)
        header = self.order.insertion(
            currency=UNKNOWN_CURRENCY if fault is Fault.UNKNOWN_CURRENCY else None,
            wrong_by=coin if fault is Fault.WRONG_TOTAL else Decimal(0),
        )
        self._crm(Step.PLACED, header, *(() if fault is Fault.NO_LINES else lines))
        match fault:
            case Fault.NO_LINES:
                self._crm(Step.CORRECTED, *lines)
            case Fault.WRONG_TOTAL | Fault.UNKNOWN_CURRENCY:
                self._crm(Step.CORRECTED, self.order.totals_update())
        self.transactions += mending

    def _mending(self, fault: Fault | None) -> list[Transaction]:
        """Let the order refer to a record that does not exist yet, and give the transaction that creates it."""
        if fault is Fault.LATE_CUSTOMER:
            drawn = draw_customer(f"L{self.order.number:07}", self.draw)
            # The prices are drawn already, so the late customer keeps the currency.
            customer = replace(drawn, currency=self.order.currency)
            self.order = replace(self.order, customer=customer)
            return [self._transaction(System.CRM, Step.MASTER_DATA, customer_statement(customer))]
        if fault is Fault.LATE_PRODUCT:
            first = self.order.lines[0]
            drawn_product = draw_product(f"L{self.order.number:07}", self.draw, self.master.suppliers)
            product = replace(
                drawn_product, unit=first.product.unit, list_price=first.product.list_price, cost=first.product.cost
            )
            self.order = replace(self.order, lines=(replace(first, product=product), *self.order.lines[1:]))
            return [self._transaction(System.INVENTORY, Step.MASTER_DATA, product_statement(product))]
        return []

    def _change(self) -> None:
        """A new quantity, a line more or a line less, with the totals, in one transaction."""
        order, lines = self.order, self.order.lines
        kind = self.draw.choice(("quantity", "more", "less"))
        if kind == "more":
            added = self._drawn_line(max(line.number for line in lines) + 1, order.currency)
            self.order = replace(order, lines=(*lines, added))
            change = self.order.line_insertion(added)
        elif kind == "less" and len(lines) > 1:
            removed = self.draw.choice(lines)
            self.order = replace(order, lines=tuple(line for line in lines if line is not removed))
            change = self.order.line_deletion(removed)
        else:
            changed = replace(lines[0], quantity=lines[0].quantity + self.draw.randint(1, 5))
            self.order = replace(order, lines=(changed, *lines[1:]))
            change = self.order.line_update(changed)
        self._crm(Step.CHANGED, change, self.order.totals_update())

    def _cancel(self, prepaid: bool) -> None:
        self._crm(Step.CANCELLED, self.order.status_update("cancelled"))
        if prepaid:
            self._finance(Step.REFUNDED, self.documents.payment(self.now, self.order.amounts.gross, "refund"))

    def _ship(self) -> None:
        """Everything at once, or in two parts."""
        carrier = self.draw.choice(("Boreal Freight", "Kestrel Post", "Meridian Lines"))
        whole = {line.number: line.quantity for line in self.order.lines}
        part = _half(whole) if self._likely(0.2) else {}
        if part:
            self._inventory(Step.SHIPPED, *self.documents.shipment(self.now, part, carrier))
        rest = {line: quantity - part.get(line, Decimal(0)) for line, quantity in whole.items()}
        left = {line: quantity for line, quantity in rest.items() if quantity}
        self._inventory(Step.SHIPPED, *self.documents.shipment(self.now, left, carrier))
        if self._likely(0.4):
            self._inventory(Step.DELIVERED, self.documents.delivery(self.now))

    def _pay(self) -> None:
        """The whole amount, or a part and then the rest."""
        gross = self.order.amounts.gross
        parts = allocate(gross, [Decimal(2), Decimal(3)], self.order.currency) if self._likely(0.15) else [gross]
        for amount in parts:
            if amount:
                self._finance(Step.PAID, self.documents.payment(self.now, amount))

    def _give_back(self) -> None:
        """All of it with the freight, or one line in part; credited, then refunded."""
        if self._likely(0.4):
            quantities: Quantities = {line.number: line.quantity for line in self.order.lines}
            credited = self.order.amounts
        else:
            line = self.draw.choice(self.order.lines)
            quantities = _half({line.number: line.quantity}) or {line.number: line.quantity}
            credited = self.order.lines_part(quantities)
        reason = self.draw.choice(("damaged", "wrong item", "not wanted"))
        self._inventory(Step.RETURNED, *self.documents.goods_return(self.now, quantities, reason))
        self._credit(credited)

    def _credit(self, credited: Amounts) -> None:
        if credited.gross:
            self._finance(Step.CREDITED, self.documents.invoice(self.now, credited, "credit_note"))
            self._finance(Step.REFUNDED, self.documents.payment(self.now, credited.gross, "refund"))

    def _drawn_order(self, number: int) -> Order:
        customer = self.draw.choice(self.master.customers)
        currency = customer.currency
        lines = tuple(self._drawn_line(line, currency) for line in range(1, self.draw.randint(1, 5) + 1))
        freight = self.draw.choice((Decimal(0), Decimal(8), Decimal("14.90"), Decimal(45)))
        return Order(
            number=number,
            customer=customer,
            ordered_on=self.now.date(),
            channel=self.draw.choice(("direct", "web", "partner")),
            salesperson=f"E{self.draw.randint(1, 20):03}",
            freight=rounded(freight * (100 if currency == "JPY" else 1), currency),
            lines=lines,
        )

    def _drawn_line(self, number: int, currency: str) -> Line:
        product = self.draw.choice(self.master.products)
        quantity = Decimal(self.draw.randint(1, 20))
        return Line(
            number=number,
            product=product,
            quantity=quantity if product.unit == "C62" else quantity + Decimal("0.5"),
            price=self.master.price_in(product, currency),
            discount_percent=self.draw.choice((0, 0, 0, 5, 10)),
            currency=currency,
        )

    def _likely(self, probability: float) -> bool:
        return self.draw.random() < probability

    def _crm(self, step: Step, *statements: Statement) -> None:
        self._add(System.CRM, step, statements)

    def _inventory(self, step: Step, *statements: Statement) -> None:
        self._add(System.INVENTORY, step, statements)

    def _finance(self, step: Step, *statements: Statement) -> None:
        self._add(System.FINANCE, step, statements)

    def _add(self, system: System, step: Step, statements: tuple[Statement, ...]) -> None:
        self.transactions.append(self._transaction(system, step, *statements))
        self.now += timedelta(hours=self.draw.randint(1, 60))

    def _transaction(self, system: System, step: Step, *statements: Statement) -> Transaction:
        return Transaction(system, step, statements, self.order.number)


def _half(quantities: Quantities) -> Quantities:
    """Half of each quantity in whole units; lines of which that is nothing are left out."""
    halves = {line: (quantity / 2).quantize(Decimal(1), ROUND_DOWN) for line, quantity in quantities.items()}
    return {line: half for line, half in halves.items() if half}
