"""Rules about tax: categories against rates, amounts against both. Source: EN 16931, as PEPPOL BIS 3 applies it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from streams.rules.catalogue import Finding, Parameter, Parameters, RuleDeclarations, Severity
from streams.rules.facts import Candidate, Section
from streams.rules.quantities import ZERO, as_text
from streams.rules.vocabulary import EU_COUNTRIES, TAX_CATEGORIES, TAXED_CATEGORIES, UNTAXED_CATEGORIES

DECLARED = RuleDeclarations()
rule = DECLARED.rule

# Several rules say the same of ordinary lines, so that it is looked at once.
_ORDINARY = "line.tax_category_code is None or line.tax_category_code in {'S', 'AA', 'Z', 'E'}"
_RATE_FITS = (
    "line.tax_category_code is None"
    " or line.tax_percent > 0 and line.tax_category_code in TAXED"
    " or line.tax_percent == 0 and line.tax_category_code in UNTAXED"
)


@rule(
    "tax.category_known",
    Section.ORDER,
    source="I2, UN/ECE 5305, EN 16931 BR-CL-18",
    owner="finance",
    plain=_ORDINARY,
)
def category_known(candidate: Candidate) -> Iterator[Finding]:
    """Tax categories are codes of UN/ECE 5305."""
    for line in candidate.lines:
        code = line.tax_category_code
        if code is not None and code not in TAX_CATEGORIES:
            yield Finding(f"line {line.line_id}: {code!r} is no tax category of UN/ECE 5305", "tax_category_code")


@rule(
    "tax.percent_range",
    Section.ORDER,
    source="I3, EN 16931 BT-152",
    owner="finance",
    plain="0 <= line.tax_percent <= 100",
)
def percent_range(candidate: Candidate) -> Iterator[Finding]:
    """Tax rates are between 0 and 100 percent."""
    for line in candidate.lines:
        if not 0 <= line.tax_percent <= 100:
            yield Finding(f"line {line.line_id}: a tax rate of {as_text(line.tax_percent)} %", "tax_percent")


@rule(
    "tax.zero_rated",
    Section.ORDER,
    source="I3, EN 16931 BR-Z-05, BR-E-05, BR-AE-05, BR-IC-05, BR-G-05, BR-O-05",
    owner="finance",
    plain=_RATE_FITS,
)
def zero_rated(candidate: Candidate) -> Iterator[Finding]:
    """Lines that are exempt, zero-rated, exported, reverse charged or not subject to tax have a rate of zero."""
    for line in candidate.lines:
        if line.tax_category_code in UNTAXED_CATEGORIES and line.tax_percent:
            yield Finding(
                f"line {line.line_id}: category {line.tax_category_code} and {as_text(line.tax_percent)} %; "
                "correct the category or the rate",
                "tax_percent",
            )


@rule(
    "tax.standard_rated",
    Section.ORDER,
    source="I3, EN 16931 BR-S-05",
    owner="finance",
    plain=_RATE_FITS,
)
def standard_rated(candidate: Candidate) -> Iterator[Finding]:
    """Lines of a taxed category have a rate of more than zero."""
    for line in candidate.lines:
        if line.tax_category_code in TAXED_CATEGORIES and line.tax_percent <= 0:
            yield Finding(
                f"line {line.line_id}: category {line.tax_category_code} without a rate; use Z for zero-rated goods",
                "tax_percent",
            )


@rule(
    "tax.line_amount",
    Section.ORDER,
    source="I3, EN 16931 BR-CO-17, BR-S-09",
    owner="finance",
    parameters={
        "tolerance_amount": Parameter(Decimal(1), "How far tax may be from rate times amount, in the currency")
    },
    plain=(
        "-TOLERANCE_AMOUNT * 100 <= line.tax_amount * 100 - line.line_extension_amount * line.tax_percent"
        " <= TOLERANCE_AMOUNT * 100"
    ),
)
def line_tax(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """The tax on a line is its amount times its rate, but for rounding."""
    for line in candidate.lines:
        expected = line.line_extension_amount * line.tax_percent / 100
        if abs(line.tax_amount - expected) > parameters.number("tolerance_amount"):
            yield Finding(
                f"line {line.line_id}: {as_text(line.tax_percent)} % of {line.line_extension_amount} is not "
                f"{line.tax_amount}",
                "tax_amount",
            )


@rule(
    "tax.not_subject_alone",
    Section.ORDER,
    source="I3, EN 16931 BR-O-11",
    owner="finance",
    plain=_ORDINARY,
)
def not_subject_alone(candidate: Candidate) -> Iterator[Finding]:
    """An order with lines not subject to tax has no lines of another category."""
    categories = {line.tax_category_code for line in candidate.lines}
    if "O" in categories and len(categories) > 1:
        others = ", ".join(sorted(category or "none" for category in categories - {"O"}))
        yield Finding(f"category O stands beside {others}; split the order", "tax_category_code")


@rule(
    "tax.intra_community_country",
    Section.ORDER,
    source="I3, EN 16931 BR-IC-12",
    owner="finance",
    plain=_ORDINARY,
)
def intra_community_country(candidate: Candidate) -> Iterator[Finding]:
    """Intra-community supplies name a member state of the European Union as country of delivery."""
    if any(line.tax_category_code == "K" for line in candidate.lines):
        country = _delivery_country(candidate)
        if country not in EU_COUNTRIES:
            yield Finding(f"category K goes to {country or 'no country'}", "delivery_address.country_code")


@rule(
    "tax.export_country",
    Section.ORDER,
    source="I3, Directive 2006/112/EC art. 146",
    owner="finance",
    severity=Severity.WARNING,
    plain=_ORDINARY,
)
def export_country(candidate: Candidate) -> Iterator[Finding]:
    """Exports free of tax leave the European Union."""
    country = _delivery_country(candidate)
    if country in EU_COUNTRIES and any(line.tax_category_code == "G" for line in candidate.lines):
        yield Finding(f"category G (export) goes to {country}", "delivery_address.country_code")


@rule(
    "tax.buyer_identifier",
    Section.ORDER,
    source="I3, EN 16931 BR-AE-02, BR-IC-02",
    owner="finance",
    plain=_ORDINARY,
)
def buyer_identifier(candidate: Candidate) -> Iterator[Finding]:
    """Where the buyer owes the tax, the buyer's tax number is known."""
    customer = candidate.customer
    if customer is not None and not customer.tax_id:
        categories = sorted({line.tax_category_code or "" for line in candidate.lines} & {"AE", "K"})
        if categories:
            yield Finding(
                f"category {', '.join(categories)}, and customer {customer.customer_id} has no tax number",
                "buyer_customer_party_id",
            )


@rule(
    "tax.usual_rate",
    Section.ORDER,
    source="I3, S6",
    owner="finance",
    severity=Severity.WARNING,
    plain="product.tax_percent is None or line.tax_percent == product.tax_percent",
)
def usual_rate(candidate: Candidate) -> Iterator[Finding]:
    """Taxed lines have the rate of their product."""
    products = {product.product_id: product for product in candidate.products}
    for line in candidate.lines:
        product = products.get(line.product_id)
        if product is None or product.tax_percent is None or line.tax_category_code in UNTAXED_CATEGORIES:
            continue
        if line.tax_percent != product.tax_percent:
            yield Finding(
                f"line {line.line_id}: {as_text(line.tax_percent)} %, product {product.product_id} usually "
                f"{as_text(product.tax_percent)} %",
                "tax_percent",
            )


@rule(
    "tax.charges_rate",
    Section.ORDER,
    source="I3, EN 16931 BR-CO-14",
    owner="finance",
    severity=Severity.WARNING,
    plain=(
        "order.charge_total_amount == 0 or"
        " 100 * (order.tax_amount - total(line.tax_amount)) <= MOST_PERCENT * order.charge_total_amount"
    ),
    parameters={"most_percent": Parameter(Decimal(30), "Highest tax rate that charges can have, in percent")},
)
def charges_rate(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """The tax on charges is not more than the highest rate."""
    order = candidate.order
    if order is None or not order.charge_total_amount:
        return
    on_charges = order.tax_amount - sum([line.tax_amount for line in order.order_lines], ZERO)
    if on_charges * 100 > parameters.number("most_percent") * order.charge_total_amount:
        yield Finding(f"tax of {on_charges} on charges of {order.charge_total_amount}", "tax_amount")


def _delivery_country(candidate: Candidate) -> str | None:
    address = candidate.order.delivery_address if candidate.order is not None else None
    if address is not None and address.country_code:
        return address.country_code
    return candidate.customer.country_code if candidate.customer is not None else None
