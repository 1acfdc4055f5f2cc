"""What a vendor answers, and that it has heard an update by that, are both kept, whatever fails between the two."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.api.answering import AnswerIntake
from producers.api.intake import Asked
from producers.api.orders import Orders
from producers.api.store import Changes, OrderStore
from schemas.attributes import EventId, VendorId
from schemas.codec import TopicCodec
from schemas.errors import Transient
from schemas.fulfilment_parts import lines_of_vendor
from schemas.models import VendorAcknowledgement
from schemas.topics import VENDOR_ACKNOWLEDGEMENTS, VENDOR_ANSWERS
from tests.unit.order_lives import accepted, confirmation
from tests.unit.order_samples import order_state
from tests.unit.test_api_intake import SCHEMAS, STATES, FollowedTopics, WrittenLog

VENDOR = VendorId("V-0042")
STATE = order_state(1)
LINE = min(lines_of_vendor(STATE, VENDOR))
ANSWER = confirmation(1, accepted(LINE), vendor=VENDOR).model_copy(update={"update_id": EventId("u-1")})
ASKED = Asked("acme", "one", ANSWER.model_dump_json().encode())


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Orders]:
    store = OrderStore(tmp_path, "cluster")
    changes = Changes()
    changes.state(STATE.order_id, STATES.encode(STATE))
    store.write(changes)
    made = Orders(store, STATES)
    made.feed = FollowedTopics(made, store)  # type: ignore[assignment]
    yield made
    store.close()


def heard(log: WrittenLog) -> list[VendorAcknowledgement]:
    codec = TopicCodec(VENDOR_ACKNOWLEDGEMENTS, VendorAcknowledgement, SCHEMAS)
    return [codec.decode(value) for topic, _, value in log.records if topic == VENDOR_ACKNOWLEDGEMENTS]


def test_answer_that_was_kept_without_its_acknowledgement_is_acknowledged_by_the_retry(orders: Orders) -> None:
    log = WrittenLog(away=[VENDOR_ACKNOWLEDGEMENTS])
    intake = AnswerIntake(log, orders, SCHEMAS)
    with pytest.raises(Transient):
        asyncio.run(intake.answer(ASKED, STATE.order_id, ANSWER))
    assert [topic for topic, _, _ in log.records] == [VENDOR_ANSWERS] and heard(log) == []
    again = asyncio.run(intake.answer(ASKED, STATE.order_id, ANSWER))
    assert again.is_replay and [one.update_id for one in heard(log)] == ["u-1"]
    assert [topic for topic, _, _ in log.records].count(VENDOR_ANSWERS) == 1, "the answer itself is written once"


def test_answer_that_no_broker_took_is_written_by_the_retry(orders: Orders) -> None:
    log = WrittenLog(away=[VENDOR_ANSWERS])
    intake = AnswerIntake(log, orders, SCHEMAS)
    with pytest.raises(Transient):
        asyncio.run(intake.answer(ASKED, STATE.order_id, ANSWER))
    assert log.records == []
    assert not asyncio.run(intake.answer(ASKED, STATE.order_id, ANSWER)).is_replay
    assert [topic for topic, _, _ in log.records] == [VENDOR_ANSWERS, VENDOR_ACKNOWLEDGEMENTS]
