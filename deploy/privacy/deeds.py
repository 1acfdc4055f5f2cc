"""Erasing persons from what was published, readmitting them, and wrapping their keys anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from consumers.privacy.key_book import key_of
from consumers.privacy.sealing import KeyRing
from consumers.transactions import Beside
from deploy.audit.desk import Clearance
from deploy.audit.policy import Kind
from deploy.privacy.register import SUBJECT_OF_AUDIT, Register
from schemas.audit_chain import Actor, Deed
from schemas.models import SubjectErasure, SubjectKey

ERASED: Final = "PersonalDataErased"
READMITTED: Final = "PersonalDataReadmitted"
REWRAPPED: Final = "DataKeysRewrapped"
DESTROYED: Final = "DataKeysDestroyed"
_PORTION: Final = 1_000


@dataclass(frozen=True, slots=True)
class Author:
    """Who does it, and why."""

    actor: Actor
    reason: str
    clearance: Clearance


@dataclass(frozen=True, slots=True)
class Erased:
    """What came of an erasure."""

    subject: str
    generation: int
    destroyed: int
    """Keys that were destroyed."""
    is_new: bool
    """False where it was erased before and nothing was left to destroy."""


def erase(
    register: Register, subjects: Iterable[str], author: Author, known: Mapping[str, int] | None = None
) -> list[Erased]:
    """Destroy every key of these pseudonyms, for good; what was erased before stays so.

    `known` are generations that the audit tells of, where the topic has lost them.

    Raises:
        ApprovalNeeded: the policy wants a second person; nothing was done.
        Fatal, Transient: as `Register.write`.
    """
    wanted = list(dict.fromkeys(subjects))
    new = [one for one in wanted if not register.book.is_erased(one) or register.book.all_keys(one)]
    if not new:
        return [Erased(one, register.book.generation(one), 0, False) for one in wanted]
    told = tuple(f"erase {subject}" for subject in new)
    approval = author.clearance.of(Kind.ERASURE, author.reason, new, told)
    counts = {subject: len(register.book.all_keys(subject)) for subject in new}
    records: list[Beside] = []
    deeds = []
    for subject in new:
        generation = max(register.book.generation(subject) + 1, (known or {}).get(subject, 0))
        decided = _decision(subject, generation, is_erased=True)
        deeds.append(_deed(decided, ERASED, author, [f"{counts[subject]} keys destroyed"], approval))
        records += _decided(register, decided)
    register.write(records, deeds)
    tombstones = [one for one in records if one.value is None]
    if tombstones:
        register.let_go(tombstones[-1])
    return [Erased(one, register.book.generation(one), counts.get(one, 0), one in counts) for one in wanted]


def readmit(register: Register, subject: str, author: Author) -> bool:
    """Let a subject be sealed again, by new keys, from its orders' next versions on; False where it was not erased.

    What was sealed before stays destroyed. Raises as `erase`.
    """
    if not register.book.is_erased(subject):
        return False
    approval = author.clearance.of(Kind.ERASURE, author.reason, (subject, READMITTED), (f"readmit {subject}",))
    # A key of before stays void after a readmission.
    decided = _decision(subject, register.book.generation(subject), is_erased=False)
    deed = _deed(decided, READMITTED, author, [], approval)
    register.write(list(_decided(register, decided)), [deed])
    return True


def rewrap(register: Register, ring: KeyRing, author: Author) -> int:
    """Wrap every good key by the first key-encryption key that is not yet; gives how many. Done again it does nothing.

    Raises:
        InvalidValue: a key cannot be opened: the file lacks what it was wrapped by.
        Fatal, Transient: as `Register.write`; the portions before are done.
    """
    left = [
        key
        for subject in sorted(register.book.subjects())
        for key in register.book.good_keys(subject)
        if key.wrapped_by != ring.first
    ]
    records = [_record(register, ring.rewrapped(key)) for key in left]
    for start in range(0, len(records), _PORTION):
        portion = records[start : start + _PORTION]
        told = [f"{len(portion)} keys", f"wrapped by {ring.first}"]
        actor = author.actor
        deed = Deed(
            actor.name,
            REWRAPPED,
            f"{SUBJECT_OF_AUDIT}keys",
            ring.first,
            author.reason,
            told,
            identified_by=actor.identified_by,
        )
        register.write(portion, [deed])
    if records:
        register.let_go(records[-1])
    return len(records)


def missing_erasures(register: Register) -> dict[str, int]:
    """Pseudonyms that the audit tells of as erased, and the topic of erasures does not: it was restored or lost.

    Each with how often its keys were destroyed. One that was readmitted since is among them: it is erased again then,
    because nobody can say any more which of its keys are good.
    """
    decided: dict[str, tuple[int, bool]] = {}
    for event in register.audited():
        if event.action in (ERASED, READMITTED):
            subject = event.subject.removeprefix(SUBJECT_OF_AUDIT)
            decided[subject] = (int(event.reference or 0), event.action == ERASED)
    book = register.book
    return {
        subject: generation
        for subject, (generation, is_erased) in sorted(decided.items())
        if book.generation(subject) < generation or (is_erased and not book.is_erased(subject))
    }


def destroy_again(register: Register, author: Author) -> int:
    """Destroy the keys that lie on the topic though they were destroyed; gives how many. Raises as `Register.write`."""
    void = list(register.book.void_keys())
    records = [Beside(register.book.keys_topic, 0, key_of(key).encode(), None) for key in void]
    if records:
        subject = f"{SUBJECT_OF_AUDIT}keys"
        told = [f"{len(records)} keys"]
        actor = author.actor
        deed = Deed(actor.name, DESTROYED, subject, None, author.reason, told, identified_by=actor.identified_by)
        register.write(records, [deed])
        register.let_go(records[-1])
    return len(records)


def _decision(subject: str, generation: int, *, is_erased: bool) -> SubjectErasure:
    return SubjectErasure(
        subject=subject,
        generation=generation,
        is_erased=is_erased,
        decided_at=datetime.now(UTC),
        audit_id=str(uuid4()),
    )


def _decided(register: Register, decided: SubjectErasure) -> Iterator[Beside]:
    book = register.book
    yield Beside(book.erasures_topic, 0, decided.subject.encode(), book.encoded_erasure(decided))
    for key in book.all_keys(decided.subject):
        yield Beside(book.keys_topic, 0, key_of(key).encode(), None)


def _record(register: Register, key: SubjectKey) -> Beside:
    return Beside(register.book.keys_topic, 0, key_of(key).encode(), register.book.encoded_key(key))


def _deed(
    decided: SubjectErasure, action: str, author: Author, changes: Iterable[str], approval_id: str | None
) -> Deed:
    return Deed(
        author.actor.name,
        action,
        f"{SUBJECT_OF_AUDIT}{decided.subject}",
        str(decided.generation),
        author.reason,
        list(changes),
        identified_by=author.actor.identified_by,
        approval_id=approval_id,
        audit_id=decided.audit_id,
    )
