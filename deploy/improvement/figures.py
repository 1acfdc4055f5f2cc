"""The figures of a span of weeks: what was found of each cause, how it develops, and how long versions took."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from math import ceil
from statistics import median

from deploy.improvement.findings import Cause, Finding, Kind, Money, TimedVersion
from deploy.improvement.weeks import Week, last_weeks, week_of

LATE_SECONDS = 30.0
"""A version that takes longer is late; as the alert on the freshness objective has it."""
_ZERO = Decimal(0)
_MORE, _LESS = 1.25, 0.8

Convert = Callable[[Money], Decimal | None]
"""Into the one currency of the figures; None where there is no rate."""


class Trend(StrEnum):
    """How often something is found lately, against before."""

    NEW = "new"
    GROWING = "growing"
    STEADY = "steady"
    SHRINKING = "shrinking"
    GONE = "gone"


@dataclass(slots=True)
class Tally:
    """What was found in one week, or in all of them. Of each order the largest amount counts, and that once."""

    count: int = 0
    amounts: dict[str, Decimal] = field(default_factory=dict)
    """By order."""

    def add(self, order_id: str, amount: Decimal | None) -> None:
        """Count one finding."""
        self.count += 1
        self.amounts[order_id] = max(self.amounts.get(order_id, _ZERO), amount or _ZERO)

    @property
    def orders(self) -> int:
        """How many orders were concerned."""
        return len(self.amounts)

    @property
    def amount(self) -> Decimal:
        """The money at stake."""
        return sum(self.amounts.values(), _ZERO)


@dataclass(slots=True)
class CauseFigures:
    """Everything found of one cause."""

    cause: Cause
    total: Tally = field(default_factory=Tally)
    by_week: dict[Week, Tally] = field(default_factory=lambda: defaultdict(Tally))
    open: int = 0
    """Differences that stand, whenever they were found."""
    healing_seconds: list[float] = field(default_factory=list)

    @property
    def median_healing_seconds(self) -> float | None:
        """How long half of the differences stood, of those that healed."""
        return median(self.healing_seconds) if self.healing_seconds else None


@dataclass(slots=True)
class Durations:
    """Seconds from the commit to the version, of the versions of one source in one week."""

    seconds: array[float] = field(default_factory=lambda: array("d"))
    late: int = 0

    def percentile(self, share: float) -> float:
        """The nearest rank: so large a share of the versions took no longer."""
        ordered = sorted(self.seconds)
        return ordered[max(ceil(share * len(ordered)), 1) - 1]


class Improvement:
    """Counts findings and versions; made for one span of weeks, read when everything was counted. Source: S9."""

    def __init__(
        self,
        as_of: datetime,
        weeks: int,
        currency_code: str,
        convert: Convert,
        late_seconds: float = LATE_SECONDS,
    ) -> None:
        """`weeks` are at least two; the last one is running."""
        self.as_of, self.currency_code, self.late_seconds = as_of, currency_code, late_seconds
        self.weeks = last_weeks(as_of, weeks)
        self.causes: dict[Cause, CauseFigures] = {}
        self.durations: dict[tuple[str, Week], Durations] = defaultdict(Durations)
        self.missing_rates: set[str] = set()
        self._convert = convert

    @property
    def since(self) -> datetime:
        """The first moment that counts."""
        return self.weeks[0].begins_at

    @property
    def middle(self) -> datetime:
        """The earlier half of the weeks is before it, the later half, with the running week, after it."""
        return self.weeks[len(self.weeks) - len(self.weeks) // 2].begins_at

    def count(self, finding: Finding) -> None:
        """Take in one finding; one of an earlier time only counts as standing, where it does."""
        if finding.at > self.as_of:
            return
        healed_at = finding.healed_at if finding.healed_at is not None and finding.healed_at <= self.as_of else None
        stands = finding.is_open or healed_at != finding.healed_at
        if finding.at < self.since and not stands:
            return
        figures = self.causes.setdefault(finding.cause, CauseFigures(finding.cause))
        figures.open += stands
        if finding.at < self.since:
            return
        amount = None if finding.money is None else self._converted(finding.money)
        figures.total.add(finding.order_id, amount)
        figures.by_week[week_of(finding.at)].add(finding.order_id, amount)
        if healed_at is not None:
            figures.healing_seconds.append(max((healed_at - finding.at).total_seconds(), 0.0))

    def time(self, version: TimedVersion) -> None:
        """Take in one version; one that is late is a finding, too."""
        if not self.since <= version.processed_at <= self.as_of:
            return
        durations = self.durations[version.source, week_of(version.processed_at)]
        durations.seconds.append(version.seconds)
        if version.seconds > self.late_seconds:
            durations.late += 1
            cause = Cause(Kind.DELAY, version.slowest_part, version.source)
            self.count(Finding(cause, version.order_id, version.processed_at, version.money))

    def trend(self, figures: CauseFigures) -> Trend:
        """How the later half of the weeks compares with the earlier one; what still stands is never gone."""
        lately = sum(one.count for week, one in figures.by_week.items() if week.begins_at >= self.middle)
        before = figures.total.count - lately
        if not lately:
            return Trend.STEADY if figures.open else Trend.GONE
        if not before:
            return Trend.NEW
        # The running week is not over: what is compared is how often it happened in the same time.
        after_seconds = max((self.as_of - self.middle).total_seconds(), 1.0)
        ratio = (lately / after_seconds) / (before / (self.middle - self.since).total_seconds())
        return Trend.GROWING if ratio > _MORE else Trend.SHRINKING if ratio < _LESS else Trend.STEADY

    def versions(self, week: Week) -> int:
        """How many versions there were."""
        return sum(len(one.seconds) for (_, of), one in self.durations.items() if of == week)

    def found(self, week: Week, kind: Kind) -> int:
        """How much of a kind was found in a week."""
        return sum(one.count for one in self._tallies(week, kind))

    def at_stake(self, week: Week, kind: Kind) -> Decimal:
        """The money at stake in what was found."""
        return sum((one.amount for one in self._tallies(week, kind)), _ZERO)

    def per_thousand(self, week: Week) -> float | None:
        """Refused events and differences for each thousand versions of the week: what is to shrink."""
        versions = self.versions(week)
        found = self.found(week, Kind.REJECTION) + self.found(week, Kind.MISMATCH)
        return 1_000 * found / versions if versions else None

    @property
    def sources(self) -> list[str]:
        """The sources of versions, by name."""
        return sorted({source for source, _ in self.durations})

    def _converted(self, money: Money) -> Decimal | None:
        amount = self._convert(money)
        if amount is None:
            self.missing_rates.add(money.currency_code)
        return amount

    def _tallies(self, week: Week, kind: Kind) -> Iterator[Tally]:
        for cause, figures in self.causes.items():
            if cause.kind is kind and week in figures.by_week:
                yield figures.by_week[week]
