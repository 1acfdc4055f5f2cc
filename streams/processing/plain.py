"""The fast path of the stream processor: new orders that no rule has anything to say about."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from schemas.attributes import CanonicalModel, CustomerId, ProductId
from schemas.codec import TopicCodec
from schemas.codec.fastpath import (
    Argument,
    Computed,
    Copy,
    Each,
    FastPath,
    FastPathDeclaration,
    Given,
    IfFound,
    LookedUp,
    OutputDeclaration,
    Projection,
    Records,
    Whole,
    encoded_attribute,
    is_available,
)
from schemas.conditions import Condition, Vocabulary, parse_conditions
from schemas.models import Customer, FxRate, OrderCaptured, OrderEvent, OrderState, Product
from schemas.topics import ORDERS_CAPTURED
from streams.processing.codecs import Codecs
from streams.rules.enrichment import LONGEST_LEAD_DAYS, MARGIN_LIMIT, EnrichmentPolicy
from streams.rules.facts import MasterData, Section
from streams.rules.ruleset import Edition, RuleSet
from streams.rules.screening import ABSENT, OPTIONAL, RECORDS, SplitScreening

_REMEMBERED = 100_000
"""So many encoded master records are kept at most."""

_COST = "product.standard_cost_amount * line.quantity"
_DAYS_TO_THE_LAST = (date.max - date(1970, 1, 1)).days + 1
_ENRICHED_LINE: Projection = {
    "line_id": Copy("line.line_id"),
    "product_id": Copy("line.product_id"),
    "product_name": Copy("product.name"),
    "category": Copy("product.category"),
    "vendor_id": Copy("product.vendor_id"),
    "standard_cost_amount": Copy("product.standard_cost_amount", default=Decimal(0)),
    "margin_amount": IfFound(
        "rate",
        Computed(f"line.line_extension_amount * rate.rate - {_COST}", "product.standard_cost_amount", MARGIN_LIMIT),
        Computed(f"line.line_extension_amount - {_COST}", "product.standard_cost_amount", MARGIN_LIMIT),
    ),
    "promised_date": Computed(
        "later(order.issue_date, product.lead_time_days)", "product.lead_time_days", _DAYS_TO_THE_LAST
    ),
    "tax_category_code": Copy("product.tax_category_code"),
    "ledger_account_key": Copy("product.ledger_account_key"),
    "product_source": Copy("product.source"),
}


class PlainVersion(NamedTuple):
    """The first version of an order for `orders.state` and `orders.events`; `committed_at` in microseconds."""

    state: bytes
    event: bytes
    committed_at: int


class PlainOrders:
    """Makes the first version of plain new orders, as the rules and codecs would make it, byte for byte.

    The processor asks it about captured orders of which nothing is known yet, and goes its ordinary way where it gets
    no answer: a rule might have something to say, a master record is unknown, the event was written by a foreign schema
    or is damaged.
    """

    def __init__(self, codecs: Codecs, master: MasterData, policy: EnrichmentPolicy, rules: RuleSet) -> None:
        self._codecs = codecs
        self._master = master
        self._functional_currency_code = policy.functional_currency_code
        self._customers: Records = {}
        self._products: Records = {}
        self._rates: Records = {}
        self._records = (self._customers, self._products, self._rates)
        self._revision = -1
        self._arguments: tuple[bytes, ...] = ()
        self._rules = rules
        self._edition: Edition | None = None
        self._screening: SplitScreening | None = None
        self._path: FastPath | None = None

    def begin(self, now: datetime) -> bool:
        """Told before each batch; False where there is no fast path.

        The rules in force now have one; what was committed under others goes the ordinary way.
        """
        edition = self._rules.at(now)
        if edition is not self._edition:
            self._edition, self._screening, self._revision = edition, edition.screening.split(), -1
            self._path = self._path_of(edition)
        if self._path is None:
            return False
        self._arguments = (encoded_attribute(OrderState, "processed_at", now),)
        if self._master.revision != self._revision or sum(map(len, self._records)) > _REMEMBERED:
            self._revision = self._master.revision
            for records in self._records:
                records.clear()
            self._rates[self._functional_currency_code] = None
        return True

    def first_version(self, key: bytes, message: bytes) -> PlainVersion | None:
        """The first version that a captured order makes, None where it must go the ordinary way."""
        assert self._path is not None
        made = self._path.take(message, key, self._arguments)
        if isinstance(made, list) and all(self._remember(place, name) for place, name in made):
            made = self._path.take(message, key, self._arguments)
        return tuple.__new__(PlainVersion, made) if isinstance(made, tuple) else None

    def _remember(self, place: int, key: str) -> bool:
        """Keep the encoded master record; False where it is unknown, or a rule has something to say about it."""
        record, codec = self._found(self._records[place], key)
        if record is None or not self._clears(record):
            return False
        self._records[place][key] = codec.records.encode(record)
        return True

    def _clears(self, record: CanonicalModel) -> bool:
        assert self._screening is not None
        if isinstance(record, Customer):
            return self._screening.clears_customer(record)
        return not isinstance(record, Product) or (self._screening.clears_product(record) and _is_prompt(record))

    def _path_of(self, edition: Edition) -> FastPath | None:
        if not is_available or edition.screening.predicate is None:
            return None
        return FastPath(self._declaration(edition.screening.vocabulary))

    def _found(self, records: Records, key: str) -> tuple[CanonicalModel | None, TopicCodec[Any]]:
        if records is self._customers:
            return self._master.customer(CustomerId(key)), self._codecs.customers
        if records is self._products:
            return self._master.product(ProductId(key)), self._codecs.products
        return self._master.fx_rate(key, self._functional_currency_code), self._codecs.fx_rates

    def _declaration(self, vocabulary: Vocabulary) -> FastPathDeclaration:
        assert self._screening is not None
        header, event_header = self._codecs.states.headers
        return FastPathDeclaration(
            prefix=self._codecs.captured[Section.ORDER].header,
            model=OrderCaptured,
            names={"event": "", "order": "order"},
            items="line",
            key="event.order_id",
            instant="event.committed_at",
            looked_up={
                "customer": LookedUp(Customer, "order.buyer_customer_party_id", self._customers),
                "product": LookedUp(Product, "line.product_id", self._products),
                "rate": LookedUp(FxRate, "order.document_currency_code", self._rates),
            },
            conditions=(*self._screening.conditions, *_in_force()),
            vocabulary=vocabulary,
            outputs=(
                OutputDeclaration(header, OrderState, self._state()),
                OutputDeclaration(event_header, OrderEvent, _EVENT),
            ),
            present=frozenset({"order"}),
            absent=ABSENT,
            optional=OPTIONAL,
        )

    def _state(self) -> Projection:
        return {
            "order_id": Copy("event.order_id"),
            "version": Given(1),
            "order_status": Copy("order.order_status"),
            "fulfilment_status": Given("unfulfilled"),
            "billing_status": Given("unbilled"),
            "payment_status": Given("unpaid"),
            "placed_at": Copy("event.committed_at"),
            "committed_at": Copy("event.committed_at"),
            "processed_at": Argument(0),
            "event_id": Copy("event.event_id"),
            "order_source": Copy("event.source"),
            "fulfilment_source": Given(None),
            "settlement_source": Given(None),
            "warnings": Given([]),
            "enrichment": {
                "customer_name": Copy("customer.name"),
                "customer_segment": Copy("customer.segment"),
                "customer_region": Copy("customer.region"),
                "customer_country_code": Copy("customer.country_code"),
                "functional_currency_code": Given(self._functional_currency_code),
                "exchange_rate": IfFound("rate", Copy("rate.rate"), Given(Decimal(1))),
                "exchange_rate_date": IfFound("rate", Copy("rate.rate_date"), Copy("order.issue_date")),
                "exchange_rate_provider": IfFound("rate", Copy("rate.provider"), Given("same currency")),
                "exchange_rate_source": IfFound("rate", Copy("rate.source"), Given(None)),
                "customer_ledger_account_key": Copy("customer.ledger_account_key"),
                "customer_source": Copy("customer.source"),
                "lines": Each(_ENRICHED_LINE),
            },
            "order": Copy("event.order"),
            "fulfilment": Given(None),
            "settlement": Given(None),
        }


def _is_prompt(product: Product) -> bool:
    return product.lead_time_days is None or 0 <= product.lead_time_days <= LONGEST_LEAD_DAYS


@cache
def _in_force() -> list[Condition]:
    """That the newest master records, which the fast path looks up, are those of the order's time."""
    rules = [
        f"({record}.valid_from is None and {record}.committed_at <= event.committed_at"
        f" or {record}.valid_from is not None and midnight({record}.valid_from) <= event.committed_at)"
        for record in ("customer", "product")
    ]
    text = " and ".join([*rules, "(rate is None or rate.rate_date <= order.issue_date)"])
    return parse_conditions(text, RECORDS, {}, "the fast path", {})


_EVENT: Projection = {
    "event_type": Given("OrderPlaced"),
    "topic": Given(ORDERS_CAPTURED),
    "captured_at": Copy("event.captured_at"),
    "state": Whole(0),
}
