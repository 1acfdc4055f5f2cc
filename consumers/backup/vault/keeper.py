"""The keeper of the backup: proves what the creator committed, then signs which state is the newest.

It remembers the last state that it signed, so neither a store nor the creator can make it sign an older or another
history. It holds no key that reads a segment and none that adds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from consumers.backup.policy import Policy
from consumers.backup.vault.audit import VerifiedEntry, verify_audit
from consumers.backup.vault.catalogue import Catalogue, commits_after, load_onto, newest_version, verified_file
from consumers.backup.vault.client import Client
from consumers.backup.vault.commits import START, Commit, Link, SignedCommit, link_of
from consumers.backup.vault.copies import Copies
from consumers.backup.vault.creator import require_creator
from consumers.backup.vault.drills import Rehearsals
from consumers.backup.vault.encryption import wrap_name
from consumers.backup.vault.holds import Holds
from consumers.backup.vault.kept import AUDIT_FIELD, kept_state, signing_root
from consumers.backup.vault.layout import AUDIT, SNAPSHOTS, TIMESTAMPS, metadata_path, numbered, wrap_path
from consumers.backup.vault.removal import Removal
from consumers.backup.vault.retention import kept_spans, require_lawful
from consumers.backup.vault.roots import Roots
from consumers.backup.vault.targets import SetTarget
from consumers.backup.vault.trust import require_role
from schemas.errors import BackupRefused, PositionConflict

_CLOCKS_DIFFER = timedelta(minutes=5)
_ASKED_BEFORE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Published:
    """A state that the keeper signed."""

    head: Link
    timestamp_version: int
    published_at: datetime


class Keeper:
    """One at a time; `state_dir` holds what it has signed and must survive."""

    def __init__(self, policy: Policy, copies: Copies, signer: Signer, root: bytes, state_dir: Path) -> None:
        self._policy = policy
        self._copies = copies
        self._signer = signer
        self._client = Client(copies, root, state_dir)
        self._roots = Roots(copies, root)
        self._state_dir = state_dir
        self._catalogue = Catalogue()
        self._audit = START
        self._holds = Holds()
        self._known_at = datetime.now(UTC)
        self.removal = Removal(policy.retention, copies, signer, state_dir / "removed.json")
        """Takes away what has expired."""
        self.rehearsals = Rehearsals()
        """The last drills that the audit log tells of."""
        self._due_at: datetime | None = None
        self._snapshot_version = self._timestamp_version = 0
        """The last numbers that were used."""

    def open(self) -> None:
        """Find the last state that was signed.

        Raises:
            ConfigurationError: the officers did not give this key the role.
            BackupRefused: the copies show an older one, or another.
        """
        require_role(self._roots.follow(), "timestamp", self._signer, "keeper")
        kept = kept_state(self._copies, self._roots)
        remembered = self._state_dir / "timestamp.json"
        if remembered.exists():
            content = remembered.read_bytes()
            signed = Metadata[Timestamp].from_bytes(content)
            last = link_of(signed.signed.version, content)
            if kept.timestamp.version < last.version or (
                kept.timestamp.version == last.version and kept.timestamp != last
            ):
                raise BackupRefused(
                    f"the copies show timestamp {kept.timestamp.version}, but {last.version} was signed before",
                    reason="rolled_back",
                )
            if signing_root(self._roots, "timestamp", signed) > kept.root_version:
                raise BackupRefused(
                    f"timestamp {kept.timestamp.version} is signed with a keeper's key that was withdrawn before "
                    f"timestamp {last.version}",
                    reason="unsigned",
                )
        load_onto(self._catalogue, self._copies, kept.head)
        self._snapshot_version = newest_version(self._copies, SNAPSHOTS, 0)
        self._timestamp_version = newest_version(self._copies, TIMESTAMPS, 0)
        if kept.expires_at is not None:
            # What was signed then was known then.
            self._known_at = kept.expires_at - timedelta(hours=self._policy.trust.timestamp_valid_hours)
        verify_audit(self._copies, START, self._roots, kept.audit, self._note)
        self._audit = kept.audit

    def publish(self, now: datetime) -> Published | None:
        """Sign the newest commit, or the same one anew when half of its validity is over; None where neither is due.

        Raises:
            BackupRefused: what the creator committed is not whole, or does not carry on from what was signed; nothing
                was signed.
            PositionConflict: another keeper signs too.
            Transient: the copies are away.
        """
        grown = self._take_commits(now)
        self._known_at = now
        audit = self._audit
        if self._copies.get(numbered(AUDIT, audit.version + 1)) is not None:
            audit = verify_audit(self._copies, audit, self._roots, told=self._note)
        if not (grown or audit != self._audit or self._due_at is None or now >= self._due_at):
            return None
        if self._catalogue.head == START:
            return None
        return self._sign(audit, now)

    def remove_expired(self, now: datetime) -> int:
        """Take some of what has expired away from the copies; gives how many files. Raises `Transient`."""
        return self.removal.advance(self._catalogue, self._roots, now)

    def _note(self, verified: VerifiedEntry) -> None:
        self.rehearsals = self.rehearsals.after(verified.entry)
        self._holds = self._holds.after(verified.entry, verified.role, self._known_at)

    def _take_commits(self, now: datetime) -> bool:
        """Prove and take the commits after the last one; whether there were any."""
        head = self._catalogue.head
        for version, content in commits_after(self._copies, head):
            commit = require_creator(self._roots.newest, content, version)
            if commit.previous_sha256 != self._catalogue.head.sha256:
                raise BackupRefused(
                    f"commit {version} does not build on commit {version - 1} as it was signed: the creator rewrote "
                    "history",
                    reason="rewritten",
                )
            self._require_timely(commit, now)
            self._require_lawful(commit, now)
            for file in commit.files:
                verified_file(self._copies, file)
                if isinstance(file.holds, SetTarget):
                    self._require_wraps(file.holds.set_id)
            self._catalogue.append(SignedCommit(commit, content))
        return self._catalogue.head != head

    def _require_timely(self, commit: Commit, now: datetime) -> None:
        """Receive time decides what is kept: a creator can neither run ahead of it nor go back."""
        before = self._catalogue.points[-1].committed_at if self._catalogue.points else commit.committed_at
        if not before <= commit.committed_at <= now + _CLOCKS_DIFFER:
            raise BackupRefused(
                f"commit {commit.version} says that it was made at {commit.committed_at.isoformat()}; it came at "
                f"{now.isoformat()}, after one of {before.isoformat()}. Compare the clocks of creator and keeper",
                reason="time",
            )

    def _require_lawful(self, commit: Commit, now: datetime) -> None:
        if commit.expired.is_empty:
            return
        # The creator asked for the holds just before it committed; the keeper had signed these by then.
        holds = self._holds.known(commit.committed_at - _ASKED_BEFORE)
        at = max(now, commit.committed_at)
        kept = kept_spans(self._catalogue.points, self._policy.retention, holds, at)
        require_lawful(self._catalogue, commit.expired, kept)

    def _require_wraps(self, set_id: str) -> None:
        for name, recipient in self._policy.encryption.recipients.items():
            if self._copies.get(wrap_path(set_id, wrap_name(recipient))) is None:
                raise BackupRefused(f"the key of set {set_id} was not wrapped for {name}", reason="missing")

    def _sign(self, audit: Link, now: datetime) -> Published:
        valid = timedelta(hours=self._policy.trust.timestamp_valid_hours)
        expires = (now + valid).replace(microsecond=0)
        head = self._catalogue.head
        content = self._copies.get(metadata_path("targets", head.version)) or b""
        targets = MetaFile.from_data(head.version, content, ["sha256"])
        # Each attempt takes numbers of its own: one that failed half-way may have left a file.
        self._snapshot_version += 1
        self._timestamp_version += 1
        snapshot = Snapshot(self._snapshot_version, None, expires, {"targets.json": targets})
        snapshot_bytes = self._put("snapshot", Metadata(snapshot))
        timestamp = Timestamp(
            self._timestamp_version,
            None,
            expires,
            MetaFile.from_data(snapshot.version, snapshot_bytes, ["sha256"]),
            unrecognized_fields={AUDIT_FIELD: {"sequence": audit.version, "sha256": audit.sha256}},
        )
        self._put("timestamp", Metadata(timestamp))
        # What it has signed it must see again; and it is remembered with that.
        self._client.refresh(timestamp.version)
        self._roots.follow()
        self._audit = audit
        self._due_at = now + valid / 2
        return Published(head, timestamp.version, now)

    def _put(self, role: str, metadata: Metadata[Snapshot] | Metadata[Timestamp]) -> bytes:
        metadata.sign(self._signer)
        content = metadata.to_bytes()
        path = metadata_path(role, metadata.signed.version)
        if not self._copies.put_new(path, content):
            raise PositionConflict(f"{path} is there already: a second keeper works on these copies; stop one")
        return content
