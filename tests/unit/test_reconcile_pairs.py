"""Two systems at a cut-over: what each says in common terms, each difference, control totals, files and page."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest

from consumers.reconcile.attributes import Attributes
from consumers.reconcile.comparison import ERP, LEDGER, SOURCE, STATE
from consumers.reconcile.erp_image import expected_erp
from consumers.reconcile.facts import OrderFacts, facts_of
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.invariants import expected_ledger
from consumers.reconcile.pairs import Difference, PairReport, compare_pair
from consumers.reconcile.pairs.page import page_of
from consumers.reconcile.pairs.pairing import control_entries
from consumers.reconcile.pairs.result import SHOWN, ControlTotal, TotalKey
from consumers.reconcile.pairs.spill import Piece, Spill
from consumers.reconcile.pairs.tables import DifferenceFile, cell, totals_path, write_totals
from consumers.reconcile.pairs.terms import (
    OrderImage,
    Terms,
    image_of_erp,
    image_of_facts,
    image_of_ledger,
    image_of_state,
    terms_of,
)
from deploy.comparing import database_at
from schemas.errors import ConfigurationError, InvalidValue
from schemas.models import OrderState
from schemas.settings import DatabaseSettings
from tests.unit.order_samples import order_state

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _seven() -> OrderState:
    """An order whose status is that of its commercial facts, as the rules make it."""
    state = order_state(7)
    assert state.order is not None
    return state.model_copy(update={"order": state.order.model_copy(update={"order_status": state.order_status})})


STATE_OF_SEVEN = _seven()


@dataclass
class HeldErp:
    """An ERP whose orders are given."""

    orders: dict[str, Attributes]
    label: str = "erp"
    kind: str = field(default=ERP, init=False)

    def pieces(self) -> Iterator[Piece]:
        return ((order_id, orjson.dumps(attributes)) for order_id, attributes in self.orders.items())

    def image(self, payloads: Sequence[bytes], terms: Terms) -> OrderImage | None:
        return image_of_erp(orjson.loads(payloads[-1]), terms)


def erp_orders(count: int) -> dict[str, Attributes]:
    states = [order_state(number) for number in range(1, count + 1)]
    return {state.order_id: expected_erp(state) for state in states}


def compared(left: dict[str, Attributes], right: dict[str, Attributes]) -> tuple[PairReport, list[Difference]]:
    heard: list[Difference] = []
    return compare_pair(HeldErp(left, "old"), HeldErp(right, "new"), heard.append), heard


@pytest.mark.parametrize("state", [STATE_OF_SEVEN, STATE_OF_SEVEN.model_copy(update={"order_status": "deleted"})])
def test_systems_that_agree_say_the_same_in_common_terms(state: OrderState) -> None:
    facts, erp, ledger = facts_of(state), expected_erp(state), expected_ledger(state)
    assert image_of_facts(facts, Terms.FACTS) == image_of_state(state, Terms.FACTS)
    assert image_of_facts(facts, Terms.ERP_FACTS) == image_of_erp(erp, Terms.ERP_FACTS)
    assert image_of_state(state, Terms.ERP) == image_of_erp(erp, Terms.ERP)
    images = {
        Terms.LEDGER: image_of_state(state, Terms.LEDGER),
        Terms.OPEN_ITEMS: image_of_erp(erp, Terms.OPEN_ITEMS),
    }
    for terms, image in images.items():
        found = image_of_ledger(ledger, terms)
        assert image is not None
        assert found is not None
        assert found.attributes == image.attributes


def test_the_ledger_agrees_with_the_facts_of_the_sources() -> None:
    said = image_of_facts(facts_of(STATE_OF_SEVEN), Terms.LEDGER_FACTS)
    shown = image_of_ledger(expected_ledger(STATE_OF_SEVEN), Terms.LEDGER_FACTS)
    assert said is not None
    assert shown is not None
    assert said.attributes == shown.attributes
    assert any(path.startswith("revenue_amount[") for path in said.attributes)


def test_any_two_kinds_can_be_compared() -> None:
    kinds = (SOURCE, STATE, ERP, LEDGER)
    assert all(terms_of(left, right) is terms_of(right, left) for left in kinds for right in kinds)


def test_a_source_that_cannot_be_understood_is_named() -> None:
    facts = OrderFacts(unreadable={Section.ORDER: InvalidValue("payable_amount is no number")})
    image = image_of_facts(facts, Terms.ERP_FACTS)
    assert image == OrderImage({}, None, "order: payable_amount is no number")


def test_equal_systems_are_equal_and_their_totals_too() -> None:
    report, heard = compared(erp_orders(40), erp_orders(40))
    assert report.is_equal
    assert (report.left_orders, report.right_orders, heard) == (40, 40, [])
    assert sum(total.left_orders for total in report.totals.values()) == 40
    assert all(total.is_equal for total in report.totals.values())
    assert {key.period for key in report.totals} == {str(order_state(1).order.issue_date)[:7]}  # type: ignore[union-attr]


def test_each_difference_is_named_with_order_field_values_and_amount() -> None:
    left, right = erp_orders(6), erp_orders(6)
    ids = sorted(left)
    payable, currency = Decimal(left[ids[0]]["payable_amount"]), left[ids[0]]["document_currency_code"]
    del right[ids[0]]
    del left[ids[1]]
    right[ids[2]] = {**right[ids[2]], "payable_amount": "1.5", "order_status": "completed"}
    report, heard = compared(left, right)
    found = {(one.order_id, one.field): one for one in heard}
    missing, extra = found[ids[0], None], found[ids[1], None]
    assert (missing.kind, missing.right, missing.amount, missing.currency_code) == ("missing", None, payable, currency)
    assert (extra.kind, extra.left) == ("extra", None)
    changed = found[ids[2], "payable_amount"]
    assert (changed.kind, changed.left, changed.right) == ("different", left[ids[2]]["payable_amount"], "1.5")
    assert changed.amount == Decimal(left[ids[2]]["payable_amount"]) - Decimal("1.5")
    assert found[ids[2], "order_status"].amount is None
    assert (report.differences, report.differing_orders) == (4, 3)
    assert any(not total.is_equal for total in report.totals.values())


def test_a_ledgers_totals_stand_under_the_date_and_status_of_the_other_side() -> None:
    state, ledger = image_of_state(STATE_OF_SEVEN, Terms.LEDGER), OrderImage(expected_ledger(STATE_OF_SEVEN))
    entries = list(control_entries(state, ledger, Terms.LEDGER))
    assert {key for key, _, is_left in entries if is_left} == {key for key, _, is_left in entries if not is_left}
    assert {key.order_status for key, _, _ in entries} == {"confirmed"}
    alone = list(control_entries(None, ledger, Terms.LEDGER))
    assert {(key.period, key.order_status) for key, _, _ in alone} == {("", "")}


def test_a_report_keeps_the_differences_of_most_money() -> None:
    report = PairReport("a", "b", "", NOW)
    for number in range(SHOWN + 5):
        report.add(Difference(f"x:{number:05}", "different", "f", None, None, Decimal(number), "EUR"))
    assert report.differences == SHOWN + 5
    assert [one.order_id for one in report.shown] == [f"x:{number:05}" for number in range(5, SHOWN + 5)]


def test_what_is_spilled_comes_back_in_the_same_portion(tmp_path: Path) -> None:
    pieces = [(f"crm:{number % 500}", f"ä{number}".encode()) for number in range(1_000)]
    left, right = Spill(tmp_path, "left"), Spill(tmp_path, "right")
    left.write(pieces)
    right.write(reversed(pieces))
    found: dict[str, list[bytes]] = {}
    for number in range(128):
        portion = left.portion(number)
        assert portion.keys() == right.portion(number).keys()
        found |= portion
    assert found["crm:7"] == ["ä7".encode(), "ä507".encode()]
    assert len(found) == 500


def test_a_file_of_differences_is_whole_and_holds_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "cutover.csv"
    one = Difference("crm:1", "different", "note", '=HYPERLINK("x")', 'a, "b"\nc', Decimal("-1.50"), "EUR")
    with DifferenceFile(path) as file:
        file.add(one)
    with path.open(newline="", encoding="utf-8") as read:
        rows = list(csv.DictReader(read))
    assert rows[0]["left"] == '\'=HYPERLINK("x")'
    assert (rows[0]["right"], rows[0]["amount"]) == ('a, "b"\nc', "-1.5")
    assert [cell(text) for text in ("-1.50", "+x", None)] == ["-1.50", "'+x", ""]


def test_a_file_that_was_not_finished_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "cutover.csv"
    path.write_text("before")
    with pytest.raises(KeyError), DifferenceFile(path):
        raise KeyError
    assert [one.name for one in tmp_path.iterdir()] == ["cutover.csv"]
    assert path.read_text() == "before"
    with pytest.raises(ConfigurationError, match="cannot be written"):
        DifferenceFile(tmp_path / "nowhere" / "x.csv")


def test_control_totals_have_a_file_of_their_own(tmp_path: Path) -> None:
    report = PairReport("a", "b", "", NOW)
    report.totals[TotalKey("2026-11", "EUR", "placed", "payable_amount")] = ControlTotal(
        2, Decimal(7), 1, Decimal("4.5")
    )
    path = totals_path(tmp_path / "cutover.csv")
    write_totals(report, path)
    with path.open(newline="", encoding="utf-8") as read:
        rows = list(csv.DictReader(read))
    assert (rows[0]["left_amount"], rows[0]["difference_amount"], rows[0]["equal"]) == ("7", "-2.5", "false")


class Tags(HTMLParser):
    """Which elements a page has, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_escapes_what_systems_say_and_loads_nothing() -> None:
    report = PairReport("state", "erp:<b>", "all", NOW, left_orders=1, right_orders=1)
    report.add(Difference("crm:1", "different", "note", "<script>alert(1)</script>", None, None, None))
    report.totals[TotalKey("2026-11", "EUR", "placed", "payable_amount")] = ControlTotal(1, Decimal(7))
    page = page_of(report)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    names = [name for name, _ in tags.found]
    assert "script" not in names
    assert "link" not in names
    assert not any({"src", "href"} & attributes.keys() for _, attributes in tags.found)
    assert ("html", {"lang": "en"}) in tags.found
    heads = [attributes for name, attributes in tags.found if name == "th"]
    assert heads
    assert all(attributes.get("scope") in ("col", "row") for attributes in heads)
    assert "&lt;script&gt;" in page
    assert "@media print" in page


def test_another_database_is_named_or_connected_to() -> None:
    usual = DatabaseSettings(host="db", port=5433, dbname="erp", user="reader")
    assert database_at(usual, "") == usual
    assert database_at(usual, "old_erp").dbname == "old_erp"
    other = database_at(usual, "host=new port=5444 password=secret")
    assert (other.host, other.port, other.dbname, other.user) == ("new", 5444, "erp", "reader")
    for wrong in ("port=x", "colour=blue", "host=new options=-c"):
        with pytest.raises(ConfigurationError, match="connection string"):
            database_at(usual, wrong)
