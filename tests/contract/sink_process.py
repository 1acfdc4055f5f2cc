"""One sink's worker as a process, for tests that kill it: `python -m tests.contract.sink_process NAME`."""

from __future__ import annotations

import logging
import signal
import sys
from threading import Event

from prometheus_client import CollectorRegistry

from consumers.registry import sink_named
from schemas.registry import SchemaRegistry


def main() -> None:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(process)d %(message)s")
    definition = sink_named(sys.argv[1])
    settings = definition.settings.load()
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    definition.runner(settings, SchemaRegistry(settings.registry), CollectorRegistry()).run(stop)


if __name__ == "__main__":
    main()
