"""The demonstration business trades correctly by itself: its amounts add up and its lives are those of its seed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import pytest

from deploy.demo.life import Fault, Life, draw_life
from deploy.demo.master_data import FUNCTIONAL_CURRENCY, draw_master_data
from deploy.demo.trading import RoundSize, rounds
from deploy.demo.transactions import Step, System, Transaction
from schemas.allocation import smallest_coin

TODAY = date(2026, 11, 21)
MASTER = draw_master_data(7, TODAY)


@cache
def lives(count: int, *, seed: int = 7) -> tuple[Life, ...]:
    return tuple(draw_life(seed, number, MASTER, TODAY) for number in range(1, count + 1))


def inserted(life: Life, table: str) -> list[tuple[Any, ...]]:
    return [
        statement.values
        for transaction in life.transactions
        for statement in transaction.statements
        if statement.text.startswith(f"INSERT INTO {table} ")
    ]


def test_the_same_seed_gives_the_same_lives() -> None:
    assert lives(50) == lives(400)[:50]
    assert draw_master_data(7, TODAY) == MASTER
    assert lives(50) != lives(50, seed=8)


def test_every_step_happens() -> None:
    seen = {transaction.step for life in lives(400) for transaction in life.transactions}
    assert seen == set(Step) - {Step.MASTER_DATA, Step.CORRECTED}


def test_an_order_has_six_to_eight_transactions_on_average() -> None:
    count = sum(len(life.transactions) for life in lives(400))
    assert 2_400 <= count <= 3_200


def test_amounts_of_every_document_add_up_and_fit_the_currency() -> None:
    for life in lives(400):
        for values in inserted(life, "invoice"):
            *_, currency, net, tax, gross = values
            assert net + tax == gross
            assert all(amount == amount.quantize(smallest_coin(str(currency))) for amount in (net, tax, gross))
            assert all(amount >= 0 for amount in (net, tax, gross))


def test_what_is_paid_is_what_was_billed() -> None:
    for life in lives(400):
        billed: Counter[Any] = Counter()
        for values in inserted(life, "invoice"):
            billed[str(values[2])] += values[8]
        paid: Counter[Any] = Counter()
        for values in inserted(life, "payment"):
            paid[str(values[2])] += values[4]
        if billed:
            assert paid["receipt"] == billed["invoice"]
            assert paid["refund"] == billed["credit_note"]
        else:
            assert paid["receipt"] == paid["refund"]


def test_no_more_is_returned_than_was_shipped_and_all_is_shipped() -> None:
    for life in lives(400):
        shipped: Counter[Any] = Counter()
        for values in inserted(life, "shipment_line"):
            shipped[values[1]] += values[2]
        for values in inserted(life, "goods_return_line"):
            shipped[values[1]] -= values[2]
        assert all(quantity >= 0 for quantity in shipped.values())


def test_nothing_lies_in_the_future() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for life in lives(400):
        times = [value for each in life.transactions for s in each.statements for value in s.values]
        assert all(moment < now for moment in times if isinstance(moment, datetime))


def test_every_currency_has_a_rate_on_every_day() -> None:
    currencies = {customer.currency for customer in MASTER.customers} - {FUNCTIONAL_CURRENCY}
    days = {currency: {rate.day for rate in MASTER.rates if rate.currency == currency} for currency in currencies}
    assert len(currencies) >= 4
    assert all(len(each) == 76 and max(each) == TODAY for each in days.values())
    assert all(rate.rate > 0 for rate in MASTER.rates)


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_is_mended_by_the_next_transaction(fault: Fault) -> None:
    life = draw_life(7, 4711, MASTER, TODAY, fault=fault)
    first, second = life.transactions[:2]
    assert first.step is Step.PLACED
    assert second.step is (Step.CORRECTED if fault.is_refused else Step.MASTER_DATA)
    assert second.system is (System.INVENTORY if fault is Fault.LATE_PRODUCT else System.CRM)


def test_a_wrong_total_is_wrong_by_one_coin() -> None:
    life = draw_life(7, 4711, MASTER, TODAY, fault=Fault.WRONG_TOTAL)
    *_, net, tax, gross = inserted(life, "sales_order")[0]
    assert gross - net - tax in (Decimal("0.01"), Decimal(1))


def test_rounds_keep_each_order_in_sequence_and_interleave_orders() -> None:
    drawn = lives(400)
    written: dict[int, list[Transaction]] = {}
    numbers = []
    for transactions in rounds(drawn, Random(1), RoundSize(transactions=20, orders=40)):
        orders = [transaction.order_number for transaction in transactions]
        assert len(orders) == len(set(orders)) <= 20
        for transaction in transactions:
            assert transaction.order_number is not None
            written.setdefault(transaction.order_number, []).append(transaction)
            numbers.append(transaction.order_number)
    assert written == {life.number: list(life.transactions) for life in drawn}
    assert numbers != sorted(numbers)
