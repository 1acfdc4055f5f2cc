"""How far captures and streams are: up to when what was committed in the sources is in `orders.state`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Final, NamedTuple

from psycopg import sql

from consumers.group_offsets import GroupOffsets
from consumers.reconcile.rows import Snapshots, snapshot
from consumers.reconcile.settings import ReconcileSettings
from consumers.reconcile.source import SourceReader
from consumers.reconcile.topic import TopicReader
from schemas.settings import KafkaSettings
from schemas.topics import CAPTURED_TOPICS

_REACHED: Final = sql.SQL(
    "SELECT (SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots "
    "WHERE slot_name = {} AND database = current_database()), "
    "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END) - '0/0'::pg_lsn"
)


class Reached(NamedTuple):
    """How far a source's log is, in bytes."""

    confirmed: int | None
    """Up to which its capture has everything on Kafka; None where nobody captures."""
    end: int
    """Behind everything that is committed."""


@dataclass(frozen=True, slots=True)
class CapturedSource:
    """One source with the slot of its capture."""

    reader: SourceReader
    slot: str

    def reached(self, snapshots: Snapshots) -> Reached:
        """How far its log is now, and its capture with it.

        Raises:
            Transient: the source is away.
        """
        with snapshots(self.reader.database) as database:
            ((confirmed, end),) = database.all_rows(_REACHED.format(sql.Literal(self.slot)), ["pg_replication_slots"])
        return Reached(None if confirmed is None else int(confirmed), int(end))


class StreamsProgress:
    """The streams' own offsets on the captured topics, held against the topics' ends."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        self._group, self._offsets = group, GroupOffsets(kafka)
        self._topics = [TopicReader(kafka, topic) for topic in CAPTURED_TOPICS]

    def ends(self) -> dict[str, dict[int, int]]:
        """Where the captured topics end.

        Raises:
            ConfigurationError: there is no such topic, or it may not be read.
            Transient: Kafka does not answer.
        """
        return {reader.topic: reader.ends() for reader in self._topics}

    def passed(self, ends: Mapping[str, Mapping[int, int]]) -> bool:
        """Whether no record before these ends is still to be processed; true where the streams never ran.

        Raises: as `ends`.
        """
        committed = self._offsets.committed([self._group])[self._group]
        if not committed:
            return True
        for reader in self._topics:
            held = {partition: offset for (topic, partition), offset in committed.items() if topic == reader.topic}
            # Markers of transactions and what retention removed stand between an offset and the end, too.
            if reader.heads(held, ends[reader.topic]):
                return False
        return True

    def close(self) -> None:
        """Give the connections back."""
        for reader in self._topics:
            reader.close()


@dataclass(slots=True)
class _Moment:
    """A time on its way through captures and streams."""

    at: float
    logs: dict[str, int]
    """Where the sources' logs ended then."""
    ends: dict[str, dict[int, int]] | None = None
    """Where the captured topics ended once the captures had passed those."""

    def is_captured(self, logs: Mapping[str, Reached]) -> bool:
        """Whether every capture has come to it."""
        return all(log.confirmed is None or log.confirmed >= self.logs[system] for system, log in logs.items())


class Intake:
    """Follows one moment after the other through the captures and the streams; commits nothing anywhere."""

    def __init__(
        self,
        readers: Sequence[SourceReader],
        settings: ReconcileSettings,
        snapshots: Snapshots = snapshot,
        now: Callable[[], float] = time,
    ) -> None:
        self._sources = [
            CapturedSource(reader, one.slot_of(reader.system))
            for reader, one in zip(readers, settings.sources, strict=True)
        ]
        self._snapshots, self._now = snapshots, now
        self._streams = StreamsProgress(settings.kafka, settings.streams_group)
        self._moment: _Moment | None = None
        self.complete_through = 0.0
        """What was committed in the sources up to then is in the state, refused or parked; seconds since 1970."""

    def advance(self) -> None:
        """Ask how far the moment under way has come, and take the next one when it has arrived.

        Where captures and streams are idle, `complete_through` is then the time when the call began.

        Raises:
            ConfigurationError: a source or Kafka refuses.
            Transient: one of them is away; nothing is known anew.
        """
        asked_at = self._now()
        logs = {source.reader.system: source.reached(self._snapshots) for source in self._sources}
        while self.complete_through < asked_at:
            if self._moment is None:
                self._moment = _Moment(asked_at, {system: log.end for system, log in logs.items()})
            moment = self._moment
            if moment.ends is None and moment.is_captured(logs):
                moment.ends = self._streams.ends()
            if moment.ends is None or not self._streams.passed(moment.ends):
                return
            self.complete_through, self._moment = moment.at, None

    def close(self) -> None:
        """Give the connections back."""
        self._streams.close()
