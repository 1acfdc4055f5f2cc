"""What messages of real partners say besides plain lines: nothing is lost, and what cannot be said is asked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from producers.documents.corrections import corrected
from producers.documents.drafting import Drafting
from producers.documents.identification import no_alias
from producers.documents.order import ReadOrder
from tests.unit import document_samples as samples
from tests.unit.test_documents_structured import one, refusals, source

_EDIFACT = samples.edifact_order().decode("latin-1")
_X12 = samples.x12_order().decode()


def edifact(*edits: tuple[str, str]) -> bytes:
    """The sample with replacements and right counts; UNT is written anew."""
    text = _EDIFACT
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    count = sum(1 for line in text.splitlines() if line) - 2
    return text.replace("UNT+22+1'", f"UNT+{count}+1'").encode("latin-1")


def x12(*edits: tuple[str, str]) -> bytes:
    text = _X12
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    count = sum(1 for line in text.splitlines() if line) - 4
    return text.replace("SE*14*0001", f"SE*{count}*0001").encode()


def rules(order: ReadOrder) -> list[str]:
    return [question.rule for question in order.questions]


_LIN1 = "LIN+1++P1:SA'"
_QTY1 = "QTY+21:12:PCE'"
_PRI1 = "PRI+AAA:18.00'"
_MOA1 = "MOA+203:216'\n"
_PART = "SCC+1'\nQTY+21:5'\nDTM+2:20261201:102'"
_NO_TOTALS = [("MOA+203:216'\n", ""), ("MOA+203:43'\n", ""), ("MOA+79:259'\n", "")]
_ASKED_EDIFACT: list[tuple[list[tuple[str, str]], str]] = [
    ([(_PRI1, f"{_PRI1}\nLOC+7+40001::9'\nQTY+11:5'\nLOC+7+40002::9'\nQTY+11:7'")], "edifact.parts"),
    ([(_PRI1, f"{_PRI1}\n{_PART}\n{_PART.replace('01', '08').replace(':5', ':7')}")], "edifact.parts"),
    ([(_PRI1, f"{_PRI1}\n{_PART}")], "edifact.parts"),
    ([(_LIN1, "LIN+1++P1:SA+1:2'")], "edifact.sub_line"),
    ([(_QTY1, f"{_QTY1}\nQTY+192:1:PCE'")], "edifact.free_goods"),
    ([(_PRI1, f"{_PRI1}\nALC+A'\nQTY+192:1'")], "edifact.free_goods"),
    ([(_PRI1, f"{_PRI1}\nALC+A'")], "edifact.allowance_amount"),
    ([(_PRI1, f"{_PRI1}\nALC+A++1'\nMOA+204:5'")], "edifact.settlement"),
    ([(_PRI1, f"{_PRI1}\nNAD+ST+STORE7::92'")], "edifact.line_delivery"),
    ([(_QTY1, "QTY+21:12:ST'")], "edifact.unit"),
    ([("DTM+2:20261203:102'", "DTM+2:202650:616'")], "edifact.delivery_date"),
    ([("DTM+2:20261203:102'", "DTM+2:20261203:102'\nDTM+2:20261204:102'")], "edifact.two_dates"),
    ([("PO-4712+9'", "PO-4712+46'")], "edifact.purpose"),
    ([*_NO_TOTALS, (_PRI1, "PRI+AAA:18.00:::1:KGM'")], "edifact.price_unit"),
    ([*_NO_TOTALS, (_PRI1, f"{_PRI1}\nALC+A'\nMOA+204:5'")], "edifact.net_price"),
]


@pytest.mark.parametrize(("edits", "rule"), _ASKED_EDIFACT)
def test_what_an_order_cannot_say_waits_for_a_person(edits: list[tuple[str, str]], rule: str, tmp_path: Path) -> None:
    order = one(edifact(*edits), tmp_path)
    assert rule in rules(order)
    assert order.questions[0].place.startswith("segment ")
    assert rule in [doubt.rule for doubt in Drafting(order, source(), samples.masters(), no_alias).draft().doubts]
    # Who accepts it has seen the questions.
    assert not corrected(order, {}).questions


def test_the_plain_samples_ask_nothing(tmp_path: Path) -> None:
    for content in (samples.edifact_order(), samples.x12_order(), samples.ubl_order()):
        assert not one(content, tmp_path).questions


def test_parts_of_a_line_for_one_day_and_the_order_s_own_place_are_its_date(tmp_path: Path) -> None:
    place = ("NAD+SU+", "NAD+DP+40001::9'\nNAD+SU+")
    parts = f"{_PRI1}\nLOC+7+40001::9'\nQTY+11:12'\nDTM+2:20261209:102'"
    order = one(edifact(place, (_PRI1, parts)), tmp_path)
    assert (order.lines[0].delivery_date, order.lines[0].quantity) == (date(2026, 12, 9), 12)
    assert not order.questions


def test_a_net_price_has_its_allowances_in_it_where_the_amount_says_so(tmp_path: Path) -> None:
    order = one(edifact((_PRI1, f"{_PRI1}\nALC+A'\nPCD+1:10'\nMOA+204:24'")), tmp_path)
    assert (order.lines[0].price, order.lines[0].allowance, order.lines[0].amount) == (18, 0, 216)
    gross = one(edifact((_MOA1, "MOA+203:192'\n"), ("MOA+79:259'", "MOA+79:235'"),
                        (_PRI1, "PRI+AAB:18.00'\nALC+A'\nMOA+204:24'")), tmp_path)  # fmt: skip
    assert (gross.lines[0].price, gross.lines[0].allowance, gross.lines[0].amount) == (18, 24, 192)
    assert not order.questions and not gross.questions


def test_percentages_of_the_whole_order_and_its_tax_reach_the_lines(tmp_path: Path) -> None:
    header = ("CUX+2:EUR:9'", "TAX+7+VAT+++:::7+S'\nCUX+2:EUR:9'\nALC+A'\nPCD+1:10'\nALC+C'\nPCD+2:1'")
    order = one(edifact(header), tmp_path)
    assert (order.allowance, order.charge) == (Decimal("25.9"), Decimal("2.59"))
    assert [line.tax_percent for line in order.lines] == [19, 7]


def test_sums_of_allowances_in_the_summary_are_not_taken_twice(tmp_path: Path) -> None:
    order = one(edifact(("CUX+2:EUR:9'", "CUX+2:EUR:9'\nALC+A'\nMOA+204:10'"),
                        ("CNT+2:2'", "CNT+2:2'\nALC+A'\nMOA+204:10'")), tmp_path)  # fmt: skip
    assert order.allowance == 10


@pytest.mark.parametrize(
    ("segments", "quantity"),
    [("QTY+21:12:PCE'\nQTY+59:144:PCE'", 12), ("QTY+1:144:PCE'\nQTY+21:12:PCE'", 12), ("QTY+21:12'\nQTY+21:12'", 12)],
)
def test_the_ordered_quantity_is_told_from_others(segments: str, quantity: int, tmp_path: Path) -> None:
    assert one(edifact((_QTY1, segments)), tmp_path).lines[0].quantity == quantity


def test_two_ordered_quantities_are_refused(tmp_path: Path) -> None:
    refusal = refusals(edifact((_QTY1, "QTY+21:12:PCE'\nQTY+21:13:PCE'")), tmp_path)
    assert refusal.reasons[0].rule == "edifact.quantity"


def test_another_currency_in_a_line_is_refused(tmp_path: Path) -> None:
    refusal = refusals(edifact((_PRI1, f"{_PRI1}\nCUX+2:USD:9'")), tmp_path)
    assert refusal.reasons[0].rule == "edifact.currency"


def test_the_seller_s_number_comes_before_classes_and_maker_s_numbers(tmp_path: Path) -> None:
    order = one(edifact((_LIN1, "LIN+1++4006381333931:SRV'\nPIA+5+84212100:HS+M-1:MF+P1:SA+B1:IN'")), tmp_path)
    assert order.lines[0].codes == ["P1", "4006381333931", "B1"]
    assert one(edifact((_LIN1, "LIN+1++M-1:MF'\nPIA+1+B1:BP'")), tmp_path).lines[0].codes == ["M-1", "B1"]
    assert one(edifact((_LIN1, "LIN+1++X-1:ZZZ'\nPIA+1+B1:BP'")), tmp_path).lines[0].codes == ["B1"]
    assert one(edifact((_LIN1, "LIN+1++X-1:ZZZ'")), tmp_path).lines[0].codes == ["X-1"]


def test_titles_come_before_authors_and_coded_texts_are_kept(tmp_path: Path) -> None:
    texts = "IMD+L+009+:::Melville'\nIMD+L+050+:::Moby Dick'\nFTX+LIN++DUY:1B'"
    order = one(edifact(("IMD+F++:::Chai'", texts)), tmp_path)
    assert order.lines[0].name == "Moby Dick"
    assert order.note == "Ring twice: it is a bell\nline 1: LIN DUY"


def test_texts_times_and_places_of_edifact_are_kept(tmp_path: Path) -> None:
    order = one(
        edifact(
            ("DTM+2:20261203:102'", "DTM+2:20261203:102'\nDTM+2:1000:401'\nDTM+61:20261231:102'"),
            ("NAD+SU+", "NAD+DP+++Mr Smith+The Bungalow:Hastings Road+Preston+:::Lancashire+SW1A 1AA'\nNAD+SU+"),
            (_PRI1, f"{_PRI1}\nFTX+LIN+++Cut to:two metres'"),
        ),
        tmp_path,
    )
    assert order.note == (
        "time of delivery: 1000\ncancel if not delivered by: 20261231\nRing twice: it is a bell\n"
        "line 1: Cut to two metres"
    )
    assert order.delivery is not None
    assert (order.delivery.street_name, order.delivery.country_subentity) == (
        "The Bungalow Hastings Road",
        "Lancashire",
    )


@pytest.mark.parametrize(
    ("segment", "told"),
    [
        ("NAD+DP+4006381333948::9'", "(4006381333948)"),
        ("NAD+DP+4006381333948::9++Lager'", "Lager (4006381333948)"),
        ("NAD+BY+C9::92'\nLOC+7+4006381333948'", "(4006381333948)"),
        ("NAD+ST++Lager:Hafenstr. 1'", "Lager Hafenstr. 1"),
    ],
)
def test_a_place_that_is_only_a_number_reaches_the_order(segment: str, told: str, tmp_path: Path) -> None:
    order = one(edifact(("NAD+SU+", f"{segment}\nNAD+SU+")), tmp_path)
    order.buyer.codes, order.buyer.name = ["C1"], None
    draft = Drafting(order, source(), samples.masters(), no_alias).draft()
    assert draft.order is not None and draft.order.delivery_name == told


_PID = "PID*F****Chai~"
_ASKED_X12: list[tuple[list[tuple[str, str]], str]] = [
    ([(_PID, f"{_PID}\nSCH*5*EA***002*20261201~\nSCH*7*EA***002*20261208~")], "x12.parts"),
    ([(_PID, f"{_PID}\nSDQ*EA*92*S1*5*S2*7~")], "x12.parts"),
    ([(_PID, f"{_PID}\nSLN*1**I*2*EA~")], "x12.sub_line"),
    ([(_PID, f"{_PID}\nCTP**CON*17.00~")], "x12.second_price"),
    ([(_PID, f"{_PID}\nSAC*A*C310****1*5~")], "x12.allowance_amount"),
    ([(_PID, f"{_PID}\nSAC*A*C310***500*******01~")], "x12.settlement"),
    ([(_PID, f"{_PID}\nSAC*R*C310***500~")], "x12.settlement"),
    ([(_PID, f"{_PID}\nN1*ST*Store*92*S9~")], "x12.line_delivery"),
    ([("PO1*1*12*EA", "PO1*1*12*BT")], "x12.unit"),
    ([("CUR*BY*EUR~", "CUR*BY*EUR~\nITA*A****01*500~")], "x12.allowance"),
]


@pytest.mark.parametrize(("edits", "rule"), _ASKED_X12)
def test_what_an_order_of_x12_cannot_say_waits_for_a_person(
    edits: list[tuple[str, str]], rule: str, tmp_path: Path
) -> None:
    order = one(x12(*edits), tmp_path)
    assert rules(order) == [rule]
    assert order.questions[0].place.startswith("segment ")


def test_one_schedule_of_the_whole_line_is_its_date(tmp_path: Path) -> None:
    order = one(x12((_PID, f"{_PID}\nSCH*12*EA***002*20261209~")), tmp_path)
    assert order.lines[0].delivery_date == date(2026, 12, 9) and not order.questions


@pytest.mark.parametrize(("code", "unit"), [("ST", "SET"), ("PA", "XPL"), ("CA", "XCS"), ("SF", "FTK"), ("EA", "C62")])
def test_units_of_x12_are_those_of_element_355(code: str, unit: str, tmp_path: Path) -> None:
    assert one(x12(("PO1*1*12*EA", f"PO1*1*12*{code}")), tmp_path).lines[0].unit_code == unit


def test_a_release_of_a_blanket_order_is_an_order_of_its_own(tmp_path: Path) -> None:
    assert one(x12(("SA*PO-4713**", "RL*PO-4713*1001*")), tmp_path).number == "PO-4713-1001"
    assert one(x12(("SA*PO-4713**", "SA*PO-4713*0*")), tmp_path).number == "PO-4713"


def test_prices_texts_amounts_and_dates_beside_the_line_are_kept(tmp_path: Path) -> None:
    order = one(
        x12(
            ("12*EA*18.00*PE*VP*P1", "12*EA***CL*RED*MG*M-1*VP*P1"),
            (_PID, f"{_PID}\nCTP**CON*18.00~\nCTP**RES*29.00~\nAMT*1*216~\nMSG*Ripe only~\nDTM*067*20261210~"),
            ("DTM*002*20261203~", "DTM*001*20261231~\nDTM*002*20261203~"),
        ),
        tmp_path,
    )
    line = order.lines[0]
    assert (line.price, line.amount, line.seller_code, line.delivery_date) == (18, 216, "P1", date(2026, 12, 10))
    assert order.note == "cancel after: 20261231\nline 1: Ripe only" and not order.questions


def test_tax_and_more_of_a_name_reach_the_order_of_x12(tmp_path: Path) -> None:
    order = one(x12(("CUR*BY*EUR~", "CUR*BY*EUR~\nTXI*GS*5.10*5~"), ("N3*Forsterstr", "N2*Tor 3~\nN3*Forsterstr"),
                    (_PID, f"{_PID}\nTXI*VA*41.04*19~")), tmp_path)  # fmt: skip
    assert (order.tax_total, order.lines[0].tax_percent) == (Decimal("5.10"), 19)
    assert order.delivery is not None and order.delivery.name == "Lager Tor 3"
