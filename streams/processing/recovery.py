"""Brings the local state of partitions to the end of the topics that are its changelogs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from time import monotonic

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from schemas.errors import Fatal, Transient
from schemas.settings import KafkaSettings
from streams.processing.checkpoints import Changelog, Checkpoint, Span, checkpoint_of, no_checkpoint
from streams.processing.cluster import Cluster
from streams.processing.keyvalues import Change, Group, KeyValues
from streams.processing.store import CHANGELOG_TOPICS, group_of
from streams.transport.errors import error_of

logger = logging.getLogger(__name__)

_BATCH = 10_000
_WAIT_SECONDS = 0.2
_STALLED_SECONDS = 60.0
_PROGRESS_SECONDS = 2.0
_BULK_RECORDS = 200_000


@dataclass(slots=True)
class Recovery:
    """One reading of `orders.state` and `orders.parked`, from where the local state stands to the ends of now.

    Run in a thread for partitions newly assigned, when no transaction of their former owner can commit any more.
    A kill or `stop` at any moment leaves local state that the next recovery completes.
    """

    kafka: KafkaSettings
    cluster: Cluster
    values: KeyValues
    partitions: frozenset[int]
    on_progress: Callable[[int], None] = lambda _records_to_read: None
    _stopped: Event = field(default_factory=Event)

    def stop(self) -> None:
        """End `run` soon, with the work unfinished; called from another thread."""
        self._stopped.set()

    def run(self) -> None:
        """Read what is missing.

        Raises:
            Transient: nothing came for a minute.
            Fatal: a topic does not exist, or the local state is damaged.
        """
        if not self.partitions:
            return
        started = monotonic()
        changelogs = [Changelog(topic, number) for topic in CHANGELOG_TOPICS for number in sorted(self.partitions)]
        ids = self.cluster.topic_ids(CHANGELOG_TOPICS)
        begun_at = datetime.now(UTC)
        spans = self.cluster.spans(changelogs)
        consumer = Consumer(_config(self.kafka))
        try:
            reading = _Reading(consumer, self.values, ids, begun_at, self._stopped, self.on_progress)
            reading.begin({log: self._start(log, ids, span) for log, span in spans.items()}, spans)
            reading.finish()
        finally:
            consumer.close()
        if not self._stopped.is_set():
            seconds = monotonic() - started
            logger.info(
                "loaded the state of %d partitions: %d records read in %.2f s (%.0f/s)",
                len(self.partitions),
                reading.read,
                seconds,
                reading.read / seconds,
            )

    def _start(self, changelog: Changelog, ids: dict[str, str], span: Span) -> int:
        """Where to begin; what cannot be trusted is removed first."""
        checkpoint = checkpoint_of(self.values, changelog)
        distrust = "there is none"
        if checkpoint is not None:
            reason = checkpoint.distrust(ids[changelog.topic], span, datetime.now(UTC))
            if reason is None:
                return checkpoint.offset
            distrust = reason
            logger.warning("%s[%d]: local state is not used, %s", *changelog, distrust)
        self.values.write([no_checkpoint(changelog)])
        self.values.clear(group_of(changelog))
        return span.start


@dataclass(slots=True)
class _Reading:
    consumer: Consumer
    values: KeyValues
    topic_ids: dict[str, str]
    begun_at: datetime
    stopped: Event
    on_progress: Callable[[int], None]
    read: int = 0
    _starts: dict[Changelog, int] = field(default_factory=dict)
    _ends: dict[Changelog, int] = field(default_factory=dict)
    _groups: dict[tuple[str | None, int | None], Group] = field(default_factory=dict)
    _total: int = 0
    _started: float = 0.0

    def begin(self, starts: dict[Changelog, int], spans: dict[Changelog, Span]) -> None:
        """Assign what is to be read; what is already at its end needs nothing but its checkpoint."""
        self._started = monotonic()
        self._starts = dict(starts)
        self._groups = {changelog: group_of(changelog) for changelog in starts}
        self._ends = {
            changelog: spans[changelog].end for changelog in starts if starts[changelog] < spans[changelog].end
        }
        arrived = starts.keys() - self._ends.keys()
        self.values.write([self._arrival(changelog, starts[changelog]) for changelog in arrived])
        self.consumer.assign([TopicPartition(*changelog, starts[changelog]) for changelog in self._ends])
        self._total = self._left()

    def finish(self) -> None:
        """Read until every partition has come to its end."""
        is_bulk = self._total > _BULK_RECORDS
        if is_bulk:
            self.values.begin_bulk()
        try:
            self._read()
        finally:
            if is_bulk:
                self.values.end_bulk()
            self.on_progress(0)

    def _read(self) -> None:
        heard = told = monotonic()
        while self._ends and not self.stopped.is_set():
            messages = self.consumer.consume(_BATCH, _WAIT_SECONDS)
            if messages:
                self.values.write(self._changes(messages))
            now = monotonic()
            heard = now if messages else heard
            if now - heard > _STALLED_SECONDS:
                raise Transient(f"state of {len(self._ends)} partitions did not come within {_STALLED_SECONDS:g} s")
            if now - told > _PROGRESS_SECONDS:
                told = now
                self._tell(now)

    def _changes(self, messages: Iterable[Message]) -> list[Change]:
        """What the messages say, and how far that goes for partitions that come to their end."""
        changes: list[Change] = []
        groups = self._groups
        for message in messages:
            error = message.error()
            if error is not None:
                changes += self._examined(message, error)
                continue
            place = (message.topic(), message.partition())
            changes.append((groups[place], message.key() or b"", message.value()))
            self.read += 1
        return changes

    def _examined(self, message: Message, error: KafkaError) -> list[Change]:
        """The checkpoint, where the message says that its partition has come to the end."""
        if error.code() != KafkaError._PARTITION_EOF:
            problem = error_of(error, "loading state")
            if isinstance(problem, Fatal) or error.fatal():
                raise problem
            logger.warning("%s", problem)
            return []
        changelog, offset = Changelog(message.topic() or "", message.partition() or 0), message.offset() or 0
        if offset < self._ends.get(changelog, offset + 1):
            return []
        del self._ends[changelog]
        return [self._arrival(changelog, offset)]

    def _arrival(self, changelog: Changelog, offset: int) -> Change:
        return Checkpoint(self.topic_ids[changelog.topic], offset, self.begun_at).change(changelog)

    def _tell(self, now: float) -> None:
        left = self._left()
        self.on_progress(left)
        seconds, done = now - self._started, max(self._total - left, 1)
        logger.info(
            "loading state: %d records read, %.0f/s, %d partitions to go, about %.0f s left",
            self.read,
            self.read / seconds,
            len(self._ends),
            left * seconds / done,
        )

    def _left(self) -> int:
        """Offsets still to pass; there are fewer records, because topics are compacted."""
        left = 0
        for part in self.consumer.position([TopicPartition(*place) for place in self._ends]):
            changelog = Changelog(part.topic, part.partition)
            at = part.offset if part.offset >= 0 else self._starts[changelog]
            left += max(self._ends[changelog] - at, 0)
        return left


def _config(kafka: KafkaSettings) -> dict[str, object]:
    return kafka.client_config(
        **{
            "group.id": "ordersync-state-recovery",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 65_536,
        }
    )
