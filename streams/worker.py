"""The stream worker as a process of `ordersync worker streams`."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from threading import Event

from schemas.errors import ConfigurationError, Fatal
from schemas.topics import CAPTURED_TOPICS
from streams.transport import output_of, run_worker

# Records are short-lived and hold no cycles; the default looks for some a hundred times as often.
GC_THRESHOLDS = (50_000, 20, 50)


class StreamsWorker:
    """Runs the Faust app of `streams.app`; one process, any number of them share the partitions."""

    def run(self, stop: Event) -> None:
        """Process until SIGTERM or SIGINT, or until `stop` is set; must be called in the main thread.

        Raises:
            Fatal: the worker ended with an error, which the log names; nothing after the last commit counts.
        """
        from streams.app import app, engine

        gc.set_threshold(*GC_THRESHOLDS)
        # What was imported lives as long as the process: no collection need ever walk it again.
        gc.freeze()
        try:
            code = run_worker(app, stop)
        finally:
            engine.stop()
        if code == ConfigurationError.exit_code:
            raise ConfigurationError("the stream worker cannot run with these settings; the log says why")
        if code:
            raise Fatal("the stream worker ended with an error; the log says why")

    @property
    def group(self) -> str:
        """Its consumer group."""
        from streams.app import settings

        return settings.group

    @property
    def topics(self) -> Sequence[str]:
        """The captured topics."""
        return CAPTURED_TOPICS

    def positions(self) -> Mapping[tuple[str, int], int]:
        """Nothing beside what the group has: its offsets are committed with the outputs."""
        return {}

    def has_settled(self) -> bool:
        """Whether orders that waited have been looked at since the partitions came, and what followed is committed.

        Asked in another thread. A worker whose equals hold all partitions has nothing of its own to do.
        """
        from streams.app import app, engine

        if app.unassigned:
            return True
        return engine.has_settled and output_of(app).uncommitted == 0

    def ready(self) -> bool:
        """Whether partitions are assigned and their state is loaded."""
        from streams.app import engine

        return engine.is_ready
