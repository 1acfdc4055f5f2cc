"""Refused events as JSON: what may be changed of them, and what is told about it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from deploy.mending import MendedEvent, check_replayable, mended, readable, unchanged, with_values
from deploy.replaying import REPLAY_OF, Replay
from schemas.audit_chain import Actor
from schemas.errors import ConfigurationError
from schemas.models import MessageHeader, OrderCaptured, Rejection
from schemas.topics import ORDERS_CAPTURED
from tests.unit.order_lives import Item, Life, order
from tests.unit.processing_desk import Desk, codec_of

CODEC: Any = codec_of(ORDERS_CAPTURED)


def refused(**changes: object) -> Rejection:
    """The dead letter of an order whose total is wrong; `changes` are of its original."""
    desk = Desk()
    facts = order([Item("1", "P1", "3", "9.99")]).model_copy(update={"payable_amount": Decimal(1)})
    desk.take(Life().ordered(facts))
    [letter] = desk.rejections()
    return letter.model_copy(update={"original": letter.original.model_copy(update=changes)})


def document_of(letter: Rejection) -> dict[str, Any]:
    found = readable(letter, CODEC)
    assert found is not None
    return found


def test_values_are_set_by_path_with_all_their_digits() -> None:
    document = document_of(refused())
    settings = ["order.order_lines.0.price_amount=9.990001", "order.note=two words", "order.order_status=null"]
    changed = with_values(document, settings)
    assert changed["order"]["order_lines"][0]["price_amount"] == "9.990001"
    assert (changed["order"]["note"], changed["order"]["order_status"]) == ("two words", None)
    assert document == document_of(refused()), "the original stays"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("order.payable", "there is no 'payable'; there are"),
        ("order.order_lines.7.quantity=1", "there is no '7'; there are 0 to 0"),
        ("order.payable_amount.cents=1", "there are none"),
        ("order.note", "write path=value"),
    ],
)
def test_places_that_are_not_there_are_named(setting: str, told: str) -> None:
    setting = setting if "=" in setting or setting == "order.note" else f"{setting}=1"
    with pytest.raises(ConfigurationError, match=told):
        with_values(document_of(refused()), [setting])


def test_mended_event_keeps_its_place_and_tells_what_was_changed() -> None:
    letter = refused()
    event = mended(letter, with_values(document_of(letter), ["order.payable_amount=35.66"]), CODEC)
    assert event.changes == ['order.payable_amount: "1.0000" -> "35.6600"'] or event.changes == [
        'order.payable_amount: "1.0000" -> "35.66"'
    ]
    before, after = CODEC.decode(letter.original.value), CODEC.decode(event.value)
    assert isinstance(after, OrderCaptured) and after.order is not None and str(after.order.payable_amount) == "35.6600"
    assert (after.event_id, after.source, event.key) == (before.event_id, before.source, letter.original.key)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("source.position=999", "source must stay"),
        ("order_id=crm:other", "order_id must stay"),
        ("order.payable_amount=much", "order.payable_amount"),
        ("order.order_lines=[]", None),
        ("order.payable_amount=1.00001", "does not fit"),
        ("order.payable_amount=1.0000", "nothing was changed"),
    ],
)
def test_what_is_no_mended_event_is_refused_with_its_reason(setting: str, told: str | None) -> None:
    letter = refused()
    document = with_values(document_of(letter), [setting])
    if told is None:
        assert mended(letter, document, CODEC).changes, "rules are asked by the streams, not here"
        return
    with pytest.raises(ConfigurationError, match=told):
        mended(letter, document, CODEC)


def test_bytes_that_are_no_event_are_replaced_as_a_whole() -> None:
    letter = refused(value=b"junk")
    assert readable(letter, CODEC) is None
    whole = document_of(refused())
    assert mended(letter, whole, CODEC).changes == ["the whole event"]
    with pytest.raises(ConfigurationError, match="crm:elsewhere"):
        mended(letter, whole | {"order_id": "crm:elsewhere"}, CODEC)


def test_wrong_key_is_mended_with_the_event() -> None:
    letter = refused(key=b"another")
    event = mended(letter, document_of(letter), CODEC)
    assert event.key == CODEC.decode(event.value).order_id.encode() and event.changes[0].startswith("key: b'another'")


@pytest.mark.parametrize("changes", [{"topic": "crm:order", "partition": -1}, {"topic": "orders.events"}])
def test_only_captured_events_can_be_put_back(changes: dict[str, object]) -> None:
    check_replayable(refused())
    with pytest.raises(ConfigurationError, match="correct it there"):
        check_replayable(refused(**changes))


@pytest.mark.parametrize("changes", [{"key": None}, {"value": None}])
def test_what_was_never_an_event_is_not_replayed_as_it_is(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="--file"):
        unchanged(refused(**changes))


def test_replay_has_one_id_for_the_same_bytes_and_says_whose_it_is() -> None:
    letter = refused(headers=[MessageHeader(key="trace", value=b"1"), MessageHeader(key=REPLAY_OF, value=b"older")])
    event = unchanged(letter)
    replay = Replay(letter, event, Actor("ann"), "typing error")
    assert replay.replay_id == Replay(letter, event, Actor("bob"), "again").replay_id
    assert replay.replay_id != Replay(letter, MendedEvent(event.key, b"other", ["x"]), Actor("ann"), "").replay_id
    assert replay.headers() == [
        ("trace", b"1"),
        (REPLAY_OF, letter.rejection_id.encode()),
        ("ordersync-replayed-by", b"ann"),
        ("ordersync-replay-reason", b"typing error"),
    ]
    audit = replay.deed()
    assert (audit.action, audit.reference, audit.reason) == ("DeadLetterReplayed", letter.rejection_id, "typing error")
