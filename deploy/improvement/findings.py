"""What went wrong with one order at one time, and the causes that such findings are counted by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from schemas.models import SalesOrder


class Kind(StrEnum):
    """What sort of thing went wrong."""

    REJECTION = "rejection"
    MISMATCH = "mismatch"
    DELAY = "delay"


class Cause(NamedTuple):
    """What is mended or not: a rule at a source, a way in which systems come to differ, a part of the way that is slow.

    `name` is the rule, the probable cause of the difference, or the part of the way: capture or streams.
    `system` is the one that differs; empty where events were refused or late.
    """

    kind: Kind
    name: str
    source: str
    system: str = ""


class Money(NamedTuple):
    """An amount of a document, in its currency."""

    amount: Decimal
    currency_code: str


def worth_of(order: SalesOrder | None) -> Money | None:
    """What an order comes to; None where its commercial facts are not known."""
    return None if order is None else Money(abs(order.payable_amount), order.document_currency_code)


@dataclass(frozen=True, slots=True)
class Finding:
    """One refused event, one difference from its detection to its healing, or one late version."""

    cause: Cause
    order_id: str
    at: datetime
    money: Money | None = None
    healed_at: datetime | None = None
    is_open: bool = False
    """Of a difference: whether it stands."""


@dataclass(frozen=True, slots=True)
class TimedVersion:
    """How long one version took: committed in its source, captured, made by the streams."""

    source: str
    order_id: str
    committed_at: datetime
    captured_at: datetime
    processed_at: datetime
    money: Money | None = None

    @property
    def seconds(self) -> float:
        """From the source's commit to the version; clocks of two machines may make it less than nothing: then 0."""
        return max((self.processed_at - self.committed_at).total_seconds(), 0.0)

    @property
    def slowest_part(self) -> str:
        """Where most of the time went. Waiting for master data is waiting in the streams."""
        in_capture = self.captured_at - self.committed_at
        return "capture" if in_capture > self.processed_at - self.captured_at else "streams"
