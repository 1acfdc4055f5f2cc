"""Turns each version of an order into balanced journal entries (IFRS 15).

For each accounting rule the facts of a version determine what it has brought to each account *so far*. The entry
of a version is the difference to the version before: so the ledger of an order depends on its facts alone, not on
the order in which they came, a correction at the source reverses itself, and each entry balances because what it
is the difference of balances.

| Rule | Debit | Credit | Source |
|---|---|---|---|
| transfer_of_control | Contract assets | Revenue, Shipping revenue, Tax payable | IFRS 15.31, 15.38, 15.47 |
| cost_of_sales | Cost of goods sold | Inventory | IAS 2.34 |
| billing | Trade receivables | Contract assets | IFRS 15.108 |
| cash_receipt | Cash | Contract liabilities | IFRS 15.106 |
| settlement | Contract liabilities | Trade receivables, Contract assets | IFRS 15.105 |

Goods are transferred when they are shipped and come back when a return is accepted. A credit note beyond what came
back lowers the transaction price (IFRS 15.87). What is paid is first a contract liability and settles what is billed,
then what is transferred and not yet billed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import uuid5

from schemas.allocation import allocate, rounded, share
from schemas.attributes import EventId
from schemas.models import Enrichment, JournalEntry, JournalLine, OrderLine, OrderState, SalesOrder
from schemas.models.source import EVENT_NAMESPACE
from streams.rules.quantities import ZERO, returned_quantities, shipped_quantities
from streams.rules.statuses import credited_amount, invoiced_amount, owed_amount, received_amount, refunded_amount

CASH = "1000"
TRADE_RECEIVABLES = "1200"
CONTRACT_ASSETS = "1250"
INVENTORY = "1300"
CONTRACT_LIABILITIES = "2100"
TAX_PAYABLE = "2200"
REVENUE = "4000"
SHIPPING_REVENUE = "4100"
COST_OF_GOODS_SOLD = "5000"

Balances = Mapping[str, Decimal]
"""Account to balance; debit is positive. The balances of one rule add up to zero."""


@dataclass(frozen=True, slots=True)
class Transferred:
    """What the customer has control of, in the document's currency."""

    revenue: Decimal
    shipping: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        """What the customer owes for it."""
        return self.revenue + self.shipping + self.tax


@dataclass(frozen=True, slots=True)
class AccountingRule:
    """A rule's name, the paragraph that it rests on, and what it says in words."""

    name: str
    standard_reference: str
    description: str


TRANSFER_OF_CONTROL = AccountingRule("transfer_of_control", "IFRS 15.31", "Control of goods passed to the customer")
COST_OF_SALES = AccountingRule("cost_of_sales", "IAS 2.34", "Cost of the goods transferred")
BILLING = AccountingRule("billing", "IFRS 15.108", "Right to consideration became unconditional by invoice")
CASH_RECEIPT = AccountingRule("cash_receipt", "IFRS 15.106", "Consideration received or refunded")
SETTLEMENT = AccountingRule("settlement", "IFRS 15.105", "Consideration received settles what was transferred")


def journal_entries(previous: OrderState | None, current: OrderState) -> list[JournalEntry]:
    """The entries that bring the ledger from `previous` to `current`, none where no account moves.

    Called for each new version; the ids are UUIDv5 of order, version and rule. Source: I7, S4.
    """
    if current.fulfilment is None and current.settlement is None and _never_moved(previous):
        return []
    before = {} if previous is None else positions(previous)
    entries = []
    for rule, balances in positions(current).items():
        moved = _difference(balances, before.get(rule, {}))
        if moved:
            entries.append(_entry(rule, moved, before.get(rule, {}), balances, current))
    return entries


def _never_moved(previous: OrderState | None) -> bool:
    return previous is None or (previous.fulfilment is None and previous.settlement is None)


def positions(state: OrderState) -> dict[AccountingRule, Balances]:
    """What each rule has brought to each account so far, from the facts of `state` alone."""
    order, enrichment = state.order, state.enrichment
    if order is None or enrichment is None:
        return {}
    transferred = _repriced(_transferred(order, state), order, state)
    paid = _paid(state)
    billed = min(max(_billed(state), ZERO), max(transferred.total, ZERO))
    from_receivables = min(max(paid, ZERO), billed)
    from_assets = min(max(paid, ZERO) - from_receivables, max(transferred.total, ZERO) - billed)
    cost = _cost(order, enrichment, state)
    return {
        TRANSFER_OF_CONTROL: {
            CONTRACT_ASSETS: transferred.total,
            REVENUE: -transferred.revenue,
            SHIPPING_REVENUE: -transferred.shipping,
            TAX_PAYABLE: -transferred.tax,
        },
        COST_OF_SALES: {COST_OF_GOODS_SOLD: cost, INVENTORY: -cost},
        BILLING: {TRADE_RECEIVABLES: billed, CONTRACT_ASSETS: -billed},
        CASH_RECEIPT: {CASH: paid, CONTRACT_LIABILITIES: -paid},
        SETTLEMENT: {
            CONTRACT_LIABILITIES: from_receivables + from_assets,
            TRADE_RECEIVABLES: -from_receivables,
            CONTRACT_ASSETS: -from_assets,
        },
    }


def _transferred(order: SalesOrder, state: OrderState) -> Transferred:
    currency = order.document_currency_code
    revenue = tax = shipped_value = ZERO
    if not shipped_quantities(state.fulfilment):
        return Transferred(ZERO, ZERO, ZERO)
    for line, sent, back in _movements(order, state):
        # What comes back is rounded by itself, as credit notes do it; all of it together is all that went.
        sent_value = share(line.line_extension_amount, sent, line.quantity, currency)
        revenue += sent_value - share(line.line_extension_amount, back, line.quantity, currency)
        tax += share(line.tax_amount, sent, line.quantity, currency)
        tax -= share(line.tax_amount, back, line.quantity, currency)
        shipped_value += sent_value
    shipping = _charges(order.charge_total_amount, shipped_value, order)
    tax_on_charges = order.tax_amount - sum([line.tax_amount for line in order.order_lines], ZERO)
    return Transferred(revenue, shipping, tax + _charges(tax_on_charges, shipped_value, order))


def _movements(order: SalesOrder, state: OrderState) -> Iterator[tuple[OrderLine, Decimal, Decimal]]:
    """Each line with what was sent and what came back of the quantity ordered; more than that is nobody's revenue."""
    shipped, returned = shipped_quantities(state.fulfilment), returned_quantities(state.fulfilment)
    for line in order.order_lines:
        all_sent = shipped.get(line.line_id, ZERO)
        sent = min(all_sent, line.quantity)
        kept = min(max(all_sent - returned.get(line.line_id, ZERO), ZERO), line.quantity)
        yield line, sent, sent - kept


def _repriced(transferred: Transferred, order: SalesOrder, state: OrderState) -> Transferred:
    """Not more than what invoices and credit notes leave to be paid. Source: IFRS 15.87."""
    if state.settlement is None or not credited_amount(state.settlement):
        return transferred
    price = max(owed_amount(order, state.settlement), ZERO)
    if transferred.total <= price:
        return transferred
    parts = (transferred.revenue, transferred.shipping, transferred.tax)
    weights = [max(part, ZERO) for part in parts]
    less = allocate(transferred.total - price, weights, order.document_currency_code)
    return Transferred(*(part - cut for part, cut in zip(parts, less, strict=True)))


def _charges(charges: Decimal, shipped_value: Decimal, order: SalesOrder) -> Decimal:
    """Charges are earned with the goods that they move, and not given back with a return."""
    return share(charges, shipped_value, order.line_extension_amount, order.document_currency_code)


def _cost(order: SalesOrder, enrichment: Enrichment, state: OrderState) -> Decimal:
    """Cost of what the customer keeps, in the functional currency."""
    costs = {line.line_id: line.standard_cost_amount for line in enrichment.lines}
    total = ZERO
    for line, sent, back in _movements(order, state):
        total += rounded(costs.get(line.line_id, ZERO) * (sent - back), enrichment.functional_currency_code)
    return total


def _billed(state: OrderState) -> Decimal:
    settlement = state.settlement
    return ZERO if settlement is None else invoiced_amount(settlement) - credited_amount(settlement)


def _paid(state: OrderState) -> Decimal:
    settlement = state.settlement
    return ZERO if settlement is None else received_amount(settlement) - refunded_amount(settlement)


def _difference(now: Balances, before: Balances) -> dict[str, Decimal]:
    moved = {account: now.get(account, ZERO) - before.get(account, ZERO) for account in {**now, **before}}
    return {account: amount for account, amount in moved.items() if amount}


def _entry(rule: AccountingRule, moved: Balances, before: Balances, now: Balances, state: OrderState) -> JournalEntry:
    order, enrichment = state.order, state.enrichment
    assert order is not None and enrichment is not None
    functional_currency = enrichment.functional_currency_code
    is_functional = rule is COST_OF_SALES
    currency = functional_currency if is_functional else order.document_currency_code
    rate = Decimal(1) if is_functional else enrichment.exchange_rate
    functional = _difference(_converted(now, rate, functional_currency), _converted(before, rate, functional_currency))
    committed_at = state.committed_at
    return JournalEntry(
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
        description=rule.description,
        committed_at=committed_at,
        processed_at=state.processed_at,
        lines=[
            JournalLine(
                account_code=account,
                debit_amount=max(moved.get(account, ZERO), ZERO),
                credit_amount=max(-moved.get(account, ZERO), ZERO),
                functional_debit_amount=max(functional.get(account, ZERO), ZERO),
                functional_credit_amount=max(-functional.get(account, ZERO), ZERO),
            )
            for account in sorted({**moved, **functional})
        ],
    )


def _converted(balances: Balances, rate: Decimal, currency: str) -> dict[str, Decimal]:
    """Balances in the functional currency; both sides are allocated from one rounded total, so they stay equal."""
    debits = [(account, amount) for account, amount in balances.items() if amount > 0]
    credits = [(account, -amount) for account, amount in balances.items() if amount < 0]
    total = rounded(sum([amount for _, amount in debits], ZERO) * rate, currency)
    converted = {}
    for sign, side in ((1, debits), (-1, credits)):
        parts = allocate(total, [amount for _, amount in side], currency)
        converted.update({account: sign * part for (account, _), part in zip(side, parts, strict=True)})
    return converted
