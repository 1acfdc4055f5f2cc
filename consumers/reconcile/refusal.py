"""Why an order's latest facts did not arrive: a refused event, and whether it still stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.reconcile.facts import OWNED
from consumers.reconcile.fingerprint import Section
from schemas.models import OrderState


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused event of one order: which section it would have changed, and how new it was.

    `section` None stands for any section that a source owns (a row that never became an event). `newness` is the
    position in the source's log, for the ERP the order's version; None for the ledger, which misses it for ever.
    """

    section: Section | None
    newness: int | None

    def explains(self, section: Section, state: OrderState | None) -> bool:
        """Whether a section differs because of this refusal: nothing newer has been accepted since."""
        applies = section in OWNED if self.section is None else self.section is section
        return applies and (self.newness is None or self.newness > _accepted(section, state))


def _accepted(section: Section, state: OrderState | None) -> int:
    """How new the accepted content of a section is; -1 where there is none."""
    if state is None:
        return -1
    if section is Section.ERP:
        # The refused version itself is what the ERP lacks.
        return state.version - 1
    positions = {
        Section.ORDER: state.order_source,
        Section.FULFILMENT: state.fulfilment_source,
        Section.SETTLEMENT: state.settlement_source,
    }
    position = positions.get(section)
    return -1 if position is None else position.position
