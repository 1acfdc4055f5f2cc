"""What a demonstration found: one line of JSON for machines, a report for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from consumers.reconcile.report import Report
from deploy.demo.business import Traded
from deploy.demo.gauges import Buckets, quantile
from deploy.demo.transactions import Step


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from the commit in the source until a worker's effect was durable; None where nothing was counted."""

    p50: float | None
    p99: float | None

    @classmethod
    def between(cls, before: Buckets, after: Buckets) -> Latency:
        """That of the events between two moments; a worker that was started again has counted from its start."""
        restarted = any(after.get(bound, 0) < count for bound, count in before.items())
        since = None if restarted else before
        return cls(quantile(after, 0.5, since), quantile(after, 0.99, since))

    def figures(self) -> dict[str, float | None]:
        """As JSON."""
        return {"p50": _rounded(self.p50), "p99": _rounded(self.p99)}

    def __str__(self) -> str:
        return f"p50 {_milliseconds(self.p50)}, p99 {_milliseconds(self.p99)}"


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations in seconds."""

    stack: float
    """Until the servers ran and the workers were started."""
    ready: float
    """Until every worker was ready."""
    first_order: float | None
    """From the beginning until the first order had reached ERP, ledger and backup."""
    flow: float
    """From the first order placed until all systems were at rest."""
    altogether: float


@dataclass(frozen=True, slots=True)
class Counts:
    """What was seen on the topics during the demonstration."""

    events: int
    versions: int
    entries: int
    rejected: int
    rejections: Mapping[str, int]
    """Violations of the refused events, by rule."""
    parked: int
    """Orders that still wait at the end."""


@dataclass(frozen=True, slots=True)
class DemonstrationResult:
    """Everything that a demonstration reports."""

    traded: Traded
    counts: Counts
    at_rest: bool
    latencies: Mapping[str, Latency]
    """By worker; that of the ERP is the one from source to ERP."""
    report: Report
    timings: Timings

    @property
    def agrees(self) -> bool:
        """Whether every system agrees about every order, nothing waits, and debits equal credits."""
        report = self.report
        return self.at_rest and report.agrees and not report.rejected and not self.counts.parked

    @property
    def ledger_imbalance(self) -> Decimal:
        """Debits less credits, regardless of sign, over all currencies."""
        report = self.report
        amounts = (*report.ledger_imbalance.values(), *report.functional_ledger_imbalance.values())
        return sum((abs(amount) for amount in amounts), Decimal(0))

    def figures(self) -> dict[str, object]:
        """The final line of JSON; times in seconds."""
        timings = self.timings
        return {
            "orders": self.traded.orders,
            "events": self.counts.events,
            "versions": self.counts.versions,
            "mismatches": self.report.mismatching_orders,
            "ledger_imbalance": float(self.ledger_imbalance),
            "rejected": self.counts.rejected,
            "parked": self.counts.parked,
            "seconds": round(timings.altogether, 3),
            "latency_seconds": self.latencies["erp"].figures(),
            "orders_per_second": round(self.traded.orders / timings.flow, 1),
            "agrees": self.agrees,
            "at_rest": self.at_rest,
            "compared_orders": self.report.orders,
            "journal_entries": self.counts.entries,
            "source_transactions": self.traded.transactions,
            "rejections": dict(self.counts.rejections),
            "faults": {fault.name.lower(): count for fault, count in self.traded.faults.items()},
            "latency_seconds_by_worker": {name: latency.figures() for name, latency in self.latencies.items()},
            "stack_seconds": round(timings.stack, 3),
            "ready_seconds": round(timings.ready, 3),
            "first_order_seconds": _rounded(timings.first_order),
            "flow_seconds": round(timings.flow, 3),
        }

    def print(self, console: Console) -> None:
        """The report that an operator reads."""
        console.print()
        console.print(_table("The business", self._business()))
        console.print(_table("ordersync", self._synchronization()))
        self.report.show(console)
        if self.agrees:
            verdict = "[bold green]Every system agrees, and debits equal credits.[/]"
        else:
            reason = "" if self.at_rest else " Records still waited when nothing moved any more."
            verdict = f"[bold red]The systems do not agree.[/]{reason}"
        console.print(verdict, highlight=False)

    def _business(self) -> dict[str, str]:
        steps, traded = self.traded.steps, self.traded
        shown = (Step.CHANGED, Step.SHIPPED, Step.PAID, Step.CANCELLED, Step.RETURNED, Step.REFUNDED, Step.DELETED)
        life = ", ".join(f"{steps.get(step, 0):,} {step.value}" for step in shown)
        faults = ", ".join(f"{count} x {fault.value}" for fault, count in traded.faults.items()) or "none"
        return {
            "orders": f"{traded.orders:,} in {traded.transactions:,} source transactions ({traded.seconds:.1f} s)",
            "life": life,
            "faults made": faults,
        }

    def _synchronization(self) -> dict[str, str]:
        counts, timings = self.counts, self.timings
        rules = ", ".join(f"{count} x {rule}" for rule, count in counts.rejections.items())
        first = "never" if timings.first_order is None else f"{timings.first_order:.1f} s"
        return {
            "captured events": f"{counts.events:,}",
            "versions": f"{counts.versions:,}",
            "journal entries": f"{counts.entries:,}",
            "rejected events": f"{counts.rejected:,}" + (f" ({rules}), mended at the source since" if rules else ""),
            "parked orders": f"{counts.parked:,}",
            "ledger imbalance": f"{self.ledger_imbalance:f}",
            "source to streams": str(self.latencies["streams"]),
            "source to ERP": str(self.latencies["erp"]),
            "source to ledger": str(self.latencies["warehouse"]),
            "times": f"stack {timings.stack:.1f} s, first order everywhere after {first}, {timings.altogether:.1f} s "
            f"altogether, {self.traded.orders / timings.flow:.1f} orders/s",
        }


def _table(title: str, rows: Mapping[str, str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _milliseconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1000:,.0f} ms"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
