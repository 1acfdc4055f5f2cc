"""Weeks as ISO 8601 counts them, from Monday in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

WEEK = timedelta(weeks=1)


class Week(NamedTuple):
    """One week, such as 2026-W47; weeks compare by time."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}-W{self.number:02}"

    @property
    def begins_at(self) -> datetime:
        """Its first moment."""
        monday = date.fromisocalendar(self.year, self.number, 1)
        return datetime(monday.year, monday.month, monday.day, tzinfo=UTC)


def week_of(instant: datetime) -> Week:
    """The week of a time."""
    year, number, _ = instant.astimezone(UTC).isocalendar()
    return Week(year, number)


def last_weeks(as_of: datetime, count: int) -> tuple[Week, ...]:
    """`count` weeks in the order of time; the last one is running at `as_of`."""
    running = week_of(as_of).begins_at
    return tuple(week_of(running - back * WEEK) for back in reversed(range(count)))
