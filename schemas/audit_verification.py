"""Which events of `audit.events` are not what their writers wrote, found by their hash chains. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.audit_chain import AuditHead, event_hash
from schemas.models import AuditEvent


@dataclass(frozen=True, slots=True)
class AuditFault:
    """Something that no writer of ours writes."""

    position: int
    """Offset on the topic where it shows; of an end that is missing the end of the topic."""
    writer: str
    chain_id: str
    sequence: int
    """Number that the event has, or should have."""
    what: str

    def __str__(self) -> str:
        return f"{self.position}: {self.writer} {self.chain_id} event {self.sequence}: {self.what}"


@dataclass(slots=True)
class AuditVerification:
    """Follows all chains of a topic at once; `take` is given each event in the order of the topic.

    It finds each event that was changed, taken away, put in or moved. It does not see that a whole chain, or the last
    events of one, were taken away: hold the heads against those that were noted elsewhere, with `lacking`.
    """

    heads: dict[str, AuditHead] = field(default_factory=dict)
    """By chain its end."""
    faults: list[AuditFault] = field(default_factory=list)
    events: int = 0
    _hashes: dict[tuple[str, int], bytes] = field(default_factory=dict)
    """Of the events at which a noted head ended: what `lacking` compares."""
    _noted: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def against(cls, noted: Mapping[str, AuditHead]) -> AuditVerification:
        """One that can be asked for what is `lacking` of these heads."""
        return cls(_noted=frozenset((chain_id, head.sequence) for chain_id, head in noted.items()))

    def take(self, position: int, event: AuditEvent) -> list[AuditFault]:
        """Hold an event against its chain; gives what is wrong with it, which `faults` has as well."""
        self.events += 1
        head = self.heads.get(event.chain_id) or AuditHead(event.writer, event.chain_id)
        found = [AuditFault(position, event.writer, event.chain_id, event.sequence, why) for why in _whys(event, head)]
        self.faults += found
        # What follows is held against the event as it stands, so that one fault is told once; what was put in or
        # stands too late moves nothing.
        if event.sequence >= head.sequence:
            self.heads[event.chain_id] = AuditHead(head.writer, event.chain_id, event.sequence + 1, event.hash)
            if (event.chain_id, event.sequence + 1) in self._noted:
                self._hashes[event.chain_id, event.sequence + 1] = event.hash
        return found

    def lacking(self, noted: Mapping[str, AuditHead], end: int) -> list[AuditFault]:
        """What is missing of heads that were noted before: chains that ended later then, or otherwise."""
        found = []
        for chain_id, head in noted.items():
            there = self.heads.get(chain_id)
            if there is None or there.sequence < head.sequence:
                ends = "it is not there at all" if there is None else f"it ends before event {there.sequence} now"
                what = f"the end of the chain was taken away: it was noted up to event {head.sequence - 1}, {ends}"
                at = 0 if there is None else there.sequence
                found.append(AuditFault(end, head.writer, chain_id, at, what))
            elif head.sequence and self._hashes.get((chain_id, head.sequence)) != head.hash:
                what = "the chain was written anew: it has another hash than was noted"
                found.append(AuditFault(end, head.writer, chain_id, head.sequence - 1, what))
        return found


def _whys(event: AuditEvent, head: AuditHead) -> list[str]:
    whys = []
    if event.sequence > head.sequence:
        missing = f"{head.sequence}" if event.sequence == head.sequence + 1 else f"{head.sequence}-{event.sequence - 1}"
        whys.append(f"it follows on event {missing}, which is missing before it")
    elif event.sequence < head.sequence:
        whys.append("its number was taken before: it was put in, repeated or moved")
    elif event.previous_hash != head.hash:
        whys.append("it does not build on the event before it")
    if event.writer != head.writer:
        whys.append(f"the chain is of {head.writer}, not of {event.writer}")
    if event.hash != event_hash(event):
        whys.append("its content is not what was hashed: it was changed")
    return whys
