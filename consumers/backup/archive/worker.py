"""The worker `archive`: follows the topics of the policy and commits closed segments to the copies."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from hashlib import sha256
from threading import Event
from time import monotonic

from confluent_kafka import Message
from prometheus_client import CollectorRegistry, Counter, Gauge

from consumers.backup.archive.additions import Additions
from consumers.backup.archive.collection import Collection, require_not_beyond
from consumers.backup.archive.kafka import TopicReader, archived, is_end, is_expired, require_passing
from consumers.backup.archive.patience import Patience, StoppedWaiting
from consumers.backup.archive.segments import ClosedSegment
from consumers.backup.archive.settings import ArchiveSettings
from consumers.backup.archive.surroundings import SurroundingsReader, TopicSurroundings
from consumers.backup.policy import Policy
from consumers.backup.vault.copies import Copies
from consumers.backup.vault.creator import Creator, Progress
from consumers.backup.vault.expiring import Expiring
from consumers.backup.vault.layout import surroundings_path
from consumers.backup.vault.targets import SurroundingsTarget
from schemas import metrics

NAME = "archive"
_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_MEMORY_BYTES = 128 * 1024 * 1024


class ArchiveWorker:
    """One at a time. Its position is the newest commit: a kill at any moment neither loses nor repeats a record."""

    def __init__(
        self, settings: ArchiveSettings, policy: Policy, copies: Copies, creator: Creator, registry: CollectorRegistry
    ) -> None:
        self._policy = policy
        self._copies = copies
        self._creator = creator
        self._reader = TopicReader(settings, policy.continuous_topics)
        self._surroundings = SurroundingsReader(settings, policy.continuous_topics)
        self._additions = Additions(settings, policy, creator)
        self._expiring = Expiring(policy, copies, creator)
        self._known: TopicSurroundings | None = None
        self._surroundings_due_seconds = 0.0
        self._committed_seconds = 0.0
        self._collection = Collection()
        self._retry_limit_seconds = settings.retry_limit_seconds
        self._patience = Patience(NAME, Event(), settings.retry_limit_seconds)
        self._placed = False
        self._metrics = _ArchiveMetrics(registry)

    def ready(self) -> bool:
        """Whether it reads and its copies take what it writes."""
        return self._placed

    def run(self, stop: Event) -> None:
        """Work until `stop` is set, then commit what is open and return.

        Raises:
            PositionConflict: another creator works on the same copies.
            BackupRefused: the copies do not hold what was signed.
            Fatal: Kafka refuses us, or a topic was made anew.
        """
        self._patience = Patience(NAME, stop, self._retry_limit_seconds)
        try:
            self._patience.until_done(self._creator.open)
            self._patience.until_done(self._place)
            while not stop.is_set():
                self._follow()
            self._commit()
        except StoppedWaiting:
            _log.info("stopped while waiting for its environment; the next start goes on from the newest commit")
        finally:
            self._placed = False
            self._additions.close()
            self._reader.close()

    def _follow(self) -> None:
        for message in self._patience.until_done(lambda: self._reader.poll(_POLL_SECONDS)):
            self._take(message)
        is_done = self._additions.take(datetime.now(UTC), self._patience)
        if is_done:
            self._expiring.look_again()
        if is_done or self._due():
            grown = self._patience.until_done(self._mark)
            self._commit()
            if grown:
                self._patience.until_done(self._place)

    def _place(self) -> None:
        partitions = self._reader.partitions()
        held = self._creator.catalogue.positions
        require_not_beyond(held, self._reader.ends(partitions))
        starts = self._collection.place(held, self._reader.beginnings(partitions))
        self._reader.start(starts)
        self._placed = True
        _log.info("%d partitions, %d of them known to the backup", len(starts), len(held))

    def _take(self, message: Message) -> None:
        partition = self._reader.partition_of(message)
        error = message.error()
        if error is None:
            self._collection.take(partition, archived(message), monotonic())
        elif is_end(error):
            self._collection.end(partition, message.offset() or 0)
        elif is_expired(error):
            beginning = self._patience.until_done(lambda: self._reader.beginnings([partition]))[partition]
            position = self._collection.expire(partition, beginning)
            _log.error("%s/%d: the position was no longer in the log; it goes on at %d", *partition, position)
            self._reader.seek(partition, position)
        else:
            require_passing(error)

    def _due(self) -> bool:
        segments, now = self._policy.segments, monotonic()
        if self._collection.largest() >= segments.max_bytes or self._collection.bytes >= _MEMORY_BYTES:
            return True
        # What a commit could not yet say, because the last ends were still on their way, the next one says soon.
        if self._collection.is_mark_reached() and now - self._committed_seconds >= segments.max_age_seconds:
            return True
        oldest = self._collection.oldest_seconds()
        return (
            oldest is not None and now - oldest >= segments.max_age_seconds
        ) or now >= self._surroundings_due_seconds

    def _mark(self) -> bool:
        """Note the ends of all partitions; whether there are new ones."""
        now = datetime.now(UTC)
        partitions = self._reader.partitions()
        self._collection.mark(now, self._reader.ends(self._collection.known))
        return len(partitions) > len(self._collection.known)

    def _commit(self) -> None:
        """Everything in hand, as one commit; tried until the copies take it."""
        creator, now, patience = self._creator, datetime.now(UTC), self._patience
        closed, vacant = self._collection.close()
        patience.until_done(lambda: self._take_surroundings(now))
        sealed_bytes = sum(self._put(segment, now) for segment in closed)
        expired = patience.until_done(lambda: self._expiring.plan(now))
        progress = Progress(now, self._collection.through, vacant, expired)
        patience.until_done(lambda: creator.commit(progress))
        self._committed_seconds = monotonic()
        self._metrics.committed(sum(one.records for one in closed), sealed_bytes, self._collection.through)
        self._metrics.behind(self._copies)

    def _put(self, segment: ClosedSegment, now: datetime) -> int:
        """Seal one segment and put it into the copies; gives its bytes."""
        creator, patience = self._creator, self._patience
        set_id = patience.until_done(lambda: creator.key_set(now)).set_id
        sealed = creator.seal(segment.content, now)
        patience.until_done(lambda: creator.add(segment.path(sealed), sealed, segment.described(set_id)))
        return len(sealed)

    def _take_surroundings(self, now: datetime) -> None:
        if monotonic() < self._surroundings_due_seconds:
            return
        found = self._surroundings.read(now)
        if not found.same_as(self._known):
            set_id = self._creator.key_set(now).set_id
            sealed = self._creator.seal(found.content(), now)
            holds = SurroundingsTarget(set_id=set_id, taken_at=now)
            self._creator.add(surroundings_path(sha256(sealed).hexdigest()), sealed, holds)
            self._known = found
        self._surroundings_due_seconds = monotonic() + self._policy.segments.surroundings_seconds


class _ArchiveMetrics:
    """What one archive counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        events = metrics.EVENTS_TOTAL
        self._written = Counter(events.name, events.help, events.labels, registry=registry).labels(NAME, "written")
        commits, sealed = metrics.BACKUP_COMMITS_TOTAL, metrics.BACKUP_BYTES_TOTAL
        self._commits = Counter(commits.name, commits.help, registry=registry)
        self._bytes = Counter(sealed.name, sealed.help, registry=registry)
        through = metrics.COMPLETE_THROUGH_TIMESTAMP_SECONDS
        self._through = Gauge(through.name, through.help, through.labels, registry=registry).labels(NAME)
        behind = metrics.BACKUP_COPY_BEHIND_FILES
        self._behind = Gauge(behind.name, behind.help, behind.labels, registry=registry)

    def committed(self, records: int, sealed_bytes: int, through: datetime | None) -> None:
        """A commit is in the copies."""
        self._written.inc(records)
        self._commits.inc()
        self._bytes.inc(sealed_bytes)
        if through is not None:
            self._through.set(through.timestamp())

    def behind(self, copies: Copies) -> None:
        """How much each copy still misses."""
        missing = copies.behind
        for copy in copies.copies:
            self._behind.labels(copy.name).set(missing.get(copy.name, 0))
