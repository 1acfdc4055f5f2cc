"""What the archive puts into its commits beside segments: base backups, snapshots of compacted topics, logs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from consumers.backup.archive.bases import BaseBackups, Piece, PostgresPrograms
from consumers.backup.archive.patience import Patience
from consumers.backup.archive.settings import ArchiveSettings
from consumers.backup.archive.snapshots import StatePiece, StateSnapshots
from consumers.backup.policy import Policy
from consumers.backup.vault.creator import Creator
from consumers.backup.vault.holdings import MANIFEST
from consumers.backup.vault.layout import base_path, snapshot_path
from consumers.backup.vault.needs import is_compacted
from consumers.backup.vault.targets import BaseTarget, Contents, SnapshotTarget


class Additions:
    """Sealed piece by piece, so that the topics need not wait for all of one."""

    def __init__(self, settings: ArchiveSettings, policy: Policy, creator: Creator) -> None:
        self._policy = policy
        self._creator = creator
        self._bases = BaseBackups(
            policy.databases,
            settings.databases,
            PostgresPrograms(settings.postgres_programs),
            settings.data_dir / "base-backup",
        )
        compacted = [topic for topic in policy.continuous_topics if is_compacted(topic)]
        self._snapshots = StateSnapshots(settings, compacted, policy.segments.snapshot_hours)

    def take(self, now: datetime, patience: Patience) -> bool:
        """Put what is there now; whether something is whole with it, and should be committed at once.

        Raises:
            StoppedWaiting: the process is to stop.
            BackupRefused, ConfigurationError: as the parts do.
        """
        catalogue, most = self._creator.catalogue, self._policy.segments.max_bytes
        state = patience.until_done(lambda: self._snapshots.advance(now, catalogue, most))
        if state is not None:
            self._put(state.content, now, patience, lambda set_id, digest: _of_state(state, set_id, digest))
            if state.until_offset is not None:
                return True
        base = self._bases.advance(now, self._last_base, most)
        if base is None:
            return False
        self._put(base.content, now, patience, lambda set_id, digest: _of_base(base, set_id, digest))
        return base.is_last and base.file == MANIFEST

    def close(self) -> None:
        """End what runs."""
        self._bases.close()
        self._snapshots.close()

    def _put(
        self, content: bytes, now: datetime, patience: Patience, told: Callable[[str, str], tuple[str, Contents]]
    ) -> None:
        creator = self._creator
        set_id = patience.until_done(lambda: creator.key_set(now)).set_id
        sealed = creator.seal(content, now)
        path, holds = told(set_id, sha256(sealed).hexdigest())
        patience.until_done(lambda: creator.add(path, sealed, holds))

    def _last_base(self, database: str) -> datetime | None:
        complete = self._creator.catalogue.complete_bases(database)
        return complete[-1].taken_at if complete else None


def _of_base(piece: Piece, set_id: str, digest: str) -> tuple[str, BaseTarget]:
    holds = BaseTarget(
        set_id=set_id,
        database=piece.database,
        taken_at=piece.taken_at,
        file=piece.file,
        number=piece.number,
        is_last=piece.is_last,
    )
    return base_path(piece.database, _stamp(piece.taken_at), piece.file, piece.number, digest), holds


def _of_state(piece: StatePiece, set_id: str, digest: str) -> tuple[str, SnapshotTarget]:
    topic, partition = piece.partition
    holds = SnapshotTarget(
        set_id=set_id,
        topic=topic,
        partition=partition,
        taken_at=piece.taken_at,
        end_offset=piece.end_offset,
        number=piece.number,
        records=piece.records,
        until_offset=piece.until_offset,
    )
    return snapshot_path(topic, partition, _stamp(piece.taken_at), piece.number, digest), holds


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")
