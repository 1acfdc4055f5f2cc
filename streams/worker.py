"""The stream worker as a process of `ordersync worker streams`."""

from __future__ import annotations

import os
import signal
from threading import Event, Thread

from schemas.errors import ConfigurationError, Fatal
from streams.transport import run_worker


class StreamsWorker:
    """Runs the Faust app of `streams.app`; one process, any number of them share the partitions."""

    def run(self, stop: Event) -> None:
        """Process until SIGTERM or SIGINT, or until `stop` is set; must be called in the main thread.

        Raises:
            Fatal: the worker ended with an error, which the log names; nothing after the last commit counts.
        """
        from streams.app import app, engine

        ended = Event()
        watcher = Thread(target=_forward, args=(stop, ended), name="stop-watcher", daemon=True)
        watcher.start()
        try:
            code = run_worker(app)
        finally:
            ended.set()
            engine.stop()
        if code == ConfigurationError.exit_code:
            raise ConfigurationError("the stream worker cannot run with these settings; the log says why")
        if code:
            raise Fatal("the stream worker ended with an error; the log says why")

    def ready(self) -> bool:
        """Whether partitions are assigned and their state is loaded."""
        from streams.app import engine

        return engine.is_ready


def _forward(stop: Event, ended: Event) -> None:
    """Faust stops on signals; hand it the host's request in that form."""
    while not ended.is_set():
        if stop.wait(0.2):
            os.kill(os.getpid(), signal.SIGTERM)
            return
