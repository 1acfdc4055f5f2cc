"""For how long readers of whole transactions have stood before the same one."""

from __future__ import annotations

from deploy.telemetry.lag.broker import Extent
from deploy.telemetry.lag.report import Place
from deploy.telemetry.lag.waiting import OpenTransactions

HERE = Place("orders.events", 3)


def test_time_runs_while_the_end_stands_before_an_open_transaction() -> None:
    open_transactions = OpenTransactions()
    seen = [
        open_transactions.seconds({HERE: Extent(0, end, written)}, now)[HERE]
        for now, end, written in [(10, 5, 5), (20, 5, 7), (30, 5, 7), (50, 5, 9), (60, 9, 9), (70, 9, 10)]
    ]
    assert seen == [0, 0, 10, 30, 0, 0]


def test_one_transaction_after_the_other_is_none_that_does_not_end() -> None:
    open_transactions = OpenTransactions()
    for now in range(0, 100, 10):
        assert open_transactions.seconds({HERE: Extent(0, now, now + 5)}, now) == {HERE: 0}


def test_what_is_gone_is_forgotten() -> None:
    open_transactions = OpenTransactions()
    open_transactions.seconds({HERE: Extent(0, 5, 7)}, 10)
    assert open_transactions.seconds({}, 20) == {}
    assert open_transactions.seconds({HERE: Extent(0, 5, 7)}, 30) == {HERE: 0}
