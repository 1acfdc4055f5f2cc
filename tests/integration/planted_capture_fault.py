"""A capture with one planted fault: `python -m tests.integration.planted_capture_fault NAME WORKER`.

The tests of crashes must find each of these; a suite that passes them would prove nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from deploy import cli
from producers.cdc.changes import Position
from producers.cdc.streaming import Streaming

_GAP_BYTES = 20_000


def safe_before_acknowledged() -> None:
    """A position counts as safe when its events are handed to the client, not when the brokers have them."""
    write = Streaming._write_acknowledged

    def write_all(self: Streaming, stream: Any) -> None:
        for checkpoint in self._sealed:
            checkpoint.outstanding = 0
        write(self, stream)

    Streaming._write_acknowledged = write_all  # type: ignore[method-assign]


def position_without_rows() -> None:
    """A restart goes on from where it was, with the rows of the snapshot."""
    seal = Streaming._seal

    def seal_position(self: Streaming, position: Any) -> None:
        seal(self, position)
        checkpoint = self._sealed[-1]
        assert checkpoint.sealed is not None
        checkpoint.sealed = checkpoint.sealed._replace(values={})

    Streaming._seal = seal_position  # type: ignore[method-assign]


def gap_at_the_start() -> None:
    """Streaming begins a little behind the position of the rows."""
    init = Streaming.__init__

    def begin(self: Streaming, *arguments: Any) -> None:
        init(self, *arguments)
        self._reached = Position(self._reached + _GAP_BYTES)

    Streaming.__init__ = begin  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[], None]] = {
    "safe_before_acknowledged": safe_before_acknowledged,
    "position_without_rows": position_without_rows,
    "gap_at_the_start": gap_at_the_start,
}

if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    sys.argv[1:] = ["worker", *sys.argv[2:]]
    cli.main()
