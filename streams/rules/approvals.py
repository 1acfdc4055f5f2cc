"""Rules about who may do what: approval of large orders, and segregation of duties."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from streams.rules.catalogue import Finding, Parameter, Parameters, RuleDeclarations
from streams.rules.facts import Candidate, Section
from streams.rules.quantities import as_text

DECLARED = RuleDeclarations()
rule = DECLARED.rule


@rule(
    "approval.required",
    Section.ORDER,
    source="S8",
    owner="finance",
    parameters={"limit_amount": Parameter(Decimal(1_000_000), "Most without approval, in the functional currency")},
    plain=(
        "order.approved_by is not None and order.approved_by != ''"
        " or rate is None and order.payable_amount <= LIMIT_AMOUNT"
        " or rate is not None and order.payable_amount * rate.rate <= LIMIT_AMOUNT"
    ),
)
def approval_required(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """Orders beyond a limit name who approved them."""
    order, rate, limit = candidate.order, candidate.exchange_rate, parameters.number("limit_amount")
    # Without a rate the order waits, and is looked at again.
    if order is None or rate is None or order.approved_by:
        return
    if order.payable_amount * rate > limit:
        yield Finding(
            f"{order.payable_amount} {order.document_currency_code} is beyond {as_text(limit)}; have it approved",
            "approved_by",
        )


@rule(
    "approval.segregation",
    Section.ORDER,
    source="S8",
    owner="finance",
    plain="order.approved_by is None or order.created_by is None or order.approved_by != order.created_by",
)
def segregation(candidate: Candidate) -> Iterator[Finding]:
    """Who entered an order does not approve it."""
    order = candidate.order
    if order is not None and order.approved_by is not None and order.approved_by == order.created_by:
        yield Finding("who entered the order approved it; another has to approve", "approved_by")


@rule(
    "approval.not_by_seller",
    Section.ORDER,
    source="S8",
    owner="finance",
    plain="order.approved_by is None or order.salesperson_id is None or order.approved_by != order.salesperson_id",
)
def not_by_seller(candidate: Candidate) -> Iterator[Finding]:
    """Who sold does not approve the sale."""
    order = candidate.order
    if order is not None and order.approved_by is not None and order.approved_by == order.salesperson_id:
        yield Finding("who sold the order approved it; another has to approve", "approved_by")
