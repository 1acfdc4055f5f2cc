"""Rules about the commercial facts of an order: shape, totals, currency, codes, customer."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal

from schemas.currencies import exponent_of, is_currency
from streams.rules.catalogue import Finding, RuleDeclarations
from streams.rules.codes import country_codes, unit_codes
from streams.rules.facts import Candidate, Section
from streams.rules.quantities import ZERO, as_text
from streams.rules.vocabulary import STATUSES

DECLARED = RuleDeclarations()
rule = DECLARED.rule


@rule(
    "order.identity",
    Section.ORDER,
    source="S6",
    owner="crm",
    plain='order.order_id == event.order_id and before(event.order_id, ":") == event.source.system',
)
def identity(candidate: Candidate) -> Iterator[Finding]:
    """The facts name the same order as the event, and come from the system that the order's id names."""
    order = candidate.order
    if order is not None and order.order_id != candidate.order_id:
        yield Finding(f"the facts are about {order.order_id}, the event about {candidate.order_id}", "order.order_id")
    system = candidate.order_id.partition(":")[0]
    if system != candidate.event.source.system:
        yield Finding(
            f"{candidate.event.source.system} changed an order that {system} owns; change it there", "source.system"
        )


@rule("order.lines_present", Section.ORDER, source="I3, UBL cac:OrderLine 1..n", owner="crm", plain="count(line) > 0")
def lines_present(candidate: Candidate) -> Iterator[Finding]:
    """An order has at least one line."""
    if candidate.order is not None and not candidate.order.order_lines:
        yield Finding("the order has no lines; add one or delete the order", "order_lines")


@rule(
    "order.line_ids_unique",
    Section.ORDER,
    source="I3, UBL cac:LineItem/cbc:ID",
    owner="crm",
    plain="unique(line.line_id)",
)
def line_ids_unique(candidate: Candidate) -> Iterator[Finding]:
    """Each line of an order has a number of its own."""
    if candidate.order is None:
        return
    seen: set[str] = set()
    for line in candidate.order.order_lines:
        if line.line_id in seen:
            yield Finding(f"line {line.line_id} is there twice", "order_lines.line_id")
        seen.add(line.line_id)


@rule("order.status_known", Section.ORDER, source="S6", owner="crm", plain="order.order_status in STATUSES")
def status_known(candidate: Candidate) -> Iterator[Finding]:
    """The order's status is placed, confirmed, completed or cancelled."""
    order = candidate.order
    if order is not None and order.order_status not in STATUSES:
        yield Finding(f"status {order.order_status!r} is not one of {', '.join(STATUSES)}", "order_status")


@rule(
    "order.currency_known",
    Section.ORDER,
    source="I3, ISO 4217",
    owner="finance",
    plain="order.document_currency_code in CURRENCIES",
)
def currency_known(candidate: Candidate) -> Iterator[Finding]:
    """The order's currency is an ISO 4217 code."""
    order = candidate.order
    if order is not None and not is_currency(order.document_currency_code):
        yield Finding(f"{order.document_currency_code!r} is not an ISO 4217 currency", "document_currency_code")


@rule(
    "order.amount_exponent",
    Section.ORDER,
    source="I3, ISO 4217",
    owner="finance",
    plain=(
        "whole(order.payable_amount, CURRENCIES[order.document_currency_code])"
        " and whole(order.tax_amount, CURRENCIES[order.document_currency_code])"
        " and whole(order.charge_total_amount, CURRENCIES[order.document_currency_code])"
        " and whole(line.line_extension_amount, CURRENCIES[order.document_currency_code])"
        " and whole(line.tax_amount, CURRENCIES[order.document_currency_code])"
    ),
)
def amount_exponent(candidate: Candidate) -> Iterator[Finding]:
    """No amount is finer than the smallest coin of its currency."""
    order = candidate.order
    if order is None or not is_currency(order.document_currency_code):
        return
    exponent = exponent_of(order.document_currency_code)
    amounts = [
        ("payable_amount", order.payable_amount),
        ("tax_amount", order.tax_amount),
        ("charge_total_amount", order.charge_total_amount),
    ]
    amounts += [
        (f"order_lines[{line.line_id}].line_extension_amount", line.line_extension_amount) for line in order.order_lines
    ]
    amounts += [(f"order_lines[{line.line_id}].tax_amount", line.tax_amount) for line in order.order_lines]
    for name, amount in amounts:
        if decimals_of(amount) > exponent:
            yield Finding(
                f"{name} {amount} has more than the {exponent} decimals of {order.document_currency_code}", name
            )


@rule(
    "line.quantity_positive",
    Section.ORDER,
    source="I3",
    owner="crm",
    plain="line.quantity > 0 and line.price_amount >= 0 and line.allowance_total_amount >= 0",
)
def quantity_positive(candidate: Candidate) -> Iterator[Finding]:
    """Quantities are more than zero; prices and discounts are not negative."""
    for line in candidate.order.order_lines if candidate.order is not None else ():
        if line.quantity <= 0:
            yield Finding(f"line {line.line_id}: quantity {as_text(line.quantity)} is not more than zero", "quantity")
        if line.price_amount < 0 or line.allowance_total_amount < 0:
            yield Finding(f"line {line.line_id}: a price or discount is negative", "price_amount")


@rule(
    "line.amount",
    Section.ORDER,
    source="I3, PEPPOL-EN16931-R120",
    owner="crm",
    plain="line.quantity * line.price_amount - line.allowance_total_amount == line.line_extension_amount",
)
def line_amount(candidate: Candidate) -> Iterator[Finding]:
    """Each line's amount is quantity times price less discount, rounded to the currency."""
    order = candidate.order
    if order is None or not is_currency(order.document_currency_code):
        return
    coin = Decimal(1).scaleb(-exponent_of(order.document_currency_code))
    for line in order.order_lines:
        gross = line.quantity * line.price_amount
        net = (gross - line.allowance_total_amount).quantize(coin, ROUND_HALF_UP)
        if net != line.line_extension_amount:
            yield Finding(
                f"line {line.line_id}: {line.quantity} x {line.price_amount} - {line.allowance_total_amount} is {net}, "
                f"not {line.line_extension_amount}",
                "line_extension_amount",
            )


@rule(
    "order.line_total",
    Section.ORDER,
    source="I3, EN 16931 BR-CO-10",
    owner="crm",
    plain="total(line.line_extension_amount) == order.line_extension_amount",
)
def line_total(candidate: Candidate) -> Iterator[Finding]:
    """The order's line total is the sum of its lines."""
    order = candidate.order
    if order is None:
        return
    total = sum([line.line_extension_amount for line in order.order_lines], ZERO)
    if total != order.line_extension_amount:
        yield Finding(f"the lines add up to {total}, not {order.line_extension_amount}", "line_extension_amount")


@rule(
    "order.exclusive_total",
    Section.ORDER,
    source="I3, EN 16931 BR-CO-13",
    owner="crm",
    plain="order.line_extension_amount + order.charge_total_amount == order.tax_exclusive_amount",
)
def exclusive_total(candidate: Candidate) -> Iterator[Finding]:
    """The total without tax is lines plus charges."""
    order = candidate.order
    if order is not None and order.line_extension_amount + order.charge_total_amount != order.tax_exclusive_amount:
        yield Finding(
            f"lines {order.line_extension_amount} + charges {order.charge_total_amount} is not "
            f"{order.tax_exclusive_amount}",
            "tax_exclusive_amount",
        )


@rule(
    "order.tax_total",
    Section.ORDER,
    source="I3, EN 16931 BR-CO-14",
    owner="finance",
    plain="0 <= order.tax_amount - total(line.tax_amount) <= order.charge_total_amount",
)
def tax_total(candidate: Candidate) -> Iterator[Finding]:
    """The order's tax is the sum of its lines' tax, plus tax on charges where there are any."""
    order = candidate.order
    if order is None:
        return
    on_lines = sum([line.tax_amount for line in order.order_lines], ZERO)
    on_charges = order.tax_amount - on_lines
    if on_charges < 0 or on_charges > order.charge_total_amount:
        yield Finding(f"the lines' tax adds up to {on_lines}, the order's is {order.tax_amount}", "tax_amount")


@rule(
    "order.payable_total",
    Section.ORDER,
    source="I3, EN 16931 BR-CO-15",
    owner="crm",
    plain="order.tax_exclusive_amount + order.tax_amount == order.payable_amount",
)
def payable_total(candidate: Candidate) -> Iterator[Finding]:
    """The payable amount is the total without tax plus tax."""
    order = candidate.order
    if order is not None and order.tax_exclusive_amount + order.tax_amount != order.payable_amount:
        yield Finding(
            f"{order.tax_exclusive_amount} + tax {order.tax_amount} is not {order.payable_amount}", "payable_amount"
        )


@rule(
    "line.unit_code",
    Section.ORDER,
    source="I2, EN 16931 BR-CL-23",
    owner="inventory",
    # What can be said of the product alone is looked at once for all orders of it.
    plain="line.unit_code == product.unit_code and product.unit_code in UNITS",
)
def unit_code(candidate: Candidate) -> Iterator[Finding]:
    """Units are codes of UN/ECE Recommendation 20, or packages of Recommendation 21 behind an X."""
    for line in candidate.order.order_lines if candidate.order is not None else ():
        if line.unit_code not in unit_codes():
            yield Finding(f"line {line.line_id}: {line.unit_code!r} is no Rec 20 unit code (C62 = one)", "unit_code")


@rule(
    "order.country_code",
    Section.ORDER,
    source="I2, ISO 3166-1, EN 16931 BR-CL-14",
    owner="crm",
    plain=(
        "order.delivery_address is None or order.delivery_address.country_code is None"
        " or order.delivery_address.country_code == '' or order.delivery_address.country_code in COUNTRIES"
    ),
)
def country_code(candidate: Candidate) -> Iterator[Finding]:
    """The country of delivery is an ISO 3166-1 alpha-2 code."""
    address = candidate.order.delivery_address if candidate.order is not None else None
    if address is not None and address.country_code and address.country_code not in country_codes():
        yield Finding(f"{address.country_code!r} is no ISO 3166-1 alpha-2 code", "delivery_address.country_code")


def decimals_of(amount: Decimal) -> int:
    """How many decimals an amount has, the zeros at its end left out."""
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= 0:
        return 0
    return max(0, -int(amount.normalize().as_tuple().exponent))
