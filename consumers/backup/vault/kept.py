"""The newest state that the keeper signed, for the processes that write: by its signature, however old it is.

A creator or keeper that comes back after a long absence must be able to go on; expiry protects readers, who use
`consumers.backup.vault.client`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Snapshot, Timestamp

from consumers.backup.vault.catalogue import newest_version
from consumers.backup.vault.commits import START, Link, link_of
from consumers.backup.vault.copies import Source
from consumers.backup.vault.layout import TIMESTAMPS, metadata_path
from consumers.backup.vault.roots import Roots
from schemas.errors import BackupRefused

AUDIT_FIELD = "x-ordersync-audit"
"""Field of the keeper's timestamp: the end of the audit log."""


class Kept(NamedTuple):
    """What the keeper signed last."""

    timestamp: Link
    head: Link
    """The newest commit."""
    audit: Link
    expires_at: datetime | None = None
    root_version: int = 0
    """The newest root that names whose signature the timestamp has."""


NOTHING_KEPT = Kept(START, START, START)


def kept_state(source: Source, roots: Roots) -> Kept:
    """The newest state with a keeper's signature; `NOTHING_KEPT` before the first.

    What an earlier keeper signed, whose key the officers replaced, stands until the next one has signed: without it
    nobody could take over.

    Raises:
        BackupRefused: the newest timestamp or snapshot is not signed by a keeper, or one is missing.
        Transient: the copies are away.
    """
    version = newest_version(source, TIMESTAMPS, 0)
    if version == 0:
        return NOTHING_KEPT
    timestamp, content, root_version = _signed(source, roots, "timestamp", version)
    assert isinstance(timestamp, Timestamp)
    snapshot, snapshot_content, _ = _signed(source, roots, "snapshot", timestamp.snapshot_meta.version)
    assert isinstance(snapshot, Snapshot)
    hashes = timestamp.snapshot_meta.hashes or {}
    targets = snapshot.meta["targets.json"]
    if hashes.get("sha256") != link_of(snapshot.version, snapshot_content).sha256:
        raise BackupRefused(f"snapshot {snapshot.version} is not the one that the keeper signed", reason="altered")
    head = Link(targets.version, (targets.hashes or {}).get("sha256", ""))
    return Kept(link_of(version, content), head, audit_end(timestamp), timestamp.expires, root_version)


def audit_end(timestamp: Timestamp) -> Link:
    """The end of the audit log that a timestamp tells of."""
    told: dict[str, Any] = timestamp.unrecognized_fields.get(AUDIT_FIELD, {"sequence": 0, "sha256": ""})
    return Link(int(told["sequence"]), str(told["sha256"]))


def signing_root(roots: Roots, role: str, metadata: Metadata[Any]) -> int:
    """The number of the newest root whose `role` signed `metadata`.

    Raises:
        BackupRefused: nobody who ever had the role did.
        Transient: the copies are away.
    """
    refusal: Exception | None = None
    for version in range(roots.newest.version, 0, -1):
        try:
            roots.at(version).verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (RepositoryError, ValueError) as exc:
            refusal = refusal or exc
        else:
            return version
    raise BackupRefused(f"not signed by the holder of the role {role}: {refusal}", reason="unsigned") from refusal


def _signed(source: Source, roots: Roots, role: str, version: int) -> tuple[Snapshot | Timestamp, bytes, int]:
    path = metadata_path(role, version)
    content = source.get(path)
    if content is None:
        raise BackupRefused(f"{path} is missing", reason="missing")
    try:
        metadata = Metadata[Any].from_bytes(content)
    except (RepositoryError, ValueError) as exc:
        raise BackupRefused(f"{path} cannot be read: {exc}", reason="malformed") from exc
    try:
        root_version = signing_root(roots, role, metadata)
    except BackupRefused as exc:
        raise BackupRefused(f"{path} is not signed by the keeper: {exc}", reason=exc.reason) from exc
    if metadata.signed.type != role or metadata.signed.version != version:
        raise BackupRefused(f"{path} holds {metadata.signed.type} {metadata.signed.version}", reason="swapped")
    return metadata.signed, content, root_version
