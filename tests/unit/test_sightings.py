"""How much the audit grows by what people see: once a quarter of an hour for each, and no sighting is lost."""

from __future__ import annotations

import pytest

from producers.auditing import AuditWriter
from producers.sightings import EVERY_SECONDS, Sightings
from schemas.audit_chain import Deed
from schemas.errors import Transient
from schemas.models import AuditEvent


class KeptAudit(AuditWriter):
    """In memory; `is_away` while no broker answers."""

    def __init__(self) -> None:
        self.kept: list[Deed] = []
        self.is_away = False

    def record(self, *deeds: Deed, wait_seconds: float = 5.0) -> list[AuditEvent]:
        if self.is_away:
            raise Transient("away")
        self.kept += deeds
        return []

    def note(self, deed: Deed) -> None:
        self.kept.append(deed)


class Clock:
    """Seconds that the test lets pass."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def viewed(actor: str = "ada", order_id: str = "crm:1", address: str = "10.0.0.1") -> Deed:
    return Deed(actor, "OrderViewed", order_id, address)


def test_a_page_that_is_reloaded_is_one_entry_and_the_next_one_tells_how_often() -> None:
    audit, clock = KeptAudit(), Clock()
    sightings = Sightings(audit, clock)
    for _ in range(50):
        sightings.saw(viewed())
        clock.seconds += 10
    assert len(audit.kept) == 1
    clock.seconds = EVERY_SECONDS
    sightings.saw(viewed())
    assert [deed.changes for deed in audit.kept] == [[], ["49 more times since the entry before"]]
    clock.seconds *= 2
    sightings.saw(viewed())
    assert audit.kept[-1].changes == []


def test_part_of_what_was_told_lately_does_not_count_and_is_told_by_itself_else() -> None:
    audit, clock = KeptAudit(), Clock()
    sightings = Sightings(audit, clock)
    sightings.saw_part(viewed())
    sightings.saw_part(viewed(actor="bob"))
    assert [deed.actor for deed in audit.kept] == ["ada", "bob"], "a picture without its page is a sighting"
    for _ in range(50):
        sightings.saw_part(viewed())
    clock.seconds = EVERY_SECONDS
    sightings.saw_part(viewed())
    assert [deed.changes for deed in audit.kept] == [[], [], []], "the pictures of a page are no looks at it"


def test_every_person_order_and_address_is_an_entry_of_its_own() -> None:
    audit = KeptAudit()
    sightings = Sightings(audit, Clock())
    for deed in (viewed(), viewed("bob"), viewed(order_id="crm:2"), viewed(address="10.0.0.2")):
        sightings.saw(deed)
        sightings.saw(deed)
    assert len(audit.kept) == 4


def test_what_the_audit_did_not_take_is_not_taken_for_told() -> None:
    audit = KeptAudit()
    sightings, audit.is_away = Sightings(audit, Clock()), True
    for _ in range(2):
        with pytest.raises(Transient):
            sightings.saw(viewed())
    audit.is_away = False
    sightings.saw(viewed())
    assert audit.kept == [viewed()]


def test_somebody_who_tries_a_thousand_addresses_does_not_fill_the_audit() -> None:
    audit, clock = KeptAudit(), Clock()
    sightings = Sightings(audit, clock)
    for number in range(1_000):
        sightings.refused(Deed("eve", "AccessRefused", f"/dead-letters/{number}/replay", reason="mend"))
    sightings.refused(Deed("eve", "AccessRefused", "/audit", reason="see who did what"))
    assert [deed.subject for deed in audit.kept] == ["/dead-letters/0/replay", "/audit"]
    clock.seconds = EVERY_SECONDS
    sightings.refused(Deed("eve", "AccessRefused", "/again", reason="mend"))
    assert audit.kept[-1].changes == ["999 more times since the entry before"]
