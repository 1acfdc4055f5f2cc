"""Records in columns: nothing is lost on the way in and out, and a digest tells any two rows of records apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.backup.archive.batches import ArchivedRecord, RecordBatch
from consumers.backup.restore.digests import Digest

PARTS = st.none() | st.binary(max_size=3)
HEADERS = st.lists(st.tuples(st.text("ab", max_size=2), PARTS), max_size=2).map(tuple)
RECORDS = st.lists(
    st.builds(ArchivedRecord, st.integers(0, 9), st.integers(-1, 2), st.integers(0, 2), PARTS, PARTS, HEADERS),
    max_size=5,
)


def batches(records: list[ArchivedRecord], cut: int) -> list[RecordBatch]:
    return [RecordBatch.of(records[:cut]), RecordBatch.of(records[cut:])]


@given(RECORDS, st.integers(0, 5))
def test_records_come_out_as_they_went_in(records: list[ArchivedRecord], after: int) -> None:
    batch = RecordBatch.unpacked(RecordBatch.of(records).packed())
    assert list(batch.rows()) == records
    assert list(batch.chosen(range(after, len(records))).rows()) == records[after:]
    assert list(batch.within(0, 1).rows()) == [one for one in records if one.timestamp_ms == 1]


@given(RECORDS, RECORDS, st.integers(0, 5), st.integers(0, 5))
def test_digests_are_equal_if_the_records_are(
    some: list[ArchivedRecord], others: list[ArchivedRecord], cut: int, other_cut: int
) -> None:
    for one, other in ((some, others), (some, list(some))):
        found = [Digest().of(batches(records, at)) for records, at in ((one, cut), (other, other_cut))]
        # Offsets are new after a restore, and who set the timestamp with them.
        same = [record[1:2] + record[3:] for record in one] == [record[1:2] + record[3:] for record in other]
        assert (found[0].sha256 == found[1].sha256) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [((b"ab", b"c"), (b"a", b"bc")), ((None, b""), (b"", None)), ((None, None), (b"", b""))],
)
def test_where_a_part_ends_is_part_of_the_digest(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    for records in (
        [[ArchivedRecord(number, 1, 1, part, b"v") for number, part in enumerate(parts)] for parts in (one, other)],
        [[ArchivedRecord(number, 1, 1, b"k", part) for number, part in enumerate(parts)] for parts in (one, other)],
    ):
        first, second = (Digest().of(batches(rows, 1)).sha256 for rows in records)
        assert first != second


@pytest.mark.parametrize(
    "change",
    [
        {"keys": b"kx"},
        {"value_lengths": b"\x02\0\0\0\x02\0\0\0"},
        {"value_lengths": b"\xfe\xff\xff\xff\x04\0\0\0"},
        {"timestamps": b"\0" * 8},
        {"offsets": b"\0" * 15},
        {"timestamp_types": b"\x01"},
        {"headers": [{"record": 2, "key": "h", "value": None}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_columns_that_do_not_fit_together_are_refused(change: dict[str, Any]) -> None:
    row = RecordBatch.of([ArchivedRecord(one, 1, 1, None, b"v") for one in range(2)]).packed()
    assert len(RecordBatch.unpacked(row)) == 2
    with pytest.raises(ValueError, match=r"length|bytes|long"):
        RecordBatch.unpacked(row | change)
