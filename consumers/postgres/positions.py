"""The positions of a sink in its own database, moved by compare-and-set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from consumers.postgres.database import Rows
from consumers.sink import Advance, Partition
from schemas.errors import PositionConflict

_READ = """
SELECT topic, partition, next_offset FROM sink_position
JOIN unnest(%s::text[], %s::integer[]) AS wanted (topic, partition) USING (topic, partition)
WHERE sink = %s
"""
# Both wait for another writer of the same rows and then see what it wrote.
_MOVE = """
UPDATE sink_position AS held SET next_offset = moved.reached, advanced_at = clock_timestamp()
FROM unnest(%s::text[], %s::integer[], %s::bigint[], %s::bigint[]) AS moved (topic, partition, expected, reached)
WHERE held.sink = %s AND held.topic = moved.topic AND held.partition = moved.partition
  AND held.next_offset = moved.expected
"""
_START = """
INSERT INTO sink_position (sink, topic, partition, next_offset)
SELECT %s, * FROM unnest(%s::text[], %s::integer[], %s::bigint[])
ON CONFLICT DO NOTHING
"""

_ALL = "SELECT topic, partition, next_offset FROM sink_position WHERE sink = %s"
_FORGET = "DELETE FROM sink_position WHERE sink = %s"


def read_positions(cursor: Rows, sink: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The positions that the database holds for these partitions."""
    wanted = list(partitions)
    cursor.execute(_READ, ([one.topic for one in wanted], [one.number for one in wanted], sink))
    return {Partition(topic, number): offset for topic, number, offset in cursor}


def advance_positions(cursor: Rows, sink: str, advances: Mapping[Partition, Advance]) -> None:
    """Move every position from the expected offset to the one reached; first thing in the writing transaction.

    The rows stay locked until the transaction ends, so a worker that lost its partitions waits here and then fails.

    Raises:
        PositionConflict: some position is not the expected one; the transaction must be rolled back.
    """
    # One order of locking for all workers: no deadlock.
    ordered = sorted(advances.items())
    moved = [(partition, advance) for partition, advance in ordered if advance.expected is not None]
    started = [(partition, advance) for partition, advance in ordered if advance.expected is None]
    count = 0
    if moved:
        columns = [(*partition, advance.expected, advance.reached) for partition, advance in moved]
        count += cursor.execute(_MOVE, (*map(list, zip(*columns, strict=True)), sink)).rowcount
    if started:
        firsts = [(*partition, advance.reached) for partition, advance in started]
        count += cursor.execute(_START, (sink, *map(list, zip(*firsts, strict=True)))).rowcount
    if count != len(ordered):
        raise PositionConflict(
            f"{sink}: another worker has moved {len(ordered) - count} of {len(ordered)} positions of this batch"
        )


def all_positions(cursor: Rows, sink: str) -> dict[Partition, int]:
    """Every position of a sink, whatever topics it read."""
    cursor.execute(_ALL, (sink,))
    return {Partition(topic, number): offset for topic, number, offset in cursor}


def replace_positions(cursor: Rows, sink: str, positions: Mapping[Partition, int]) -> None:
    """Let a sink go on elsewhere: in topics whose offsets are others. Called only where no worker of it runs."""
    cursor.execute(_FORGET, (sink,))
    columns = zip(*[(*partition, offset) for partition, offset in sorted(positions.items())], strict=True)
    cursor.execute(_START, (sink, *map(list, columns)))
