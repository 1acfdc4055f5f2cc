"""The result of a reconciliation: for people as tables, for machines as JSON, for the shell as an exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from consumers.reconcile.attributes import text_of
from consumers.reconcile.comparison import DIFFERENT, EXTRA, INVARIANT, MISSING
from schemas.attributes import Instant
from schemas.masking import masked_mismatch
from schemas.models import Mismatch

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Total:
    """A control total: orders of one system in one currency and status."""

    system: str
    currency_code: str
    order_status: str
    orders: int
    payable_amount: Decimal


@dataclass(frozen=True, slots=True)
class Report:
    """What the systems say of each other.

    `parked` are all orders that wait, `rejected` those that differ because their latest facts were refused, and
    `on_the_way` those that still changed when the time was up. `rejections` are all dead letters.
    """

    started_at: Instant
    seconds: float
    orders: dict[str, int]
    mismatches: list[Mismatch]
    parked: list[str]
    rejected: list[str]
    on_the_way: list[str]
    rejections: int
    ledger_imbalance: dict[str, Decimal]
    functional_ledger_imbalance: dict[str, Decimal]
    totals: list[Total] = field(default_factory=list)
    explained: list[Mismatch] = field(default_factory=list)
    """The differences of `parked` and `rejected` orders, with their cause."""

    @property
    def agrees(self) -> bool:
        """Whether every system says the same of every order, and the ledger balances.

        Orders that wait or were refused are known by name elsewhere, and do not count against it.
        """
        balanced = not any(self.ledger_imbalance.values()) and not any(self.functional_ledger_imbalance.values())
        return balanced and not self.mismatches and not self.on_the_way

    @property
    def exit_code(self) -> int:
        """0 if all agree, else 1."""
        return 0 if self.agrees else 1

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Orders by system and kind of mismatch; an order counts once for each system."""
        kinds: dict[tuple[str, str], str] = {}
        for mismatch in self.mismatches:
            key = (mismatch.system, mismatch.order_id)
            kinds[key] = mismatch.kind if mismatch.kind != DIFFERENT else kinds.get(key, DIFFERENT)
        counted = Counter((system, kind) for (system, _), kind in kinds.items())
        systems = sorted({system for system, _ in counted})
        kinds_shown = (MISSING, EXTRA, DIFFERENT, *((INVARIANT,) if INVARIANT in kinds.values() else ()))
        return {system: {kind: counted[system, kind] for kind in kinds_shown} for system in systems}

    @property
    def mismatching_orders(self) -> int:
        """Orders with at least one mismatch in any system."""
        return len({mismatch.order_id for mismatch in self.mismatches})

    def as_json(self) -> dict[str, Any]:
        """Plain values; decimals as texts, so that no digit is lost."""
        return {
            "agrees": self.agrees,
            "started_at": text_of(self.started_at),
            "seconds": round(self.seconds, 3),
            "orders": self.orders,
            "mismatches": [one.model_dump(mode="json", exclude={"detected_at"}) for one in self.mismatches],
            "mismatching_orders": self.mismatching_orders,
            "counts": self.counts,
            "parked": self.parked,
            "rejected": self.rejected,
            "rejections": self.rejections,
            "on_the_way": self.on_the_way,
            "ledger_imbalance": _texts(self.ledger_imbalance),
            "functional_ledger_imbalance": _texts(self.functional_ledger_imbalance),
            "totals": [
                {
                    "system": total.system,
                    "currency_code": total.currency_code,
                    "order_status": total.order_status,
                    "orders": total.orders,
                    "payable_amount": text_of(total.payable_amount),
                }
                for total in self.totals
            ],
        }

    def show(self, console: Console) -> None:
        """Print it for people: totals, imbalances, then each differing order by id."""
        console.print(_totals_table(self))
        if self.mismatches:
            console.print(_mismatch_table(self))
            if len(self.mismatches) > _SHOWN:
                console.print(f"... and {len(self.mismatches) - _SHOWN} more; --json gives them all")
        for kind, imbalances in (("document", self.ledger_imbalance), ("functional", self.functional_ledger_imbalance)):
            for currency, amount in imbalances.items():
                if amount:
                    console.print(
                        f"[red]The ledger does not balance in {kind} currency: debits less credits are "
                        f"{amount:,.2f} {currency}[/]"
                    )
        console.print(self.summary())

    def summary(self) -> str:
        """One line."""
        known = f"{len(self.parked)} parked, {len(self.rejected)} rejected, {len(self.on_the_way)} on the way"
        verdict = "All systems agree" if self.agrees else f"{self.mismatching_orders} orders differ"
        systems = ", ".join(f"{system} {orders}" for system, orders in self.orders.items())
        return f"{verdict} ({systems} orders; {known}) in {self.seconds:.1f} s"


def _texts(amounts: dict[str, Decimal]) -> dict[str, str]:
    return {currency: text_of(amount) for currency, amount in amounts.items()}


def _totals_table(report: Report) -> Table:
    table = Table(title="Orders by currency and status")
    systems = list(dict.fromkeys(total.system for total in report.totals))
    table.add_column("Currency")
    table.add_column("Status")
    for system in systems:
        table.add_column(system, justify="right")
    cells = {(one.currency_code, one.order_status, one.system): one for one in report.totals}
    for currency, status in sorted({(one.currency_code, one.order_status) for one in report.totals}):
        found = [cells.get((currency, status, system)) for system in systems]
        table.add_row(currency, status, *(f"{one.orders} / {one.payable_amount:,.2f}" if one else "-" for one in found))
    return table


def _mismatch_table(report: Report) -> Table:
    table = Table(title="Mismatches")
    for name in ("Order", "System", "Kind", "Field", "Expected", "Actual", "Amount"):
        table.add_column(name, overflow="fold")
    for one in map(masked_mismatch, report.mismatches[:_SHOWN]):
        amount = "" if one.amount is None else f"{one.amount:,.2f} {one.currency_code or ''}"
        table.add_row(one.order_id, one.system, one.kind, one.field or "", one.expected or "", one.actual or "", amount)
    return table
