"""When to commit: soon when all that came is done, seldom when much is waiting."""

from __future__ import annotations

import asyncio
import contextlib


class CommitPace:
    """The pause between two commits; used by the consumer in the event loop alone.

    Under load a commit pays for itself only with many records in it. With little to do, readers of `read_committed`
    would wait for the clock without anybody gaining by it.
    """

    def __init__(self, shortest_seconds: float, longest_seconds: float) -> None:
        self._shortest_seconds = min(shortest_seconds, longest_seconds)
        self._longest_seconds = longest_seconds
        self._all_done = asyncio.Event()

    def all_done(self) -> None:
        """Told when a batch was finished and no other waits."""
        self._all_done.set()

    async def until_due(self) -> None:
        """Wait from one commit to the next."""
        await asyncio.sleep(self._shortest_seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_done.wait(), self._longest_seconds - self._shortest_seconds)
        self._all_done.clear()
