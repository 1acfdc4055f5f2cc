"""Shipments, returns, invoices and payments of one order of the demonstration business, as its systems store them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from deploy.demo.sales import Amounts
from deploy.demo.transactions import Statement

Quantities = dict[int, Decimal]
"""Quantity by line number."""


@dataclass(slots=True)
class Documents:
    """Numbers and writes the documents of one order."""

    order_number: int
    currency: str
    shipments: int = 0
    returns: int = 0
    invoices: int = 0
    payments: int = 0

    def shipment(self, at: datetime, quantities: Quantities, carrier: str) -> tuple[Statement, ...]:
        """The next shipment with its lines."""
        self.shipments += 1
        number = self._number("SH", self.shipments)
        header = Statement(
            "INSERT INTO shipment (shipment_number, order_number, shipped_at, carrier, tracking_number)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (number, self.order_number, at, carrier, f"{carrier[:2].upper()}{self.order_number:09}{self.shipments}"),
        )
        lines = tuple(
            Statement(
                "INSERT INTO shipment_line (shipment_number, line_number, quantity) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (number, line, quantity),
            )
            for line, quantity in quantities.items()
        )
        return (header, *lines)

    def delivery(self, at: datetime) -> Statement:
        """The latest shipment reached the customer."""
        number = self._number("SH", self.shipments)
        return Statement("UPDATE shipment SET delivered_at = %s WHERE shipment_number = %s", (at, number))

    def goods_return(self, at: datetime, quantities: Quantities, reason: str) -> tuple[Statement, ...]:
        """The next accepted return with its lines."""
        self.returns += 1
        number = self._number("RT", self.returns)
        header = Statement(
            "INSERT INTO goods_return (return_number, order_number, returned_at, reason) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (number, self.order_number, at, reason),
        )
        lines = tuple(
            Statement(
                "INSERT INTO goods_return_line (return_number, line_number, quantity) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (number, line, quantity),
            )
            for line, quantity in quantities.items()
        )
        return (header, *lines)

    def invoice(self, at: datetime, amounts: Amounts, kind: str = "invoice") -> Statement:
        """The next invoice, or credit note."""
        self.invoices += 1
        return Statement(
            "INSERT INTO invoice (invoice_number, order_number, kind, issued_at, due_on, currency, net_amount,"
            " tax_amount, gross_amount) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                self._number("IN" if kind == "invoice" else "CN", self.invoices),
                self.order_number,
                kind,
                at,
                at.date() + timedelta(days=30),
                self.currency,
                amounts.net,
                amounts.tax,
                amounts.gross,
            ),
        )

    def payment(self, at: datetime, amount: Decimal, kind: str = "receipt") -> Statement:
        """The next receipt, or refund, by credit transfer."""
        self.payments += 1
        return Statement(
            "INSERT INTO payment (payment_number, order_number, kind, paid_at, amount, currency, means)"
            " VALUES (%s, %s, %s, %s, %s, %s, '30') ON CONFLICT DO NOTHING",
            (self._number("PY", self.payments), self.order_number, kind, at, amount, self.currency),
        )

    def _number(self, prefix: str, count: int) -> str:
        return f"{prefix}{self.order_number:07}-{count}"
