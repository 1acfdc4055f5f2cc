"""How a row of a rule's table is written, and how it is judged: through the processor, from bytes to bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.models import CapturedEvent, OrderLine, OrderState, Rejection, SalesOrder
from schemas.topics import CUSTOMERS, PRODUCTS
from streams.rules.catalogue import Severity
from streams.rules.ruleset import declared_rules
from tests.unit.order_lives import TWO_LINES, Life, line, order
from tests.unit.order_lives import customer as sound_customer
from tests.unit.order_lives import product as sound_product
from tests.unit.processing_desk import Desk, known_master

Story = Callable[[Life], list[CapturedEvent]]
"""All events of a life; the last one is judged."""


@dataclass(frozen=True, slots=True)
class RuleCase:
    """One row: a life whose last event violates the rule, and one that just does not."""

    code: str
    what: str
    violating: Story
    passing: Story
    also: frozenset[str] = frozenset()
    """Other rules that the same fault cannot help violating."""
    prepare: Callable[[Desk], None] = lambda desk: None

    def __str__(self) -> str:
        return f"{self.code}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the last event."""

    violated: frozenset[str]
    warned: frozenset[str]
    rejections: list[Rejection]
    state: OrderState | None


def verdict(story: Story, prepare: Callable[[Desk], None]) -> Verdict:
    """Let the processor take all events of a life."""
    desk = Desk(master=known_master())
    prepare(desk)
    *before, judged = story(Life())
    desk.take(*before)
    assert desk.rejections() == [], "what leads to the judged event must be sound"
    desk.take(judged)
    state = desk.state()
    rejections = desk.rejections()
    return Verdict(
        frozenset(violation.rule for rejection in rejections for violation in rejection.violations),
        frozenset(warning.rule for warning in state.warnings) if state is not None else frozenset(),
        rejections,
        state,
    )


def assert_row(case: RuleCase) -> None:
    """The violating life is refused (or warned of) for that rule, the other one is accepted without it."""
    violating, passing = verdict(case.violating, case.prepare), verdict(case.passing, case.prepare)
    expected = {case.code} | case.also
    if declared_rules()[case.code].severity is Severity.ERROR:
        assert violating.violated == expected
        assert len(violating.rejections) == 1
    else:
        assert violating.rejections == []
        assert violating.warned >= expected
    assert passing.rejections == []
    assert case.code not in passing.warned
    assert passing.state is not None


def knowing(customer: dict[str, Any] | None = None, product: dict[str, Any] | None = None) -> Callable[[Desk], None]:
    """Master data in which customer C1 and product P1 differ as named."""

    def prepare(desk: Desk) -> None:
        desk.master.put(CUSTOMERS, sound_customer().model_copy(update=customer or {}))
        desk.master.put(PRODUCTS, sound_product().model_copy(update=product or {}))

    return prepare


def only(facts: SalesOrder) -> Story:
    """A life that begins with these facts."""
    return lambda life: [life.ordered(facts)]


def changed(**facts: Any) -> SalesOrder:
    """A sound order but for what is named."""
    return order().model_copy(update=facts)


def with_line(**facts: Any) -> SalesOrder:
    """An order whose first line differs, with totals that fit its amounts."""
    first = line(TWO_LINES[0]).model_copy(update=facts)
    return totalled([first, line(TWO_LINES[1])])


def totalled(lines: list[OrderLine], **facts: Any) -> SalesOrder:
    """An order of these lines, with totals that fit."""
    net = sum((item.line_extension_amount for item in lines), Decimal(0))
    tax = sum((item.tax_amount for item in lines), Decimal(0))
    totals = {
        "order_lines": lines,
        "line_extension_amount": net,
        "tax_exclusive_amount": net,
        "tax_amount": tax,
        "payable_amount": net + tax,
    }
    return changed(**(totals | facts))
