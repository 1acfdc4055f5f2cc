"""Trying rules against history: what would have been refused, what accepted, and which rules say more or less."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import ordersync
from deploy.rules_reference import check_reference, rules_reference
from deploy.rules_trial import History, RefusedEvent, Trial, TrialResult
from schemas.attributes import OrderId
from schemas.models import CapturedEvent, VendorAnswered
from streams.rules.governance import draft_of
from streams.rules.ruleset import builtin_rules, declared_rules
from tests.unit.order_lives import BEGIN, Item, Life, accepted, confirmation, order, payment, shipment
from tests.unit.processing_desk import Desk, decoded, section_of
from tests.unit.rule_cases import changed

DRAFT = """
tenant = "acme"
version = "draft"
author = "ada"
reason = "Freight"

[[rules]]
code = "acme.bulk"
statement = "Nothing is sold in single pieces."
must = "line.quantity >= 2"
message = "line {line.line_id} is a single piece"
owner = "crm"
reason = "Freight"

[[changes]]
rule = "order.payable_total"
enabled = false
reason = "The shop rounds otherwise"
"""


def ordered(number: int, quantity: str, **facts: object) -> tuple[Life, CapturedEvent]:
    life = Life(OrderId(f"crm:{number}"))
    sold = order([Item("1", "P1", quantity, "9.99")], order_id=life.order_id)
    return life, life.ordered(sold.model_copy(update=facts))


def history_of(desk: Desk, events: list[CapturedEvent]) -> History:
    desk.take(*events)
    refused = [
        RefusedEvent(decoded(letter.original.topic, letter.original.value, type(event)), letter.rejected_at)
        for letter in desk.rejections()
        for event in events
        if letter.original.value is not None
        and section_of(event).value == letter.original.topic
        and event.order_id == letter.order_id
    ]
    return History(desk.events(), refused, {one.event_id: one for one in events if isinstance(one, VendorAnswered)})


def trial(tmp_path: Path, events: list[CapturedEvent], days: int = 1) -> TrialResult:
    path = tmp_path / "draft.toml"
    path.write_text(DRAFT)
    desk = Desk()
    history = history_of(desk, events)
    [before] = builtin_rules().editions
    return Trial(desk.master, before, draft_of(path).newest_change(), BEGIN - timedelta(days=days)).run(history)


def test_orders_that_would_have_been_rejected_or_accepted_are_named(tmp_path: Path) -> None:
    first, single = ordered(1, "1")
    _, double = ordered(2, "2")
    _, wrong = ordered(3, "2", payable_amount=Decimal(1))
    _, wrong_single = ordered(4, "1", payable_amount=Decimal(1))
    events = [
        single,
        double,
        wrong,
        wrong_single,
        first.handled(shipment(1, {"1": "1"})),
        first.settled(payment(1, "5")),
    ]
    result = trial(tmp_path, events)
    assert result.newly_rejected == {"crm:1": ["acme.bulk: line 1 is a single piece"]}
    assert result.newly_accepted == {"crm:3"}
    assert (result.events, len(result.orders)) == (6, 4)
    counts = {code: (result.before[code], result.after[code]) for code in result.differing_rules}
    assert counts == {"acme.bulk": (0, 2), "order.payable_total": (2, 0)}
    assert result.summary == (
        "This change would have rejected 1 orders that were accepted since 2026-11-20, and accepted 1 that were "
        "rejected; 4 orders were looked at."
    )


def test_what_was_committed_before_is_left_out(tmp_path: Path) -> None:
    _, single = ordered(1, "1")
    result = trial(tmp_path, [single], days=-1)
    assert (result.events, result.newly_rejected) == (0, {})


def test_deleted_orders_and_changes_are_judged_as_they_were(tmp_path: Path) -> None:
    life, event = ordered(1, "2")
    result = trial(tmp_path, [event, life.ordered(None)])
    assert result.newly_rejected == {} and result.events == 2


def test_what_vendors_answered_is_judged_by_the_message_itself_or_counted_as_left_out(tmp_path: Path) -> None:
    path = tmp_path / "draft.toml"
    path.write_text(DRAFT + '[[changes]]\nrule = "answer.rejected_line"\nseverity = "error"\nreason = "ask first"\n')
    life, event = ordered(1, "3")
    desk, answer = Desk(), life.answered(confirmation(1, accepted("1", status="rejected"), reason="sold out"))
    history = history_of(desk, [event, answer])
    assert [version.topic for version in history.versions] == ["orders.captured", "vendors.answers"], "both accepted"
    [before] = builtin_rules().editions
    after = draft_of(path).newest_change()
    result = Trial(desk.master, before, after, BEGIN - timedelta(days=1)).run(history)
    assert (result.events, result.left_out) == (2, 0) and "not judged" not in result.summary
    assert set(result.newly_rejected) == {"crm:1"}
    since = Trial(desk.master, before, after, answer.committed_at).run(history)
    assert (since.events, set(since.newly_rejected)) == (1, {"crm:1"}), "the answer alone"
    gone = Trial(desk.master, before, after, BEGIN - timedelta(days=1)).run(replace(history, answers={}))
    assert (gone.events, gone.left_out) == (1, 1)
    assert "1 versions that vendors' answers made were not judged" in gone.summary
    later = Trial(desk.master, before, after, BEGIN + timedelta(days=9)).run(replace(history, answers={}))
    assert later.left_out == 0, "it was before the time that was asked for"


def test_an_unchanged_file_changes_nothing() -> None:
    desk = Desk()
    history = history_of(desk, [Life().ordered(order()), Life().ordered(changed(payable_amount=Decimal(1)))])
    [edition] = builtin_rules().editions
    result = Trial(desk.master, edition, edition, BEGIN - timedelta(days=1)).run(history)
    assert (result.newly_rejected, result.newly_accepted, result.differing_rules) == ({}, set(), [])


def test_committed_reference_is_that_of_the_rules() -> None:
    check_reference()
    assert all(f"`{code}`" in rules_reference() for code in declared_rules())


def test_rules_are_listed_and_explained(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(DRAFT + '[[changes]]\nrule = "line.whole_units"\nseverity = "error"\nreason = "abc"\n')
    path.write_text('approver = "grace"\napproved_on = 2026-11-01\n' + path.read_text())
    run = CliRunner().invoke
    listed = run(ordersync, ["rules", "list", "--rules-file", str(path), "--on", "2026-11-02"], catch_exceptions=False)
    assert "acme.bulk" in listed.output and "order.payable_total" not in listed.output
    before = run(ordersync, ["rules", "list", "--rules-file", str(path), "--on", "2026-10-31", "--json"])
    assert "acme.bulk" not in before.output and "order.payable_total" in before.output
    explained = run(ordersync, ["rules", "explain", "line.whole_units", "--rules-file", str(path)])
    assert "since ever until before 2026-11-01: warning" in explained.output
    assert "since 2026-11-01: error" in explained.output
    assert run(ordersync, ["rules", "check", str(path)]).exit_code == 0


@pytest.mark.parametrize("arguments", [["explain", "no.such"], ["check", "none.toml"]])
def test_unknown_rules_and_files_are_named(arguments: list[str]) -> None:
    result = CliRunner().invoke(ordersync, ["rules", *arguments])
    assert result.exit_code != 0 and arguments[1] in str(result.exception)
