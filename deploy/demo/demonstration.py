"""One demonstration: everything is started, a business trades, all comes to rest, and the systems are compared."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from consumers.reconcile.publication import publish
from consumers.reconcile.reconciliation import reconcile
from consumers.reconcile.report import Report
from deploy.demo.business import Business, BusinessPlan
from deploy.demo.landscape import Landscape, reconcile_settings
from deploy.demo.live_view import LiveView
from deploy.demo.patience import patiently
from deploy.demo.result import Counts, DemonstrationResult, Latency, Timings
from deploy.demo.watching import Watching
from deploy.local.progress import ConsoleProgress
from deploy.local.stack import SECURED
from deploy.worker_kinds import RECONCILE
from schemas.registry import SchemaRegistry


@dataclass(frozen=True, slots=True)
class DemonstrationPlan:
    """What to demonstrate, and where."""

    home: Path
    orders: int
    seed: int = 1
    with_faults: bool = True
    orders_per_second: float | None = None
    log_format: str = "text"
    secured: bool = SECURED

    def business(self) -> BusinessPlan:
        """The business's part of the plan."""
        return BusinessPlan(
            orders=self.orders,
            seed=self.seed,
            today=datetime.now(UTC).date(),
            with_faults=self.with_faults,
            orders_per_second=self.orders_per_second,
        )


class Demonstration:
    """Runs once, in the main thread; `console` is where a person watches."""

    def __init__(self, plan: DemonstrationPlan, console: Console) -> None:
        self._plan = plan
        self._console = console
        self._began = time.monotonic()

    def run(self) -> DemonstrationResult:
        """Start, trade, come to rest, compare, and stop what was started.

        Raises:
            Fatal: a server, a worker or the business failed; everything that was started is stopped.
        """
        # A session that is lost with its server is opened again; its last words would only disturb the table.
        logging.getLogger("psycopg").setLevel(logging.ERROR)
        with ExitStack() as open_parts:
            landscape = open_parts.enter_context(
                Landscape(self._plan.home, log_format=self._plan.log_format, secured=self._plan.secured)
            )
            landscape.start(ConsoleProgress(self._console))
            stack_seconds = self._seconds()
            business = Business(landscape.sources, self._plan.business())
            open_parts.callback(business.close)
            return self._demonstrate(landscape, business, stack_seconds)

    def _demonstrate(self, landscape: Landscape, business: Business, stack_seconds: float) -> DemonstrationResult:
        with LiveView(self._console) as view:
            watching = Watching(landscape, view, self._plan.orders, self._began)
            try:
                business.open()
                watching.until_ready()
                ready_seconds, before = self._seconds(), watching.latencies()
                traded = watching.until_traded(business)
                at_rest = watching.until_at_rest(business)
                rest_seconds, after = self._seconds(), watching.latencies()
            finally:
                watching.close()
        report = self._reconcile(landscape)
        flow = watching.last.flow
        return DemonstrationResult(
            traded=traded,
            counts=Counts(
                events=flow.events,
                versions=flow.versions,
                entries=flow.entries,
                rejected=flow.rejected,
                rejections=dict(flow.rejections),
                parked=len(flow.parked),
            ),
            at_rest=at_rest,
            latencies={name: Latency.between(before.get(name, {}), buckets) for name, buckets in after.items()},
            report=report,
            timings=Timings(
                stack=stack_seconds,
                ready=ready_seconds,
                first_order=watching.first_order_seconds,
                flow=rest_seconds - ready_seconds,
                altogether=self._seconds(),
            ),
        )

    def _reconcile(self, landscape: Landscape) -> Report:
        schemas = SchemaRegistry(landscape.endpoints.registry())
        try:
            report = patiently(lambda: reconcile(reconcile_settings(landscape.endpoints, RECONCILE), schemas))
            patiently(lambda: publish(report, landscape.endpoints.kafka(), schemas))
        finally:
            schemas.close()
        return report

    def _seconds(self) -> float:
        return time.monotonic() - self._began
