"""What orders promise and have not brought yet, as rows of the tables that the backlog is read from; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

from consumers.postgres.bulk import Table
from schemas.allocation import share
from schemas.models import EnrichedLine, HandledLine, OrderLine, OrderState, SalesOrder

Row = tuple[Any, ...]

PROMISED_ORDER = Table(
    "promised_order",
    ("order_id",),
    (
        "order_version",
        "order_status",
        "is_open",
        "placed_at",
        "currency_code",
        "functional_currency_code",
        "exchange_rate",
        "customer_id",
        "customer_segment",
        "customer_region",
        "sales_channel",
    ),
)
PROMISED_LINE = Table(
    "promised_line",
    ("order_id", "line_id"),
    (
        "product_id",
        "product_category",
        "expected_date",
        "ordered_quantity",
        "shipped_quantity",
        "returned_quantity",
        "ordered_amount",
        "transferred_amount",
        "returned_amount",
        "tax_amount",
    ),
)
CHARGES: Final = ""
"""The `line_id` of an order's freight and other charges, which are earned with its goods."""
_OPEN: Final = frozenset({"placed", "confirmed"})
_ZERO: Final = Decimal(0)


def order_rows(states: Iterable[OrderState]) -> Iterator[Row]:
    """One row for each order, whether or not it still promises anything."""
    for state in states:
        order, master = state.order, state.enrichment
        yield (
            state.order_id,
            state.version,
            state.order_status,
            order is not None and state.order_status in _OPEN,
            state.placed_at,
            order.document_currency_code if order is not None else None,
            *(
                (master.functional_currency_code, master.exchange_rate, order.buyer_customer_party_id)
                if order is not None and master is not None
                else (None, None, order.buyer_customer_party_id if order is not None else None)
            ),
            master.customer_segment if master is not None else None,
            master.customer_region if master is not None else None,
            order.sales_channel if order is not None else None,
        )


def line_rows(states: Iterable[OrderState]) -> Iterator[Row]:
    """One row for each line, and one for the charges; amounts without tax, by the rules' own arithmetic.

    Source: IFRS 15.120, the price of obligations that are not yet satisfied.
    """
    for state in states:
        if state.order is not None:
            yield from _lines(state, state.order)


def _lines(state: OrderState, order: SalesOrder) -> Iterator[Row]:
    currency = order.document_currency_code
    shipped = _handled(one.lines for one in state.fulfilment.shipments) if state.fulfilment is not None else {}
    returned = _handled(one.lines for one in state.fulfilment.returns) if state.fulfilment is not None else {}
    enriched = {line.line_id: line for line in state.enrichment.lines} if state.enrichment is not None else {}
    all_transferred = _ZERO
    for line in order.order_lines:
        # More than was ordered is nobody's revenue.
        sent = min(shipped.get(line.line_id, _ZERO), line.quantity)
        back = min(returned.get(line.line_id, _ZERO), sent)
        transferred = share(line.line_extension_amount, sent, line.quantity, currency)
        all_transferred += transferred
        master = enriched.get(line.line_id)
        yield (
            state.order_id,
            line.line_id,
            line.product_id,
            master.category if master is not None else None,
            _expected_date(order, line, master),
            line.quantity,
            sent,
            back,
            line.line_extension_amount,
            transferred,
            share(line.line_extension_amount, back, line.quantity, currency),
            line.tax_amount - share(line.tax_amount, sent, line.quantity, currency),
        )
    if charges := order.charge_total_amount:
        earned = taxed = _ZERO
        tax = order.tax_amount - sum([line.tax_amount for line in order.order_lines], _ZERO)
        if shipped:
            earned = share(charges, all_transferred, order.line_extension_amount, currency)
            taxed = share(tax, all_transferred, order.line_extension_amount, currency)
        date_expected = order.requested_delivery_date
        unknown, none = (None, None), (_ZERO, _ZERO, _ZERO)
        yield (state.order_id, CHARGES, *unknown, date_expected, *none, charges, earned, _ZERO, tax - taxed)


def _expected_date(order: SalesOrder, line: OrderLine, master: EnrichedLine | None) -> date | None:
    """When the goods are wanted; otherwise when their lead time promises them."""
    promised = master.promised_date if master is not None else None
    return line.requested_delivery_date or order.requested_delivery_date or promised


def _handled(lines: Iterable[Iterable[HandledLine]]) -> dict[str, Decimal]:
    quantities: dict[str, Decimal] = {}
    for some in lines:
        for line in some:
            quantities[line.line_id] = quantities.get(line.line_id, _ZERO) + line.quantity
    return quantities
