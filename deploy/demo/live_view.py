"""The live table of a demonstration: rewritten in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy.demo.books import BookCounts
from deploy.demo.flow import Flow
from deploy.demo.gauges import WorkerGauges
from deploy.demo.transactions import Step
from deploy.local.watch import ProcessState, ProcessStatus

_LINE_SECONDS = 5.0
_STATUSES = ("placed", "confirmed", "completed", "cancelled", "deleted")
_STEPS = (
    Step.PLACED,
    Step.CHANGED,
    Step.SHIPPED,
    Step.INVOICED,
    Step.PAID,
    Step.CANCELLED,
    Step.RETURNED,
    Step.REFUNDED,
    Step.DELETED,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """All that is shown at one moment."""

    at_seconds: float
    phase: str
    planned: int
    steps: Mapping[Step, int] = field(default_factory=dict)
    processes: tuple[ProcessStatus, ...] = ()
    gauges: Mapping[str, WorkerGauges] = field(default_factory=dict)
    flow: Flow = field(default_factory=Flow)
    lag: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    books: BookCounts = field(default_factory=BookCounts)
    unknown: tuple[str, ...] = ()
    """What could not be asked; the figures that it gives are older then."""

    @property
    def waiting(self) -> int:
        """Records that some group has not finished."""
        return sum(sum(topics.values()) for topics in self.lag.values())


class LiveView:
    """Shows moments on the console, as a table where it is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._before: Moment | None = None
        self._next_line = 0.0

    def show(self, moment: Moment) -> None:
        """Show this moment; rates are since the one before."""
        if self._live is not None:
            self._live.update(_screen(moment, self._before), refresh=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            self._console.print(_line(moment), highlight=False, soft_wrap=True)
        self._before = moment

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _line(moment: Moment) -> str:
    flow = moment.flow
    return (
        f"{moment.at_seconds:6.1f} s  {moment.phase}: {moment.steps.get(Step.PLACED, 0)} of {moment.planned} orders "
        f"placed, {flow.events} events, {flow.versions} versions, {flow.entries} journal entries, "
        f"{moment.waiting} records wait, {len(flow.parked)} parked, {flow.rejected} rejected, "
        f"{moment.books.differing} orders differ, ledger imbalance {moment.books.ledger_imbalance:f}" + _unknown(moment)
    )


def _unknown(moment: Moment) -> str:
    return f"; not known at this moment: {'; '.join(moment.unknown)}" if moment.unknown else ""


def _screen(moment: Moment, before: Moment | None) -> Group:
    title = Text(f"ordersync demo  {moment.at_seconds:5.1f} s  {moment.phase}{_unknown(moment)}", style="bold")
    return Group(title, _processes(moment, before), Columns([_orders(moment), _business(moment), _checks(moment)]))


def _processes(moment: Moment, before: Moment | None) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("process")
    table.add_column("state")
    for heading in ("restarts", "events", "events/s", "lag"):
        table.add_column(heading, justify="right")
    lag = {group.replace("ordersync-", "").replace("ordersync.", ""): topics for group, topics in moment.lag.items()}
    for process in moment.processes:
        gauges = moment.gauges.get(process.name)
        waiting = lag.get(process.name)
        table.add_row(
            process.name,
            _state(process, gauges),
            str(process.restarts),
            "" if gauges is None else f"{gauges.events:,.0f}",
            "" if gauges is None else _rate(moment, before, process.name),
            "" if waiting is None else f"{sum(waiting.values()):,}",
        )
    return table


def _state(process: ProcessStatus, gauges: WorkerGauges | None) -> Text:
    if process.state is not ProcessState.RUNNING:
        return Text(process.state.value, style="red")
    if gauges is not None and not gauges.ready:
        return Text("getting ready", style="yellow")
    return Text("running", style="green")


def _events(moment: Moment, name: str) -> float:
    gauges = moment.gauges.get(name)
    return gauges.events if gauges is not None else 0.0


def _rate(moment: Moment, before: Moment | None, name: str) -> str:
    if before is None or moment.at_seconds <= before.at_seconds:
        return ""
    # A restarted worker counts from zero again.
    handled = max(0.0, _events(moment, name) - _events(before, name))
    return f"{handled / (moment.at_seconds - before.at_seconds):,.0f}"


def _orders(moment: Moment) -> Table:
    table = Table(box=None, header_style="bold", title="orders", title_justify="left")
    table.add_column("status")
    table.add_column("CRM", justify="right")
    table.add_column("ERP", justify="right")
    for status in _STATUSES:
        crm = "" if status == "deleted" else f"{moment.books.crm.get(status, 0):,}"
        table.add_row(status, crm, f"{moment.books.erp.get(status, 0):,}")
    return table


def _business(moment: Moment) -> Table:
    table = Table(box=None, show_header=False, title="transactions", title_justify="left")
    for step in _STEPS:
        table.add_row(step.value, f"{moment.steps.get(step, 0):,}")
    return table


def _checks(moment: Moment) -> Table:
    flow = moment.flow
    table = Table(box=None, show_header=False, title="flow", title_justify="left")
    for name, value in (
        ("captured events", flow.events),
        ("versions", flow.versions),
        ("journal entries", flow.entries),
        ("records waiting", moment.waiting),
        ("parked orders", len(flow.parked)),
        ("rejected events", flow.rejected),
        ("orders that differ", moment.books.differing),
    ):
        table.add_row(name, f"{value:,}")
    table.add_row("ledger imbalance", f"{moment.books.ledger_imbalance:f}")
    return table
