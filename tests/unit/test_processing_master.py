"""Master data as of the time that an order speaks of."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.attributes import CustomerId, ProductId
from schemas.models import Product
from schemas.topics import CUSTOMERS, FX_RATES, PRODUCTS
from streams.processing.keyvalues import MemoryKeyValues
from streams.processing.master import MasterTables
from tests.unit.order_lives import BEGIN, Item, Life, customer, fx_rate, order, product
from tests.unit.processing_desk import Desk, codecs, empty_master, known_master

DAY = timedelta(days=1)
TODAY = BEGIN.date()
P1 = ProductId("P1")


def image(cost: str, at: datetime) -> Product:
    """A product as it was committed at a time."""
    return product("P1", cost=cost).model_copy(update={"committed_at": at})


def dated(cost: str, day: date) -> Product:
    """A product of a source that dates its costs."""
    return product("P1", cost=cost).model_copy(update={"valid_from": day, "committed_at": BEGIN})


def cost_at(tables: MasterTables, at: datetime) -> D | None:
    """The cost of the product as of a time."""
    found = tables.as_of(at, TODAY).product(P1)
    return None if found is None else found.standard_cost_amount


def test_the_image_that_was_committed_last_before_the_event_counts() -> None:
    tables = empty_master()
    assert cost_at(tables, BEGIN) is None
    for cost, days in (("1", 0), ("2", 2), ("3", 4)):
        tables.put(PRODUCTS, image(cost, BEGIN + days * DAY))
    known = {days: cost_at(tables, BEGIN + days * DAY) for days in (-9, 0, 1, 2, 3, 4, 99)}
    assert known == {-9: D(1), 0: D(1), 1: D(1), 2: D(2), 3: D(2), 4: D(3), 99: D(3)}
    newest = tables.product(P1)
    assert newest is not None and newest.standard_cost_amount == D(3)


def test_dates_of_the_source_count_whenever_they_were_committed() -> None:
    tables = empty_master()
    for cost, days in (("3", 10), ("1", -10), ("2", 0)):
        tables.put(PRODUCTS, dated(cost, TODAY + days * DAY), f"P1@{TODAY + days * DAY}")
    known = {days: cost_at(tables, BEGIN + days * DAY) for days in (-99, -10, -1, 0, 9, 10)}
    assert known == {-99: D(1), -10: D(1), -1: D(1), 0: D(2), 9: D(2), 10: D(3)}
    tables.put(PRODUCTS, dated("2.5", TODAY), f"P1@{TODAY}")
    assert cost_at(tables, BEGIN) == D("2.5"), "corrected"
    tables.remove(PRODUCTS, f"P1@{TODAY}")
    assert (cost_at(tables, BEGIN), cost_at(tables, BEGIN + 10 * DAY)) == (D(1), D(3))


def test_rate_is_the_newest_that_is_not_of_a_later_day() -> None:
    tables = empty_master()
    for rate, days in (("0.5", 0), ("0.1", -30), ("0.7", 2)):
        day = TODAY + days * DAY
        tables.put(FX_RATES, fx_rate("USD", rate, day=day), f"USD:EUR:{day}")

    def rate_on(days: int) -> D | None:
        found = tables.as_of(BEGIN, TODAY + days * DAY).fx_rate("USD", "EUR")
        return None if found is None else found.rate

    assert [rate_on(days) for days in (-31, -30, -1, 0, 1, 2, 99)] == [
        None,
        *map(D, ["0.1", "0.1", "0.5", "0.5", "0.7", "0.7"]),
    ]
    tables.remove(FX_RATES, f"USD:EUR:{TODAY}")
    assert rate_on(1) == D("0.1"), "a rate that was withdrawn counts no more"
    newest = tables.fx_rate("USD", "EUR")
    assert newest is not None and newest.rate == D("0.7") and tables.fx_rate("EUR", "USD") is None


def test_tombstone_takes_all_images_of_a_record_away() -> None:
    tables = known_master()
    tables.put(CUSTOMERS, customer().model_copy(update={"committed_at": BEGIN + DAY}))
    tables.remove(CUSTOMERS, "C1")
    tables.remove(CUSTOMERS, "never known")
    assert tables.customer(CustomerId("C1")) is None and tables.product(P1) is not None


def test_images_older_than_the_topics_history_are_forgotten_but_for_the_one_in_force() -> None:
    tables = empty_master()
    for cost, days in (("1", 0), ("2", 1), ("3", 20), ("4", 40)):
        tables.put(PRODUCTS, image(cost, BEGIN + days * DAY))
    # Thirty days before the last one, the second was in force.
    assert [cost_at(tables, BEGIN + days * DAY) for days in (0, 1, 20, 40)] == [D(2), D(2), D(3), D(4)]


def test_values_that_outlived_the_process_are_known_again() -> None:
    values = MemoryKeyValues()
    tables = MasterTables(values, codecs())
    tables.put(PRODUCTS, image("1", BEGIN))
    tables.put(FX_RATES, fx_rate("USD", "0.5"))
    again = MasterTables(values, codecs())
    assert (again.product(P1), again.fx_rate("USD", "EUR")) == (tables.product(P1), tables.fx_rate("USD", "EUR"))
    again.clear(PRODUCTS)
    assert again.product(P1) is None and again.fx_rate("USD", "EUR") is not None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), max_size=12), st.integers(-5, 60))
def test_any_history_is_what_a_list_would_tell(changes: list[tuple[int, int]], asked: int) -> None:
    tables, known = empty_master(), dict[int, int]()
    for day, cost in changes:
        tables.put(PRODUCTS, dated(str(cost), TODAY + day * DAY), f"P1@{day}")
        known[day] = cost
        cost_at(tables, BEGIN)
    expected = [known[day] for day in sorted(known) if day <= asked][-1:] or [known[day] for day in sorted(known)][:1]
    found = cost_at(tables, BEGIN + asked * DAY)
    assert found == (expected[0] if expected else None)


@pytest.mark.parametrize(("issued", "rate"), [(0, "0.9"), (1, "0.5"), (2, "0.5")])
def test_order_takes_cost_and_rate_of_its_own_time_though_it_is_processed_later(issued: int, rate: str) -> None:
    life, desk = Life(), Desk()
    facts = order([Item("1", "P1", "1", "100")], currency="USD")
    event = life.ordered(facts.model_copy(update={"issue_date": TODAY + issued * DAY}))
    desk.arrive(product("P1", cost="5").model_copy(update={"committed_at": event.committed_at + DAY}))
    desk.arrive(fx_rate("USD", "0.5", day=TODAY + DAY))
    desk.take(event)
    state = desk.state()
    assert state is not None and state.enrichment is not None
    assert state.enrichment.exchange_rate == D(rate)
    assert [line.standard_cost_amount for line in state.enrichment.lines] == [D("4")]


def test_order_that_is_older_than_every_rate_waits_for_one_of_its_time() -> None:
    life, desk = Life(), Desk()
    old = order([Item("1", "P1", "1", "100")], currency="USD").model_copy(update={"issue_date": date(2026, 1, 5)})
    desk.take(life.ordered(old))
    assert desk.parked() is not None and desk.versions() == []
    desk.arrive(fx_rate("USD", "0.8", day=date(2026, 1, 6)))
    assert desk.versions() == []
    desk.arrive(fx_rate("USD", "0.7", day=date(2026, 1, 5)))
    state = desk.state()
    assert state is not None and state.enrichment is not None and state.enrichment.exchange_rate == D("0.7")
