"""Lists the kept rows between root and leaves that are below no root, for a job that reads a whole tree again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from producers.cdc.aggregates import NodeId
from producers.cdc.assembly_state import AssemblyState
from producers.cdc.replacement import Replacement
from producers.cdc.tables import TablePlan

_SLICE: Final = 1_000


class Rootless:
    """Of one tree; a row is listed until it is `settled`."""

    def __init__(self, top: TablePlan, state: AssemblyState, replacement: Replacement) -> None:
        self._plans = {plan.prefix: plan for plan in top.subtree[1:] if not plan.leaf}
        self._state = state
        self._replacement = replacement
        self._waiting: dict[NodeId, None] = {}
        self._nodes = self._all()
        self.listed = False
        """Whether all kept rows have been looked at."""

    def some(self, count: int) -> tuple[TablePlan, list[NodeId]] | None:
        """At most so many of one table; None where the next slice of kept rows has none.

        Rows whose reading was older than a change are given again.
        """
        if not self._waiting and not self.listed:
            looked_at = list(islice(self._nodes, _SLICE))
            self._waiting.update((node_id, None) for node_id in looked_at if node_id is not None)
            self.listed = len(looked_at) < _SLICE
        if not self._waiting:
            return None
        plan = self._plans[next(iter(self._waiting))[:2]]
        return plan, list(islice((node_id for node_id in self._waiting if node_id[:2] == plan.prefix), count))

    def settled(self, node_ids: Iterable[NodeId]) -> None:
        """These are now as they were read."""
        for node_id in node_ids:
            self._waiting.pop(node_id, None)

    def _all(self) -> Iterator[NodeId | None]:
        """Each node of an inner table: its id if it is below no root, else None."""
        for plan in self._plans.values():
            for node_id in self._state.nodes(plan.prefix):
                yield node_id if self._replacement.rootless(plan, node_id) else None
