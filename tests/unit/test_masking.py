"""What tells of a person is masked wherever it stands, by the classification in the schema alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.console.index.questions import Found, FoundOrder, ListedDeed
from deploy.console.people.roles import RIGHTS, Right
from deploy.console.web.persons import without_persons
from deploy.order_history import HistoryParts
from deploy.order_masking import masked_history, masked_row, masked_violation
from deploy.order_telling import document_of, lines_of
from deploy.record_reading import StoredRecord
from schemas.attributes import CanonicalModel, attribute
from schemas.avro import avro_schema
from schemas.masking import (
    MASK,
    is_personal_name,
    is_personal_path,
    masked,
    masked_changes,
    masked_document,
    masked_mismatch,
    masked_value,
    personal_values,
    without_values,
)
from schemas.models import Mismatch, OrderCaptured, OrderEvent, OrderState, Violation
from schemas.topics import CATALOGUE, ORDER_EVENTS, ORDERS_CAPTURED
from streams.rules.governance import rules_of
from tests.unit.order_lives import Life
from tests.unit.order_samples import order_captured, order_state
from tests.unit.processing_desk import Desk, known_master
from tests.unit.rule_cases import RuleCase, verdict
from tests.unit.rule_tables import ALL_CASES

_PERSONAL = "personal"


def personal_in(schema: Any, inherited: str = "") -> Iterator[tuple[str, Any]]:
    """Name and type of each attribute that the published schema calls personal."""
    if isinstance(schema, list):
        for branch in schema:
            yield from personal_in(branch)
    elif isinstance(schema, dict) and schema["type"] == "array":
        yield from personal_in(schema["items"])
    elif isinstance(schema, dict) and schema["type"] == "record":
        for field in schema["fields"]:
            if field["classification"] == _PERSONAL:
                yield field["name"], field["type"]
            else:
                yield from personal_in(field["type"])


@pytest.mark.parametrize("topic", CATALOGUE)
def test_every_personal_attribute_is_one_that_a_mask_can_stand_for(topic: str) -> None:
    for name, kind in personal_in(avro_schema(CATALOGUE[topic].model)):
        kinds = kind if isinstance(kind, list) else [kind]
        assert {"null", "string"} >= {one if isinstance(one, str) else one["type"] for one in kinds}, name
        assert is_personal_name(f"somewhere.{name}")


def named(person: str) -> OrderCaptured:
    """An order that tells of a person wherever it can."""
    event = order_captured()
    assert event.order is not None and event.order.delivery_address is not None
    address = {name: f"{person} {name}" for name in type(event.order.delivery_address).model_fields}
    update = {
        "delivery_name": f"{person} Mustermann",
        "delivery_address": event.order.delivery_address.model_copy(update=address),
        "salesperson_id": f"{person}-1",
        "created_by": f"{person}-2",
        "approved_by": f"{person}-3",
    }
    return event.model_copy(update={"order": event.order.model_copy(update=update)})


def test_nothing_of_a_person_is_left_and_everything_else_is() -> None:
    event = named("Erika")
    shown = masked(event)
    assert "Erika" in event.model_dump_json() and "Erika" not in shown.model_dump_json()
    assert len(set(personal_values(event))) == 9
    assert shown.order is not None and event.order is not None
    assert shown.order.order_lines is event.order.order_lines and shown.event_id == event.event_id
    document = event.model_dump(mode="json")
    assert masked_document(OrderCaptured, document) == shown.model_dump(mode="json")
    assert "Erika" in json.dumps(document), "the original stays"


def test_what_is_not_there_is_not_masked_and_what_nobody_knows_is() -> None:
    assert masked_document(OrderCaptured, {"order": None, "event_id": "e"}) == {"order": None, "event_id": "e"}
    strange = masked_document(OrderCaptured, {"order": {"hobby": "chess", "delivery_name": ""}, "more": [{"a": "b"}]})
    assert strange == {"order": {"hobby": MASK, "delivery_name": ""}, "more": [{"a": MASK}]}


def test_a_new_attribute_is_masked_by_its_classification_alone() -> None:
    class Visitor(CanonicalModel, classification="personal"):
        badge: str = attribute("Number", classification="internal")
        nickname: str | None = attribute("Name", default=None)

    class Visit(CanonicalModel):
        visitors: list[Visitor] = attribute("Who came")

    visit = Visit(visitors=[Visitor(badge="7", nickname="Jo"), Visitor(badge="8")])
    assert masked(visit).visitors == [Visitor(badge="7", nickname=MASK), Visitor(badge="8")]
    assert is_personal_path(Visit, "visitors[0].nickname") and not is_personal_path(Visit, "visitors[0].badge")


def test_paths_lead_to_persons_or_not() -> None:
    for path in ("order.delivery_name", "order.delivery_address.city_name", "enrichment.customer_name"):
        assert is_personal_path(OrderState, path)
        assert masked_value(OrderState, path, "x") == MASK
        assert masked_value(OrderState, path, None) is None
    for path in ("order.payable_amount", "order.order_lines[1].item_name", "version", "no.such.path"):
        assert not is_personal_path(OrderState, path)
        assert masked_value(OrderState, path, "x") == "x"
    whole = {"delivery_name": "Erika", "note": "call"}
    assert masked_value(OrderState, "order", whole) == {"delivery_name": MASK, "note": "call"}
    assert masked_value(OrderState, "order.delivery_address", {"city_name": "Graz"}) == {"city_name": MASK}


def test_the_audit_is_told_what_changed_without_whom_it_tells_of() -> None:
    changes = [
        'order.delivery_name: "Erika" -> "Max"',
        'order.order_lines.0.quantity: "1" -> "2"',
        'order.delivery_address: null -> {"city_name": "Graz"}',
        'order: null -> {"delivery_name": "Erika", "note": "call"}',
        "erp order.delivery_name: Erika -> Max",
        "erp delivery_name: Erika -> Max",
        'order: [1 -> {"delivery_name": "Erika"',
        "the whole event",
    ]
    assert masked_changes(changes) == [
        f"order.delivery_name: {MASK} -> {MASK}",
        changes[1],
        f"order.delivery_address: {MASK} -> {MASK}",
        f'order: null -> {{"delivery_name": "{MASK}", "note": "call"}}',
        f"erp order.delivery_name: {MASK} -> {MASK}",
        f"erp delivery_name: {MASK} -> {MASK}",
        f"order: {MASK} -> {MASK}",
        "the whole event",
    ]


def test_values_are_taken_out_of_sentences_longest_first() -> None:
    assert (
        without_values("Max Mustermann and Max of 7", ["Max", "Max Mustermann", "7", ""]) == f"{MASK} and {MASK} of 7"
    )


@pytest.mark.parametrize("case", ALL_CASES, ids=str)
def test_no_rule_says_whom_an_order_tells_of(case: RuleCase) -> None:
    """Messages go into dead letters, warnings, answers of the API and logs: they name attributes, not persons."""
    desk = Desk(master=known_master())
    case.prepare(desk)
    judged = case.violating(Life())[-1]
    told: list[CanonicalModel | None] = [judged]
    if isinstance(judged, OrderCaptured) and judged.order is not None:
        told.append(desk.master.customer(judged.order.buyer_customer_party_id))
    values = {value for one in told if one is not None for value in personal_values(one) if len(value) > 3}
    found = verdict(case.violating, case.prepare)
    messages = [one.message for letter in found.rejections for one in letter.violations]
    messages += [one.message for one in (found.state.warnings if found.state is not None else [])]
    assert not [(message, value) for message in messages for value in values if value in message]


def test_what_is_wrong_with_a_personal_attribute_is_told_by_its_name() -> None:
    told = masked_violation(Violation(rule="mapping", message="'Erika' is too long", field="order.delivery_name"))
    assert (told.rule, told.message, told.field) == ("mapping", MASK, "order.delivery_name")
    plain = Violation(rule="order.total", message="1 is not 2", field="payable_amount")
    assert masked_violation(plain) == plain


def test_rows_of_databases_are_masked_by_their_columns() -> None:
    row = {"order_id": "crm:1", "delivery_name": "Erika", "street_name": None, "payable_amount": 1}
    assert masked_row(row) == row | {"delivery_name": MASK}


def test_an_orders_history_tells_what_changed_and_not_of_whom() -> None:
    first = order_state().model_copy(update={"version": 1, "order": named("Erika").order})
    second = first.model_copy(update={"version": 2, "order": named("Max").order})
    parts = HistoryParts(first.order_id)
    for offset, state in enumerate((first, second)):
        at = datetime(2026, 11, 21, tzinfo=UTC)
        event = OrderEvent(event_type="OrderChanged", topic=ORDERS_CAPTURED, captured_at=at, state=state)
        parts.events.append((StoredRecord(ORDER_EVENTS, 0, offset, 0, b"", b"", ()), event))
    history = parts.history(rules_of(None))
    told = "\n".join(lines_of(history))
    assert "Max" in told
    shown = masked_history(history)
    for text in ("\n".join(lines_of(shown)), json.dumps(document_of(shown), default=str, ensure_ascii=False)):
        assert "Erika" not in text and "Max" not in text and MASK in text
    assert f"order.delivery_name: {MASK} -> {MASK}" in "\n".join(lines_of(shown))


def test_rows_of_the_index_are_shown_without_persons() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    row = FoundOrder("crm:1", 1, "a", "b", "c", "d", "C1", "Erika", "PO 7", "EUR", "1", 0, at, at)
    assert without_persons(Found([row], 7)) == Found([replace(row, customer_name=MASK)], 7)
    deed = ListedDeed("1", "ada", "OrderRestored", "crm:1", None, ["delivery_name: Erika -> Max"], "why", at)
    assert without_persons(deed) == replace(deed, actor=MASK, changes=[f"delivery_name: {MASK} -> {MASK}"])
    assert without_persons(None) is None


def test_differences_are_shown_without_persons() -> None:
    found = masked_mismatch(
        Mismatch.model_construct(
            field="order.delivery_name", expected="Erika", actual="Max", explanation="Erika was written twice"
        )
    )
    assert (found.expected, found.actual, found.explanation) == (MASK, MASK, None)


def test_who_mends_events_sees_what_they_say_so_that_no_mask_is_ever_put_back() -> None:
    for rights in RIGHTS.values():
        if rights & {Right.REPLAY, Right.REVIEW, Right.SEE_ORIGINALS, Right.SEE_AUDIT}:
            assert Right.SEE_PERSONAL in rights
