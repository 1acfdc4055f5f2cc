"""The pause between two commits."""

from __future__ import annotations

import asyncio
import time

from streams.transport.pace import CommitPace

SHORTEST, LONGEST = 0.02, 30.0


def waited_seconds(pace: CommitPace) -> float:
    async def wait() -> float:
        begun = time.monotonic()
        await pace.until_due()
        return time.monotonic() - begun

    return asyncio.run(wait())


def test_a_commit_comes_soon_when_all_is_done() -> None:
    pace = CommitPace(SHORTEST, LONGEST)
    pace.all_done()
    assert SHORTEST <= waited_seconds(pace) < LONGEST


def test_a_commit_comes_at_last_although_records_wait() -> None:
    assert waited_seconds(CommitPace(SHORTEST, 4 * SHORTEST)) >= 4 * SHORTEST


def test_what_was_done_before_a_commit_does_not_hasten_the_one_after_it() -> None:
    pace = CommitPace(SHORTEST, 4 * SHORTEST)
    pace.all_done()
    waited_seconds(pace)
    assert waited_seconds(pace) >= 4 * SHORTEST


def test_the_interval_bounds_the_pause_also_where_it_is_the_shorter() -> None:
    assert waited_seconds(CommitPace(LONGEST, SHORTEST)) < LONGEST
