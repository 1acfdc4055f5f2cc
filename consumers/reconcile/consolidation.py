"""Orders of all systems together, as they were known at any time: by system, month, currency and status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from consumers.reading import key_of
from consumers.reconcile.attributes import text_of
from consumers.reconcile.facts import DELETED
from consumers.reconcile.topic import TopicReader, value_of
from schemas.allocation import rounded
from schemas.attributes import Instant
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import FxRate, OrderEvent, OrderState, Settlement
from schemas.settings import KafkaSettings
from schemas.topics import FX_RATES, ORDER_EVENTS

_ZERO = Decimal(0)
_CREDIT_NOTE, _REFUND = "381", "refund"


class Amounts(NamedTuple):
    """What orders come to, in one currency; invoices less credit notes, receipts less refunds."""

    payable_amount: Decimal
    invoiced_amount: Decimal
    paid_amount: Decimal

    def plus(self, other: Amounts) -> Amounts:
        """Both together."""
        return Amounts(*(one + another for one, another in zip(self, other, strict=True)))


class ConsolidatedKey(NamedTuple):
    """The source system, the month of the date of issue, currency and status."""

    system: str
    period: str
    currency_code: str
    order_status: str


@dataclass(slots=True)
class ConsolidatedTotal:
    """Orders of one key."""

    orders: int = 0
    amounts: Amounts = field(default_factory=lambda: Amounts(_ZERO, _ZERO, _ZERO))


@dataclass(slots=True)
class Consolidation:
    """All orders as of a time, and the rates to the wanted currency, where one is wanted."""

    as_of: Instant
    currency_code: str | None
    totals: dict[ConsolidatedKey, ConsolidatedTotal] = field(default_factory=dict)
    rates: dict[str, FxRate] = field(default_factory=dict)
    """By base currency; the newest whose day is not after `as_of`."""

    @property
    def missing_rates(self) -> list[str]:
        """Currencies of orders that cannot be converted."""
        if self.currency_code is None:
            return []
        found = {key.currency_code for key in self.totals} - {self.currency_code, *self.rates}
        return sorted(found)

    def count(self, key: ConsolidatedKey, amounts: Amounts) -> None:
        """Count one order."""
        total = self.totals.setdefault(key, ConsolidatedTotal())
        total.orders += 1
        total.amounts = total.amounts.plus(amounts)

    def sorted_totals(self) -> Iterator[tuple[ConsolidatedKey, ConsolidatedTotal]]:
        """Every total by system, period, currency and status."""
        yield from sorted(self.totals.items())

    def converted(self, currency_code: str, amount: Decimal) -> Decimal | None:
        """The amount in the wanted currency, to its coin; None where there is no rate."""
        if self.currency_code is None or currency_code == self.currency_code:
            return amount
        rate = self.rates.get(currency_code)
        return None if rate is None else rounded(amount * rate.rate, self.currency_code)

    def sums(self) -> dict[str, ConsolidatedTotal]:
        """Orders by currency, without those that were deleted."""
        found: dict[str, ConsolidatedTotal] = {}
        for key, total in self.sorted_totals():
            if key.order_status != DELETED:
                one = found.setdefault(key.currency_code, ConsolidatedTotal())
                one.orders += total.orders
                one.amounts = one.amounts.plus(total.amounts)
        return found

    def sum(self) -> ConsolidatedTotal | None:
        """All orders in the wanted currency, each currency converted once; without deleted ones and missing rates."""
        if self.currency_code is None:
            return None
        result = ConsolidatedTotal()
        for currency, total in self.sums().items():
            amounts = [self.converted(currency, amount) for amount in total.amounts]
            known = [amount for amount in amounts if amount is not None]
            if len(known) == len(amounts):
                result.orders += total.orders
                result.amounts = result.amounts.plus(Amounts(*known))
        return result

    def summary(self) -> Iterator[str]:
        """A line for each currency, and one for all; deleted orders are not counted."""
        for currency, total in self.sums().items():
            yield f"{currency}: {_told(total)}"
        if (total_of_all := self.sum()) is not None:
            without = f", without {', '.join(self.missing_rates)}" if self.missing_rates else ""
            yield f"All in {self.currency_code}{without}: {_told(total_of_all)}"

    def as_json(self) -> dict[str, Any]:
        """Plain values; decimals as texts, so that no digit is lost."""
        total = self.sum()
        return {
            "as_of": text_of(self.as_of),
            "currency_code": self.currency_code,
            "totals": [key._asdict() | _plain(total) for key, total in self.sorted_totals()],
            "sums": {currency: _plain(total) for currency, total in self.sums().items()},
            "sum": None if total is None else _plain(total),
            "rates": [
                {"rate_key": one.rate_key, "rate": text_of(one.rate), "provider": one.provider}
                for one in self.rates.values()
            ],
            "missing_rates": self.missing_rates,
        }


def entry_of(state: OrderState) -> tuple[ConsolidatedKey, Amounts] | None:
    """What one order adds, and to which total; None where there are no commercial facts."""
    order = state.order
    if order is None:
        return None
    # Orders are named `system:number`; a version made by hand has no position in any source.
    system = state.order_source.system if state.order_source is not None else state.order_id.partition(":")[0]
    period = text_of(order.issue_date)[:7]
    key = ConsolidatedKey(system, period, order.document_currency_code, state.order_status)
    return key, Amounts(order.payable_amount, *_settled(state.settlement))


def rates_as_of(records: Iterator[FxRate], day: date, quote: str) -> dict[str, FxRate]:
    """By base currency, the newest rate to `quote` that is not of a later day; of one day, the last that is given."""
    found: dict[str, FxRate] = {}
    for rate in records:
        if rate.quote_currency_code == quote and rate.rate_date <= day:
            known = found.get(rate.base_currency_code)
            if known is None or known.rate_date <= rate.rate_date:
                found[rate.base_currency_code] = rate
    return dict(sorted(found.items()))


def consolidate(
    kafka: KafkaSettings, schemas: SchemaIds, as_of: datetime | None, currency_code: str | None
) -> Consolidation:
    """Read every version of every order, and keep the last one that had been made at `as_of` (None: now).

    Called by `ordersync reconcile totals`. One partition at a time: a few hundred bytes are held for each of its
    orders. Changes nothing. Source: S7, D6.

    Raises:
        ConfigurationError: a topic is missing, or may not be read.
        SchemaDrift: this version's schemas are not registered.
        UndecodableMessage: a record is not what the topic should hold.
        Transient: Kafka or the registry is away.
    """
    result = Consolidation(as_of or datetime.now(UTC), currency_code)
    with closing(TopicReader(kafka, ORDER_EVENTS)) as reader:
        ends = reader.ends()
        codec = TopicCodec(ORDER_EVENTS, OrderEvent, schemas)
        for partition, end in ends.items():
            for entry in _latest(reader, codec, {partition: end}, result.as_of):
                result.count(*entry)
    if currency_code is not None:
        result.rates = rates_as_of(_rates(kafka, schemas), result.as_of.date(), currency_code)
        result.rates = {
            base: rate for base, rate in result.rates.items() if base in {key.currency_code for key in result.totals}
        }
    return result


def _latest(
    reader: TopicReader, codec: TopicCodec[OrderEvent], ends: dict[int, int], as_of: datetime
) -> Iterator[tuple[ConsolidatedKey, Amounts]]:
    """What each order of a partition adds, by its highest version that had been made."""
    found: dict[str, tuple[int, tuple[ConsolidatedKey, Amounts] | None]] = {}
    keys: dict[ConsolidatedKey, ConsolidatedKey] = {}
    for message in reader.scan({}, ends):
        if (value := value_of(message)) is None:
            continue
        state = codec.decode(value).state
        order_id = key_of(message)
        if state.processed_at > as_of or (order_id in found and found[order_id][0] >= state.version):
            continue
        entry = entry_of(state)
        # Few totals, many orders: each key is held once.
        shared = None if entry is None else (keys.setdefault(entry[0], entry[0]), entry[1])
        found[order_id] = state.version, shared
    return (entry for _, entry in found.values() if entry is not None)


def _rates(kafka: KafkaSettings, schemas: SchemaIds) -> Iterator[FxRate]:
    """The latest record of each rate; days of history are few against orders."""
    with closing(TopicReader(kafka, FX_RATES)) as reader:
        ends = reader.ends()
        codec = TopicCodec(FX_RATES, FxRate, schemas)
        latest = {key_of(message): value_of(message) for message in reader.scan({}, ends)}
    return (codec.decode(value) for value in latest.values() if value is not None)


def _settled(settlement: Settlement | None) -> tuple[Decimal, Decimal]:
    if settlement is None:
        return _ZERO, _ZERO
    invoiced = (
        -one.payable_amount if one.invoice_type_code == _CREDIT_NOTE else one.payable_amount
        for one in settlement.invoices
    )
    paid = (-one.paid_amount if one.payment_type_code == _REFUND else one.paid_amount for one in settlement.payments)
    return sum(invoiced, _ZERO), sum(paid, _ZERO)


def _plain(total: ConsolidatedTotal) -> dict[str, Any]:
    amounts = {name: text_of(amount) for name, amount in total.amounts._asdict().items()}
    return {"orders": total.orders} | amounts


def _told(total: ConsolidatedTotal) -> str:
    amounts = total.amounts
    return (
        f"{total.orders:,} orders, payable {amounts.payable_amount:,.2f}, invoiced {amounts.invoiced_amount:,.2f}, "
        f"paid {amounts.paid_amount:,.2f}"
    )
