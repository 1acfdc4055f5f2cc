"""The audit log of the backup: who did what with it, hash-chained, each entry signed by who did it (B8, B9)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import AwareDatetime, ValidationError
from securesystemslib.signer import Signer
from tuf.api.metadata import Root

from consumers.backup.vault.catalogue import newest_version
from consumers.backup.vault.commits import START, Link, link_of
from consumers.backup.vault.copies import Source
from consumers.backup.vault.layout import AUDIT, numbered
from consumers.backup.vault.trust import is_signed_by, keys_of
from schemas.errors import BackupRefused, Transient
from schemas.settings import SettingsPart

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


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be told."""

    action: str
    subject: str
    occurred_at: datetime


def record(store: AuditStore, signer: Signer, deed: Deed, root: Root) -> Link:
    """Add a deed at the end of the log; two who write at once both succeed, one after the other.

    Raises:
        BackupRefused: the log there is is not sound.
        Transient: the copies are away.
    """
    head = START
    for _ in range(_ATTEMPTS):
        head = verify_audit(store, head, root)
        entry = AuditEntry(
            sequence=head.version + 1,
            previous_sha256=head.sha256,
            keyid=signer.public_key.keyid,
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
    root: Root,
    through: Link | None = None,
    told: Callable[[AuditEntry], None] = lambda _: None,
) -> Link:
    """Follow the log from `before` to its end, or to `through`, which the keeper signed; gives where it ended.

    `told` is called with each entry.

    Raises:
        BackupRefused: an entry is missing, altered, not signed by whom it names, or the log ends before `through`.
    """
    link = before
    for followed, entry in entries(source, before, root, through):
        link = followed
        told(entry)
    if through is not None and link != through:
        raise BackupRefused(
            f"the audit log's entry {link.version} is not the one that the keeper signed as {through.version}",
            reason="audit",
        )
    return link


def entries(source: Source, before: Link, root: Root, through: Link | None = None) -> Iterator[tuple[Link, AuditEntry]]:
    """The verified entries after `before`. Raises as `verify_audit` does."""
    link = before
    last = newest_version(source, AUDIT, before.version) if through is None else through.version
    keys = keys_of(root)
    for sequence in range(before.version + 1, last + 1):
        content = source.get(numbered(AUDIT, sequence))
        if content is None:
            raise BackupRefused(f"entry {sequence} of the audit log is missing", reason="audit")
        try:
            signed = SignedEntry.model_validate_json(content)
        except ValidationError as exc:
            raise BackupRefused(f"entry {sequence} of the audit log cannot be read: {exc}", reason="audit") from exc
        entry = signed.entry
        if entry.sequence != sequence or entry.previous_sha256 != link.sha256:
            raise BackupRefused(f"entry {sequence} of the audit log does not follow on the one before", reason="audit")
        _, key = keys.get(entry.keyid, ("", None))
        if key is None or not is_signed_by(key, signed.signature, entry.payload()):
            raise BackupRefused(f"entry {sequence} of the audit log is not signed by whom it names", reason="audit")
        link = link_of(sequence, content)
        yield link, entry
