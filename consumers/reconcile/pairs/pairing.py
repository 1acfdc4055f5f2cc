"""Brings the orders of two systems together and names what differs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import monotonic

from consumers.reconcile.comparison import DIFFERENT, EXTRA, MISSING
from consumers.reconcile.differing import currency_in, differing_attributes
from consumers.reconcile.pairs.result import ControlTotal, Difference, PairReport, TotalKey
from consumers.reconcile.pairs.sides import Side
from consumers.reconcile.pairs.spill import PORTIONS, Spill
from consumers.reconcile.pairs.terms import Heading, OrderImage, Terms, terms_of

UNREADABLE = "unreadable"
PAYABLE = "payable_amount"

_BALANCES = (Terms.LEDGER, Terms.LEDGER_FACTS, Terms.OPEN_ITEMS)


def compare_pair(
    left: Side, right: Side, heard: Callable[[Difference], None], scratch: Path | None = None
) -> PairReport:
    """Compare every order of two systems; `heard` is told of each difference.

    Called by `ordersync reconcile compare`. Each system is read once, in one snapshot of its own, to portions on the
    disk (in `scratch`, otherwise where temporary files go; removed at the end): memory does not grow with the orders.
    Changes nothing. Orders that are on their way between the two differ: at a cut-over nothing is. Source: S5, S7, D6.

    Raises:
        ConfigurationError: a system lacks what is read, or refuses.
        Transient: a system is away.
    """
    started_at, start, terms = datetime.now(UTC), monotonic(), terms_of(left.kind, right.kind)
    report = PairReport(left.label, right.label, terms.value, started_at)
    with tempfile.TemporaryDirectory(prefix="ordersync-compare-", dir=scratch) as directory:
        spills = Spill(Path(directory), "left"), Spill(Path(directory), "right")
        for spill, side in zip(spills, (left, right), strict=True):
            spill.write(side.pieces())
        for number in range(PORTIONS):
            ours, theirs = (spill.portion(number) for spill in spills)
            for order_id in sorted(ours.keys() | theirs.keys()):
                images = tuple(
                    side.image(portion[order_id], terms) if order_id in portion else None
                    for side, portion in ((left, ours), (right, theirs))
                )
                _take(report, order_id, images[0], images[1], terms, heard)
    report.seconds = monotonic() - start
    return report


def _take(
    report: PairReport,
    order_id: str,
    left: OrderImage | None,
    right: OrderImage | None,
    terms: Terms,
    heard: Callable[[Difference], None],
) -> None:
    report.left_orders += left is not None
    report.right_orders += right is not None
    for key, amount, is_left in control_entries(left, right, terms):
        total = report.totals.setdefault(key, ControlTotal())
        if is_left:
            total.left_orders += 1
            total.left_amount += amount
        else:
            total.right_orders += 1
            total.right_amount += amount
    found = list(differences_of(order_id, left, right))
    report.differing_orders += bool(found)
    for difference in found:
        report.add(difference)
        heard(difference)


def control_entries(
    left: OrderImage | None, right: OrderImage | None, terms: Terms
) -> Iterator[tuple[TotalKey, Decimal, bool]]:
    """What one order adds to the control totals, and whether on the left.

    The ledger knows neither date nor status of an order: its balances stand under those that the other system gives.
    """
    for image, other, is_left in ((left, right, True), (right, left, False)):
        if image is None:
            continue
        if terms not in _BALANCES:
            if (own := image.heading) is not None:
                yield TotalKey(own.period, own.currency_code, own.order_status, PAYABLE), own.payable_amount, is_left
            continue
        heading = image.heading or (other.heading if other is not None else None)
        for path, text in image.attributes.items():
            period, status = ("", "") if heading is None else (heading.period, heading.order_status)
            measure = path.partition("[")[0]
            yield TotalKey(period, currency_in(path) or "", status, measure), Decimal(text), is_left


def differences_of(order_id: str, left: OrderImage | None, right: OrderImage | None) -> Iterator[Difference]:
    """All differences of one order; a missing or extra order is one, worth all of it."""
    heading = next((one.heading for one in (left, right) if one is not None and one.heading is not None), None)
    if left is None or right is None:
        only = left or right
        if only is not None:
            amount, currency = _worth(only, heading)
            told = only.unreadable or f"{len(only.attributes)} attributes"
            kind, ours, theirs = (EXTRA, None, told) if left is None else (MISSING, told, None)
            yield Difference(order_id, kind, None, ours, theirs, amount, currency)
        return
    if left.unreadable or right.unreadable:
        amount, currency = (None, None) if heading is None else (heading.payable_amount, heading.currency_code)
        yield Difference(order_id, UNREADABLE, None, left.unreadable, right.unreadable, amount, currency)
        return
    if left.attributes == right.attributes:
        return
    for path, ours, theirs, stake in differing_attributes(left.attributes, right.attributes):
        currency = currency_in(path) or (heading.currency_code if heading is not None else None)
        yield Difference(order_id, DIFFERENT, path, ours, theirs, stake, currency if stake is not None else None)


def _worth(image: OrderImage, heading: Heading | None) -> tuple[Decimal | None, str | None]:
    """The order's payable amount, or the largest of the ledger's balances."""
    if heading is not None:
        return heading.payable_amount, heading.currency_code
    balances = [
        (abs(Decimal(text)), currency)
        for path, text in image.attributes.items()
        if (currency := currency_in(path)) is not None
    ]
    return max(balances, default=(None, None), key=lambda one: one[0])
