"""Published examples of IFRS 15, reproduced to the unit; each test names its example."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.contract_books import accounts, by_account, entries_of, event, journal, moved, transfer

D = Decimal
UNIT = {"rounding_unit": 1}


def allocation(**terms: Any) -> dict[str, str]:
    return dict(journal(**UNIT, **terms).allocation)


def priced(name: str, price: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "stand_alone_price": price, **more}


def test_example_2_implicit_price_concession() -> None:
    drugs = {"name": "drugs", "quantity": 1000, "unit_price": 1000}
    concession = {"name": "implicit", "estimate": -600000, "is_implicit": True}
    found = journal([transfer("drugs")], obligations=[drugs], variable=[concession])
    assert by_account(found.entries) == accounts(a1200="400000", a4000="-400000")


def test_example_44_service_type_and_assurance_type_warranty() -> None:
    product = priced("product", "90", warranty_cost=3, unit_cost=40)
    service = {"name": "warranty", "stand_alone_price": 10, "satisfied": "over_time", "measure": "time"}
    service |= {"starts_on": "2026-01-01", "ends_on": "2026-12-31"}
    found = journal(
        [transfer("product", on="2026-01-01"), event("warranty_claim", "2026-02-01", amount=2)],
        price=100,
        obligations=[product, service],
    )
    assert by_account(found.entries) == accounts(
        a1200="90", a1300="-40", a2050="-2", a2400="-1", a4000="-90", a5000="40", a5100="3"
    )


def test_example_5_case_a_additional_products_at_their_stand_alone_price() -> None:
    product = {"name": "product", "quantity": 120, "unit_price": 100}
    more = event(
        "modification",
        price_change=2850,
        change=[{"obligation": "product", "quantity": 30}],
        reflects_stand_alone_prices=True,
    )
    found = journal(
        [transfer("product", 60), more, transfer("product", 60), transfer("product", 30)], obligations=[product]
    )
    assert moved(found, "2") == {}
    assert moved(found, "3") == accounts(a1200="6000", a4000="-6000")
    assert moved(found, "4") == accounts(a1200="2850", a4000="-2850")


def test_example_5_case_b_additional_products_below_their_price() -> None:
    # 60 x 15 credit for defects lowers revenue at once; (60 x 100 + 30 x 80) / 90 = 93.33 for each product left
    product = {"name": "product", "quantity": 120, "unit_price": 100}
    more = event(
        "modification",
        price_change=2400,
        change=[{"obligation": "product", "quantity": 30}],
        remaining_is_distinct=True,
    )
    found = journal(
        [transfer("product", 60), event("concession", amount=900), more, transfer("product", 30), transfer("product")],
        obligations=[product],
    )
    assert moved(found, "2") == accounts(a1200="-900", a4000="900")
    assert moved(found, "4")["4000"] == D("-2800.00"), "30 x 93.33"
    assert by_account(found.entries)["4000"] == D("-13500.00"), "6,000 - 900 + 90 x 93.33"


def test_example_6_price_change_after_modification() -> None:
    found = journal(
        [
            transfer("X"),
            event("modification", price_change=300, add=[priced("Z", "600")], treatment="prospective"),
            event("estimate", variable="bonus", amount=240),
            transfer("Y"),
            transfer("Z"),
        ],
        price=1000,
        obligations=[priced("X", "600"), priced("Y", "600")],
        variable=[{"name": "bonus", "estimate": 200}],
    )
    assert moved(found, "1")["4000"] == D(-600)
    assert moved(found, "3")["4000"] == D(-20)
    assert (moved(found, "4")["4000"], moved(found, "5")["4000"]) == (D(-460), D(-460))


def test_example_7_extension_of_services() -> None:
    service = {"name": "cleaning", "satisfied": "over_time", "measure": "time", "unit_price": 300000}
    service |= {"starts_on": "2026-01-01", "ends_on": "2028-12-31"}
    extension = {"name": "extension", "satisfied": "over_time", "measure": "time", "stand_alone_price": 240000}
    extension |= {"starts_on": "2029-01-01", "ends_on": "2031-12-31"}
    events = [event("period_end", f"{year}-12-31") for year in (2026, 2027)]
    change = event(
        "modification",
        "2028-01-01",
        price_change=180000,  # 20,000 less for the third year, 200,000 for three more
        add=[extension],
        stand_alone_prices={"cleaning": 80000},
        reflects_stand_alone_prices=False,
    )
    later = [event("period_end", f"{year}-12-31") for year in (2028, 2029, 2030, 2031)]
    found = journal([*events, change, *later], obligations=[service])
    revenue = [moved(found, str(number))["4000"] for number in (1, 2, 4, 5, 6, 7)]
    assert revenue == [D(-100000)] * 2 + [D(-70000)] * 4


def test_example_8_modification_with_cumulative_catch_up() -> None:
    building = {"name": "building", "satisfied": "over_time", "measure": "costs", "expected_costs": 700000}
    found = journal(
        [
            event("progress", obligation="building", costs=420000),
            event("estimate", "2027-01-31", variable="bonus", amount=200000),
            event(
                "modification",
                "2027-01-31",
                price_change=150000,
                remaining_is_distinct=False,
                expected_costs={"building": 820000},
            ),
        ],
        price=1000000,
        obligations=[building | {"progress_decimals": 3}],
        variable=[{"name": "bonus", "estimate": 200000, "constrained_to": 0}],
    )
    assert moved(found, "1")["4000"] == D(-600000)
    assert moved(found, "2")["4000"] + moved(found, "3")["4000"] == D(-91200)
    assert entries_of(found, "3")[0].standard_reference == "IFRS 15.21(b)"


def test_example_10_case_b_unpriced_change_order_recognises_costs() -> None:
    refurbishment = {"name": "contract", "satisfied": "over_time", "measure": "cost_recovery"}
    found = journal(
        [event("progress", obligation="contract", costs=400), event("progress", obligation="contract", costs=1200)],
        price=1000,
        obligations=[refurbishment],
    )
    assert moved(found, "1") == accounts(a1200="400", a2050="-400", a4000="-400", a5000="400")
    assert by_account(found.entries)["4000"] == D(-1000), "not more than the price"


def test_example_19_uninstalled_materials() -> None:
    lift = {"name": "lift", "satisfied": "over_time", "measure": "costs", "expected_costs": 4000000}
    done = event("progress", obligation="lift", costs=2000000, uninstalled_costs=1500000)
    found = journal([done], price=5000000, obligations=[lift | {"uninstalled_costs": 1500000}])
    assert moved(found, "1") == accounts(a1200="2200000", a2050="-2000000", a4000="-2200000", a5000="2000000")


def test_example_20_penalty_is_variable_consideration() -> None:
    estimate = {
        "name": "penalty",
        "outcomes": [{"amount": 0, "probability": "0.7"}, {"amount": -100, "probability": "0.3"}],
    }
    likely = journal(
        [transfer("asset")], price=1000, obligations=[priced("asset")], variable=[estimate | {"method": "most_likely"}]
    )
    assert by_account(likely.entries)["4000"] == D(-1000)
    expected = journal([transfer("asset")], price=1000, obligations=[priced("asset")], variable=[estimate])
    assert by_account(expected.entries)["4000"] == D(-970)


def test_example_22_right_of_return() -> None:
    product = {"name": "product", "quantity": 100, "unit_price": 100, "unit_cost": 60, "expected_returns": 3}
    found = journal([transfer("product"), event("payment", amount=10000)], obligations=[product])
    assert by_account(found.entries) == accounts(
        a1000="10000", a1300="-6000", a1350="180", a2150="-300", a4000="-9700", a5000="5820"
    )
    back = journal(
        [
            transfer("product"),
            event("payment", amount=10000),
            event("return", obligation="product", quantity=3),
            event("refund", amount=300),
        ],
        obligations=[product],
    )
    assert by_account(back.entries) == accounts(a1000="9700", a1300="-5820", a4000="-9700", a5000="5820")


@pytest.mark.parametrize(
    ("concession", "revenue"), [({"estimate": -20000}, 80000), ({"estimate": -40000, "constrained_to": -50000}, 50000)]
)
def test_example_23_price_concessions(concession: dict[str, Any], revenue: int) -> None:
    product = {"name": "product", "quantity": 1000, "unit_price": 100}
    found = journal([transfer("product")], obligations=[product], variable=[{"name": "concession", **concession}])
    assert by_account(found.entries) == {
        "1200": D(100000),
        "2150": D(revenue - 100000),
        "4000": D(-revenue),
    }


def test_example_24_volume_discount_incentive() -> None:
    product = {
        "name": "A",
        "tiers": [{"from_quantity": 0, "unit_price": 100}, {"from_quantity": 1001, "unit_price": 90}],
    }
    found = journal(
        [
            transfer("A", 75, on="2026-03-31"),
            event("estimate", "2026-05-31", obligation="A", expected_quantity=1500),
            transfer("A", 500, on="2026-06-30"),
        ],
        obligations=[product | {"expected_quantity": 900}],
    )
    assert moved(found, "1")["4000"] == D(-7500)
    # 500 x 90 = 45,000 less 75 x 10 = 750
    assert moved(found, "2")["4000"] + moved(found, "3")["4000"] == D(-44250)
    assert by_account(found.entries)["2150"] == D(-5750)


def test_example_26_right_of_return_and_financing() -> None:
    product = {"name": "product", "unit_price": 100, "unit_cost": 80, "expected_returns": 1}
    found = journal(
        [
            transfer("product", on="2026-01-01"),
            event("returns_lapsed", "2026-03-31", obligation="product"),
            event("period_end", "2027-12-31"),
            event("payment", "2028-01-01", amount=121),
        ],
        obligations=[product],
        billing="by_invoice",
        financing={"annual_percent": 10},
        **UNIT,
    )
    assert moved(found, "1") == accounts(a1300="-80", a1350="80")
    assert moved(found, "2") == accounts(a1250="100", a1350="-80", a4000="-100", a5000="80")


def test_example_28_case_b_discount_rate_of_the_market() -> None:
    days = [f"{2026 + month // 12}-{month % 12 + 1:02d}-01" for month in range(1, 61)]
    equipment = journal(
        [transfer("equipment", on="2026-01-01"), *(event("payment", day, amount="18871.23") for day in days)],
        obligations=[priced("equipment")],
        billing="by_invoice",
        financing={
            "annual_percent": 12,
            "compounding": "monthly",
            "instalments": [{"on": day, "amount": "18871.23"} for day in days],
        },
    )
    assert moved(equipment, "1")["4000"].quantize(D(1)) == D(-848357)
    assert abs(by_account(equipment.entries).get("1250", D(0))) < 1, "the last instalment settles it"


def test_example_29_advance_payment() -> None:
    found = journal(
        [event("payment", "2026-01-01", amount=4000), transfer("asset", on="2028-01-01")],
        price=4000,
        obligations=[priced("asset")],
        financing={"annual_percent": 6},
        **UNIT,
    )
    assert moved(found, "1") == accounts(a1000="4000", a2100="-4000")
    assert moved(found, "2") == accounts(a2100="4000", a4000="-4494", a7100="494")


def test_example_31_noncash_consideration() -> None:
    service = {"name": "service", "satisfied": "over_time", "measure": "output", "quantity": 52}
    found = journal(
        [event("progress", obligation="service", quantity=1), event("payment", amount=100, noncash=True)],
        price=5200,
        obligations=[service],
    )
    assert by_account(found.entries) == accounts(a1100="100", a4000="-100")


def test_example_32_consideration_payable_to_a_customer() -> None:
    goods = {"name": "goods", "quantity": 15, "unit_price": 1000000}
    found = journal(
        [event("payment_to_customer", "2026-01-01", amount=1500000), transfer("goods", 2)],
        obligations=[goods],
        payable_to_customer=1500000,
    )
    assert moved(found, "1") == accounts(a1000="-1500000", a1260="1500000")
    assert moved(found, "2") == accounts(a1200="2000000", a1260="-200000", a4000="-1800000")


def test_example_33_allocation() -> None:
    assert allocation(price=100, obligations=[priced("A", "50"), priced("B", "25"), priced("C", "75")]) == {
        "A": "33",
        "B": "17",
        "C": "50",
    }


TWO_TOGETHER = [{"obligations": ["B", "C"], "price": 60}]
VARIES = priced("D", None, residual=True, stand_alone_range=(15, 45))


def test_example_34_allocating_a_discount() -> None:
    three = [priced("A", "40"), priced("B", "55"), priced("C", "45")]
    assert allocation(price=100, obligations=three, bundles=TWO_TOGETHER) == {"A": "40", "B": "33", "C": "27"}
    with_d = allocation(price=130, obligations=[*three, VARIES], bundles=TWO_TOGETHER)
    assert with_d == {"A": "40", "B": "33", "C": "27", "D": "30"}
    # Case C: 5 would not be within the range, so D is estimated and all are relative
    estimated = VARIES | {"stand_alone_price": 30}
    case_c = allocation(price=105, obligations=[*three, estimated], bundles=TWO_TOGETHER)
    assert sum(map(int, case_c.values())) == 105
    assert case_c["D"] == "18", "105 x 30 / 170 = 18.5, and the largest remainders are B's, A's and C's"


def test_discount_without_evidence_is_shared_by_all() -> None:
    three = [priced("A", "40"), priced("B", "55"), priced("C", "45")]
    shared = allocation(price=100, obligations=three, bundles=[{"obligations": ["B", "C"], "price": 90}])
    assert shared == {"A": "29", "B": "39", "C": "32"}, "the bundle explains 10 of 40: 28.57, 39.29, 32.14"


def test_example_35_variable_consideration_of_licences() -> None:
    licences = [priced("X", "800"), priced("Y", "1000")]
    case_a = journal(
        [transfer("Y"), transfer("X"), event("royalty", amount=1000, obligations=["X"])],
        price=800,
        obligations=licences,
        bundles=[],
        **UNIT,
    )
    assert moved(case_a, "3")["4000"] == D(-1000)
    case_b = journal(
        [transfer("Y"), event("royalty", "2026-02-28", amount=200), transfer("X", on="2026-03-31")],
        price=300,
        obligations=licences,
        **UNIT,
    )
    assert case_b.allocation["X"] == "222", "133 fixed and 89 of the royalty"
    assert moved(case_b, "1")["4000"] == D(-167)
    assert moved(case_b, "2") == accounts(a1200="111", a4000="-111")
    assert moved(case_b, "3")["4000"] == D(-222)


def test_example_36_costs_of_obtaining_a_contract() -> None:
    found = journal(
        [
            event("contract_cost", "2026-01-01", amount=10000, starts_on="2026-01-01", ends_on="2030-12-31"),
            event("period_end", "2026-12-31"),
        ],
        obligations=[priced("service", "1", unit_price=1)],
    )
    assert by_account(found.entries) == accounts(a1400="8000", a2050="-10000", a5200="2000")


def test_example_38_contract_liability_and_receivable() -> None:
    cancellable = journal(
        [
            event("amount_due", "2026-01-31", amount=1000, cancellable=True),
            event("payment", "2026-03-01", amount=1000),
            transfer("product", on="2026-03-31"),
        ],
        price=1000,
        obligations=[priced("product")],
    )
    assert moved(cancellable, "1") == {}
    assert moved(cancellable, "2") == accounts(a1000="1000", a2100="-1000")
    assert moved(cancellable, "3") == accounts(a2100="1000", a4000="-1000")
    firm = journal(
        [
            event("amount_due", "2026-01-31", amount=1000),
            event("payment", "2026-03-01", amount=1000),
            transfer("product", on="2026-03-31"),
        ],
        price=1000,
        obligations=[priced("product")],
    )
    assert moved(firm, "1") == accounts(a1200="1000", a2100="-1000")
    assert moved(firm, "2") == accounts(a1000="1000", a1200="-1000")
    assert moved(firm, "3") == accounts(a2100="1000", a4000="-1000")


def test_example_39_contract_asset() -> None:
    found = journal(
        [transfer("A"), transfer("B", on="2026-02-28"), event("amount_due", "2026-02-28", amount=1000)],
        price=1000,
        obligations=[priced("A", "400"), priced("B", "600")],
    )
    assert moved(found, "1") == accounts(a1250="400", a4000="-400")
    assert by_account(found.entries) == accounts(a1200="1000", a4000="-1000")


def test_example_40_receivable_with_volume_rebate() -> None:
    product = {
        "name": "product",
        "tiers": [{"from_quantity": 0, "unit_price": 150}, {"from_quantity": 1000000, "unit_price": 125}],
        "expected_quantity": 1000000,
    }
    found = journal([transfer("product", 100)], obligations=[product])
    assert by_account(found.entries) == accounts(a1200="15000", a2150="-2500", a4000="-12500")


def test_example_45_to_47_agent() -> None:
    goods = priced("goods", "100", unit_price=100, commission_percent=10)
    found = journal([transfer("goods"), event("payment", amount=100)], obligations=[goods])
    assert by_account(found.entries) == accounts(a1000="100", a2300="-90", a4000="-10")


def test_example_49_option_that_provides_a_material_right() -> None:
    voucher = {
        "name": "voucher",
        "option": {"average_purchase": 50, "incremental_discount": "0.3", "likelihood": "0.8"},
    }
    assert allocation(price=100, obligations=[priced("A", "100"), voucher]) == {"A": "89", "voucher": "11"}


def test_example_51_renewal_options_looked_through() -> None:
    service = {"name": "maintenance", "satisfied": "over_time", "measure": "costs", "expected_costs": 208500}
    found = journal(
        [event("payment", amount=100000), event("progress", "2026-12-31", obligation="maintenance", costs=60000)],
        price=271000,
        obligations=[service],
        billing="by_invoice",
        **UNIT,
    )
    assert moved(found, "2")["4000"] == D(-77986)
    assert by_account(found.entries)["2100"] == D(-22014)


def test_example_52_loyalty_points() -> None:
    points = {"name": "points", "quantity": 9500, "stand_alone_price": 9500}
    found = journal(
        [
            event("payment", amount=100000),
            transfer("products"),
            transfer("points", 4500, on="2026-12-31"),
            event("estimate", "2027-12-31", obligation="points", expected_quantity=9700),
            transfer("points", 4000, on="2027-12-31"),
        ],
        price=100000,
        obligations=[priced("products", "100000"), points],
        billing="by_invoice",
        **UNIT,
    )
    assert found.allocation == {"products": "91324", "points": "8676"}
    assert moved(found, "3")["4000"] == D(-4110)
    assert moved(found, "4")["4000"] + moved(found, "5")["4000"] == D(-3493)
    assert by_account(found.entries)["2100"] == D(-1073)


def test_example_53_upfront_fee_is_part_of_the_price() -> None:
    service = {"name": "payroll", "satisfied": "over_time", "measure": "time", "unit_price": 450}
    service |= {"starts_on": "2026-01-01", "ends_on": "2026-12-31"}
    found = journal(
        [event("payment", amount=50, on="2026-01-01"), event("period_end", "2026-01-31")],
        obligations=[service],
        billing="by_invoice",
    )
    assert by_account(found.entries) == accounts(a1000="50", a2100="-12.5", a4000="-37.5")


@pytest.mark.parametrize("ready", [True, False])
def test_example_63_bill_and_hold(ready: bool) -> None:
    criteria = {"reason_is_substantive": True, "identified_separately": True, "cannot_be_redirected": True}
    held = event("bill_and_hold", obligation="spare parts", ready_for_transfer=ready, **criteria)
    custody = {"name": "custody", "stand_alone_price": 10, "satisfied": "over_time"}
    found = journal([held], price=100, obligations=[priced("spare parts", "90", unit_cost=50), custody])
    wanted = accounts(a1200="90", a1300="-50", a4000="-90", a5000="50")
    assert by_account(found.entries) == (wanted if ready else {})


def test_kpmg_allocation_20_30_40_less_10() -> None:
    found = allocation(price=80, obligations=[priced("A", "20"), priced("B", "30"), priced("C", "40")])
    assert found == {"A": "18", "B": "27", "C": "35"}
