"""Rules about quantities, prices, discounts, margin and stock of the lines."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from schemas.models import OrderLine, Product
from streams.rules.catalogue import Finding, Parameter, Parameters, RuleDeclarations, Severity
from streams.rules.facts import Candidate, Section
from streams.rules.quantities import as_text
from streams.rules.vocabulary import COUNTED_UNITS

DECLARED = RuleDeclarations()
rule = DECLARED.rule


@rule(
    "line.discontinued",
    Section.ORDER,
    source="I3",
    owner="inventory",
    severity=Severity.WARNING,
    plain="previous is not None or not product.is_discontinued",
)
def discontinued(candidate: Candidate) -> Iterator[Finding]:
    """Discontinued products are not ordered."""
    if candidate.previous is None:
        for product in candidate.products:
            if product.is_discontinued:
                yield Finding(f"product {product.product_id} is discontinued", "product_id")


@rule(
    "line.unit_of_product",
    Section.ORDER,
    source="I3, S6",
    owner="inventory",
    severity=Severity.WARNING,
    plain="line.unit_code == product.unit_code",
)
def unit_of_product(candidate: Candidate) -> Iterator[Finding]:
    """A line is in the unit that its product is sold in."""
    for line, product in _with_products(candidate):
        if line.unit_code != product.unit_code:
            yield Finding(
                f"line {line.line_id} is in {line.unit_code}, product {product.product_id} in {product.unit_code}",
                "unit_code",
            )


@rule(
    "line.whole_units",
    Section.ORDER,
    source="I3, UN/ECE Recommendation 20",
    owner="inventory",
    severity=Severity.WARNING,
    plain="line.unit_code not in COUNTED or whole(line.quantity, COUNTED[line.unit_code])",
)
def whole_units(candidate: Candidate) -> Iterator[Finding]:
    """What is counted is ordered whole."""
    for line in candidate.lines:
        if line.unit_code in COUNTED_UNITS and line.quantity % 1:
            yield Finding(f"line {line.line_id}: {as_text(line.quantity)} of {line.unit_code}", "quantity")


@rule(
    "line.quantity_plausible",
    Section.ORDER,
    source="I3",
    owner="crm",
    severity=Severity.WARNING,
    parameters={"most": Parameter(Decimal(1_000_000), "Largest quantity that is not a slip of the pen")},
    plain="line.quantity <= MOST",
)
def quantity_plausible(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """No quantity is beyond what is ever ordered."""
    most = parameters.number("most")
    for line in candidate.lines:
        if line.quantity > most:
            yield Finding(f"line {line.line_id}: {as_text(line.quantity)} is more than {as_text(most)}", "quantity")


@rule(
    "line.stock",
    Section.ORDER,
    source="I3",
    owner="inventory",
    severity=Severity.WARNING,
    plain=("previous is not None or product.available_quantity is None or line.quantity <= product.available_quantity"),
)
def stock(candidate: Candidate) -> Iterator[Finding]:
    """New orders do not ask for more than there is, where the master record of the product says how much."""
    if candidate.previous is not None:
        return
    for line, product in _with_products(candidate):
        if product.available_quantity is not None and line.quantity > product.available_quantity:
            yield Finding(
                f"line {line.line_id}: {as_text(line.quantity)} ordered, {as_text(product.available_quantity)} of "
                f"product {product.product_id} available",
                "quantity",
            )


@rule(
    "price.allowance",
    Section.ORDER,
    source="I3, EN 16931 BT-136",
    owner="crm",
    plain="line.allowance_total_amount == 0 or line.allowance_total_amount <= line.quantity * line.price_amount",
)
def allowance(candidate: Candidate) -> Iterator[Finding]:
    """A discount is not more than what it is on."""
    for line in candidate.lines:
        # A negative quantity or price has a rule of its own.
        if line.allowance_total_amount > max(line.quantity * line.price_amount, Decimal(0)):
            yield Finding(
                f"line {line.line_id}: a discount of {line.allowance_total_amount} on {as_text(line.quantity)} x "
                f"{line.price_amount}",
                "allowance_total_amount",
            )


@rule(
    "price.discount_limit",
    Section.ORDER,
    source="I3",
    owner="crm",
    severity=Severity.WARNING,
    parameters={"most_percent": Parameter(Decimal(50), "Largest discount on a line, in percent")},
    plain=(
        "line.allowance_total_amount == 0"
        " or line.allowance_total_amount * 100 <= line.quantity * line.price_amount * MOST_PERCENT"
    ),
)
def discount_limit(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """Discounts stay within what sellers may grant."""
    most = parameters.number("most_percent")
    for line in candidate.lines:
        gross = line.quantity * line.price_amount
        if gross > 0 and line.allowance_total_amount * 100 > gross * most:
            given = line.allowance_total_amount * 100 / gross
            yield Finding(
                f"line {line.line_id}: a discount of {given:.1f} %, at most {as_text(most)} %", "allowance_total_amount"
            )


@rule(
    "price.list_tolerance",
    Section.ORDER,
    source="I3, S6",
    owner="crm",
    severity=Severity.WARNING,
    parameters={"tolerance_percent": Parameter(Decimal(25), "How far a price may be from the list price, in percent")},
    plain=(
        "product.list_price_amount is None or product.currency_code is None"
        " or product.currency_code != order.document_currency_code"
        " or product.list_price_amount * (100 - TOLERANCE_PERCENT) <= line.price_amount * 100"
        " and line.price_amount * 100 <= product.list_price_amount * (100 + TOLERANCE_PERCENT)"
    ),
)
def list_tolerance(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """Prices are near the list price, where that is in the order's currency."""
    tolerance = parameters.number("tolerance_percent")
    for line, product in _with_products(candidate):
        listed = product.list_price_amount
        if listed is None or candidate.order is None:
            continue
        if product.currency_code == candidate.order.document_currency_code and (
            abs(line.price_amount - listed) * 100 > abs(listed) * tolerance
        ):
            yield Finding(
                f"line {line.line_id}: price {as_text(line.price_amount)}, list price {as_text(listed)} "
                f"(tolerance {as_text(tolerance)} %)",
                "price_amount",
            )


@rule(
    "price.minimum_margin",
    Section.ORDER,
    source="I3, S4",
    owner="finance",
    severity=Severity.WARNING,
    parameters={"least_percent": Parameter(Decimal(0), "Least part of a line's amount that is not cost, in percent")},
    plain=(
        "product.standard_cost_amount is None"
        " or rate is None and product.standard_cost_amount * line.quantity * 100"
        " <= line.line_extension_amount * (100 - LEAST_PERCENT)"
        " or rate is not None and product.standard_cost_amount * line.quantity * 100"
        " <= line.line_extension_amount * rate.rate * (100 - LEAST_PERCENT)"
    ),
)
def minimum_margin(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """What is sold brings more than it costs."""
    least, rate = parameters.number("least_percent"), candidate.exchange_rate
    for line, product in _with_products(candidate):
        if product.standard_cost_amount is None or rate is None:
            continue
        cost = product.standard_cost_amount * line.quantity
        amount = line.line_extension_amount * rate
        if cost * 100 > amount * (100 - least):
            yield Finding(
                f"line {line.line_id}: {amount:.2f} for goods that cost {cost:.2f} (least margin {as_text(least)} %)",
                "price_amount",
            )


@rule(
    "price.cost_known",
    Section.ORDER,
    source="I3, I7, IAS 2.34",
    owner="finance",
    severity=Severity.WARNING,
    plain="product.standard_cost_amount is not None",
)
def cost_known(candidate: Candidate) -> Iterator[Finding]:
    """Every product that is sold has a cost; without one, cost of sales is too low."""
    for product in candidate.products:
        if product.standard_cost_amount is None:
            yield Finding(f"product {product.product_id} has no standard cost", "product_id")


@rule("order.charges_not_negative", Section.ORDER, source="I3", owner="crm", plain="order.charge_total_amount >= 0")
def charges_not_negative(candidate: Candidate) -> Iterator[Finding]:
    """Charges are not negative; what is granted is a discount on a line."""
    order = candidate.order
    if order is not None and order.charge_total_amount < 0:
        yield Finding(f"charges of {order.charge_total_amount}", "charge_total_amount")


@rule(
    "order.charges_plausible",
    Section.ORDER,
    source="I3",
    owner="crm",
    severity=Severity.WARNING,
    parameters={"most_percent": Parameter(Decimal(100), "Most that charges are of the lines' total, in percent")},
    plain="order.charge_total_amount * 100 <= order.line_extension_amount * MOST_PERCENT",
)
def charges_plausible(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """Freight and other charges are not more than the goods."""
    order = candidate.order
    if order is not None and (
        order.charge_total_amount * 100 > order.line_extension_amount * parameters.number("most_percent")
    ):
        yield Finding(
            f"charges of {order.charge_total_amount} on goods of {order.line_extension_amount}", "charge_total_amount"
        )


@rule(
    "order.payable_not_negative",
    Section.ORDER,
    source="I3, EN 16931 BT-115",
    owner="finance",
    plain="order.payable_amount >= 0",
)
def payable_not_negative(candidate: Candidate) -> Iterator[Finding]:
    """An order is nothing that is owed to the customer; that is a credit note."""
    if candidate.order is not None and candidate.order.payable_amount < 0:
        yield Finding(f"the payable amount is {candidate.order.payable_amount}", "payable_amount")


@rule(
    "order.line_count",
    Section.ORDER,
    source="I3, I12",
    owner="ordersync",
    severity=Severity.WARNING,
    parameters={"most": Parameter(Decimal(1_000), "Most lines of an order")},
    plain="count(line) <= MOST",
)
def line_count(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """An order has no more lines than every partner can take."""
    most = parameters.number("most")
    if len(candidate.lines) > most:
        yield Finding(f"{len(candidate.lines)} lines, at most {as_text(most)}", "order_lines")


@rule(
    "line.id_present",
    Section.ORDER,
    source="I3, EN 16931 BR-21",
    owner="crm",
    plain="matches(line.line_id, '[!-~]{1,64}')",
)
def id_present(candidate: Candidate) -> Iterator[Finding]:
    """Each line has a number."""
    for place, line in enumerate(candidate.lines, 1):
        if not line.line_id.strip():
            yield Finding(f"the line in place {place} has no number", "order_lines.line_id")


def _with_products(candidate: Candidate) -> Iterator[tuple[OrderLine, Product]]:
    """Lines of products that are known."""
    products = {product.product_id: product for product in candidate.products}
    for line in candidate.lines:
        if line.product_id in products:
            yield line, products[line.product_id]
