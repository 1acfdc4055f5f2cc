"""What contracts do beyond the published examples: foreign currency, corrections, closed periods, losses, custody."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from schemas.errors import InvalidValue
from tests.unit.contract_books import accounts, by_account, entries_of, event, journal, moved, transfer

D = Decimal
GOODS = {"name": "goods", "unit_price": 100, "unit_cost": 60}
RATES = [
    {"on": "2026-01-01", "rate": "0.90", "source": "ECB"},
    {"on": "2026-01-31", "rate": "0.92", "source": "ECB"},
    {"on": "2026-02-28", "rate": "0.95", "source": "ECB"},
    {"on": "2026-03-05", "rate": "0.93", "source": "ECB"},
]


def test_foreign_currency_by_hand() -> None:
    found = journal(
        [
            event("payment", "2026-01-10", amount=40),
            transfer("goods", on="2026-01-31"),
            event("period_end", "2026-02-28"),
            event("payment", "2026-03-05", amount=60),
        ],
        obligations=[GOODS],
        currency="USD",
        functional_currency="EUR",
        exchange_rates=RATES,
    )
    own = {str(number): by_account(entries_of(found, str(number)), functional=True) for number in range(1, 5)}
    assert own["1"] == accounts(a1000="36", a2100="-36")
    # IFRIC 22: 40 keep 0.90 = 36.00; the other 60 are earned at 0.92 = 55.20; the cost is the ledger's own
    assert own["2"] == accounts(a1200="55.20", a1300="-60", a2100="36", a4000="-91.20", a5000="60")
    assert own["3"] == accounts(a1200="1.80", a7200="-1.80"), "IAS 21.28: 60 x (0.95 - 0.92)"
    assert own["4"] == accounts(a1000="55.80", a1200="-57", a7200="1.20"), "60 x (0.93 - 0.95)"
    rate = entries_of(found, "4")[0]
    assert (rate.exchange_rate, rate.exchange_rate_date, rate.exchange_rate_provider) == (
        D("0.93"),
        date(2026, 3, 5),
        "ECB",
    )


def test_a_rate_that_nobody_gave_is_asked_for() -> None:
    with pytest.raises(InvalidValue, match="no exchange rate USD to EUR"):
        journal([transfer("goods")], obligations=[GOODS], currency="USD", functional_currency="EUR")


def test_a_correction_reverses_and_posts_anew() -> None:
    found = journal(
        [
            event("payment", "2026-01-10", amount=80),
            transfer("goods", on="2026-01-31"),
            event("correction", "2026-02-03", corrects="1", by=event("payment", "2026-01-10", amount=100)),
        ],
        obligations=[GOODS],
    )
    fixed = entries_of(found, "3")
    assert [entry.description.split()[0] for entry in fixed] == ["Reversal", "Consideration"] + ["Reversal"] * 2 + [
        "Control",
        "Cost",
    ]
    first = entries_of(found, "1")[0]
    assert fixed[0].refers_to_entry_id == fixed[1].refers_to_entry_id == first.entry_id
    assert {entry.posting_date for entry in fixed} == {date(2026, 2, 3)}
    assert by_account(found.entries) == accounts(a1000="100", a1300="-60", a4000="-100", a5000="60")


def test_an_event_that_never_happened_is_taken_back() -> None:
    events = [event("payment", amount=80), event("correction", corrects="1")]
    assert by_account(journal(events, obligations=[GOODS]).entries) == {}


def test_a_late_event_goes_to_the_open_period() -> None:
    found = journal(
        [
            transfer("goods", on="2026-01-31"),
            event("close_period", "2026-02-05", period="2026-01"),
            event("payment", "2026-01-30", amount=100),
        ],
        obligations=[GOODS],
    )
    late = entries_of(found, "3")[0]
    assert (late.posting_date, late.period) == (date(2026, 2, 1), "2026-02")
    assert "about 2026-01-30" in (late.explanation or "")


def test_expected_loss_and_write_off() -> None:
    found = journal(
        [transfer("goods"), event("expected_credit_loss", amount=10), event("write_off", amount=25)],
        obligations=[GOODS],
    )
    assert moved(found, "2") == accounts(a1210="-10", a5400="10")
    assert moved(found, "3") == accounts(a1200="-25", a1210="10", a5400="15")
    assert by_account(found.entries)["4000"] == D(-100), "a loss is not a lower price (IFRS 15.108)"


def test_delivery_term_decides_when_control_passes() -> None:
    steps = [event("shipment", obligation="goods"), event("delivery", "2026-02-04", obligation="goods")]
    at_arrival = journal(steps, obligations=[GOODS], delivery_term="DAP")
    assert (moved(at_arrival, "1"), moved(at_arrival, "2")["4000"]) == ({}, D(-100))
    at_departure = journal(steps, obligations=[GOODS], delivery_term="FCA")
    assert (moved(at_departure, "1")["4000"], moved(at_departure, "2")) == (D(-100), {})


def test_consignment_is_no_revenue_until_the_dealer_sells() -> None:
    found = journal([event("consignment", obligation="goods"), transfer("goods", on="2026-03-01")], obligations=[GOODS])
    assert moved(found, "1") == accounts(a1300="-60", a1310="60")
    assert by_account(found.entries) == accounts(a1200="100", a1300="-60", a4000="-100", a5000="60")


def test_cancellation_before_transfer_gives_back_what_is_not_kept() -> None:
    found = journal(
        [event("payment", amount=100), event("cancellation", kept=30), event("refund", amount=70)], obligations=[GOODS]
    )
    assert by_account(found.entries) == accounts(a1000="30", a4000="-30")


def test_cancellation_after_a_part_keeps_what_was_transferred() -> None:
    three = {"name": "goods", "quantity": 3, "unit_price": 10}
    found = journal([transfer("goods", 1), event("cancellation")], obligations=[three])
    assert by_account(found.entries) == accounts(a1200="10", a4000="-10")


def test_several_tax_rates_and_shipping() -> None:
    freight = {"name": "freight", "unit_price": 10, "tax_percent": 19, "revenue_account": "4100"}
    book = {"name": "book", "unit_price": 20, "tax_percent": 7}
    found = journal([transfer("book"), transfer("freight")], obligations=[book, freight])
    assert by_account(found.entries) == accounts(a1200="33.30", a2200="-3.30", a4000="-20", a4100="-10")


def test_concession_with_tax_is_credited() -> None:
    taxed = GOODS | {"tax_percent": 19}
    found = journal(
        [transfer("goods"), event("payment", amount=119), event("concession", amount=10)], obligations=[taxed]
    )
    assert moved(found, "3") == accounts(a2150="-11.90", a2200="1.90", a4000="10")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([transfer("nothing")], "no obligation 'nothing'"),
        ([transfer("goods", 2)], "2 units of 'goods' are transferred, 1 are left"),
        ([event("return", obligation="goods", quantity=1)], "more units of 'goods' came back"),
        ([event("resolution", variable="bonus", amount=1)], "no variable consideration 'bonus'"),
        ([event("correction", corrects="9")], "names event '9'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(wrong: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        journal(wrong, obligations=[GOODS])
