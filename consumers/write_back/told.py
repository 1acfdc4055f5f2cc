"""What the topics say of an order, as rows of the tables beside its record; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from consumers.postgres.bulk import Table
from schemas.models import Mismatch, OrderState, ParkedOrder, Rejection

Row = tuple[Any, ...]

VERSION: Final = Table(
    "ordersync_version",
    ("order_number",),
    (
        "version",
        *("order_status", "fulfilment_status", "billing_status", "payment_status"),
        *("warnings", "processed_at"),
    ),
)
WAITING: Final = Table("ordersync_waiting", ("order_number",), ("awaits", "parked_at"))
REFUSAL: Final = Table("ordersync_refusal", ("order_number",), ("rejection_id", "stage", "violations", "rejected_at"))
DIFFERENCE: Final = Table("ordersync_difference", ("mismatch_id",), ("order_number", "difference"))
TABLES: Final = (VERSION, WAITING, REFUSAL, DIFFERENCE)
WRITE_BACK_TABLES: Final = (*(table.name for table in TABLES), "ordersync_order", "sink_position")
"""All that the sink keeps beside the records."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A tombstone: the order with this key waits no more, or this difference has healed."""

    table: Table
    key: str


@dataclass(slots=True)
class Told:
    """The rows of a batch, the last of each key; what ended has nothing but its key."""

    system: str | None
    """Whose orders they are; None where all are told under their order_id."""
    rows: dict[Table, dict[str, Row]] = field(default_factory=lambda: {table: {} for table in TABLES})

    def number(self, order_id: str) -> str:
        """The order's number in the system."""
        return order_id if self.system is None else order_id.removeprefix(f"{self.system}:")

    def take(self, values: Iterable[OrderState | ParkedOrder | Rejection | Mismatch | Ended]) -> None:
        """In the order of their offsets."""
        for value in values:
            match value:
                case OrderState():
                    self._take_state(value)
                case ParkedOrder():
                    awaits = ", ".join(f"{one.key} of {one.topic}" for one in value.awaits)
                    self._put(
                        WAITING, self.number(value.order_id), f"waits for {awaits or 'its source'}", value.parked_at
                    )
                case Rejection():
                    self._take_rejection(value)
                case Mismatch():
                    number = self.number(value.order_id)
                    self._put(DIFFERENCE, value.mismatch_id, number, _difference(value))
                case Ended():
                    key = self.number(value.key) if value.table is WAITING else value.key
                    self._put(value.table, key, None, None)

    def _take_state(self, state: OrderState) -> None:
        number = self.number(state.order_id)
        held = self.rows[VERSION].get(number)
        if held is None or held[1] < state.version:
            axes = (state.order_status, state.fulfilment_status, state.billing_status, state.payment_status)
            warnings = "; ".join(f"{one.rule}: {one.message}" for one in state.warnings) or None
            self._put(VERSION, number, state.version, *axes, warnings, state.processed_at)

    def _take_rejection(self, rejection: Rejection) -> None:
        if rejection.order_id is None:
            return
        number = self.number(rejection.order_id)
        held = self.rows[REFUSAL].get(number)
        if held is None or held[4] <= rejection.rejected_at:
            violations = "; ".join(f"{one.rule}: {one.message}" for one in rejection.violations)
            self._put(
                REFUSAL, number, rejection.rejection_id, rejection.stage, violations or "refused", rejection.rejected_at
            )

    def _put(self, table: Table, key: str, *values: Any) -> None:
        self.rows[table][key] = (key, *values)


def _difference(mismatch: Mismatch) -> str:
    where = f"{mismatch.system}: {mismatch.field or 'the order'} {mismatch.kind}"
    return f"{where}, {mismatch.expected} in {mismatch.reference}" if mismatch.expected is not None else where
