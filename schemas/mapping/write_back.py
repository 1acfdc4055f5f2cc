"""`[write_back]` of a mapping file: the columns of the source's own records that tell how an order stands elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.errors import ConfigurationError
from schemas.mapping.tables import TableMapping

FIELDS: Final = {
    "order_id": "identity of the order in every system: its number in the ERP",
    "status": "accepted, waiting, refused or differs",
    "message": "why it was refused, what it waits for, what differs, or what rules warn of",
    "version": "the newest accepted version: 1, 2, 3 ...",
    "order_status": "placed, confirmed, completed, cancelled or deleted",
    "fulfilment_status": "unfulfilled, partially_fulfilled, fulfilled or returned",
    "billing_status": "unbilled, partially_billed, billed or credited",
    "payment_status": "unpaid, partially_paid, paid, overpaid or refunded",
    "processed_at": "when that version was made",
}
"""What can be told, by name."""


@dataclass(frozen=True, slots=True)
class WriteBack:
    """Whose columns are written, and with what: `columns` is column to field."""

    table: TableMapping
    columns: Mapping[str, str]

    @property
    def key(self) -> str:
        """The column with the order's number."""
        return self.table.key[0]

    def check(self, captured: frozenset[str], where: str) -> None:
        """That ordersync would own these columns alone.

        Raises:
            ConfigurationError: a column is captured, a field is unknown, or the table cannot be the orders'.
        """
        if self.table.is_virtual or self.table.parent is not None or len(self.table.key) != 1:
            raise ConfigurationError(
                f"{where} table {self.table.alias!r} has to be a table without parent whose one key column holds the "
                "order's number"
            )
        if unknown := sorted(set(self.columns.values()) - set(FIELDS)):
            raise ConfigurationError(f"{where} there is no {', '.join(unknown)}; there are {', '.join(FIELDS)}")
        if owned := sorted(captured & set(self.columns)):
            raise ConfigurationError(
                f"{where} {', '.join(owned)} is captured, so the source owns it; write to columns of ordersync's own"
            )
