"""Watches a landscape while a business trades: what runs, what flows, what waits, and when all has come to rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from deploy.demo.books import BookReader
from deploy.demo.business import Business, Traded
from deploy.demo.flow import FlowReader
from deploy.demo.gauges import Buckets, GaugeReader
from deploy.demo.landscape import CARRIERS, Landscape
from deploy.demo.live_view import LiveView, Moment
from deploy.demo.patience import AWAY_SECONDS, patiently
from deploy.local.watch import ProcessState
from schemas.errors import Fatal, Transient

T = TypeVar("T")

_LOOK_SECONDS = 0.5
_READY_SECONDS = 120.0
_REST_SECONDS = 120.0
"""How long nothing may move before rest is no longer waited for; the reconciliation then says what is missing."""


class Watching:
    """Looks at processes, topics and databases about twice a second, and shows what it sees; one thread."""

    def __init__(self, landscape: Landscape, view: LiveView, planned: int, began: float) -> None:
        self._landscape = landscape
        self._view = view
        self._began = began
        self._gauges = GaugeReader(landscape.workers)
        self._books = BookReader(landscape)
        self._flow = FlowReader(landscape.endpoints.kafka(), landscape.endpoints.registry())
        patiently(self._flow.begin)
        self._erp_orders_before = sum(patiently(self._books.read).erp.values())
        self._known_at = time.monotonic()
        self.last = Moment(0.0, "starting", planned)
        self.first_order_seconds: float | None = None
        """When the first order of this run had reached ERP, ledger and backup, seconds after the beginning."""

    def until_ready(self) -> None:
        """Return when every worker that orders pass through is ready.

        Raises:
            Fatal: a worker refused its configuration, or did not become ready in time.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while late := self._late_carriers():
            self._require_workers()
            if time.monotonic() > deadline:
                raise Fatal(
                    f"not ready after {_READY_SECONDS:.0f} s: {', '.join(late)}. The logs are in "
                    f"{self._landscape.home / 'logs'}"
                )
            time.sleep(_LOOK_SECONDS)

    def latencies(self) -> dict[str, Buckets]:
        """Each worker's latencies so far."""
        return {name: gauges.latency_buckets for name, gauges in self.last.gauges.items()}

    def until_traded(self, business: Business) -> Traded:
        """Let the business trade in a thread of its own, and watch until it is done. Raises what it raises."""
        trading = _Trading(business)
        trading.start()
        try:
            while trading.is_alive():
                self._look("the business trades", business)
                trading.join(_LOOK_SECONDS)
        finally:
            trading.cease()
        return trading.result()

    def until_at_rest(self, business: Business) -> bool:
        """Whether all that the sources committed went through every worker; False where nothing moves any more.

        Raises:
            Fatal: a worker refused its configuration, or a server was away for too long.
        """
        log_end: str | None = None
        seen, moved_at = (0, 0, 0, 0), time.monotonic()
        while time.monotonic() - moved_at < _REST_SECONDS:
            log_end = log_end or self._log_end()
            moment = self._look("coming to rest", business)
            self._require_workers()
            flow = moment.flow
            now = (flow.events, flow.versions, flow.entries, moment.waiting)
            if moment.unknown:
                # Nothing is seen to move while a server is away; how long it may be is watched elsewhere.
                moved_at = time.monotonic()
            elif now == seen and log_end is not None and self._is_at_rest(moment, log_end):
                return True
            if now != seen:
                seen, moved_at = now, time.monotonic()
            time.sleep(_LOOK_SECONDS)
        return False

    def close(self) -> None:
        """Give the connections back."""
        self._gauges.close()
        self._books.close()
        self._flow.close()

    def _late_carriers(self) -> list[str]:
        gauges = self._look("workers get ready").gauges
        return [name for name in CARRIERS if not gauges[name].ready]

    def _log_end(self) -> str | None:
        try:
            return self._books.log_end()
        except Transient:
            return None

    def _is_at_rest(self, moment: Moment, log_end: str) -> bool:
        if moment.waiting or moment.flow.parked:
            return False
        try:
            return self._books.captured_through(log_end) and self._flow.complete()
        except Transient:
            return False

    def _require_workers(self) -> None:
        for process in self.last.processes:
            if process.state is ProcessState.REFUSED:
                raise Fatal(
                    f"{process.name} {process.state.value} ({process.problem}). Its log is "
                    f"{self._landscape.home / 'logs' / f'{process.name}.log'}"
                )

    def _look(self, phase: str, business: Business | None = None) -> Moment:
        before = self.last
        unknown: list[str] = []
        lag = _known(self._follow, before.lag, unknown)
        books = _known(self._books.read, before.books, unknown)
        self._require_servers(unknown)
        self.last = Moment(
            at_seconds=time.monotonic() - self._began,
            phase=phase,
            planned=before.planned,
            steps=dict(business.steps) if business is not None else {},
            processes=tuple(self._landscape.status()),
            gauges=self._gauges.read(),
            flow=self._flow.flow,
            lag=lag,
            books=books,
            unknown=tuple(unknown),
        )
        self._note_first_order()
        self._view.show(self.last)
        return self.last

    def _follow(self) -> Mapping[str, Mapping[str, int]]:
        self._flow.read()
        return self._flow.lag()

    def _require_servers(self, unknown: list[str]) -> None:
        now = time.monotonic()
        if not unknown:
            self._known_at = now
        elif now - self._known_at > AWAY_SECONDS:
            raise Fatal(
                f"Not everything could be seen for {AWAY_SECONDS:.0f} s: {'; '.join(unknown)}. The servers' logs are "
                f"in {self._landscape.home / 'logs'}"
            )

    def _note_first_order(self) -> None:
        moment = self.last
        if self.first_order_seconds is not None or not moment.flow.entries:
            return
        in_erp = sum(moment.books.erp.values()) > self._erp_orders_before
        backed_up = moment.gauges["backup"].events > 0
        if in_erp and backed_up:
            self.first_order_seconds = moment.at_seconds


def _known(ask: Callable[[], T], before: T, unknown: list[str]) -> T:
    """What is so now; while a server is being started again what was so before, and why in `unknown`."""
    try:
        return ask()
    except Transient as exc:
        unknown.append(str(exc).splitlines()[0])
        return before


class _Trading(threading.Thread):
    """The business at work; its error comes out of `result`."""

    def __init__(self, business: Business) -> None:
        super().__init__(name="business", daemon=True)
        self._business = business
        self._ceased = threading.Event()
        self._traded: Traded | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._traded = self._business.trade(self._ceased.is_set)
        except Exception as exc:  # noqa: BLE001 - raised again by `result`, in the thread that waits
            self._error = exc

    def cease(self) -> None:
        """Stop trading after the round in hand, and wait for it."""
        self._ceased.set()
        self.join()

    def result(self) -> Traded:
        """What was traded; raises what the business raised."""
        if self._error is not None:
            raise self._error
        assert self._traded is not None
        return self._traded
