"""One commit of the backup: the files that it adds and what they hold, as the creator signs it.

A commit is TUF targets metadata. Commit N has version N and names the SHA-256 of commit N-1, so the signature of the
newest one vouches for all of them, and nobody can take one away, change one or slip one in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic import AwareDatetime, ValidationError
from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, TargetFile, Targets

from consumers.backup.vault.targets import NOTHING_EXPIRED, CataloguedFile, Expiry, Vacancy
from schemas.errors import BackupRefused
from schemas.settings import SettingsPart

_FIELD = "x-ordersync-commit"


class Link(NamedTuple):
    """One signed file: its version and the digest of its bytes."""

    version: int
    sha256: str


START = Link(0, "")
"""Before the first commit."""


class Commit(SettingsPart):
    """What was added at once."""

    version: int
    previous_sha256: str
    committed_at: AwareDatetime
    complete_through_at: AwareDatetime | None
    """Everything that the topics held at this time is in this commit or one before it."""
    policy_version: int
    vacant: tuple[Vacancy, ...] = ()
    expired: Expiry = NOTHING_EXPIRED
    files: tuple[CataloguedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class SignedCommit:
    """A commit and the bytes that carry it."""

    commit: Commit
    content: bytes

    @property
    def link(self) -> Link:
        """What the next commit builds on."""
        return link_of(self.commit.version, self.content)


def link_of(version: int, content: bytes) -> Link:
    """The link to a file with these bytes."""
    return Link(version, sha256(content).hexdigest())


def sign_commit(commit: Commit, expires_at: datetime, signer: Signer) -> SignedCommit:
    """The commit as the creator publishes it."""
    targets = {
        file.path: TargetFile(
            file.length, {"sha256": file.sha256}, file.path, {"custom": file.holds.model_dump(mode="json")}
        )
        for file in commit.files
    }
    told = commit.model_dump(mode="json", exclude={"version", "files"})
    expires = expires_at.replace(microsecond=0)
    signed = Targets(commit.version, None, expires, targets, unrecognized_fields={_FIELD: told})
    metadata = Metadata(signed)
    metadata.sign(signer)
    return SignedCommit(commit, metadata.to_bytes())


def read_commit(content: bytes) -> tuple[Metadata[Targets], Commit]:
    """What the bytes say; whether they may say it is checked elsewhere.

    Raises:
        BackupRefused: they are no commit.
    """
    try:
        metadata = Metadata[Targets].from_bytes(content)
        signed = metadata.signed
        if not isinstance(signed, Targets):
            raise ValueError(f"it is {type(signed).__name__} metadata")
        told: dict[str, Any] = dict(signed.unrecognized_fields[_FIELD])
        files = [_file(target) for target in signed.targets.values()]
        return metadata, Commit.model_validate({**told, "version": signed.version, "files": files})
    except (RepositoryError, ValidationError, ValueError, KeyError, TypeError) as exc:
        raise BackupRefused(f"a commit of the catalogue cannot be read: {exc}", reason="malformed") from exc


def verified_chain(contents: Sequence[bytes], before: Link, head: Link) -> list[SignedCommit]:
    """The commits after `before` up to `head`, each proved by the one after it.

    Raises:
        BackupRefused: one was altered, taken out, put in or moved.
    """
    expected = head.sha256
    found: list[SignedCommit] = []
    for version, content in zip(range(head.version, before.version, -1), reversed(contents), strict=True):
        if sha256(content).hexdigest() != expected:
            raise BackupRefused(
                f"commit {version} of the catalogue is not what the next one, or the keeper, says: it was altered or "
                "exchanged",
                reason="altered",
            )
        _, commit = read_commit(content)
        if commit.version != version:
            raise BackupRefused(f"commit {version} of the catalogue says that it is {commit.version}", reason="swapped")
        found.append(SignedCommit(commit, content))
        expected = commit.previous_sha256
    if expected != before.sha256:
        raise BackupRefused(
            f"commit {before.version + 1} does not build on commit {before.version}: the creator rewrote history",
            reason="rewritten",
        )
    return found[::-1]


def _file(target: TargetFile) -> dict[str, Any]:
    return {"path": target.path, "length": target.length, "sha256": target.hashes["sha256"], "holds": target.custom}
