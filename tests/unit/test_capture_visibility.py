"""Which transactions a snapshot sees, with the 32 bits that the replication stream tells of a transaction."""

from __future__ import annotations

import pytest

from producers.cdc.postgres.visibility import PostgresSnapshotView
from schemas.errors import InvalidValue


@pytest.mark.parametrize(
    ("snapshot", "seen", "unseen"),
    [
        ("10:10:", [3, 9], [10, 11]),
        ("10:20:10,14", [9, 11, 19], [10, 14, 20, 25]),
        # The 64-bit numbers of the snapshot have gone round: the stream's lower bits are the nearest.
        (f"{(7 << 32) + 10}:{(7 << 32) + 20}:{(7 << 32) + 10}", [9, 15, 0xFFFFFFFF, 0xFFFF0000], [10, 20, 1 << 20]),
        (f"{(7 << 32) - 5}:{(7 << 32) - 2}:{(7 << 32) - 5}", [0xFFFFFFFA, 0xFFFFFFFC], [0xFFFFFFFB, 0xFFFFFFFE, 3]),
    ],
)
def test_what_is_seen(snapshot: str, seen: list[int], unseen: list[int]) -> None:
    view = PostgresSnapshotView.parse(snapshot)
    assert [number for number in seen if not view.sees(number)] == []
    assert [number for number in unseen if view.sees(number)] == []


def test_what_is_no_snapshot_is_refused() -> None:
    with pytest.raises(InvalidValue, match="no snapshot"):
        PostgresSnapshotView.parse("10")
