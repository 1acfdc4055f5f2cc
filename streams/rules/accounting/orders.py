"""Turns each version of an order into balanced journal entries (IFRS 15).

For each accounting rule the facts of a version determine what it has brought to each account *so far*. The entry
of a version is the difference to the version before: so the ledger of an order depends on its facts alone, not on
the order in which they came, a correction at the source reverses itself, and each entry balances because what it
is the difference of balances.

| Rule | Debit | Credit | Source |
|---|---|---|---|
| transfer_of_control | Contract assets | Revenue, Shipping revenue, Tax payable | IFRS 15.31, 15.38, 15.47 |
| cost_of_sales | Cost of goods sold | Inventory | IAS 2.34 |
| billing | Trade receivables | Contract liabilities | IFRS 15.108 |
| cash_receipt | Cash | Trade receivables, Contract liabilities | IFRS 15.106 |
| settlement | Contract liabilities | Contract assets | IFRS 15.105 |

Goods are transferred when they are shipped and come back when a return is accepted. A credit note beyond what came
back lowers the transaction price (IFRS 15.87). An invoice of finance makes its amount due, whether or not goods have
left: so the receivable is what was invoiced and not yet paid, what is earned beyond that is a contract asset, and
what was invoiced or paid and is not yet earned a contract liability, which is never negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from uuid import uuid5

from schemas.allocation import allocate, rounded, share
from schemas.attributes import EventId
from schemas.models import Enrichment, JournalEntry, JournalLine, OrderLine, OrderState, SalesOrder
from schemas.models.source import EVENT_NAMESPACE
from streams.rules.accounting.accounts import (
    CASH,
    CONTRACT_ASSETS,
    CONTRACT_LIABILITIES,
    COST_OF_GOODS_SOLD,
    INVENTORY,
    REVENUE,
    SHIPPING_REVENUE,
    TAX_PAYABLE,
    TRADE_RECEIVABLES,
)
from streams.rules.accounting.catalogue import (
    BILLING,
    CASH_RECEIPT,
    COST_OF_SALES,
    SETTLEMENT,
    TRANSFER_OF_CONTROL,
    AccountingRule,
)
from streams.rules.accounting.posts import Balances, Post, difference
from streams.rules.quantities import ZERO, as_text, returned_quantities, shipped_quantities
from streams.rules.statuses import credited_amount, invoiced_amount, owed_amount, received_amount, refunded_amount


@dataclass(frozen=True, slots=True)
class Position:
    """What one rule has brought to each account so far, and the arithmetic of it."""

    balances: Balances
    arithmetic: tuple[str, ...]
    quantities: Mapping[str, Decimal] = field(default_factory=dict)
    """Units that the revenue is about, by order line."""


@dataclass(frozen=True, slots=True)
class _Earned:
    """What the customer has control of, in the document's currency."""

    lines: dict[str, Decimal]
    """Revenue by order line."""
    shipping: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        """What the customer owes for it."""
        return sum(self.lines.values(), ZERO) + self.shipping + self.tax


def journal_entries(previous: OrderState | None, current: OrderState) -> list[JournalEntry]:
    """The entries that bring the ledger from `previous` to `current`, none where no account moves.

    Called for each new version; the ids are UUIDv5 of order, version and rule. Source: I7, S4.
    """
    if current.fulfilment is None and current.settlement is None and _never_moved(previous):
        return []
    before = {} if previous is None else positions(previous)
    entries = []
    for rule, position in positions(current).items():
        was = before.get(rule, _NOTHING)
        moved = difference(was.balances, position.balances)
        if moved:
            entries.append(_entry(rule, moved, was, position, current))
    return entries


_NOTHING = Position({}, ())


def _never_moved(previous: OrderState | None) -> bool:
    return previous is None or (previous.fulfilment is None and previous.settlement is None)


def positions(state: OrderState) -> dict[AccountingRule, Position]:
    """What each rule has brought to each account so far, from the facts of `state` alone."""
    order, enrichment = state.order, state.enrichment
    if order is None or enrichment is None:
        return {}
    earned = _repriced(_transferred(order, state), order, state)
    return {
        TRANSFER_OF_CONTROL: _transfer(earned, order, state),
        COST_OF_SALES: _costs(order, enrichment, state),
    } | _claims(earned.total, state)


def _claims(earned: Decimal, state: OrderState) -> dict[AccountingRule, Position]:
    """Receivable, contract asset and contract liability from what is earned, due and paid. IFRS 15.105-108."""
    settlement = state.settlement
    invoiced = invoiced_amount(settlement) if settlement is not None else ZERO
    credited = credited_amount(settlement) if settlement is not None else ZERO
    received = received_amount(settlement) if settlement is not None else ZERO
    refunded = refunded_amount(settlement) if settlement is not None else ZERO
    due, paid = max(invoiced - credited, ZERO), received - refunded
    collected = min(due, paid)
    settled = min(max(earned, ZERO), max(due, paid))
    return {
        BILLING: Position(
            {Post(TRADE_RECEIVABLES): due, Post(CONTRACT_LIABILITIES): -due},
            (f"invoiced {as_text(invoiced)} - credited {as_text(credited)} = due {as_text(due)}",),
        ),
        CASH_RECEIPT: Position(
            {
                Post(CASH): paid,
                Post(TRADE_RECEIVABLES): -collected,
                Post(CONTRACT_LIABILITIES): collected - paid,
            },
            (
                f"received {as_text(received)} - refunded {as_text(refunded)} = paid {as_text(paid)}, of which "
                f"{as_text(collected)} was due",
            ),
        ),
        SETTLEMENT: Position(
            {Post(CONTRACT_LIABILITIES): settled, Post(CONTRACT_ASSETS): -settled},
            (
                f"the lesser of earned {as_text(earned)} and the greater of due {as_text(due)} and paid "
                f"{as_text(paid)} = {as_text(settled)}",
            ),
        ),
    }


def _transfer(earned: _Earned, order: SalesOrder, state: OrderState) -> Position:
    balances = {Post(CONTRACT_ASSETS): earned.total}
    balances |= {Post(REVENUE, line_id): -amount for line_id, amount in earned.lines.items()}
    balances |= {Post(SHIPPING_REVENUE): -earned.shipping, Post(TAX_PAYABLE): -earned.tax}
    kept = {line.line_id: sent - back for line, sent, back in _movements(order, state)} if earned.lines else {}
    return Position(balances, tuple(_revenue_arithmetic(earned, order, state)), kept)


def _revenue_arithmetic(earned: _Earned, order: SalesOrder, state: OrderState) -> Iterator[str]:
    for line, sent, back in _movements(order, state) if earned.lines else ():
        kept = as_text(sent - back)
        yield (
            f"line {line.line_id}: {kept} of {as_text(line.quantity)} of "
            f"{as_text(line.line_extension_amount)} = {as_text(earned.lines[line.line_id])}"
        )
    yield (
        f"shipping {as_text(earned.shipping)} of {as_text(order.charge_total_amount)}, tax {as_text(earned.tax)} of "
        f"{as_text(order.tax_amount)}"
    )


def _transferred(order: SalesOrder, state: OrderState) -> _Earned:
    currency = order.document_currency_code
    if not shipped_quantities(state.fulfilment):
        return _Earned({}, ZERO, ZERO)
    lines: dict[str, Decimal] = {}
    tax = shipped_value = ZERO
    for line, sent, back in _movements(order, state):
        # What comes back is rounded by itself, as credit notes do it; all of it together is all that went.
        sent_value = share(line.line_extension_amount, sent, line.quantity, currency)
        lines[line.line_id] = sent_value - share(line.line_extension_amount, back, line.quantity, currency)
        tax += share(line.tax_amount, sent, line.quantity, currency)
        tax -= share(line.tax_amount, back, line.quantity, currency)
        shipped_value += sent_value
    shipping = _charges(order.charge_total_amount, shipped_value, order)
    tax_on_charges = order.tax_amount - sum([line.tax_amount for line in order.order_lines], ZERO)
    return _Earned(lines, shipping, tax + _charges(tax_on_charges, shipped_value, order))


def _movements(order: SalesOrder, state: OrderState) -> Iterator[tuple[OrderLine, Decimal, Decimal]]:
    """Each line with what was sent and what came back of the quantity ordered; more than that is nobody's revenue."""
    shipped, returned = shipped_quantities(state.fulfilment), returned_quantities(state.fulfilment)
    for line in order.order_lines:
        all_sent = shipped.get(line.line_id, ZERO)
        sent = min(all_sent, line.quantity)
        kept = min(max(all_sent - returned.get(line.line_id, ZERO), ZERO), line.quantity)
        yield line, sent, sent - kept


def _repriced(earned: _Earned, order: SalesOrder, state: OrderState) -> _Earned:
    """Not more than what invoices and credit notes leave to be paid. Source: IFRS 15.87."""
    if state.settlement is None or not credited_amount(state.settlement):
        return earned
    price = max(owed_amount(order, state.settlement), ZERO)
    if earned.total <= price:
        return earned
    currency = order.document_currency_code
    parts = (sum(earned.lines.values(), ZERO), earned.shipping, earned.tax)
    revenue, shipping, tax = allocate(earned.total - price, [max(part, ZERO) for part in parts], currency)
    by_line = allocate(revenue, [max(amount, ZERO) for amount in earned.lines.values()], currency)
    lines = {key: amount - cut for (key, amount), cut in zip(earned.lines.items(), by_line, strict=True)}
    return _Earned(lines, earned.shipping - shipping, earned.tax - tax)


def _charges(charges: Decimal, shipped_value: Decimal, order: SalesOrder) -> Decimal:
    """Charges are earned with the goods that they move, and not given back with a return."""
    return share(charges, shipped_value, order.line_extension_amount, order.document_currency_code)


def _costs(order: SalesOrder, enrichment: Enrichment, state: OrderState) -> Position:
    """Cost of what the customer keeps, in the functional currency."""
    costs = {line.line_id: line.standard_cost_amount for line in enrichment.lines}
    balances: dict[Post, Decimal] = {}
    arithmetic = []
    total = ZERO
    for line, sent, back in _movements(order, state):
        unit_cost = costs.get(line.line_id, ZERO)
        cost = rounded(unit_cost * (sent - back), enrichment.functional_currency_code)
        balances[Post(COST_OF_GOODS_SOLD, line.line_id)] = cost
        total += cost
        if cost:
            arithmetic.append(f"line {line.line_id}: {as_text(sent - back)} x {as_text(unit_cost)} = {as_text(cost)}")
    balances[Post(INVENTORY)] = -total
    return Position(balances, tuple(arithmetic))


def _entry(
    rule: AccountingRule, moved: Balances, before: Position, position: Position, state: OrderState
) -> JournalEntry:
    order, enrichment = state.order, state.enrichment
    assert order is not None and enrichment is not None
    functional_currency = enrichment.functional_currency_code
    is_functional = rule is COST_OF_SALES
    currency = functional_currency if is_functional else order.document_currency_code
    rate = Decimal(1) if is_functional else enrichment.exchange_rate
    functional = difference(
        _converted(before.balances, rate, functional_currency),
        _converted(position.balances, rate, functional_currency),
    )
    committed_at = state.committed_at
    return JournalEntry.trusted(
        entry_id=EventId(str(uuid5(EVENT_NAMESPACE, f"{state.order_id}/{state.version}/{rule.name}"))),
        order_id=state.order_id,
        order_version=state.version,
        event_id=state.event_id,
        rule=rule.name,
        standard_reference=rule.standard_reference,
        posting_date=committed_at.date(),
        period=f"{committed_at:%Y-%m}",
        currency_code=currency,
        functional_currency_code=functional_currency,
        exchange_rate=rate,
        exchange_rate_date=committed_at.date() if is_functional else enrichment.exchange_rate_date,
        exchange_rate_provider="same currency" if is_functional else enrichment.exchange_rate_provider,
        description=rule.description,
        explanation="\n".join(position.arithmetic),
        refers_to_entry_id=None,
        due_date=_due_date(state) if rule is BILLING else None,
        customer_id=order.buyer_customer_party_id,
        customer_segment=enrichment.customer_segment,
        customer_region=enrichment.customer_region,
        sales_channel=order.sales_channel,
        committed_at=committed_at,
        processed_at=state.processed_at,
        lines=_lines(moved, functional, _units(before, position), enrichment),
    )


def _due_date(state: OrderState) -> date | None:
    """When the newest invoice is to be paid."""
    invoices = state.settlement.invoices if state.settlement is not None else []
    return invoices[-1].due_date if invoices else None


def _units(before: Position, now: Position) -> dict[Post, Decimal]:
    """Units that moved, by the revenue post that they belong to."""
    return {
        Post(REVENUE, line_id): now.quantities.get(line_id, ZERO) - before.quantities.get(line_id, ZERO)
        for line_id in {**before.quantities, **now.quantities}
    }


def _lines(
    moved: Balances, functional: Balances, units: Mapping[Post, Decimal], enrichment: Enrichment
) -> list[JournalLine]:
    products = {line.line_id: line for line in enrichment.lines}
    lines = []
    for post in sorted({**moved, **functional}):
        amount, own = moved.get(post, ZERO), functional.get(post, ZERO)
        product = products.get(post.obligation)
        lines.append(
            JournalLine.trusted(
                account_code=post.account,
                debit_amount=max(amount, ZERO),
                credit_amount=max(-amount, ZERO),
                functional_debit_amount=max(own, ZERO),
                functional_credit_amount=max(-own, ZERO),
                line_id=post.obligation or None,
                product_id=product.product_id if product is not None else None,
                product_category=product.category if product is not None else None,
                quantity=units.get(post),
            )
        )
    return lines


def _converted(balances: Balances, rate: Decimal, currency: str) -> dict[Post, Decimal]:
    """Balances in the functional currency; both sides are allocated from one rounded total, so they stay equal."""
    if rate == 1:
        return dict(balances)
    debits = [(post, amount) for post, amount in balances.items() if amount > 0]
    credits = [(post, -amount) for post, amount in balances.items() if amount < 0]
    total = rounded(sum([amount for _, amount in debits], ZERO) * rate, currency)
    converted = {}
    for sign, side in ((1, debits), (-1, credits)):
        parts = allocate(total, [amount for _, amount in side], currency)
        converted.update({post: sign * part for (post, _), part in zip(side, parts, strict=True)})
    return converted
