"""How a group does, judged by its window of observations."""

from __future__ import annotations

import pytest

from deploy.telemetry.lag.report import GroupStanding
from deploy.telemetry.lag.trend import Observation, life_of, standing_of

LOOKS = 4

Step = tuple[int, int]
"""Committed offset and end of the partition; each record is one second older than the next."""


def window(*steps: Step) -> list[Observation]:
    return [Observation(done, end, end - done, float(end - done)) for done, end in steps]


@pytest.mark.parametrize(
    ("steps", "members", "expected"),
    [
        pytest.param([(5, 5)] * 4, False, GroupStanding.FINE, id="idle and without members"),
        pytest.param([(5, 9)] * 3, True, GroupStanding.FINE, id="too few looks to tell"),
        pytest.param([(5, 9)] * 4, True, GroupStanding.STALLED, id="records wait, nothing moves"),
        pytest.param([(5, 9)] * 4, False, GroupStanding.STOPPED, id="the same, and nobody is there"),
        pytest.param([(5, 6), (5, 7), (5, 8), (5, 9)], True, GroupStanding.STALLED, id="more and more wait"),
        pytest.param([(5, 5), (5, 9), (5, 9), (5, 9)], True, GroupStanding.FINE, id="it had read all in the window"),
        pytest.param([(5, 8), (6, 10), (7, 12), (8, 14)], True, GroupStanding.SLOW, id="moves, but falls back"),
        pytest.param([(5, 8), (6, 10), (7, 12), (8, 14)], False, GroupStanding.SLOW, id="the same without members"),
        pytest.param([(5, 9), (6, 10), (7, 11), (8, 12)], True, GroupStanding.FINE, id="a constant delay"),
        pytest.param([(5, 90), (20, 100), (40, 110), (60, 120)], True, GroupStanding.FINE, id="far behind, catches up"),
        pytest.param([(5, 8), (6, 10), (9, 12), (10, 14)], True, GroupStanding.FINE, id="once it caught up a little"),
        pytest.param([(9, 9), (4, 9)], True, GroupStanding.REWOUND, id="went back"),
        pytest.param([(9, 9), (4, 9), (7, 9), (9, 9)], True, GroupStanding.REWOUND, id="went back and read it again"),
    ],
)
def test_standing(steps: list[Step], members: bool, expected: GroupStanding) -> None:
    assert standing_of(window(*steps), members=members, looks=LOOKS) is expected


def test_more_records_at_the_same_delay_are_not_slow() -> None:
    busier = [Observation(5 + n, 10 + 3 * n, 5 + 2 * n, 4.0) for n in range(LOOKS)]
    assert standing_of(busier, members=True, looks=LOOKS) is GroupStanding.FINE


def test_a_topic_made_anew_begins_a_new_life() -> None:
    seen = window((50, 60), (55, 62), (0, 3), (2, 4))
    assert life_of(seen) == seen[2:]
    assert standing_of(life_of(seen), members=True, looks=LOOKS) is GroupStanding.FINE
