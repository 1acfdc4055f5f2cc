"""A quick look that most orders pass, so that the rules need to be asked only about the others.

Each rule about commercial facts says beside its check when an order is plain; here these conditions are put together,
for Python and for the fast path. `tests/unit/test_rules_screening.py` holds them to the rules on random orders.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.conditions import Condition, Predicate, Vocabulary, compile_predicate, parse_conditions
from schemas.currencies import currency_exponents
from streams.rules.catalogue import Rule
from streams.rules.commercial import STATUSES
from streams.rules.facts import Candidate, Section

RECORDS = ("event", "order", "line", "customer", "product", "previous", "fulfilment", "settlement")
"""What conditions may speak of; `line` and `product` stand for each line of the order and its product."""
_ITEMS = ("line", "product")


@dataclass(frozen=True, slots=True)
class Screening:
    """The conditions of all rules about commercial facts; without any (None) every order is checked by the rules."""

    conditions: tuple[Condition, ...]
    vocabulary: Vocabulary
    predicate: Predicate | None

    def is_plain(self, candidate: Candidate) -> bool:
        """Whether no rule has anything to say about this change of the commercial facts; False says nothing."""
        order = candidate.order
        if self.predicate is None or order is None or candidate.is_deleted:
            return False
        products = {product.product_id: product for product in candidate.products}
        return self.predicate(
            candidate.event,
            order,
            order.order_lines,
            candidate.customer,
            [products.get(line.product_id) for line in order.order_lines],
            candidate.previous,
            candidate.fulfilment,
            candidate.settlement,
        )


def screening_of(rules: Iterable[Rule]) -> Screening:
    """Put together the conditions of `rules`; called once for each set of rules.

    Raises:
        ConfigurationError: a rule's condition is not in the language; names the rule.
    """
    vocabulary = {"STATUSES": dict.fromkeys(STATUSES, 0), "CURRENCIES": currency_exponents()}
    conditions: list[Condition] = []
    for rule in rules:
        if Section.ORDER not in rule.sections:
            continue
        if rule.plain is None:
            return Screening((), vocabulary, None)
        conditions += parse_conditions(rule.plain, RECORDS, vocabulary, f"rule {rule.code}")
    # What two rules both say is looked at once.
    distinct = tuple({condition.text: condition for condition in conditions}.values())
    return Screening(distinct, vocabulary, compile_predicate(distinct, RECORDS, _ITEMS, vocabulary))
