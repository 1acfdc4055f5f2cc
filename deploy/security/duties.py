"""Duties that nobody may hold together, and who breaks that. Source: S8, B9."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from schemas import topics
from schemas.grants import Principal
from schemas.topics import CAPTURED_TOPICS, MASTER_TOPICS


class Duty(NamedTuple):
    """What somebody does who has this duty: any one of these rights is enough to have it."""

    name: str
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    def of(self, principal: Principal) -> bool:
        """Whether the principal can do it."""
        return bool(set(self.writes) & set(principal.writes) or set(self.reads) & set(principal.reads))


class Conflict(NamedTuple):
    """Two duties that one principal must not hold, and what it could do otherwise."""

    one: Duty
    other: Duty
    why: str


STATE_FACTS = Duty("states what happened", writes=(*CAPTURED_TOPICS, *MASTER_TOPICS))
DECIDE = Duty("decides what counts", writes=(topics.ORDER_EVENTS, topics.ORDER_STATE, topics.PARKED))
POST = Duty("posts to the journal", writes=(topics.POSTINGS,))
COPY = Duty("keeps the chained copy", writes=(topics.BACKUP,))
COMPARE = Duty("says where systems differ", writes=(topics.MISMATCHES,))
AUDIT = Duty("reads who did what", reads=(topics.AUDIT,))
STATE_MASTER_DATA = Duty("states master data", writes=MASTER_TOPICS)
TELL = Duty("tells who did what", writes=(topics.AUDIT,))
MEND = Duty("mends what was refused", writes=(topics.DELIVERIES,))

CONFLICTS = (
    Conflict(STATE_FACTS, DECIDE, "could invent an order and accept it"),
    Conflict(STATE_FACTS, POST, "could invent an order and its revenue"),
    Conflict(STATE_FACTS, COPY, "could invent an order and its past"),
    Conflict(STATE_FACTS, COMPARE, "could hide that its facts differ"),
    Conflict(DECIDE, COPY, "could change an order and its past"),
    Conflict(DECIDE, COMPARE, "could hide its own mistakes"),
    Conflict(POST, COPY, "could change the journal and its past"),
    Conflict(POST, COMPARE, "could hide a wrong posting"),
    Conflict(COPY, COMPARE, "could change the past and hide it"),
    Conflict(AUDIT, STATE_FACTS, "would audit itself"),
    Conflict(AUDIT, DECIDE, "would audit what it decided"),
    Conflict(AUDIT, POST, "would audit its own postings"),
    Conflict(AUDIT, COPY, "would audit its own copy"),
    Conflict(AUDIT, COMPARE, "would audit its own comparison"),
    Conflict(AUDIT, MEND, "would audit its own repairs"),
    Conflict(AUDIT, TELL, "would audit what it wrote itself"),
    Conflict(MEND, STATE_MASTER_DATA, "could mend an order by changing what it is checked against"),
    Conflict(MEND, DECIDE, "could repair past the rules"),
    Conflict(MEND, POST, "could repair the journal by itself"),
)


def broken_duties(principals: Iterable[Principal]) -> list[str]:
    """Each conflict that a principal breaks, said in words; who acts for people keeps their duties apart itself."""
    return [
        f"{principal.name} {conflict.one.name} and {conflict.other.name}: it {conflict.why}"
        for principal in principals
        for conflict in CONFLICTS
        if not principal.for_people
        if conflict.one.of(principal) and conflict.other.of(principal)
    ]
