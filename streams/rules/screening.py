"""A quick look that most orders pass, so that the rules need to be asked only about the others.

Each rule about commercial facts says beside its check when an order is plain; here these conditions are put together,
for Python and for the fast path. `tests/unit/test_rules_screening.py` holds them to the rules on random orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache

from schemas.codec.fastpath.compiler import NodeCompiler, Scope
from schemas.codec.fastpath.slots import slots_of
from schemas.conditions import Condition, Predicate, Vocabulary, compile_predicate, parse_conditions
from schemas.currencies import currency_exponents
from schemas.models import Customer, FxRate, OrderCaptured, OrderLine, Product
from streams.rules import vocabulary as words
from streams.rules.catalogue import Parameters, Rule
from streams.rules.codes import country_codes, unit_codes
from streams.rules.facts import Candidate, Section

RECORDS = ("event", "order", "line", "customer", "product", "rate", "previous", "fulfilment", "settlement")
"""What conditions may speak of; `line` and `product` stand for each line of the order and its product, `rate` is None
where the order is in the functional currency."""
ITEMS = ("line", "product")
ABSENT = frozenset({"previous", "fulfilment", "settlement"})
"""What is None for a new order."""
OPTIONAL = frozenset({"rate"})

ClearsCustomer = Callable[[Customer], bool]


@dataclass(frozen=True, slots=True)
class Screening:
    """The conditions of all rules about commercial facts; without any (None) every order is checked by the rules."""

    conditions: tuple[Condition, ...]
    vocabulary: Vocabulary
    predicate: Predicate | None
    clearances: tuple[ClearsCustomer, ...] = ()

    def clears_customer(self, customer: Customer) -> bool:
        """Whether no rule has anything to say about this customer by itself."""
        return all(clears(customer) for clears in self.clearances)

    def split(self) -> SplitScreening:
        """The same for new orders, with what speaks of a customer or product alone apart: it is asked once of each."""
        apart = {name: [one for one in self.conditions if one.names - ABSENT == {name}] for name in _ALONE}
        rest = tuple(one for one in self.conditions if all(one not in alone for alone in apart.values()))
        predicates = {
            name: compile_predicate(alone, (_NOBODY, name, *sorted(ABSENT)), (_NOBODY,), self.vocabulary)
            for name, alone in apart.items()
        }
        nothing = [None] * len(ABSENT)
        of_customer, of_product = predicates["customer"], predicates["product"]
        return SplitScreening(
            rest,
            lambda customer: of_customer([], customer, *nothing) and self.clears_customer(customer),
            lambda product: of_product([], product, *nothing),
        )

    def is_plain(self, candidate: Candidate) -> bool:
        """Whether no rule has anything to say about this change of the commercial facts; False says nothing."""
        order, customer = candidate.order, candidate.customer
        if self.predicate is None or order is None or candidate.is_deleted or customer is None:
            return False
        if candidate.exchange_rate is None or not self.clears_customer(customer):
            return False
        products = {product.product_id: product for product in candidate.products}
        return self.predicate(
            candidate.event,
            order,
            order.order_lines,
            customer,
            [products.get(line.product_id) for line in order.order_lines],
            candidate.rate,
            candidate.previous,
            candidate.fulfilment,
            candidate.settlement,
        )


_ALONE = ("customer", "product")
_NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class SplitScreening:
    """Screening of new orders: the conditions left over where customer and products were cleared by themselves."""

    conditions: tuple[Condition, ...]
    clears_customer: ClearsCustomer
    clears_product: Callable[[Product], bool]


NOTHING_PLAIN = Screening((), {}, None)
"""Has every order checked by the rules."""


@cache
def vocabulary() -> Vocabulary:
    """The words that conditions of rules have."""
    return {
        "STATUSES": dict.fromkeys(words.STATUSES, 0),
        "CURRENCIES": currency_exponents(),
        "UNITS": dict.fromkeys(unit_codes(), 0),
        "COUNTED": dict.fromkeys(words.COUNTED_UNITS, 0),
        "COUNTRIES": dict.fromkeys(country_codes(), 0),
        "TAX_CATEGORIES": dict.fromkeys(words.TAX_CATEGORIES, 0),
        "UNTAXED": dict.fromkeys(words.UNTAXED_CATEGORIES, 0),
        "TAXED": dict.fromkeys(words.TAXED_CATEGORIES, 0),
        "NOTHING": {},
    }


def conditions_of(text: str, parameters: Parameters, where: str) -> list[Condition]:
    """The conditions of a rule, its parameters put in their places.

    Raises:
        ConfigurationError: not in the language, or the records have no such attribute; names `where`.
    """
    constants = {name.upper(): value for name, value in parameters.items()}
    return parse_conditions(text, RECORDS, vocabulary(), where, constants)


def check_fit(conditions: Iterable[Condition]) -> None:
    """Whether what conditions compare is there and of one kind; asked about conditions that tenants write.

    Raises:
        ConfigurationError: it is not; names the condition.
    """
    event = slots_of(OrderCaptured, frozenset({"order"}))
    scopes = {"event": Scope(0, event), "order": Scope(0, event, "order"), "line": Scope(1, slots_of(OrderLine))}
    looked_up = {"customer": Customer, "product": Product, "rate": FxRate}
    scopes |= {name: Scope(2 + number, slots_of(model)) for number, (name, model) in enumerate(looked_up.items())}
    NodeCompiler(scopes, "line", ABSENT, OPTIONAL, vocabulary()).compile(conditions, frozenset(ITEMS))


def screening_of(
    rules: Iterable[tuple[Rule, Parameters]], valid_from: date | None = None, valid_until: date | None = None
) -> Screening:
    """Put together the conditions of `rules`, which judge what is committed from one day until another.

    Raises:
        ConfigurationError: a rule's condition is not in the language; names the rule.
    """
    conditions: list[Condition] = []
    clearances: list[ClearsCustomer] = []
    if valid_from is not None:
        text = f"midnight(day('{valid_from}')) <= event.committed_at"
        conditions += parse_conditions(text, RECORDS, {}, "valid_from")
    if valid_until is not None:
        text = f"event.committed_at < midnight(day('{valid_until}'))"
        conditions += parse_conditions(text, RECORDS, {}, "valid_until")
    for rule, parameters in rules:
        if Section.ORDER not in rule.sections:
            continue
        if rule.plain is None and rule.clears_customer is None:
            return NOTHING_PLAIN
        if rule.plain is not None:
            conditions += conditions_of(rule.plain, parameters, f"rule {rule.code}")
        if rule.clears_customer is not None:
            clearances.append(_bound(rule.clears_customer, parameters))
    # What two rules both say is looked at once.
    distinct = tuple({condition.text: condition for condition in conditions}.values())
    predicate = compile_predicate(distinct, RECORDS, ITEMS, vocabulary())
    return Screening(distinct, vocabulary(), predicate, tuple(clearances))


def _bound(clears: Callable[[Customer, Parameters], bool], parameters: Parameters) -> ClearsCustomer:
    return lambda customer: clears(customer, parameters)
