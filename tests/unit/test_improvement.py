"""The figures over weeks: what counts in which week, how often, with which money, and what is mended first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from deploy.improvement.advice import ranked, recommendations
from deploy.improvement.episodes import MismatchRecord, episodes
from deploy.improvement.figures import Improvement, Trend
from deploy.improvement.findings import Cause, Finding, Kind, Money, TimedVersion
from deploy.improvement.weeks import Week, last_weeks, week_of
from schemas.attributes import OrderId
from schemas.models import Mismatch

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULE = Cause(Kind.REJECTION, "order.tax_total", "crm")
OTHER = Cause(Kind.REJECTION, "order.lines_present", "shop")
BY_HAND = Cause(Kind.MISMATCH, "manual_change", "crm", "erp")


def made(weeks: int = 4) -> Improvement:
    """In EUR; a dollar is half a euro, and nothing else has a rate."""
    rates = {"EUR": Decimal(1), "USD": Decimal("0.5")}
    return Improvement(
        NOW, weeks, "EUR", lambda money: money.amount * rates[money.currency_code] if money[1] in rates else None
    )


def euros(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


def found(cause: Cause, days_ago: float, order_id: str = "crm:1", money: Money | None = None) -> Finding:
    return Finding(cause, order_id, NOW - timedelta(days=days_ago), money)


def mismatch(detected_at: datetime, amount: str, cause: str = "manual_change") -> Mismatch:
    return Mismatch(
        mismatch_id="crm:1/erp/payable_amount",
        order_id=OrderId("crm:1"),
        system="erp",
        reference="state",
        kind="different",
        amount=Decimal(amount),
        currency_code="EUR",
        detected_at=detected_at,
        cause=cause,
    )


def test_weeks_begin_on_monday_and_cross_the_year() -> None:
    assert str(week_of(datetime(2026, 11, 16, tzinfo=UTC))) == "2026-W47"
    assert week_of(datetime(2026, 11, 15, 23, 59, 59, tzinfo=UTC)) == Week(2026, 46)
    assert [str(week) for week in last_weeks(datetime(2027, 1, 5, tzinfo=UTC), 3)] == [
        "2026-W52", "2026-W53", "2027-W01",
    ]  # fmt: skip
    assert Week(2026, 53).begins_at == datetime(2026, 12, 28, tzinfo=UTC)


def test_of_each_order_the_largest_amount_counts_once_in_the_one_currency() -> None:
    figures = made()
    for finding in (
        found(RULE, 1, "crm:1", euros("10")),
        found(RULE, 1, "crm:1", euros("30")),
        found(RULE, 8, "crm:1", Money(Decimal(80), "USD")),
        found(RULE, 8, "crm:2", Money(Decimal(7), "SEK")),
        found(RULE, 8, "crm:3"),
    ):
        figures.count(finding)
    of_rule = figures.causes[RULE]
    assert (of_rule.total.count, of_rule.total.orders, of_rule.total.amount) == (5, 3, Decimal(40))
    assert {str(week): (one.count, one.amount) for week, one in of_rule.by_week.items()} == {
        "2026-W47": (2, Decimal(30)), "2026-W46": (3, Decimal(40)),
    }  # fmt: skip
    assert figures.missing_rates == {"SEK"}


def test_what_was_before_the_weeks_or_after_them_does_not_count_but_stands_where_it_stands() -> None:
    figures = made()
    figures.count(found(RULE, 40))
    figures.count(found(RULE, -1))
    assert figures.causes == {}
    figures.count(Finding(BY_HAND, "crm:1", NOW - timedelta(days=40), euros("5"), is_open=True))
    assert (figures.causes[BY_HAND].open, figures.causes[BY_HAND].total.count) == (1, 0)
    assert figures.trend(figures.causes[BY_HAND]) is Trend.STEADY


def test_a_difference_that_healed_after_the_time_in_question_stood_then() -> None:
    figures = made()
    day = timedelta(days=1)
    figures.count(Finding(BY_HAND, "crm:1", NOW - day, healed_at=NOW + day))
    figures.count(Finding(BY_HAND, "crm:2", NOW - day, healed_at=NOW - day / 2))
    figures.count(Finding(BY_HAND, "crm:3", NOW + day, is_open=True))
    of_hand = figures.causes[BY_HAND]
    assert (of_hand.open, of_hand.total.count, of_hand.healing_seconds) == (1, 2, [43_200.0])


@pytest.mark.parametrize(
    ("days_ago", "trend"),
    [
        ([1], Trend.NEW),
        ([20], Trend.GONE),
        ([1, 2, 20], Trend.GROWING),
        ([1, 20, 21], Trend.SHRINKING),
        # 12.5 days since the middle, and 14 before it.
        ([1, 20], Trend.STEADY),
    ],
)
def test_the_trend_compares_what_happened_in_the_same_time(days_ago: list[float], trend: Trend) -> None:
    figures = made()
    for days in days_ago:
        figures.count(found(RULE, days))
    assert figures.trend(figures.causes[RULE]) is trend


def test_what_still_happens_comes_before_what_costs_more_and_is_gone() -> None:
    figures = made()
    figures.count(found(RULE, 20, money=euros("1000")))
    figures.count(found(OTHER, 1, money=euros("5")))
    figures.count(found(OTHER, 1, "crm:2", money=euros("6")))
    figures.count(found(BY_HAND, 1, money=euros("10")))
    order = [one.figures.cause for one in ranked(figures, Kind.REJECTION, Kind.MISMATCH)]
    assert order == [OTHER, BY_HAND, RULE]
    [said] = recommendations(figures)
    assert said == (
        "Mend first: rule order.lines_present at source shop (2 times in 2 orders, 11.00 EUR at stake, new). "
        "Have shop check it before it saves, or change the rule: `ordersync rules explain order.lines_present`."
    )


def test_nothing_is_recommended_where_all_is_gone() -> None:
    figures = made()
    figures.count(found(RULE, 20, money=euros("1000")))
    assert list(recommendations(figures)) == []


def test_late_versions_are_told_by_source_and_by_the_part_of_the_way() -> None:
    figures = made()
    for order_id, in_capture, in_streams in (("1", 1, 0), ("2", 1, 1), ("3", 2, 1), ("4", 35, 5), ("5", 1, 59)):
        committed_at = NOW - timedelta(hours=1)
        captured_at = committed_at + timedelta(seconds=in_capture)
        processed_at = captured_at + timedelta(seconds=in_streams)
        figures.time(TimedVersion("crm", order_id, committed_at, captured_at, processed_at, euros("9")))
    of_week = figures.durations["crm", Week(2026, 47)]
    # 1, 2, 3, 40 and 60 s.
    assert (of_week.late, of_week.percentile(0.5), of_week.percentile(0.99)) == (2, 3.0, 60.0)
    assert {cause[1:]: one.total.amount for cause, one in figures.causes.items()} == {
        ("capture", "crm", ""): 9, ("streams", "crm", ""): 9,
    }  # fmt: skip
    assert figures.per_thousand(Week(2026, 47)) == 0
    figures.count(found(RULE, 1))
    assert figures.per_thousand(Week(2026, 47)) == 200
    assert figures.per_thousand(Week(2026, 46)) is None


def test_a_difference_that_heals_and_comes_again_is_two() -> None:
    key, start = "crm:1/erp/payable_amount", NOW - timedelta(days=3)
    again = start + timedelta(days=1)
    records = [
        MismatchRecord(key, start, mismatch(start, "-12", "lost_event")),
        MismatchRecord(key, start, mismatch(start, "10")),
        MismatchRecord("unknown", start, None),
        MismatchRecord(key, start + timedelta(hours=1), None),
        MismatchRecord(key, start + timedelta(hours=1), None),
        MismatchRecord(key, again, mismatch(again, "1")),
    ]
    first, second = episodes(records)
    assert first == Finding(BY_HAND, "crm:1", start, euros("12"), start + timedelta(hours=1))
    assert (second.at, second.is_open, second.money) == (again, True, euros("1"))
