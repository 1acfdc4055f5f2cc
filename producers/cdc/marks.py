"""Marks of the roots that a job has read, kept with the rows, so that a job that was interrupted goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from producers.cdc.assembly_state import AssemblyState
from producers.cdc.tables import TablePlan

MARK: Final = b"done/"
"""Begins the names of the notes; the id of the root follows."""
SLICE: Final = 10_000
"""Kept rows that are gone through at once: between two slices, changes stream."""


def mark_kept(state: AssemblyState, top: TablePlan) -> Iterator[int]:
    """Mark every kept root as read: an interrupted snapshot keeps whole trees only. Gives their number."""
    number = 0
    for number, root in enumerate(state.nodes(top.prefix), 1):
        state.put_note(MARK + root, b"")
        if number % SLICE == 0:
            yield number
    yield number


def unmark(state: AssemblyState, top: TablePlan) -> Iterator[int]:
    """Remove all marks of a tree, because it is to be read from its beginning. Gives their number."""
    number = 0
    for number, name in enumerate(state.notes(MARK + top.prefix), 1):
        state.put_note(name, None)
        if number % SLICE == 0:
            yield number
    yield number
