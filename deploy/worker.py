"""The process that hosts one worker: settings, log, metrics, signals, exit code."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from prometheus_client import REGISTRY

from deploy.memory import bound_heap
from deploy.telemetry.logs import configure_logs
from deploy.telemetry.server import TelemetryServer
from deploy.worker_contract import SaysHealth, Worker
from deploy.worker_kinds import kind_of
from schemas.errors import ConfigurationError, OrdersyncError, Transient
from schemas.settings import WorkerSettings

_log = logging.getLogger(__name__)


def run_worker(name: str, *, only_until_done: bool = False) -> None:
    """Host one worker in this process until SIGTERM or SIGINT; `ordersync worker NAME` calls it in the main thread.

    With `only_until_done` it also ends, without an error, when all is done that was on its topics at the start.

    Raises:
        ConfigurationError: no such worker, a setting is wrong, or its work has no end.
        OrdersyncError: what the worker raised; nothing of the batch in hand was committed.
    """
    bound_heap()
    assembled = kind_of(name).assemble()
    settings = assembled.settings
    configure_logs(name, settings.log_format)
    with _stopped_by_signals() as stop:
        hosted = _Hosted()
        with TelemetryServer(settings.metrics_host, settings.metrics_port, REGISTRY, hosted.ready, hosted.health):
            worker = hosted.worker = _made(assembled.make, stop)
            if worker is not None:
                _log.info("started")
                with _bounded(name, worker, settings, stop) if only_until_done else nullcontext():
                    _run(worker, stop)
            elif only_until_done:
                raise Transient(f"{name} was stopped before it could begin; run it again")
    _log.info("stopped")


def _bounded(
    name: str, worker: Worker, settings: WorkerSettings, stop: threading.Event
) -> AbstractContextManager[None]:
    # Only here: a worker that runs for ever does without it.
    from deploy.until_done import Finishes, until_done

    if not isinstance(worker, Finishes):
        raise ConfigurationError(f"the work of {name} has no end; --until-done is for streams and the sinks")
    return until_done(worker, settings.kafka, stop)


class _Hosted:
    """The worker of this process, once it is made."""

    worker: Worker | None = None

    def ready(self) -> bool:
        return self.worker is not None and self.worker.ready()

    def health(self) -> Mapping[str, object]:
        return self.worker.health() if isinstance(self.worker, SaysHealth) else {}


def _run(worker: Worker, stop: threading.Event) -> None:
    try:
        worker.run(stop)
    except OrdersyncError as exc:
        _log.error("stopped by %s: %s", type(exc).__name__, exc)
        raise
    except Exception:
        _log.exception("stopped by an unknown fault; nothing of the batch in hand was committed")
        raise


def _made(make: Callable[[], Worker], stop: threading.Event) -> Worker | None:
    """The worker; tried again while its environment is away, None where the process is told to stop meanwhile."""
    while not stop.is_set():
        try:
            return make()
        except Transient as exc:
            _log.warning("%s; trying again in %.1f s", exc, exc.retry_after_seconds)
            stop.wait(exc.retry_after_seconds)
    return None


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    stop = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
