"""An order's whole life on one time line: everything that happened to it in any system, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from deploy.console.differences import Difference, differences
from deploy.order_history import CapturedFact, OrderHistory, Origin, ParkedPeriod, Version
from producers.sightings import SEEING
from schemas.models import AuditEvent, JournalEntry, Rejection, VendorUpdate
from streams.rules.facts import Section

_BOOKS: Final = frozenset(
    {"standard_cost_amount", "margin_amount", "ledger_account_key", "customer_ledger_account_key"}
)
"""Attributes that only those who may see the books are shown."""
_SYSTEMS: Final = {
    Section.ORDER: "sales",
    Section.FULFILMENT: "fulfilment",
    Section.SETTLEMENT: "finance",
    Section.ANSWERS: "vendor",
}


class Kind(StrEnum):
    """What sort of thing happened; also the class that gives it its colour."""

    VERSION = "version"
    REFUSED = "refused"
    PARKED = "parked"
    CAPTURED = "captured"
    DEED = "deed"
    VENDOR = "vendor"


@dataclass(frozen=True, slots=True)
class Journal:
    """One journal entry with its lines."""

    entry: JournalEntry

    @property
    def rows(self) -> list[tuple[str, Any, Any]]:
        """Account, debit and credit."""
        return [(line.account_code, line.debit_amount or None, line.credit_amount or None) for line in self.entry.lines]


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of the time line; of `version` to `vendor` exactly one is set."""

    at: datetime
    kind: Kind
    title: str
    system: str
    version: Version | None = None
    letter: Rejection | None = None
    waited: ParkedPeriod | None = None
    fact: tuple[CapturedFact, str] | None = None
    deed: AuditEvent | None = None
    vendor: VendorUpdate | None = None
    changes: Sequence[Difference] = ()
    origins: Sequence[Origin] = ()
    journals: Sequence[Journal] = ()

    @property
    def number(self) -> int:
        """Of a version, which orders those of one moment; 0 of anything else."""
        return 0 if self.version is None else self.version.state.version


def time_line(history: OrderHistory, *, with_books: bool) -> list[Told]:
    """What the topics tell of the order, newest first."""
    told = [
        *_versions(history, with_books),
        *(
            Told(letter.rejected_at, Kind.REFUSED, "Refused", letter.stage, letter=letter)
            for letter in history.rejections
        ),
        *(
            Told(
                period.parked_at,
                Kind.PARKED,
                "Waits" if period.until is None else "Waited",
                "streams",
                waited=period,
            )
            for period in history.parked
        ),
        *(
            Told(fact.record.written_at, Kind.CAPTURED, "Captured, without a version", _origin(fact), fact=(fact, fate))
            for fact, fate in history.without_version
        ),
        *(
            Told(deed.occurred_at, Kind.DEED, deed.action, deed.actor, deed=deed)
            for deed in history.audits
            if deed.action not in SEEING
        ),
        *(
            Told(
                one.record.written_at,
                Kind.VENDOR,
                f"Told: {one.update.update_type}",
                f"vendor {one.update.vendor_id}",
                vendor=one.update,
            )
            for one in history.vendor_updates
        ),
    ]
    return sorted(told, key=lambda one: (one.at, one.number), reverse=True)


def _versions(history: OrderHistory, with_books: bool) -> Iterator[Told]:
    for version in history.versions:
        yield Told(
            version.state.processed_at,
            Kind.VERSION,
            version.event.event_type,
            _SYSTEMS[version.rules.section],
            version=version,
            changes=differences(one for one in version.changes if with_books or not _is_of_books(one.path)),
            origins=[one if with_books else _without_books(one) for one in version.origins],
            journals=[Journal(entry) for entry in version.entries] if with_books else (),
        )


def _is_of_books(path: str) -> bool:
    return path.rpartition(".")[2] in _BOOKS


def _without_books(origin: Origin) -> Origin:
    kept = {name: value for name, value in origin.attributes.items() if name not in _BOOKS}
    return Origin(origin.topic, origin.key, origin.source, kept)


def _origin(fact: CapturedFact) -> str:
    return fact.record.topic if fact.event is None else fact.event.source.system
