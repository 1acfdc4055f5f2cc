"""Tells stalled, slow, rewound and stopped consumers apart by a window of observations, not by a threshold.

Source: the evaluation rules of LinkedIn's Burrow. Two differences: membership of the group tells stopped from stalled,
which Burrow must guess from the times of commits; and slow needs a lag that grew, where Burrow warns of a constant one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from pydantic import Field, field_validator

from deploy.telemetry.lag.report import GroupStanding
from schemas.settings import SettingsPart


class TrendSettings(SettingsPart):
    """How often the broker is asked, and how many answers make a judgement."""

    interval_seconds: float = Field(10.0, gt=0, description="Time from one look to the next")
    looks: int = Field(10, ge=3, description="Looks in the window; a group that stands still for all of them is told")
    unread_seconds: float = Field(5.0, gt=0, description="Longest time of one look for reading next unread records")
    ignored_groups: str = Field("", description="Regular expression of groups that are left out; empty for none")

    @field_validator("ignored_groups")
    @classmethod
    def _is_expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as exc:
            raise ValueError(f"{value!r} is no regular expression: {exc}") from exc
        return value


class Observation(NamedTuple):
    """One group on one partition in one look."""

    committed: int
    end: int
    lag_records: int
    lag_seconds: float


def standing_of(window: Sequence[Observation], *, members: bool, looks: int) -> GroupStanding:
    """The judgement over the latest `looks` observations of one topic's life; the newest is the last.

    Until the window is full nobody is stalled, stopped or slow: a monitor that has just started knows no trend.
    """
    if any(later.committed < earlier.committed for earlier, later in pairwise(window)):
        return GroupStanding.REWOUND
    if len(window) < looks or any(one.lag_records == 0 for one in window):
        return GroupStanding.FINE
    if window[0].committed == window[-1].committed:
        return _still(members)
    return GroupStanding.SLOW if _falls_back(window) else GroupStanding.FINE


def life_of(window: Sequence[Observation]) -> Sequence[Observation]:
    """The observations since the topic was last made anew, which its end going backwards shows."""
    for index in range(len(window) - 1, 0, -1):
        if window[index].end < window[index - 1].end:
            return window[index:]
    return window


def _still(members: bool) -> GroupStanding:
    return GroupStanding.STALLED if members else GroupStanding.STOPPED


def _falls_back(window: Sequence[Observation]) -> bool:
    if any(later.lag_records < earlier.lag_records for earlier, later in pairwise(window)):
        return False
    # More records at the same delay are only a busier hour.
    return window[-1].lag_records > window[0].lag_records and window[-1].lag_seconds > window[0].lag_seconds
