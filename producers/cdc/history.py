"""What the latest transactions touched, so that a reading that did not see them does not undo them."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from typing import Final

from producers.cdc.aggregates import MOST_MET, NodeId
from producers.cdc.portions import SnapshotView

_REMEMBERED: Final = 1_000
"""Transactions before a reading that it may not have seen: their commit is in the log before others can see it."""


class _Everything:
    """Stands for the rows of a transaction that has too many to be remembered."""

    def __contains__(self, row_id: object) -> bool:
        return True


class History:
    """Of one streaming; grows while a reading is on its way, which may have seen none of it."""

    def __init__(self) -> None:
        self._touched: deque[tuple[int, Sequence[NodeId] | None]] = deque()

    def note(self, transaction_id: int, roots: list[NodeId], met: list[NodeId], *, is_reading: bool) -> None:
        """A transaction touched these roots and rows."""
        self._touched.append((transaction_id, None if len(met) >= MOST_MET else [*roots, *met] if met else roots))
        if not is_reading and len(self._touched) > _REMEMBERED:
            self._touched.popleft()

    def unseen(self, view: SnapshotView) -> Container[NodeId]:
        """All that was touched and that a reading did not see."""
        found: set[NodeId] = set()
        for number, rows in self._touched:
            if not view.sees(number):
                if rows is None:
                    return _Everything()
                found.update(rows)
        return found

    def forget(self) -> None:
        """A reading is done: keep what the next one may not see."""
        while len(self._touched) > _REMEMBERED:
            self._touched.popleft()
