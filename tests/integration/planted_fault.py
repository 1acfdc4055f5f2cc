"""A stream worker with one planted fault: `python -m tests.integration.planted_fault NAME`.

The schedules must find each of these; a suite that passes them would prove nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from faust.types import TP

from deploy import cli
from streams.processing import processor
from streams.rules import decision
from streams.transport.books import Books
from streams.transport.output import Output


def commit_before_produce() -> None:
    """Outputs are written only after the offsets of what they came from are committed."""
    commit = Output.commit
    held: list[Callable[[], None]] = []

    def later(produce: Callable[..., None]) -> Callable[..., None]:
        return lambda *arguments, **named: held.append(partial(produce, *arguments, **named))

    async def commit_then_produce(self: Output, *arguments: Any) -> None:
        await commit(self, *arguments)
        late, held[:] = list(held), []
        self._writing = True
        for produce in late:
            produce()
        self._writing = False

    Output.produce = later(Output.produce)  # type: ignore[method-assign]
    Output.produce_many = later(Output.produce_many)  # type: ignore[method-assign]
    Output.commit = commit_then_produce  # type: ignore[method-assign]


def no_deduplication() -> None:
    """What came before makes a version again."""
    decision.is_news = lambda *_: True  # type: ignore[attr-defined]
    processor._is_unchanged = lambda *_: False


def wrong_gap() -> None:
    """The committed offset is one too far, past a record that nobody has seen."""
    finished_positions = Books.finished_positions

    def one_too_far(self: Books) -> Mapping[TP, int]:
        return {tp: position + 1 for tp, position in finished_positions(self).items()}

    Books.finished_positions = one_too_far  # type: ignore[method-assign,assignment]


FAULTS: dict[str, Callable[[], None]] = {
    "commit_before_produce": commit_before_produce,
    "no_deduplication": no_deduplication,
    "wrong_gap": wrong_gap,
}

if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    sys.argv[1:] = ["worker", "streams"]
    cli.main()
