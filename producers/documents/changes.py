"""Changes that a document asks for, applied to the order as it is known."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal

from producers.documents.doubts import Doubt
from producers.documents.order import Kind, LineAction, ReadLine, ReadOrder, ReadParty
from schemas.models import OrderLine, SalesOrder


def whole_order(change: ReadOrder, known: SalesOrder) -> tuple[ReadOrder, list[Doubt]]:
    """The order as it is to be from now on: what the change says, and what is known where it says nothing.

    Gives doubts where the change does not fit the order that is known.
    """
    made = deepcopy(change)
    made.number = known.customer_reference or change.number
    made.issue_date = known.issue_date
    made.currency = change.currency or known.document_currency_code
    made.delivery_date = change.delivery_date or known.requested_delivery_date
    made.delivery = change.delivery or _delivery(known)
    made.payment_terms = change.payment_terms or known.payment_terms_code
    made.note = change.note or known.note
    doubts: list[Doubt] = []
    if change.currency not in (None, known.document_currency_code):
        told = f"the change is in {change.currency}, the order in {known.document_currency_code}"
        doubts.append(Doubt("change.currency", told, "currency"))
    if change.kind is Kind.REPLACEMENT:
        # What is to be from now on has no lines that are taken away.
        made.lines = [line for line in made.lines if line.action is not LineAction.DELETE]
        return made, doubts
    made.charge = change.charge or known.charge_total_amount
    # Totals of a change are those of its own lines.
    made.line_total = made.net_total = made.payable = made.tax_total = None
    made.lines, found = _merged(change, known)
    return made, doubts + found


def _merged(change: ReadOrder, known: SalesOrder) -> tuple[list[ReadLine], list[Doubt]]:
    lines = {line.line_id: _read_line(line) for line in known.order_lines}
    doubts: list[Doubt] = []
    for place, line in enumerate(change.lines):
        where, is_known = f"lines.{place}", line.line_id in lines
        if line.action is LineAction.ADD and is_known:
            doubts.append(Doubt("change.line_exists", f"line {line.line_id} is there already", where))
        elif line.action is not LineAction.ADD and not is_known:
            doubts.append(Doubt("change.line_unknown", f"the order has no line {line.line_id}", where))
        elif line.action is LineAction.ADD:
            lines[line.line_id] = line
        elif line.action is LineAction.DELETE:
            del lines[line.line_id]
        elif line.action is LineAction.CHANGE:
            lines[line.line_id] = _changed(lines[line.line_id], line)
    if not lines:
        doubts.append(Doubt("change.no_lines", "no line would be left: a cancellation says so", "lines"))
    return list(lines.values()), doubts


def _changed(known: ReadLine, change: ReadLine) -> ReadLine:
    made = deepcopy(known)
    made.place = change.place
    if change.codes:
        made.seller_code, made.buyer_code, made.standard_code = (
            change.seller_code,
            change.buyer_code,
            change.standard_code,
        )
        made.product_id = None
        made.name = change.name
    for name in ("quantity", "unit_code", "price", "delivery_date", "tax_percent", "tax_category_code"):
        value = getattr(change, name)
        if value is not None:
            setattr(made, name, value)
    made.amount = change.amount
    if change.allowance or change.charge or change.amount is not None:
        # An amount that is stated is that of the line as it is to be.
        made.allowance, made.charge = change.allowance, change.charge
    elif known.quantity and made.quantity and known.allowance:
        # A discount that was granted on a quantity is granted on each of it.
        made.allowance = (known.allowance * made.quantity / known.quantity).quantize(Decimal("0.01"))
    return made


def _read_line(line: OrderLine) -> ReadLine:
    return ReadLine(
        line.line_id,
        "the order as it is known",
        product_id=line.product_id,
        name=line.item_name,
        quantity=line.quantity,
        unit_code=line.unit_code,
        price=line.price_amount,
        allowance=line.allowance_total_amount,
        amount=line.line_extension_amount,
        tax_category_code=line.tax_category_code,
        tax_percent=line.tax_percent,
        delivery_date=line.requested_delivery_date,
    )


def _delivery(known: SalesOrder) -> ReadParty | None:
    address = known.delivery_address
    if address is None:
        return None if known.delivery_name is None else ReadParty(name=known.delivery_name)
    return ReadParty(
        [],
        known.delivery_name,
        address.street_name,
        address.city_name,
        address.postal_zone,
        address.country_subentity,
        address.country_code,
    )
