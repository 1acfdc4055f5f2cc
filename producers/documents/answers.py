"""What a vendor's document says: a confirmation, a dispatch advice or a stock report, before anything is looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum

from producers.documents.reasons import Findings


class AnswerKind(Enum):
    """What a vendor tells."""

    CONFIRMATION = "confirmation"
    DESPATCH = "despatch"
    STOCK = "stock"


@dataclass(slots=True)
class ReadAnswerLine:
    """One line, with its place for people."""

    place: str
    line_id: str | None = None
    """Number of the order line; without one the product says which it is."""
    order_number: str | None = None
    """Where the line names another order than the document."""
    buyer_code: str | None = None
    """Our number of the product."""
    vendor_code: str | None = None
    status: str | None = None
    """accepted, changed or rejected; None where only the whole document says."""
    quantity: Decimal | None = None
    unit_code: str | None = None
    promised_date: date | None = None
    reason: str | None = None


@dataclass(slots=True)
class ReadAnswer:
    """One message."""

    kind: AnswerKind
    format: str
    place: str
    senders: list[str] = field(default_factory=list)
    """Identifications of the sender, as envelope or party say them."""
    message_id: str | None = None
    issued_at: datetime | None = None
    order_number: str | None = None
    status: str | None = None
    """Of a confirmation: what is said of the whole order."""
    reason: str | None = None
    despatch_id: str | None = None
    shipped_at: datetime | None = None
    carrier: str | None = None
    tracking_id: str | None = None
    is_withdrawn: bool = False
    is_test: bool = False
    is_mere_receipt: bool = False
    """It only says that the message came: nothing is answered."""
    lines: list[ReadAnswerLine] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def moment_of(day: date | None, clock: str | None, findings: Findings, rule: str, place: str) -> datetime | None:
    """Day and time of day, in UTC where no zone is said; the beginning of the day without a time."""
    if day is None:
        return None
    if not clock:
        return datetime.combine(day, time(), UTC)
    try:
        said = time.fromisoformat(clock) if ":" in clock else _digits(clock)
    except ValueError:
        findings.add(rule, f"{clock[:40]!r} is no time of day", place)
        return None
    at = datetime.combine(day, said if said.tzinfo is not None else said.replace(tzinfo=UTC))
    if not 2000 <= day.year <= 2999:
        findings.add(rule, f"{day} is not of this age", place)
        return None
    return at.astimezone(UTC)


def _digits(clock: str) -> time:
    if not clock.isascii() or not clock.isdigit() or len(clock) not in (4, 6):
        raise ValueError("HHMM or HHMMSS")
    return time(int(clock[:2]), int(clock[2:4]), int(clock[4:6] or 0))
