"""Random lives of an order whose owners act in any order, each by its own documents, all of them sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from itertools import product

from hypothesis import strategies as st

from schemas.allocation import smallest_coin
from schemas.models import CapturedEvent, Invoice, Payment, Return, SalesOrder, Shipment
from tests.unit.order_lives import (
    ZERO,
    Item,
    Life,
    goods_return,
    invoice,
    order,
    payment,
    shipment,
)

PRICES = ("9.99", "0.333333", "1250", "0", "0.01")
QUANTITIES = ("1", "3", "7", "0.5", "2.333333")


@dataclass
class Script:
    """A life so far, and ways to bring it to an end."""

    facts: SalesOrder
    life: Life = field(default_factory=Life)
    events: list[CapturedEvent] = field(default_factory=list)
    goods: list[Shipment | Return] = field(default_factory=list)
    papers: list[Invoice | Payment] = field(default_factory=list)
    numbered: int = 0

    def __post_init__(self) -> None:
        self.events.append(self.life.ordered(self.facts))

    @property
    def currency(self) -> str:
        """The currency of the order."""
        return self.facts.document_currency_code

    def change(self, facts: SalesOrder) -> None:
        """The seller changes the order."""
        self.facts = facts
        self.events.append(self.life.ordered(facts))

    def ship(self, part: Decimal) -> None:
        """A part of what is left of each line leaves."""
        shipped = self._quantities(Shipment)
        left = {line.line_id: line.quantity - shipped.get(line.line_id, ZERO) for line in self.facts.order_lines}
        self._move({name: _part(quantity, part) for name, quantity in left.items()}, Shipment)

    def give_back(self, part: Decimal) -> None:
        """A part of what the customer has comes back."""
        shipped, returned = self._quantities(Shipment), self._quantities(Return)
        kept = {name: quantity - returned.get(name, ZERO) for name, quantity in shipped.items()}
        self._move({name: _part(quantity, part) for name, quantity in kept.items()}, Return)

    def bill(self, amount: Decimal) -> None:
        """An invoice, or for a negative amount a credit note."""
        code = "380" if amount > 0 else "381"
        self._settle(invoice(self._number(), abs(amount), code=code, currency=self.currency))

    def pay(self, amount: Decimal) -> None:
        """A receipt, or for a negative amount a refund."""
        kind = "receipt" if amount > 0 else "refund"
        self._settle(payment(self._number(), abs(amount), kind=kind, currency=self.currency))

    def completion(self) -> list[CapturedEvent]:
        """What ships, bills and collects all that is left; the returns so far are taken to have been a mistake."""
        done = len(self.events)
        self.goods = [event for event in self.goods if isinstance(event, Shipment)]
        self.events.append(self.life.handled(*self.goods))
        self.ship(Decimal(1))
        self.papers = [paper for paper in self.papers if not _is_negative(paper)]
        billed = sum((paper.payable_amount for paper in self.papers if isinstance(paper, Invoice)), ZERO)
        paid = sum((paper.paid_amount for paper in self.papers if isinstance(paper, Payment)), ZERO)
        self.bill(self.facts.payable_amount - billed)
        self.pay(self.facts.payable_amount - paid)
        return self.events[done:]

    def undoing(self) -> list[CapturedEvent]:
        """What cancels the order, takes everything back, credits what was billed and refunds what was paid."""
        done = len(self.events)
        if self.facts.order_status != "cancelled":
            self.change(self.facts.model_copy(update={"order_status": "cancelled"}))
        self.give_back(Decimal(1))
        invoices = [paper for paper in self.papers if isinstance(paper, Invoice)]
        credited = sum((paper.payable_amount for paper in invoices if paper.invoice_type_code == "381"), ZERO)
        # The buyer owes nothing: neither for the goods nor for their freight.
        self.bill(-max(self.facts.payable_amount, self._billed()) + credited)
        self.pay(-self._paid())
        return self.events[done:]

    def _number(self) -> int:
        """Of the next paper; numbers of papers that were withdrawn are not given again."""
        self.numbered += 1
        return self.numbered

    def _billed(self) -> Decimal:
        return sum(
            (
                paper.payable_amount
                for paper in self.papers
                if isinstance(paper, Invoice) and paper.invoice_type_code == "380"
            ),
            ZERO,
        )

    def _paid(self) -> Decimal:
        signs = {"receipt": 1, "refund": -1}
        return sum(
            (signs[paper.payment_type_code] * paper.paid_amount for paper in self.papers if isinstance(paper, Payment)),
            ZERO,
        )

    def _quantities(self, kind: type[Shipment] | type[Return]) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = {}
        for event in self.goods:
            for line in event.lines if isinstance(event, kind) else ():
                sums[line.line_id] = sums.get(line.line_id, ZERO) + line.quantity
        return sums

    def _move(self, quantities: dict[str, Decimal], kind: type[Shipment] | type[Return]) -> None:
        moved: dict[str, str | Decimal] = {name: quantity for name, quantity in quantities.items() if quantity > 0}
        if moved:
            number = self._number()
            self.goods.append(shipment(number, moved) if kind is Shipment else goods_return(number, moved))
            self.events.append(self.life.handled(*self.goods))

    def _settle(self, paper: Invoice | Payment) -> None:
        self.papers.append(paper)
        self.events.append(self.life.settled(*self.papers))


def _is_negative(paper: Invoice | Payment) -> bool:
    return paper.invoice_type_code == "381" if isinstance(paper, Invoice) else paper.payment_type_code == "refund"


def _part(quantity: Decimal, part: Decimal) -> Decimal:
    return (quantity * part).quantize(Decimal("0.000001"), ROUND_DOWN)


# Each act is one choice, because choices are what the time of a run goes into.
ACTS = [
    (act, Decimal(part))
    for act in ("ship", "give_back", "bill", "credit", "pay", "refund", "change")
    for part in ("0.5", "0.333", "1")
]
LINES = list(product(QUANTITIES, PRICES))


def scripts(*, longest: int = 6) -> st.SearchStrategy[Script]:
    """Any sound life of up to so many acts after the order."""
    orders = st.tuples(
        st.sampled_from(["EUR", "USD", "JPY", "KWD"]),
        st.lists(st.sampled_from(LINES), min_size=1, max_size=3),
        st.sampled_from(["0", "5", "13"]),
    )
    return st.builds(_script, orders, st.lists(st.sampled_from(ACTS), max_size=longest))


def _script(drawn: tuple[str, list[tuple[str, str]], str], acts: list[tuple[str, Decimal]]) -> Script:
    currency, lines, charges = drawn
    items = [Item(str(number), f"P{number % 2 + 1}", *line) for number, line in enumerate(lines)]
    script = Script(order(items, currency=currency, charges=charges, charges_tax=_tax_on(charges)))
    for act, part in acts:
        share = (script.facts.payable_amount * part).quantize(smallest_coin(currency), ROUND_DOWN)
        if act == "change":
            script.change(_larger(script.facts, part))
        elif act in ("ship", "give_back"):
            (script.ship if act == "ship" else script.give_back)(part)
        elif share:
            (script.bill if act in ("bill", "credit") else script.pay)(share if act in ("bill", "pay") else -share)
    return script


def _larger(facts: SalesOrder, more: Decimal) -> SalesOrder:
    """More of each line, so that nothing that has left is more than ordered."""
    charges = str(facts.charge_total_amount)
    items = [
        Item(line.line_id, line.product_id, str(line.quantity + more), str(line.price_amount))
        for line in facts.order_lines
    ]
    return order(items, currency=facts.document_currency_code, charges=charges, charges_tax=_tax_on(charges))


def _tax_on(charges: str) -> str:
    return "0" if charges == "0" else "1"
