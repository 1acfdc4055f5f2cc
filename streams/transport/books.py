"""The books of one generation: what was handed out, what is finished, and how far may be committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from faust.types import TP

from streams.transport.batch import Batch


class Books:
    """Keeps, for each partition, the finished prefix of what was handed out.

    Only that prefix is ever committed: a later batch that is finished first waits for the earlier ones.
    """

    def __init__(self, positions: Mapping[TP, int]) -> None:
        self.committed: dict[TP, int] = dict(positions)
        self._handed_out: dict[TP, deque[Batch]] = {tp: deque() for tp in positions}

    def hand_out(self, batch: Batch) -> None:
        """Enter a batch in the order in which it was fetched."""
        self._handed_out[TP(batch.topic, batch.partition)].append(batch)

    def finished_positions(self) -> dict[TP, int]:
        """The next offset of each partition whose finished prefix has grown since `settle`."""
        positions: dict[TP, int] = {}
        for tp, batches in self._handed_out.items():
            last = None
            for batch in batches:
                if not batch.finished:
                    break
                last = batch
            if last is not None:
                positions[tp] = last.last_offset + 1
        return positions

    def settle(self, positions: Mapping[TP, int]) -> None:
        """Strike off what a successful commit of `positions` covers."""
        for tp, position in positions.items():
            self.committed[tp] = position
            batches = self._handed_out[tp]
            while batches and batches[0].last_offset < position:
                batches.popleft()

    def any_position(self) -> dict[TP, int]:
        """One partition's committed position, to fence a transaction that has outputs but no new offsets."""
        for tp, position in self.committed.items():
            return {tp: position}
        return {}
