"""Whatever a partition gives, segments and vacancies cover its offsets without a hole, an overlap or a lost record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.collection import Collection, require_not_beyond
from consumers.backup.archive.segments import ClosedSegment, extent_of, read_segment, rows_of
from consumers.backup.vault.targets import Vacancy
from consumers.sink import Partition
from schemas.errors import Fatal

ONE, OTHER = Partition("orders.events", 0), Partition("orders.state", 4)
NOW = datetime(2026, 11, 21, tzinfo=UTC)

# What happens next on a partition: (kind, how many offsets it takes).
STEPS = st.lists(
    st.tuples(st.sampled_from([ONE, OTHER]), st.sampled_from(["record", "skip", "end", "expire"]), st.integers(1, 4))
    | st.just("close"),
    max_size=40,
)
CONTENTS = st.tuples(
    st.none() | st.binary(max_size=8),
    st.none() | st.binary(max_size=20),
    st.lists(st.tuples(st.text(max_size=4), st.none() | st.binary(max_size=4)), max_size=2).map(tuple),
)


@given(STEPS, st.data())
def test_what_comes_is_covered_once_and_kept_to_the_byte(steps: list[object], data: st.DataObject) -> None:
    collection = Collection()
    starts = collection.place({ONE: 3}, {ONE: 5, OTHER: 7})
    assert starts == {ONE: 5, OTHER: 7}
    offsets, sent, expired = dict(starts), {ONE: [], OTHER: []}, {ONE: 2, OTHER: 0}
    closed: list[ClosedSegment] = []
    vacant: list[Vacancy] = []
    for step in [*steps, "close"]:
        if step == "close":
            segments, vacancies = collection.close()
            closed += segments
            vacant += vacancies
            continue
        assert isinstance(step, tuple)
        partition, kind, count = step
        if kind == "record":
            key, value, headers = data.draw(CONTENTS)
            record = ArchivedRecord(offsets[partition], data.draw(st.integers(0, 9)), 1, key, value, headers)
            collection.take(partition, record, 0.0)
            # The brokers may give a record a second time, after the position was lost.
            collection.take(partition, record, 0.0)
            sent[partition].append(record)
            offsets[partition] += 1
        elif kind == "skip":
            offsets[partition] += count
        elif kind == "end":
            collection.end(partition, offsets[partition])
        else:
            reached = offsets[partition] + count
            collection.end(partition, offsets[partition])
            assert collection.expire(partition, reached) == reached
            assert collection.expire(partition, reached - 1) == reached
            offsets[partition], expired[partition] = reached, expired[partition] + count
    for partition, begin in ((ONE, 3), (OTHER, 7)):
        _require_covered(partition, begin, offsets[partition], closed, vacant)
        mine = [one for one in closed if one.partition == partition]
        assert [row for one in mine for row in _rows(one)] == sent[partition]
        gaps = [gap for one in mine for gap in one.gaps]
        gaps += [one.gap for one in vacant if (one.topic, one.partition) == partition]
        assert sum(gap.end - gap.first for gap in gaps if gap.reason == "expired") == expired[partition]
        assert all(one.described("s").is_complete for one in mine)
        assert all(one.earliest_ms <= row.timestamp_ms <= one.latest_ms for one in mine for row in _rows(one))


def _rows(segment: ClosedSegment) -> list[ArchivedRecord]:
    return list(rows_of(read_segment(segment.content, extent_of(segment.described("s")))))


def _require_covered(
    partition: Partition, begin: int, end: int, closed: list[ClosedSegment], vacant: list[Vacancy]
) -> None:
    ranges = [(one.first_offset, one.end_offset) for one in closed if one.partition == partition]
    ranges += [(one.gap.first, one.gap.end) for one in vacant if (one.topic, one.partition) == partition]
    reached = begin
    for first, last in sorted(ranges):
        assert first == reached < last
        reached = last
    # Offsets at the very end that nobody has called the end yet are not covered.
    assert reached <= end


def test_a_mark_is_reached_when_every_partition_is() -> None:
    collection = Collection()
    collection.place({}, {ONE: 0, OTHER: 0})
    collection.mark(NOW, {ONE: 1, OTHER: 2})
    collection.take(ONE, ArchivedRecord(0, 1, 1, b"k", b"v"), 0.0)
    collection.mark(NOW + timedelta(seconds=1), {ONE: 9, OTHER: 9})
    collection.close()
    assert collection.through is None
    collection.end(OTHER, 2)
    assert collection.is_mark_reached()
    collection.close()
    assert collection.through == NOW


def test_a_topic_that_was_made_anew_is_not_mixed_with_the_old_one() -> None:
    require_not_beyond({ONE: 5}, {ONE: 5, OTHER: 0})
    with pytest.raises(Fatal, match=r"orders\.events/0 ends at offset 4, but the backup holds it up to 5"):
        require_not_beyond({ONE: 5}, {ONE: 4})
