"""The newest state that the keeper signed, for the processes that write: by its signature, however old it is.

A creator or keeper that comes back after a long absence must be able to go on; expiry protects readers, who use
`consumers.backup.vault.client`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Timestamp

from consumers.backup.vault.catalogue import newest_version
from consumers.backup.vault.commits import START, Link, link_of
from consumers.backup.vault.copies import Source
from consumers.backup.vault.layout import TIMESTAMPS, metadata_path
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


NOTHING_KEPT = Kept(START, START, START)


def kept_state(source: Source, root: Root) -> Kept:
    """The newest state with the keeper's signature; `NOTHING_KEPT` before the first.

    Raises:
        BackupRefused: the newest timestamp or snapshot is not signed by the keeper, or one is missing.
        Transient: the copies are away.
    """
    version = newest_version(source, TIMESTAMPS, 0)
    if version == 0:
        return NOTHING_KEPT
    timestamp, content = _signed(source, root, "timestamp", version)
    assert isinstance(timestamp, Timestamp)
    snapshot, snapshot_content = _signed(source, root, "snapshot", timestamp.snapshot_meta.version)
    assert isinstance(snapshot, Snapshot)
    hashes = timestamp.snapshot_meta.hashes or {}
    targets = snapshot.meta["targets.json"]
    if hashes.get("sha256") != link_of(snapshot.version, snapshot_content).sha256:
        raise BackupRefused(f"snapshot {snapshot.version} is not the one that the keeper signed", reason="altered")
    head = Link(targets.version, (targets.hashes or {}).get("sha256", ""))
    return Kept(link_of(version, content), head, audit_end(timestamp), timestamp.expires)


def audit_end(timestamp: Timestamp) -> Link:
    """The end of the audit log that a timestamp tells of."""
    told: dict[str, Any] = timestamp.unrecognized_fields.get(AUDIT_FIELD, {"sequence": 0, "sha256": ""})
    return Link(int(told["sequence"]), str(told["sha256"]))


def _signed(source: Source, root: Root, role: str, version: int) -> tuple[Snapshot | Timestamp, bytes]:
    path = metadata_path(role, version)
    content = source.get(path)
    if content is None:
        raise BackupRefused(f"{path} is missing", reason="missing")
    try:
        metadata = Metadata[Any].from_bytes(content)
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as exc:
        raise BackupRefused(f"{path} is not signed by the keeper: {exc}", reason="unsigned") from exc
    if metadata.signed.type != role or metadata.signed.version != version:
        raise BackupRefused(f"{path} holds {metadata.signed.type} {metadata.signed.version}", reason="swapped")
    return metadata.signed, content
