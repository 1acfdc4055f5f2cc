"""Ready-made Faust apps on the transport, and running one as a process."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import faust
from faust.types import AppT, StreamT, TopicT
from mode import CrashingSupervisor, Worker

from schemas.errors import Fatal, OrdersyncError
from schemas.settings import KafkaSettings
from streams.transport.batch import Batch
from streams.transport.consumer import Consumer
from streams.transport.driver import configure
from streams.transport.options import PartitionHooks, TransportOptions
from streams.transport.output import Output

logger = logging.getLogger(__name__)
_FORWARD_SECONDS = 0.2


def engine_settings(kafka: KafkaSettings, options: TransportOptions) -> dict[str, Any]:
    """Settings for `faust.App` that suit the transport: no web server, no topics of Faust's own, no tables."""
    servers = [server.strip() for server in kafka.bootstrap_servers.split(",")]
    return {
        "broker": ";".join(f"kafka+batch://{server}" for server in servers),
        "store": "memory://",
        "web_enabled": False,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "agent_supervisor": CrashingSupervisor,
        "broker_commit_interval": options.commit_interval_seconds,
        "broker_session_timeout": options.session_timeout_seconds,
        "broker_heartbeat_interval": options.heartbeat_interval_seconds,
        "stream_wait_empty": True,
        "worker_redirect_stdouts": False,
        # Faust makes this directory although nothing is kept in it.
        "datadir": str(Path(tempfile.gettempdir()) / "ordersync-faust"),
    }


def new_app(
    group: str,
    kafka: KafkaSettings,
    options: TransportOptions | None = None,
    hooks: PartitionHooks | None = None,
    **overrides: Any,
) -> faust.App:
    """A Faust app on the transport. Called once, at import of the module that `faust -A` names.

    `options.client_config` is filled from `kafka`; `overrides` go to `faust.App`.
    """
    options = options or TransportOptions()
    options = replace(options, client_config={**kafka.client_config(), **options.client_config})
    app = faust.App(group, **{**engine_settings(kafka, options), **overrides})
    configure(app, options, hooks)
    return app


def batch_topic(app: AppT, *names: str) -> TopicT:
    """The topics that one agent consumes together; they must have equal partition counts."""
    return app.topic(*names, key_serializer="raw", value_serializer="raw")


def output_of(app: AppT) -> Output:
    """The worker's output; exists once the worker has started."""
    return cast(Consumer, app.consumer).output


async def batches(stream: StreamT[Any]) -> AsyncIterator[Batch]:
    """The stream's batches that are still ours, one after the other; the only right way to iterate.

    Each must be finished (`async with output.ours(batch)`) before the next is asked for: else `Fatal`.
    """
    async for event in cast(faust.Stream[Any], stream).noack().events():
        batch = cast(Batch, event.message.value)
        consumer = cast(Consumer, event.app.consumer)
        try:
            if batch.ours:
                yield batch
        finally:
            consumer.release(batch)
        if batch.ours and not batch.finished:
            raise Fatal(
                f"The handler left {batch.topic}[{batch.partition}] at offset {batch.records[0].offset} unfinished "
                "and asked for the next batch. Finish each batch with `async with output.ours(batch)`."
            )


def run_worker(app: faust.App, stop: Event | None = None, log_level: str = "INFO") -> int:
    """Run the app until SIGTERM or SIGINT, or until `stop` is set; the exit code of the process.

    Must be called in the main thread. 0 after an orderly stop, the error's own code if the worker ended with one (1, or
    2 for settings), else 1.
    Logging is left as the caller has set it up.
    """
    # Faust's timer warns whenever a commit takes longer than the pause between two; that is no fault.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)
    worker = app.Worker(loglevel=log_level, override_logging=False, redirect_stdouts=False)
    ended = Event()
    if stop is not None:
        Thread(target=_forward, args=(stop, worker, ended), name="stop-watcher", daemon=True).start()
    try:
        worker.execute_from_commandline()
    except SystemExit as exc:
        reason = worker.crash_reason or app.crash_reason
        if reason is None:
            return exc.code if isinstance(exc.code, int) else 1
        logger.critical("The worker ended: %s", reason, exc_info=reason)
        return reason.exit_code if isinstance(reason, OrdersyncError) else 1
    finally:
        ended.set()
    return 0


def _forward(stop: Event, worker: Worker, ended: Event) -> None:
    """Faust stops on signals; hand it the host's request in that form, until it has heard it.

    While it starts, whoever called it still has the signals: one that comes then would be lost. Once its loop is
    closed nobody has them any more: one that comes then would end the process.
    """
    stop.wait()
    while worker._signal_stop_time is None and not ended.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
        ended.wait(_FORWARD_SECONDS)
