"""The audit log of the backup: who did what with it, hash-chained, each entry signed by who did it (B8, B9)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from pydantic import AwareDatetime, Field, ValidationError
from securesystemslib.signer import Key, Signer

from consumers.backup.vault.catalogue import newest_version
from consumers.backup.vault.commits import START, Link, link_of
from consumers.backup.vault.copies import Source
from consumers.backup.vault.layout import AUDIT, numbered
from consumers.backup.vault.roots import Roots
from consumers.backup.vault.trust import is_signed_by, keys_of
from schemas.errors import BackupRefused, Transient
from schemas.settings import SettingsPart

ROOT_PUBLISHED = "RootPublished"
"""Action of an officer: from this entry on, the root of that number is in force."""

_ATTEMPTS = 20


class AuditStore(Source, Protocol):
    """Where entries are read and added."""

    def put_new(self, path: str, content: bytes) -> bool:
        """Put a file; False where it is there already. Raises `Transient`."""
        ...


class AuditEntry(SettingsPart):
    """One deed."""

    sequence: int
    previous_sha256: str
    root_version: int = Field(ge=1)
    """The root that named the signer. It never goes back, so a key that a root withdrew writes nothing after the first
    entry of that root."""
    keyid: str
    action: str
    """Past tense: BackupPublished, BackupRestored, KeysRewrapped."""
    subject: str
    occurred_at: AwareDatetime

    def payload(self) -> bytes:
        """What is signed: the same bytes for the same entry."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()


class SignedEntry(SettingsPart):
    """A deed and the signature of who did it, as it lies in the copies."""

    entry: AuditEntry
    signature: str


class VerifiedEntry(NamedTuple):
    """A deed that is in its place in the log and was signed by whom it names."""

    link: Link
    entry: AuditEntry
    role: str
    """What the signer was by the officers' root of that time."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be told."""

    action: str
    subject: str
    occurred_at: datetime


def record(store: AuditStore, signer: Signer, deed: Deed, roots: Roots) -> Link:
    """Add a deed at the end of the log; two who write at once both succeed, one after the other.

    Raises:
        BackupRefused: the log there is is not sound, or the newest root does not name the signer.
        Transient: the copies are away.
    """
    head = START
    for _ in range(_ATTEMPTS):
        head = verify_audit(store, head, roots)
        root, keyid = roots.follow(), signer.public_key.keyid
        if keyid not in keys_of(root):
            raise BackupRefused(
                f"the key {keyid} may not write into the audit log: root {root.version} does not name it",
                reason="audit",
            )
        entry = AuditEntry(
            sequence=head.version + 1,
            previous_sha256=head.sha256,
            root_version=root.version,
            keyid=keyid,
            action=deed.action,
            subject=deed.subject,
            occurred_at=deed.occurred_at,
        )
        signed = SignedEntry(entry=entry, signature=signer.sign(entry.payload()).signature)
        content = signed.model_dump_json().encode()
        if store.put_new(numbered(AUDIT, entry.sequence), content):
            return link_of(entry.sequence, content)
    raise Transient(f"the audit log grew {_ATTEMPTS} times while one deed waited for its turn")


def verify_audit(
    source: Source,
    before: Link,
    roots: Roots,
    through: Link | None = None,
    told: Callable[[VerifiedEntry], None] = lambda _: None,
) -> Link:
    """Follow the log from `before` to its end, or to `through`, which the keeper signed; gives where it ended.

    `told` is called with each entry.

    Raises:
        BackupRefused: an entry is missing, altered, not signed by whom it names, by a key that was withdrawn before it
            or named after it, or the log ends before `through`.
    """
    link = before
    for verified in entries(source, before, roots, through):
        link = verified.link
        told(verified)
    if through is not None and link != through:
        raise BackupRefused(
            f"the audit log's entry {link.version} is not the one that the keeper signed as {through.version}",
            reason="audit",
        )
    return link


def entries(source: Source, before: Link, roots: Roots, through: Link | None = None) -> Iterator[VerifiedEntry]:
    """The verified entries after `before`. Raises as `verify_audit` does."""
    link = before
    last = newest_version(source, AUDIT, before.version) if through is None else through.version
    if last <= before.version:
        return
    root_version = _root_version(source, before)
    keys: dict[str, tuple[str, Key]] | None = None
    for sequence in range(before.version + 1, last + 1):
        signed, reached = _read(source, sequence)
        entry = signed.entry
        if entry.sequence != sequence or entry.previous_sha256 != link.sha256:
            raise BackupRefused(f"entry {sequence} of the audit log does not follow on the one before", reason="audit")
        if entry.root_version < root_version:
            raise BackupRefused(
                f"entry {sequence} of the audit log goes by root {entry.root_version}; root {root_version} was in "
                "force before it",
                reason="audit",
            )
        if keys is None or entry.root_version > root_version:
            root_version = entry.root_version
            keys = keys_of(roots.at(root_version))
        role, key = keys.get(entry.keyid, ("", None))
        if key is None or not is_signed_by(key, signed.signature, entry.payload()):
            raise BackupRefused(f"entry {sequence} of the audit log is not signed by whom it names", reason="audit")
        link = reached
        yield VerifiedEntry(link, entry, role)


def _root_version(source: Source, before: Link) -> int:
    """The number of the root in force at an entry that was verified earlier; 1 before the first."""
    if before == START:
        return 1
    signed, link = _read(source, before.version)
    if link != before:
        raise BackupRefused(f"entry {before.version} of the audit log was exchanged", reason="audit")
    return signed.entry.root_version


def _read(source: Source, sequence: int) -> tuple[SignedEntry, Link]:
    content = source.get(numbered(AUDIT, sequence))
    if content is None:
        raise BackupRefused(f"entry {sequence} of the audit log is missing", reason="audit")
    try:
        return SignedEntry.model_validate_json(content), link_of(sequence, content)
    except ValidationError as exc:
        raise BackupRefused(f"entry {sequence} of the audit log cannot be read: {exc}", reason="audit") from exc
