"""What the catalogue holds of topics and databases: files put together to what they are parts of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from consumers.backup.vault.targets import (
    BaseTarget,
    CataloguedFile,
    LogSpan,
    SegmentTarget,
    SnapshotTarget,
    SurroundingsTarget,
    WalTarget,
)
from consumers.sink import Partition
from schemas.errors import BackupRefused

MANIFEST = "backup_manifest"
"""The file of a base backup that is put last."""


class Segment(NamedTuple):
    """A segment and its file."""

    file: CataloguedFile
    holds: SegmentTarget


class ExpiredSegment(NamedTuple):
    """What is remembered of a segment that is no part of the backup any more."""

    first_offset: int
    end_offset: int
    earliest_ms: int
    latest_ms: int


class Surroundings(NamedTuple):
    """What stood around the topics at one time, and its file."""

    file: CataloguedFile
    holds: SurroundingsTarget


class BasePiece(NamedTuple):
    """A piece of a base backup and its file."""

    file: CataloguedFile
    holds: BaseTarget


class SnapshotPiece(NamedTuple):
    """A piece of a compacted partition's state and its file."""

    file: CataloguedFile
    holds: SnapshotTarget


class WalPiece(NamedTuple):
    """A part of a server's log and its file."""

    file: CataloguedFile
    holds: WalTarget


class Point(NamedTuple):
    """A commit, as far as restore points go."""

    version: int
    committed_at: datetime
    complete_through_at: datetime | None


class Expired(NamedTuple):
    """Files that one commit took out of the backup."""

    version: int
    named_at: datetime
    paths: tuple[str, ...]


class BaseBackup:
    """All pieces of one base backup that were committed so far."""

    def __init__(self, database: str, taken_at: datetime) -> None:
        self.database = database
        self.taken_at = taken_at
        self.files: dict[str, list[BasePiece]] = {}

    @property
    def pieces(self) -> Iterator[BasePiece]:
        """Of all files."""
        return (piece for pieces in self.files.values() for piece in pieces)

    @property
    def bytes(self) -> int:
        """In the copies."""
        return sum(piece.file.length for piece in self.pieces)

    @property
    def is_complete(self) -> bool:
        """Whether the manifest, which comes last, is there to its end."""
        manifest = self.files.get(MANIFEST)
        return manifest is not None and manifest[-1].holds.is_last

    @property
    def log(self) -> LogSpan | None:
        """The log that makes it consistent; None where its server is not followed."""
        return self.files[MANIFEST][-1].holds.log if self.is_complete else None

    def take(self, piece: BasePiece) -> None:
        """The next piece.

        Raises:
            BackupRefused: one is missing before it.
        """
        pieces = self.files.setdefault(piece.holds.file, [])
        if piece.holds.number != len(pieces) or (pieces and pieces[-1].holds.is_last):
            raise BackupRefused(f"{piece.file.path}: a piece of the base backup is missing before it", reason="hole")
        pieces.append(piece)


class StateSnapshot:
    """What a compacted partition held below an offset."""

    def __init__(self, partition: Partition, taken_at: datetime, end_offset: int) -> None:
        self.partition = partition
        self.taken_at = taken_at
        self.end_offset = end_offset
        self.pieces: list[SnapshotPiece] = []
        self.usable_from_ms: int | None = None
        """No record that it could lack is later; None until it is complete."""

    def take(self, piece: SnapshotPiece, reached: int, latest_ms: int) -> None:
        """The next piece; `reached` is how far the segments go, `latest_ms` the latest time of their records.

        Raises:
            BackupRefused: one is missing before it, or the segments do not go so far.
        """
        holds = piece.holds
        if holds.number != len(self.pieces) or self.usable_from_ms is not None or holds.end_offset != self.end_offset:
            raise BackupRefused(f"{piece.file.path}: a piece of the snapshot is missing before it", reason="hole")
        self.pieces.append(piece)
        if holds.until_offset is None:
            return
        if not self.end_offset <= holds.until_offset <= reached:
            raise BackupRefused(
                f"{piece.file.path}: the snapshot was read up to offset {holds.until_offset}, the segments end at "
                f"{reached}",
                reason="hole",
            )
        self.usable_from_ms = latest_ms


class WalRun:
    """Parts of one server's log without a hole between them."""

    def __init__(self, first: WalPiece) -> None:
        self.pieces = [first]

    @property
    def first_lsn(self) -> int:
        """Where it begins."""
        return self.pieces[0].holds.first_lsn

    @property
    def end_lsn(self) -> int:
        """Behind its last byte."""
        return self.pieces[-1].holds.end_lsn

    @property
    def through_at(self) -> datetime | None:
        """Every transaction that had ended then is in it."""
        return next((one.holds.through_at for one in reversed(self.pieces) if one.holds.through_at), None)

    def goes_on_with(self, piece: WalPiece) -> bool:
        """Whether the piece is the next one."""
        last, holds = self.pieces[-1].holds, piece.holds
        return (last.system_id, last.timeline, last.end_lsn) == (holds.system_id, holds.timeline, holds.first_lsn)

    def serves(self, span: LogSpan) -> bool:
        """Whether a server can go on with it after the log of a base backup."""
        return self.begins_before(span) and span.end_lsn <= self.end_lsn

    def begins_before(self, span: LogSpan) -> bool:
        """Whether it will do so, once it has gone on for long enough."""
        return self.pieces[0].holds.timeline == span.timeline and self.first_lsn <= self.needed_from(span)

    def consistent_at(self, span: LogSpan) -> datetime | None:
        """A time at which a base backup had ended for sure; None where that is not yet known."""
        ends = (one.holds for one in self.pieces if one.holds.end_lsn >= span.end_lsn)
        return next((one.through_at for one in ends if one.through_at is not None), None)

    def needed_from(self, span: LogSpan) -> int:
        """Start of the log file that a base backup begins in."""
        return span.start_lsn - span.start_lsn % self.pieces[0].holds.segment_bytes

    def needed(self, span: LogSpan, until: datetime | None) -> Iterable[WalPiece]:
        """The parts that lead from a base backup to a moment, or to the end."""
        begin = self.needed_from(span)
        for piece in self.pieces:
            if piece.holds.end_lsn > begin:
                yield piece
                through, reached = piece.holds.through_at, piece.holds.end_lsn >= span.end_lsn
                if reached and until is not None and through is not None and through >= until:
                    return
