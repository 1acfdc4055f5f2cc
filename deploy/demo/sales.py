"""An order of the demonstration business as the CRM holds it, with amounts that add up to the smallest coin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property

from deploy.demo.master_data import DemoCustomer, DemoProduct
from deploy.demo.transactions import Statement
from schemas.allocation import rounded, share

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Net, tax and gross of a document."""

    net: Decimal
    tax: Decimal

    @property
    def gross(self) -> Decimal:
        """What is owed."""
        return self.net + self.tax

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(self.net + other.net, self.tax + other.tax)

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(self.net - other.net, self.tax - other.tax)


@dataclass(frozen=True)
class Line:
    """One line of an order."""

    number: int
    product: DemoProduct
    quantity: Decimal
    price: Decimal
    discount_percent: int
    currency: str

    @cached_property
    def discount(self) -> Decimal:
        """The discount in money."""
        return rounded(self.quantity * self.price * self.discount_percent / 100, self.currency)

    @cached_property
    def amounts(self) -> Amounts:
        """Net after discount, and the tax on it."""
        net = rounded(self.quantity * self.price - self.discount, self.currency)
        return Amounts(net, rounded(net * self.product.tax_percent / 100, self.currency))

    def part(self, quantity: Decimal) -> Amounts:
        """The amounts of a part of the line; the part of the whole is the whole."""
        net = share(self.amounts.net, quantity, self.quantity, self.currency)
        return Amounts(net, share(self.amounts.tax, quantity, self.quantity, self.currency))


@dataclass(frozen=True)
class Order:
    """One order with its lines."""

    number: int
    customer: DemoCustomer
    ordered_on: date
    channel: str
    salesperson: str
    freight: Decimal
    lines: tuple[Line, ...]

    @property
    def currency(self) -> str:
        """The document's currency: the customer's."""
        return self.customer.currency

    @cached_property
    def amounts(self) -> Amounts:
        """Lines and freight; freight is free of tax here."""
        return sum((line.amounts for line in self.lines), Amounts(self.freight, NOTHING))

    def lines_part(self, quantities: dict[int, Decimal]) -> Amounts:
        """The amounts of some quantities, by line number, without freight."""
        parts = (line.part(quantities[line.number]) for line in self.lines if line.number in quantities)
        return sum(parts, Amounts(NOTHING, NOTHING))

    def insertion(self, *, currency: str | None = None, wrong_by: Decimal = NOTHING) -> Statement:
        """Adds the header in status placed; `currency` and `wrong_by` make it a wrong one."""
        customer = self.customer
        return Statement(
            "INSERT INTO sales_order (order_number, customer_number, status, customer_reference, ordered_on,"
            " requested_on, currency, channel, salesperson, payment_terms, ship_to_name, ship_to_street, ship_to_city,"
            " ship_to_postal_code, ship_to_country, freight_amount, net_amount, tax_amount, gross_amount)"
            " VALUES (%s, %s, 'placed', %s, %s, %s, %s, %s, %s, 'N30', %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                self.number,
                customer.number,
                f"PO-{self.number:06}",
                self.ordered_on,
                self.ordered_on + timedelta(days=7),
                currency or self.currency,
                self.channel,
                self.salesperson,
                customer.name,
                f"Market Street {self.number % 97 + 1}",
                customer.city,
                f"{10_000 + self.number % 80_000}",
                customer.country,
                self.freight,
                self.amounts.net,
                self.amounts.tax,
                self.amounts.gross + wrong_by,
            ),
        )

    def line_insertion(self, line: Line) -> Statement:
        """Adds one line."""
        return Statement(
            "INSERT INTO sales_order_line (order_number, line_number, product_number, description, quantity, unit,"
            " unit_price, discount_amount, net_amount, tax_code, tax_percent, tax_amount)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                self.number,
                line.number,
                line.product.number,
                line.product.name,
                line.quantity,
                line.product.unit,
                line.price,
                line.discount,
                line.amounts.net,
                line.product.tax_code,
                line.product.tax_percent,
                line.amounts.tax,
            ),
        )

    def line_update(self, line: Line) -> Statement:
        """Gives the line its present quantity and amounts."""
        return Statement(
            "UPDATE sales_order_line SET quantity = %s, discount_amount = %s, net_amount = %s, tax_amount = %s"
            " WHERE order_number = %s AND line_number = %s",
            (line.quantity, line.discount, line.amounts.net, line.amounts.tax, self.number, line.number),
        )

    def line_deletion(self, line: Line) -> Statement:
        """Takes the line away."""
        return Statement(
            "DELETE FROM sales_order_line WHERE order_number = %s AND line_number = %s", (self.number, line.number)
        )

    def totals_update(self) -> Statement:
        """Gives the header its present currency and totals."""
        return Statement(
            "UPDATE sales_order SET currency = %s, net_amount = %s, tax_amount = %s, gross_amount = %s"
            " WHERE order_number = %s",
            (self.currency, self.amounts.net, self.amounts.tax, self.amounts.gross, self.number),
        )

    def status_update(self, status: str) -> Statement:
        """Moves the order to a status."""
        return Statement("UPDATE sales_order SET status = %s WHERE order_number = %s", (status, self.number))

    def deletion(self) -> Statement:
        """Takes the order away, and its lines with it."""
        return Statement("DELETE FROM sales_order WHERE order_number = %s", (self.number,))
