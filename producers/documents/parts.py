"""A line that is to be delivered in parts: kept where a line can say it, asked of a person where it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from producers.documents.order import ReadLine
from producers.documents.reasons import Reason


@dataclass(slots=True)
class Part:
    """How much of a line is to be delivered when and where."""

    place: str
    quantity: Decimal | None = None
    day: date | None = None
    receiver: str | None = None


def settle(line: ReadLine, parts: Sequence[Part], receivers: Sequence[str], rule: str) -> Reason | None:
    """Put what all parts agree on into their line; gives the question that is left.

    `receivers` are the codes of the order's own place of delivery. One part, or parts for one day, are a line's date;
    a line without quantity has that of its parts.
    """
    if not parts:
        return None
    quantities = [part.quantity for part in parts if part.quantity is not None]
    total = sum(quantities, Decimal(0))
    if line.quantity is None and len(quantities) == len(parts):
        line.quantity = total
    days = {part.day for part in parts}
    elsewhere = {part.receiver for part in parts} - {None, *receivers}
    if len(days) == 1:
        line.delivery_date = days.pop() or line.delivery_date
        days.add(line.delivery_date)
    if len(days) == 1 and not elsewhere and (not quantities or total == line.quantity):
        return None
    told = ", ".join(_told(part) for part in parts[:5]) + (", ..." if len(parts) > 5 else "")
    return Reason(rule, f"line {line.line_id} of {line.quantity} is asked for in parts: {told}", parts[0].place)


def _told(part: Part) -> str:
    words = [
        "all" if part.quantity is None else f"{part.quantity:f}",
        f"to {part.receiver}" if part.receiver else "",
        f"on {part.day}" if part.day else "",
    ]
    return " ".join(word for word in words if word)
