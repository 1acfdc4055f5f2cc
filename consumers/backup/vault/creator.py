"""The creator of the backup: seals files, puts them into the copies and signs the commit that names them.

It holds the key for the catalogue's commits and none that reads what it wrote. The order of one commit:

1. Each file, sealed, into the copies. A crash after this leaves files that no commit names; nobody reads them.
2. The signed commit, by a conditional write under the next number. Here, and only here, the backup grows.

So a crash neither loses nor repeats anything: the positions to go on from are those of the newest commit. A second
creator meets the first one's commit in step 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Root

from consumers.backup.policy import Policy
from consumers.backup.vault.catalogue import Catalogue, load_onto, newest_version
from consumers.backup.vault.commits import Commit, Link, link_of, read_commit, sign_commit
from consumers.backup.vault.copies import Copies
from consumers.backup.vault.encryption import KeySet, new_key_set, seal
from consumers.backup.vault.kept import kept_state, signing_root
from consumers.backup.vault.layout import TARGETS, metadata_path, set_path, wrap_path
from consumers.backup.vault.roots import Roots
from consumers.backup.vault.targets import NOTHING_EXPIRED, CataloguedFile, Contents, Expiry, SetTarget, Vacancy
from consumers.backup.vault.trust import require_role
from schemas.errors import BackupRefused, PositionConflict


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a commit brings the backup."""

    committed_at: datetime
    complete_through_at: datetime | None
    vacant: Sequence[Vacancy] = ()
    expired: Expiry = NOTHING_EXPIRED


class Creator:
    """One at a time; `open` finds where the one before it ended."""

    def __init__(self, policy: Policy, copies: Copies, signer: Signer, root: bytes) -> None:
        self.catalogue = Catalogue()
        self._policy = policy
        self._copies = copies
        self._signer = signer
        self._set: KeySet | None = None
        self._set_made_at: datetime | None = None
        self._pending: list[CataloguedFile] = []
        self.roots = Roots(copies, root)
        """What the officers said, as of `open` and later."""

    def open(self) -> None:
        """Read the catalogue up to the newest commit that this role signed.

        Raises:
            ConfigurationError: the officers did not give this key the role.
            BackupRefused: what lies there is not what was signed.
            Transient: the copies are away.
        """
        root = self.roots.follow()
        require_role(root, "targets", self._signer, "creator")
        version = newest_version(self._copies, TARGETS, self.catalogue.head.version)
        content = self._copies.get(metadata_path("targets", version))
        if content is None:
            return
        head = link_of(version, content)
        try:
            require_creator(root, content, version)
        except BackupRefused:
            # What an earlier creator signed, whose key the officers replaced, stands as far as the keeper signed it.
            if kept_state(self._copies, self.roots).head != head:
                raise
            signing_root(self.roots, "targets", read_commit(content)[0])
        load_onto(self.catalogue, self._copies, head)

    def key_set(self, now: datetime) -> KeySet:
        """The set that files are sealed for now; a fresh one after a start, and at the age that the policy says."""
        made_at = self._set_made_at
        limit = timedelta(hours=self._policy.encryption.set_max_age_hours)
        if self._set is None or made_at is None or now - made_at > limit:
            fresh = new_key_set(self._policy.encryption.recipients.values())
            for name, content in fresh.wraps.items():
                self._copies.put_new(wrap_path(fresh.set_id, name), content)
            holds = SetTarget(set_id=fresh.set_id, recipient=fresh.recipient)
            self._put(set_path(fresh.set_id), fresh.recipient.encode(), holds)
            self._set, self._set_made_at = fresh, now
        return self._set

    def add(self, path: str, sealed: bytes, holds: Contents) -> None:
        """Put a sealed file; it belongs to the backup once `commit` has returned."""
        self._put(path, sealed, holds)

    def seal(self, content: bytes, now: datetime) -> bytes:
        """`content` for the recipients of the policy."""
        return seal(content, self.key_set(now).recipient)

    def commit(self, progress: Progress) -> Commit:
        """Sign what was added since the last commit.

        Raises:
            PositionConflict: another creator has written this commit.
            Transient: too few copies took it; called again it goes on.
        """
        head, points = self.catalogue.head, self.catalogue.points
        # A clock that was set back does not set the backup back.
        committed_at = max([progress.committed_at, *(one.committed_at for one in points[-1:])])
        commit = Commit(
            version=head.version + 1,
            previous_sha256=head.sha256,
            committed_at=committed_at,
            complete_through_at=progress.complete_through_at,
            policy_version=self._policy.version,
            vacant=tuple(progress.vacant),
            expired=progress.expired,
            files=tuple(self._pending),
        )
        expires_at = committed_at + timedelta(days=self._policy.trust.catalogue_valid_days)
        signed = sign_commit(commit, expires_at, self._signer)
        path = metadata_path("targets", commit.version)
        if not self._copies.put_new(path, signed.content):
            raise PositionConflict(f"{path} is there already: a second creator works on these copies; stop one")
        self.catalogue.append(signed)
        self._pending = []
        return commit

    @property
    def head(self) -> Link:
        """The newest commit."""
        return self.catalogue.head

    def _put(self, path: str, content: bytes, holds: Contents) -> None:
        if not self._copies.put_new(path, content):
            raise BackupRefused(f"{path} is there with another content; somebody else wrote it", reason="overwritten")
        self._pending.append(CataloguedFile.of(path, content, holds))


def require_creator(root: Root, content: bytes, version: int) -> Commit:
    """The commit in `content`, after its signature was found to be the creator's.

    Raises:
        BackupRefused: it is not, or the commit has another number.
    """
    metadata, commit = read_commit(content)
    try:
        root.verify_delegate("targets", metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as exc:
        raise BackupRefused(f"commit {version} is not signed by the creator: {exc}", reason="unsigned") from exc
    if commit.version != version:
        raise BackupRefused(f"commit {version} says that it is {commit.version}", reason="swapped")
    return commit
