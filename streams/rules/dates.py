"""Rules about days: when an order was placed, and when its goods are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from streams.rules.catalogue import Finding, Parameter, Parameters, RuleDeclarations, Severity
from streams.rules.facts import Candidate, Section
from streams.rules.quantities import as_text

DECLARED = RuleDeclarations()
rule = DECLARED.rule


@rule(
    "order.delivery_date",
    Section.ORDER,
    source="I3",
    owner="crm",
    severity=Severity.WARNING,
    plain="order.requested_delivery_date is None or order.requested_delivery_date >= order.issue_date",
)
def delivery_date(candidate: Candidate) -> Iterator[Finding]:
    """Nothing is requested for a day before the order."""
    order = candidate.order
    if order is not None and order.requested_delivery_date and order.requested_delivery_date < order.issue_date:
        yield Finding(
            f"requested for {order.requested_delivery_date}, ordered on {order.issue_date}", "requested_delivery_date"
        )


@rule(
    "line.delivery_date",
    Section.ORDER,
    source="I3",
    owner="crm",
    severity=Severity.WARNING,
    plain="line.requested_delivery_date is None or line.requested_delivery_date >= order.issue_date",
)
def line_delivery_date(candidate: Candidate) -> Iterator[Finding]:
    """No line is requested for a day before the order."""
    order = candidate.order
    for line in order.order_lines if order is not None else ():
        if order is not None and line.requested_delivery_date and line.requested_delivery_date < order.issue_date:
            yield Finding(
                f"line {line.line_id} requested for {line.requested_delivery_date}, ordered on {order.issue_date}",
                "order_lines.requested_delivery_date",
            )


@rule(
    "order.delivery_horizon",
    Section.ORDER,
    source="I3",
    owner="crm",
    severity=Severity.WARNING,
    parameters={"most_days": Parameter(Decimal(730), "Days from order to the latest day that is believed")},
    plain=(
        "order.requested_delivery_date is None or order.requested_delivery_date <= later(order.issue_date, MOST_DAYS)"
    ),
)
def delivery_horizon(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """Nothing is requested for years ahead."""
    order, most = candidate.order, parameters.number("most_days")
    if order is None or order.requested_delivery_date is None:
        return
    if (order.requested_delivery_date - order.issue_date).days > most:
        yield Finding(
            f"requested for {order.requested_delivery_date}, more than {as_text(most)} days after {order.issue_date}",
            "requested_delivery_date",
        )


@rule(
    "order.issued_in_future",
    Section.ORDER,
    source="I3",
    owner="crm",
    severity=Severity.WARNING,
    # The day of the order is local: nowhere is it later than a day ahead of UTC.
    plain="midnight(later(order.issue_date, -1)) <= event.committed_at",
)
def issued_in_future(candidate: Candidate) -> Iterator[Finding]:
    """The date of an order is not after the day on which it was entered."""
    order, committed_on = candidate.order, candidate.event.committed_at.date()
    if order is not None and order.issue_date > committed_on + timedelta(days=1):
        yield Finding(f"dated {order.issue_date}, entered on {committed_on}", "issue_date")


@rule(
    "order.issued_long_ago",
    Section.ORDER,
    source="I3",
    owner="crm",
    severity=Severity.WARNING,
    parameters={"most_days": Parameter(Decimal(365), "Days from an order's date to its entry that are believed")},
    plain=(
        "previous is not None or event.operation == 'snapshot'"
        " or event.committed_at < midnight(later(order.issue_date, MOST_DAYS))"
    ),
)
def issued_long_ago(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """New orders are not dated long before they were entered; a snapshot brings old ones rightly."""
    order, most = candidate.order, parameters.number("most_days")
    if order is None or candidate.previous is not None or candidate.event.operation == "snapshot":
        return
    committed_on = candidate.event.committed_at.date()
    if (committed_on - order.issue_date).days > most:
        yield Finding(f"dated {order.issue_date}, entered on {committed_on}", "issue_date")
