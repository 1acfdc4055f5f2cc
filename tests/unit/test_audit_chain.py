"""Whatever is done to a written audit is found, and named where it was done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.audit_chain import AuditHead, Deed, Identity, begin_chain, chained, event_hash, next_event
from schemas.audit_verification import AuditVerification
from schemas.models import AuditEvent

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)

_TEXTS = st.text(max_size=12)
_OPTIONAL = st.none() | _TEXTS
DEEDS = st.builds(
    Deed,
    actor=_TEXTS,
    action=_TEXTS,
    subject=_TEXTS,
    reference=_OPTIONAL,
    reason=_OPTIONAL,
    changes=st.lists(_TEXTS, max_size=3),
    identified_by=st.sampled_from(Identity),
    approval_id=_OPTIONAL,
)


@st.composite
def topics(draw: st.DrawFn) -> list[AuditEvent]:
    """Up to three chains that were written side by side, each with two events at least."""
    writers = ("console", "console", "api")[: draw(st.integers(1, 3))]
    heads = [AuditHead(writer, f"chain-{number}") for number, writer in enumerate(writers)]
    lanes = draw(st.permutations([lane for lane in range(len(heads)) for _ in range(draw(st.integers(2, 4)))]))
    events = []
    for at, lane in enumerate(lanes):
        event, heads[lane] = next_event(heads[lane], draw(DEEDS), NOW + timedelta(seconds=at))
        events.append(event)
    return events


def verified(events: list[AuditEvent]) -> AuditVerification:
    verification = AuditVerification()
    for position, event in enumerate(events):
        verification.take(position, event)
    return verification


def is_last(events: list[AuditEvent], at: int) -> bool:
    return all(event.chain_id != events[at].chain_id for event in events[at + 1 :])


@given(topics())
def test_what_writers_wrote_is_sound_whatever_the_order_of_the_chains(events: list[AuditEvent]) -> None:
    found = verified(events)
    assert (found.faults, found.events) == ([], len(events))


OTHER: dict[str, Any] = {
    "audit_id": "other",
    "actor": "somebody else",
    "identified_by": "other",
    "action": "SomethingElse",
    "subject": "another",
    "reference": "another",
    "changes": ["another", "one"],
    "reason": "because",
    "approval_id": "approved",
    "occurred_at": NOW - timedelta(microseconds=1),
    "writer": "eve",
    "sequence": 99,
    "previous_hash": b"x" * 32,
    "hash": b"y" * 32,
}


@given(topics(), st.data())
def test_a_changed_event_is_found_whichever_attribute_was_changed(
    events: list[AuditEvent], data: st.DataObject
) -> None:
    at, name = data.draw(st.integers(0, len(events) - 1)), data.draw(st.sampled_from(sorted(OTHER)))
    assert set(OTHER) == set(AuditEvent.model_fields) - {"chain_id"}
    events[at] = events[at].model_copy(update={name: OTHER[name]})
    assert at in {fault.position for fault in verified(events).faults}


@given(topics(), st.data())
def test_an_event_that_was_changed_and_hashed_again_breaks_the_one_after_it(
    events: list[AuditEvent], data: st.DataObject
) -> None:
    at = data.draw(st.sampled_from([at for at in range(len(events)) if not is_last(events, at)]))
    forged = events[at].model_copy(update={"actor": "somebody else"})
    events[at] = forged.model_copy(update={"hash": event_hash(forged)})
    [fault] = verified(events).faults
    assert (fault.chain_id, fault.sequence) == (forged.chain_id, forged.sequence + 1)
    assert "does not build" in fault.what


@given(topics(), st.data())
def test_a_removed_event_is_named_by_chain_and_number(events: list[AuditEvent], data: st.DataObject) -> None:
    at = data.draw(st.sampled_from([at for at in range(len(events)) if not is_last(events, at)]))
    gone = events.pop(at)
    [fault] = verified(events).faults
    assert (fault.writer, fault.chain_id) == (gone.writer, gone.chain_id)
    assert fault.what.startswith(f"it follows on event {gone.sequence},")


@given(topics(), st.data())
def test_two_events_of_a_chain_that_changed_places_are_found(events: list[AuditEvent], data: st.DataObject) -> None:
    at = data.draw(st.sampled_from([at for at in range(len(events)) if not is_last(events, at)]))
    other = next(i for i in range(at + 1, len(events)) if events[i].chain_id == events[at].chain_id)
    events[at], events[other] = events[other], events[at]
    assert {at, other} <= {fault.position for fault in verified(events).faults}


@given(topics(), st.data())
def test_an_event_that_was_put_in_or_written_twice_is_found(events: list[AuditEvent], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(events) - 1))
    head = AuditHead(events[at].writer, events[at].chain_id, events[at].sequence, events[at].previous_hash)
    forged = events[at] if data.draw(st.booleans()) else next_event(head, data.draw(DEEDS), NOW)[0]
    place = data.draw(st.integers(at + 1, len(events)))
    events.insert(place, forged)
    assert place in {fault.position for fault in verified(events).faults}


@given(topics(), st.data())
def test_an_end_that_was_cut_off_is_found_by_heads_that_were_noted(
    events: list[AuditEvent], data: st.DataObject
) -> None:
    noted = verified(events).heads
    chain_id = data.draw(st.sampled_from(sorted(noted)))
    kept = data.draw(st.integers(0, noted[chain_id].sequence))
    left = [event for event in events if event.chain_id != chain_id or event.sequence < kept]
    verification = AuditVerification.against(noted)
    for position, event in enumerate(left):
        verification.take(position, event)
    assert verification.faults == []
    lacking = verification.lacking(noted, len(left))
    whole = kept == noted[chain_id].sequence
    assert [(one.chain_id, one.sequence) for one in lacking] == ([] if whole else [(chain_id, kept)])


def test_a_chain_that_was_written_anew_is_found_by_heads_that_were_noted() -> None:
    begun = begin_chain("console")
    _, noted = chained(begun, [Deed("ada", "OrderRepaired", "crm:1"), Deed("ada", "OrderRepaired", "crm:2")], NOW)
    anew, _ = chained(begun, [Deed("bob", "OrderRepaired", f"crm:{number}") for number in (1, 2, 3)], NOW)
    verification = AuditVerification.against({noted.chain_id: noted})
    for position, event in enumerate(anew):
        verification.take(position, event)
    assert verification.faults == []
    [fault] = verification.lacking({noted.chain_id: noted}, 3)
    assert (fault.sequence, "written anew" in fault.what) == (1, True)
