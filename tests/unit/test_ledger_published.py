"""Further published examples of IFRS 15, written as a stranger writes them: a contract file and `ledger explain`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from deploy.commands.ledger import command
from schemas.errors import InvalidValue

Moves = Mapping[str, int | str]


class Published(NamedTuple):
    """A contract file's terms and events, and what each event brings to each account."""

    name: str
    terms: dict[str, Any]
    events: list[dict[str, Any]]
    moves: list[Moves]


def on(day: str, kind: str, **values: Any) -> dict[str, Any]:
    return {"type": kind, "on": day, **values}


def over_time(name: str, measure: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "satisfied": "over_time", "measure": measure, **more}


def years(name: str, last: int, **more: Any) -> dict[str, Any]:
    return over_time(name, "time", starts_on="2026-01-01", ends_on=f"{last}-12-31", **more)


EXAMPLES = [
    # 10,000 are charged to an uninsured patient, of whom 1,000 are expected.
    Published(
        "3 implicit price concession of a hospital",
        {
            "obligations": [{"name": "services", "unit_price": 10000}],
            "variable": [{"name": "implicit", "estimate": -9000, "is_implicit": True}],
        },
        [on("2026-01-31", "transfer", obligation="services"), on("2026-02-28", "payment", amount=1000)],
        [{"1200": 1000, "4000": -1000}, {"1000": 1000, "1200": -1000}],
    ),
    # Days early or late by expected value (50,000 x 0.2 - 20,000 x 0.3 = 4,000), the inspection's bonus as most likely.
    Published(
        "21 estimating variable consideration",
        {
            "price": 2500000,
            "obligations": [over_time("asset", "output")],
            "variable": [
                {
                    "name": "days",
                    "outcomes": [
                        {"amount": 50000, "probability": "0.2"},
                        {"amount": 0, "probability": "0.5"},
                        {"amount": -20000, "probability": "0.3"},
                    ],
                },
                {
                    "name": "inspection",
                    "outcomes": [{"amount": 150000, "probability": "0.8"}, {"amount": 0, "probability": "0.2"}],
                    "method": "most_likely",
                },
            ],
        },
        [on("2026-12-31", "progress", obligation="asset", fraction=1)],
        [{"1200": 2500000, "1250": 154000, "4000": -2654000}],
    ),
    # The constrained fee of each quarter is for the services of that quarter.
    Published(
        "25 management fees subject to the constraint",
        {"price": 0, "obligations": [years("management", 2030)]},
        [on("2026-03-31", "royalty", amount=2000000), on("2026-06-30", "royalty", amount=1900000)],
        [{"1200": 2000000, "4000": -2000000}, {"1200": 1900000, "4000": -1900000}],
    ),
    # 5 % are withheld until the building is finished: a contract asset, and no financing.
    Published(
        "27 withheld payments on a long-term contract",
        {"price": 1000, "billing": "by_invoice", "obligations": [over_time("building", "output")]},
        [
            on("2026-06-30", "progress", obligation="building", fraction="0.4"),
            on("2026-06-30", "invoice", amount=380),
            on("2026-12-31", "progress", obligation="building", fraction=1),
            on("2026-12-31", "invoice", amount=570),
            on("2027-01-31", "invoice", amount=50),
        ],
        [
            {"1250": 400, "4000": -400},
            {"1200": 380, "1250": -380},
            {"1250": 600, "4000": -600},
            {"1200": 570, "1250": -570},
            {"1200": 50, "1250": -50},
        ],
    ),
    # Paid in advance, the service is used up evenly over three years: no financing component.
    Published(
        "30 advance payment without significant financing",
        {"price": 300, "billing": "by_invoice", "obligations": [years("support", 2028)]},
        [on("2026-01-01", "payment", amount=300), on("2028-12-31", "period_end")],
        [{"1000": 300, "2100": -300}, {"2100": 300, "4000": -300}],
    ),
    # Set-up costs of 280,000 and a commission of 10,000 over five years and two of expected renewal.
    Published(
        "37 costs that give rise to an asset",
        {"obligations": [{"name": "service", "unit_price": 1}]},
        [
            on("2026-01-01", "contract_cost", amount=10000, starts_on="2026-01-01", ends_on="2032-12-31"),
            on("2026-01-01", "contract_cost", amount=280000, starts_on="2026-01-01", ends_on="2032-12-31"),
            on("2032-12-31", "period_end"),
        ],
        [
            {"1400": 10000, "2050": -10000},
            {"1400": 280000, "2050": -280000},
            {"1400": -290000, "5200": 290000},
        ],
    ),
    # The entity sells vouchers of others' meals at 100 and keeps 30 %.
    Published(
        "48 arranging for the provision of goods (agent)",
        {"obligations": [{"name": "vouchers", "quantity": 10, "unit_price": 100, "commission_percent": 30}]},
        [on("2026-01-10", "payment", amount=1000), on("2026-01-20", "transfer", obligation="vouchers")],
        [{"1000": 1000, "2100": -1000}, {"2100": 1000, "2300": -700, "4000": -300}],
    ),
    # A coupon that anyone gets is no material right: nothing is allocated to it.
    Published(
        "50 option that does not provide a material right",
        {"obligations": [{"name": "handset", "stand_alone_price": 200}, years("network", 2027, stand_alone_price=2400)]}
        | {"price": 2600, "billing": "by_invoice"},
        [on("2026-01-01", "transfer", obligation="handset")],
        [{"1250": 200, "4000": -200}],
    ),
    # 150,000 are for the equipment; the royalty of 5 % is for the licence, month by month.
    Published(
        "57 franchise rights",
        {
            "price": 150000,
            "obligations": [
                years("licence", 2035, stand_alone_price=0),
                {"name": "equipment", "stand_alone_price": 150000},
            ],
        },
        [
            on("2026-01-31", "transfer", obligation="equipment"),
            on("2026-01-31", "royalty", amount=5000, obligations=["licence"]),
        ],
        [{"1200": 150000, "4000": -150000}, {"1200": 5000, "4000": -5000}],
    ),
    # A film is a right to use: the share of ticket sales is revenue when tickets are sold, once it can be shown.
    Published(
        "60 sales-based royalty for a licence",
        {"price": 0, "obligations": [{"name": "film", "stand_alone_price": 1}]},
        [
            on("2026-01-31", "royalty", amount=100),
            on("2026-02-28", "transfer", obligation="film"),
            on("2026-03-31", "royalty", amount=70),
        ],
        [{}, {"1200": 100, "4000": -100}, {"1200": 70, "4000": -70}],
    ),
    # 2,000,000 for four years of access to a team's name, evenly; 5 % of the shirts when they are sold.
    Published(
        "61 access to intellectual property",
        {"price": 2000000, "billing": "by_invoice", "obligations": [years("licence", 2029)]},
        [
            on("2026-01-01", "invoice", amount=2000000),
            on("2026-01-01", "payment", amount=2000000),
            on("2026-12-31", "period_end"),
            on("2026-12-31", "royalty", amount=50000),
            on("2026-12-31", "invoice", amount=50000),
        ],
        [
            {"1200": 2000000, "2100": -2000000},
            {"1000": 2000000, "1200": -2000000},
            {"2100": 500000, "4000": -500000},
            {"2100": 50000, "4000": -50000},
            {"1200": 50000, "2100": -50000},
        ],
    ),
    # Sold for 1,000,000 with a call at 1,100,000 until the end of the year, which lapses.
    Published(
        "62 case A call option: financing that becomes a sale",
        {"price": 1000000, "repurchase": {"price": 1100000, "on": "2026-12-31"}}
        | {"obligations": [{"name": "asset", "unit_cost": 700000}]},
        [
            on("2026-01-01", "payment", amount=1000000),
            on("2026-01-01", "transfer", obligation="asset"),
            on("2026-06-30", "period_end"),
            on("2026-12-31", "repurchase_lapsed"),
        ],
        [
            {"1000": 1000000, "2450": -1000000},
            {},
            {"2450": -50000, "7100": 50000},
            {"1300": -700000, "2450": 1050000, "4000": -1100000, "5000": 700000, "7100": 50000},
        ],
    ),
    # The same, and the entity buys it back.
    Published(
        "62 call option that is exercised",
        {"price": 1000000, "repurchase": {"price": 1100000, "on": "2026-12-31"}}
        | {"obligations": [{"name": "asset", "unit_cost": 700000}]},
        [on("2026-01-01", "payment", amount=1000000), on("2026-12-31", "repurchase")],
        [{"1000": 1000000, "2450": -1000000}, {"1000": -1100000, "2450": 1000000, "7100": 100000}],
    ),
    # Paragraph B77: control stays here until the dealer sells.
    Published(
        "B77 consignment",
        {"obligations": [{"name": "goods", "quantity": 10, "unit_price": 100, "unit_cost": 60}]},
        [
            on("2026-01-10", "consignment", obligation="goods", quantity=10),
            on("2026-02-10", "transfer", obligation="goods", quantity=4),
        ],
        [{"1300": -600, "1310": 600}, {"1200": 400, "4000": -400, "1310": -240, "5000": 240}],
    ),
    # Paragraph 65 with a return and a tax of 19 %: what comes back gives its tax back too.
    Published(
        "B21 return of a taxed sale with an assurance-type warranty",
        {
            "obligations": [
                {
                    "name": "goods",
                    "quantity": 10,
                    "unit_price": 10,
                    "unit_cost": 6,
                    "expected_returns": 1,
                    "tax_percent": 19,
                    "warranty_cost": "0.5",
                }
            ]
        },
        [
            on("2026-01-05", "transfer", obligation="goods"),
            on("2026-01-20", "return", obligation="goods", quantity=1),
            on("2026-02-01", "payment", amount="107.10"),
        ],
        [
            {"1200": 119, "1300": -60, "1350": 6, "2150": -10, "2200": -19, "2400": -5, "4000": -90, "5000": 54}
            | {"5100": 5},
            {"1200": "-11.9", "1300": 6, "1350": -6, "2150": 10, "2200": "1.9", "2400": "0.5", "5100": "-0.5"},
            {"1000": "107.1", "1200": "-107.1"},
        ],
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=[one.name for one in EXAMPLES])
def test_published_example(example: Published, tmp_path: Path) -> None:
    file = tmp_path / "contract.json"
    given = {"contract": "published", "signed_on": "2026-01-01", "events": example.events} | example.terms
    file.write_text(json.dumps(given))
    explained = CliRunner().invoke(command, ["explain", str(file), "--json"])
    assert explained.exit_code == 0, explained.output
    found = [moves_of(record["entries"]) for record in json.loads(explained.output)["events"]]
    wanted = [{account: Decimal(amount) for account, amount in one.items()} for one in example.moves]
    assert found == [{}, *wanted], "inception, then each event"


def moves_of(entries: list[dict[str, Any]]) -> dict[str, Decimal]:
    """What entries bring to each account; nothing where nothing moved."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        for line in entry["lines"]:
            found[line["account_code"]] += Decimal(line["debit_amount"]) - Decimal(line["credit_amount"])
    return {account: amount for account, amount in found.items() if amount}


def test_goods_bought_back_for_less_are_a_lease(tmp_path: Path) -> None:
    file = tmp_path / "contract.json"
    terms = {"price": 1000000, "obligations": [{"name": "asset"}], "repurchase": {"price": 900000, "on": "2026-12-31"}}
    payment = on("2026-01-01", "payment", amount=1000000)
    file.write_text(json.dumps({"contract": "put", "signed_on": "2026-01-01", "events": [payment]} | terms))
    with pytest.raises(InvalidValue, match="a lease under IFRS 16"):
        CliRunner().invoke(command, ["explain", str(file)], catch_exceptions=False)
