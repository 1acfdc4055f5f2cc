"""What to mend first: causes by the money at stake and their number, each with what a person can do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from deploy.improvement.figures import CauseFigures, Improvement, Trend
from deploy.improvement.findings import Cause, Kind


@dataclass(frozen=True, slots=True)
class Ranked:
    """One cause at its place."""

    figures: CauseFigures
    trend: Trend

    @property
    def advice(self) -> str:
        """What to do, where."""
        return advice(self.figures.cause)


def ranked(improvement: Improvement, *kinds: Kind) -> list[Ranked]:
    """Causes of these kinds: what still happens before what is gone; then by money, by number, by name."""
    found = [
        Ranked(figures, improvement.trend(figures))
        for figures in improvement.causes.values()
        if figures.cause.kind in kinds
    ]
    return sorted(found, key=_place)


def all_ranked(improvement: Improvement) -> list[Ranked]:
    """What is wrong or missing, then what is late: the money of a late order is not lost."""
    return [*ranked(improvement, Kind.REJECTION, Kind.MISMATCH), *ranked(improvement, Kind.DELAY)]


def recommendations(improvement: Improvement) -> Iterator[str]:
    """At most two sentences: the rule or source to mend first, and the slowest source; nothing where all is well."""
    for kinds, start in (((Kind.REJECTION, Kind.MISMATCH), "Mend first"), ((Kind.DELAY,), "Speed up first")):
        first = next(iter(ranked(improvement, *kinds)), None)
        if first is not None and first.trend is not Trend.GONE:
            yield f"{start}: {told(first.figures.cause)} ({_size(first, improvement.currency_code)}). {first.advice}"


def told(cause: Cause) -> str:
    """A cause in words."""
    if cause.kind is Kind.REJECTION:
        return f"rule {cause.name} at source {cause.source}"
    if cause.kind is Kind.DELAY:
        return f"source {cause.source}, late in {'its capture' if cause.name == 'capture' else 'the streams'}"
    return f"{cause.name.replace('_', ' ')} in {cause.system}, of orders of {cause.source}"


def advice(cause: Cause) -> str:
    """What a person can do about a cause."""
    if cause.kind is Kind.REJECTION:
        is_of_ours = "." in cause.name
        how = f"rules explain {cause.name}" if is_of_ours else f"dead-letters list --rule {cause.name}"
        return f"Have {cause.source} check it before it saves{', or change the rule' * is_of_ours}: `ordersync {how}`."
    if cause.kind is Kind.DELAY:
        return _DELAYS[cause.name](cause)
    return _MISMATCHES.get(cause.name, _look_closer)(cause)


def _place(one: Ranked) -> tuple[bool, Decimal, int, Cause]:
    total = one.figures.total
    return one.trend is Trend.GONE, -total.amount, -(total.count + one.figures.open), one.figures.cause


def _size(one: Ranked, currency_code: str) -> str:
    total = one.figures.total
    if not total.count:
        return f"{one.figures.open:,} open from before these weeks"
    amount = f", {total.amount:,.2f} {currency_code} at stake" if total.amount else ""
    standing = f", {one.figures.open} open" if one.figures.open else ""
    orders = "1 order" if total.orders == 1 else f"{total.orders:,} orders"
    times = "once" if total.count == 1 else f"{total.count:,} times"
    return f"{times} in {orders}{amount}{standing}, {one.trend}"


def _look_closer(cause: Cause) -> str:
    return f"Look at single orders: `ordersync reconcile` names each field that {cause.system} has otherwise."


_MISMATCHES: Final[dict[str, Callable[[Cause], str]]] = {
    "manual_change": lambda cause: (
        f"Somebody changes orders in {cause.system} by hand; the mismatches name who. Have {cause.source} changed "
        "instead, or take the right to write away."
    ),
    "lost_event": lambda cause: (
        f"{cause.system} lacks what was committed: look at the log of the capture of {cause.source} and at its slot."
        if cause.system == "state"
        else f"{cause.system} went past versions: look at the log of its sink, and repair."
    ),
    "lag": lambda cause: f"The sink of {cause.system} does not keep up: look at its lag and its database.",
    "rejected_event": lambda cause: (
        f"Facts of {cause.source} are in the dead letters: `ordersync dead-letters list` has the rules."
    ),
    "missing_master_data": lambda cause: (
        f"Orders of {cause.source} come before their customer, product or rate: have master data entered first."
    ),
}
_DELAYS: Final[dict[str, Callable[[Cause], str]]] = {
    "capture": lambda cause: f"Look at the capture of {cause.source}: its slot, its database and long transactions.",
    "streams": lambda cause: (
        f"Orders of {cause.source} wait for master data (the page of parked orders names it), or for stream workers."
    ),
}
