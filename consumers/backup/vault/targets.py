"""What the files of a backup hold, as the commits of the catalogue tell it."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from schemas.settings import SettingsPart


class Gap(SettingsPart):
    """Offsets that no record of the backup has, from `first` up to `end`, without it."""

    first: int
    end: int
    reason: Literal["no_record", "expired"]
    """`no_record`: markers of transactions, aborted or compacted records. `expired`: deleted before they were read."""


class Vacancy(SettingsPart):
    """A gap in one partition that no segment has around it."""

    topic: str
    partition: int
    gap: Gap


class SegmentTarget(SettingsPart):
    """A file with the records of one partition from `first_offset` up to `end_offset`, without it."""

    kind: Literal["segment"] = "segment"
    set_id: str
    topic: str
    partition: int
    first_offset: int
    end_offset: int
    records: int
    gaps: tuple[Gap, ...] = ()
    earliest_ms: int
    """Timestamps of its records, milliseconds since 1970."""
    latest_ms: int

    @property
    def is_complete(self) -> bool:
        """Whether its records and the gaps that it tells of make up its whole range."""
        missing = sum(gap.end - gap.first for gap in self.gaps)
        return self.records + missing == self.end_offset - self.first_offset > 0


class SetTarget(SettingsPart):
    """A file with the public half of a set's key."""

    kind: Literal["set"] = "set"
    set_id: str
    recipient: str


class SurroundingsTarget(SettingsPart):
    """A file with schemas, topic configurations and consumer groups' offsets."""

    kind: Literal["surroundings"] = "surroundings"
    set_id: str
    taken_at: AwareDatetime


class LogSpan(SettingsPart):
    """Part of a server's write-ahead log, by the numbers of its bytes."""

    timeline: int
    start_lsn: int
    end_lsn: int


class BaseTarget(SettingsPart):
    """A piece of a base backup of the server of a database."""

    kind: Literal["base"] = "base"
    set_id: str
    database: str
    taken_at: AwareDatetime
    """When the backup was begun; with `database` its identity."""
    file: str
    number: int
    """From 0 within the file."""
    is_last: bool
    """Of the file."""
    log: LogSpan | None = None
    """With the last piece of the manifest: the log that makes the copy consistent."""


class SnapshotTarget(SettingsPart):
    """A piece of what a compacted partition still held below `end_offset`: the base of later moments."""

    kind: Literal["snapshot"] = "snapshot"
    set_id: str
    topic: str
    partition: int
    taken_at: AwareDatetime
    """When reading began; with the partition its identity."""
    end_offset: int
    """The records have offsets below it; the segments from it on complete the state."""
    number: int
    records: int
    until_offset: int | None = None
    """With the last piece: where the partition ended then. What was compacted away meanwhile has a successor below."""


class WalTarget(SettingsPart):
    """A part of the write-ahead log of the server of a database."""

    kind: Literal["wal"] = "wal"
    set_id: str
    database: str
    system_id: str
    timeline: int
    segment_bytes: int
    """Of the server's log files."""
    first_lsn: int
    end_lsn: int
    through_at: AwareDatetime | None
    """Every transaction that ended until then, by the server's clock, and a later one, lie before `end_lsn`."""


Contents = Annotated[
    SegmentTarget | SetTarget | SurroundingsTarget | BaseTarget | SnapshotTarget | WalTarget,
    Field(discriminator="kind"),
]


class CataloguedFile(SettingsPart):
    """One file of the backup: where it lies, what its bytes must be, and what they hold."""

    path: str
    length: int
    sha256: str
    holds: Contents

    @classmethod
    def of(cls, path: str, content: bytes, holds: Contents) -> CataloguedFile:
        """The entry of a file about to be written."""
        return cls(path=path, length=len(content), sha256=sha256(content).hexdigest(), holds=holds)


class ExpiredRange(SettingsPart):
    """All segments of one partition between two offsets."""

    topic: str
    partition: int
    first_offset: int
    end_offset: int


class Expiry(SettingsPart):
    """Files that no kept restore point needs any more: from this commit on they are no part of the backup."""

    ranges: tuple[ExpiredRange, ...] = ()
    paths: tuple[str, ...] = ()
    """Of everything but segments."""

    @property
    def is_empty(self) -> bool:
        """Whether it names nothing."""
        return not self.ranges and not self.paths


NOTHING_EXPIRED = Expiry()
