"""Finds the master records that an order refers to, and what they add to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal

from schemas.currencies import is_currency
from schemas.models import AwaitedRecord, EnrichedLine, Enrichment, OrderLine, Product, SalesOrder, SourcePosition
from schemas.topics import CUSTOMERS, FX_RATES, ORDERS_CAPTURED, PRODUCTS
from streams.rules.facts import Candidate, MasterData, Section
from streams.rules.quantities import ZERO, handlings

MARGIN_LIMIT = 10**15
"""Beyond which a margin is no amount any more."""
LONGEST_LEAD_DAYS = 3_650
"""A longer lead time promises nothing."""
_AMOUNT = Decimal("0.0001")
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class EnrichmentPolicy:
    """What finance decides about enrichment."""

    functional_currency_code: str = "EUR"


def missing_records(candidate: Candidate, master: MasterData, policy: EnrichmentPolicy) -> list[AwaitedRecord]:
    """What the order refers to and nobody knows yet; fills in the customer and products that are known.

    An order waits for these instead of being refused, because systems tell of them in any order.
    """
    if candidate.order is None or (candidate.section is Section.FULFILMENT and _has_unknown_lines(candidate)):
        return [AwaitedRecord(topic=ORDERS_CAPTURED, key=candidate.order_id)]
    # What is deleted needs nothing more: its customer may be gone with it.
    if candidate.section is Section.ORDER and not candidate.is_deleted:
        return _missing_master(candidate, candidate.order, master, policy)
    return []


def enrich(candidate: Candidate, master: MasterData, policy: EnrichmentPolicy) -> Enrichment | None:
    """What master data adds; taken anew when the commercial facts change, else kept from the version before."""
    order, customer = candidate.order, candidate.customer
    if candidate.section is not Section.ORDER or order is None or customer is None:
        return candidate.previous.enrichment if candidate.previous is not None else None
    rate = _rate(candidate, order, master, policy)
    costs = _known_costs(candidate)
    products = {product.product_id: product for product in candidate.products}
    return Enrichment.trusted(
        customer_name=customer.name,
        customer_segment=customer.segment,
        customer_region=customer.region,
        customer_country_code=customer.country_code,
        functional_currency_code=policy.functional_currency_code,
        exchange_rate=rate.rate,
        exchange_rate_date=rate.rate_date,
        exchange_rate_provider=rate.provider,
        exchange_rate_source=rate.source,
        customer_ledger_account_key=customer.ledger_account_key,
        customer_source=customer.source,
        lines=[
            _line(order, line, products[line.product_id], costs.get((line.line_id, line.product_id)), rate.rate)
            for line in order.order_lines
        ],
    )


def _line(
    order: SalesOrder, line: OrderLine, product: Product, known_cost: Decimal | None, rate: Decimal
) -> EnrichedLine:
    cost = product.standard_cost_amount if known_cost is None else known_cost
    return EnrichedLine.trusted(
        line_id=line.line_id,
        product_id=line.product_id,
        product_name=product.name,
        category=product.category,
        vendor_id=product.vendor_id,
        standard_cost_amount=cost or ZERO,
        margin_amount=None if product.standard_cost_amount is None else _margin(line, cost or ZERO, rate),
        promised_date=_promised(order, product),
        tax_category_code=product.tax_category_code,
        ledger_account_key=product.ledger_account_key,
        product_source=product.source,
    )


def _margin(line: OrderLine, cost: Decimal, rate: Decimal) -> Decimal | None:
    """In the functional currency; None where it is beyond what an amount can be."""
    amount = _EXACT.multiply(line.line_extension_amount, rate)
    margin = _EXACT.subtract(amount, _EXACT.multiply(cost, line.quantity)).quantize(_AMOUNT, ROUND_HALF_UP, _EXACT)
    return margin if abs(margin) < MARGIN_LIMIT else None


def _promised(order: SalesOrder, product: Product) -> date | None:
    if product.lead_time_days is None or not 0 <= product.lead_time_days <= LONGEST_LEAD_DAYS:
        return None
    day = order.issue_date.toordinal() + product.lead_time_days
    return date.fromordinal(day) if day <= date.max.toordinal() else None


def _missing_master(
    candidate: Candidate, order: SalesOrder, master: MasterData, policy: EnrichmentPolicy
) -> list[AwaitedRecord]:
    missing = []
    candidate.customer = master.customer(order.buyer_customer_party_id)
    if candidate.customer is None:
        missing.append(AwaitedRecord(topic=CUSTOMERS, key=order.buyer_customer_party_id))
    for product_id in dict.fromkeys([line.product_id for line in order.order_lines]):
        product = master.product(product_id)
        if product is None:
            missing.append(AwaitedRecord(topic=PRODUCTS, key=product_id))
        else:
            candidate.products.append(product)
    currency, functional = order.document_currency_code, policy.functional_currency_code
    candidate.rate = None if currency == functional else master.fx_rate(currency, functional)
    if currency == functional:
        candidate.exchange_rate = Decimal(1)
    elif candidate.rate is not None:
        candidate.exchange_rate = candidate.rate.rate
    elif is_currency(currency):
        missing.append(AwaitedRecord(topic=FX_RATES, key=f"{currency}:{functional}"))
    return missing


@dataclass(frozen=True, slots=True)
class _Rate:
    rate: Decimal
    rate_date: date
    provider: str
    source: SourcePosition | None


def _rate(candidate: Candidate, order: SalesOrder, master: MasterData, policy: EnrichmentPolicy) -> _Rate:
    """The rate of the order's first version in this currency: what it brought to the ledger keeps its value."""
    before = candidate.previous.enrichment if candidate.previous is not None else None
    currency, functional = order.document_currency_code, policy.functional_currency_code
    known = candidate.previous.order if candidate.previous is not None else None
    if before is not None and known is not None and known.document_currency_code == currency:
        return _Rate(
            before.exchange_rate, before.exchange_rate_date, before.exchange_rate_provider, before.exchange_rate_source
        )
    if currency == functional:
        return _Rate(Decimal(1), order.issue_date, "same currency", None)
    found = master.fx_rate(currency, functional)
    assert found is not None, "an order in a currency without a rate waits"
    return _Rate(found.rate, found.rate_date, found.provider, found.source)


def _known_costs(candidate: Candidate) -> dict[tuple[str, str], Decimal]:
    """Costs of lines that were enriched before: they stay, so that no old shipment changes its cost."""
    before = candidate.previous.enrichment if candidate.previous is not None else None
    return {(line.line_id, line.product_id): line.standard_cost_amount for line in before.lines} if before else {}


def _has_unknown_lines(candidate: Candidate) -> bool:
    if candidate.order is None:
        return False
    known = {line.line_id for line in candidate.order.order_lines}
    if candidate.previous is not None:
        # A line that was shipped and then removed is known; its return must not wait for ever.
        known |= {line.line_id for event in handlings(candidate.previous.fulfilment) for line in event.lines}
    return any(line.line_id not in known for event in handlings(candidate.fulfilment) for line in event.lines)
