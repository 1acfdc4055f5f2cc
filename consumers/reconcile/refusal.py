"""Why an order's latest facts did not arrive: a refused event, and whether it still stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.reconcile.attributes import Attributes
from consumers.reconcile.facts import OWNED
from consumers.reconcile.fingerprint import Section
from schemas.models import OrderState


@dataclass(frozen=True, slots=True)
class RefusedFacts:
    """An event of a source that was refused.

    `section` None stands for any section that a source owns (a row that never became an event); `position` is that in
    the source's log.
    """

    section: Section | None
    position: int

    def explains(self, section: Section, state: OrderState | None) -> bool:
        """Whether a section of the state differs from its source because of this: nothing newer was accepted since."""
        applies = section in OWNED if self.section is None else self.section is section
        return applies and self.position > _accepted_position(section, state)


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A version of the order that the ERP refused."""

    version: int

    def explains(self, state: OrderState | None, erp: Attributes | None) -> bool:
        """Whether the ERP differs because of this: it is the latest version, and the ERP does not hold it."""
        held = int((erp or {}).get("version", 0))
        return state is not None and held < self.version == state.version


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """A journal entry that the ledger refused; it explains a difference as long as the ledger lacks it."""

    entry_id: str


Refused = RefusedFacts | RefusedVersion | RefusedEntry


def _accepted_position(section: Section, state: OrderState | None) -> int:
    if state is None:
        return -1
    positions = {
        Section.ORDER: state.order_source,
        Section.FULFILMENT: state.fulfilment_source,
        Section.SETTLEMENT: state.settlement_source,
    }
    position = positions[section]
    return -1 if position is None else position.position
