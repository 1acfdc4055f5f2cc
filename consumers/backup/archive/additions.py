"""What the archive puts into its commits beside segments: base backups, snapshots of compacted topics, logs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from consumers.backup.archive.bases import BaseBackups, Piece, PostgresPrograms
from consumers.backup.archive.patience import Patience
from consumers.backup.archive.settings import ArchiveSettings
from consumers.backup.archive.snapshots import StatePiece, StateSnapshots
from consumers.backup.archive.wal import LogPace, LogPart, LogPlace, LogReceiver
from consumers.backup.policy import Mode, Policy
from consumers.backup.vault.creator import Creator
from consumers.backup.vault.holdings import MANIFEST
from consumers.backup.vault.layout import base_path, snapshot_path, wal_path
from consumers.backup.vault.needs import is_compacted
from consumers.backup.vault.targets import BaseTarget, Contents, SnapshotTarget, WalTarget

T = TypeVar("T", BaseTarget, SnapshotTarget, WalTarget)


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
        segments = policy.segments
        pace = LogPace(segments.max_bytes, segments.max_age_seconds, segments.surroundings_seconds)
        self._receivers = {
            one.name: LogReceiver(one.name, settings.databases[one.name], pace)
            for one in policy.databases
            if one.mode is Mode.CONTINUOUS
        }
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
        is_marked = False
        for database, receiver in self._receivers.items():
            part = receiver.advance(self._held(database))
            if part is not None:
                self._put_log(part, now, patience)
                is_marked = is_marked or part.through_at is not None
        base = self._bases.advance(now, lambda database: self._last_base(database, now), most)
        if base is None:
            return is_marked
        self._put(base.content, now, patience, lambda set_id, digest: _of_base(base, set_id, digest))
        return is_marked or (base.is_last and base.file == MANIFEST)

    def close(self) -> None:
        """End what runs."""
        for receiver in self._receivers.values():
            receiver.close()
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

    def _put_log(self, part: LogPart, now: datetime, patience: Patience) -> None:
        self._put(part.content, now, patience, lambda set_id, digest: _of_log(part, set_id, digest))

    def _held(self, database: str) -> LogPlace | None:
        """Where the log in the newest commit ends."""
        runs = self._creator.catalogue.wal.get(database)
        if not runs:
            return None
        last = runs[-1].pieces[-1].holds
        return LogPlace(last.system_id, last.timeline, last.end_lsn)

    def _last_base(self, database: str, now: datetime) -> datetime | None:
        """When the newest base backup was begun that the next one may wait for."""
        complete = self._creator.catalogue.complete_bases(database)
        if database in self._receivers:
            runs = self._creator.catalogue.wal.get(database)
            if not runs:
                # A base backup is of use for moments after it only where the log begins before it.
                return now
            complete = [one for one in complete if one.log is not None and runs[-1].begins_before(one.log)]
        return complete[-1].taken_at if complete else None


def _of_base(piece: Piece, set_id: str, digest: str) -> tuple[str, BaseTarget]:
    path = base_path(piece.database, _stamp(piece.taken_at), piece.file, piece.number, digest)
    return path, _described(BaseTarget, piece, set_id)


def _of_log(part: LogPart, set_id: str, digest: str) -> tuple[str, WalTarget]:
    path = wal_path(part.database, part.timeline, part.first_lsn, part.end_lsn, digest)
    return path, _described(WalTarget, part, set_id)


def _of_state(piece: StatePiece, set_id: str, digest: str) -> tuple[str, SnapshotTarget]:
    path = snapshot_path(piece.topic, piece.partition, _stamp(piece.taken_at), piece.number, digest)
    return path, _described(SnapshotTarget, piece, set_id)


def _described(target: type[T], part: Piece | LogPart | StatePiece, set_id: str) -> T:
    """The entry of the catalogue: what a part tells of itself, under the names that it has there."""
    told = {name: getattr(part, name) for name in target.model_fields.keys() - {"kind", "set_id"}}
    return target(set_id=set_id, **told)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")
