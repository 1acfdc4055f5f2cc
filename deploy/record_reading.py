"""Reads records with their place and time from chosen partitions and spans of time, for verbs of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from deploy.partitioning import partition_of
from schemas.errors import ConfigurationError, Fatal, OrdersyncError, Transient
from schemas.kafka_codes import AWAY, REFUSED
from schemas.settings import KafkaSettings

_TIMEOUT_SECONDS = 15.0
_WAIT_SECONDS = 0.05
_BATCH = 10_000
_LAST_STEP = 16


class Progress(Protocol):
    """Hears how far a long piece of work is; called often, from one thread."""

    def __call__(self, doing: str, done: int, total: int) -> None:
        """`done` of `total` units of `doing`, which is a phrase such as "reading orders.events"."""
        ...


def say_nothing(doing: str, done: int, total: int) -> None:
    """The progress of whoever does not want to hear of it."""


class Span(NamedTuple):
    """Offsets of one partition, from `start` to before `end`."""

    topic: str
    partition: int
    start: int
    end: int


class StoredRecord(NamedTuple):
    """One record as it stands on its topic; a tombstone has the value None. `timestamp` in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, str | bytes | None]]

    @property
    def written_at(self) -> datetime:
        """When its producer wrote it."""
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)


class RecordReader:
    """A `read_committed` reader that joins no group and commits nothing; use it as a context.

    The brokers ask for the right to a `group` all the same: a worker, which has none to that of people, names its own.
    Every method raises `Transient` while the brokers do not answer, and `ConfigurationError` for a missing topic.
    """

    def __init__(self, kafka: KafkaSettings, progress: Progress = say_nothing, *, group: str = "ordersync-cli") -> None:
        self._progress = progress
        self._consumer = Consumer(
            kafka.client_config(
                **{
                    "group.id": group,
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                    # At the default of one second a full queue throttles long runs to half their speed.
                    "fetch.queue.backoff.ms": 5,
                    "fetch.wait.max.ms": 50,
                }
            )
        )

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        try:
            found = self._consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
        except KafkaException as exc:
            raise _kafka_error(exc, f"looking up {topic}") from exc
        if not found.partitions:
            raise ConfigurationError(f"the cluster has no topic {topic}; run `ordersync topics apply`")
        return len(found.partitions)

    def spans(
        self,
        topic: str,
        *,
        key: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Span]:
        """What the partitions hold now; only the partition of `key`, and only what was written in between."""
        count = self.partitions(topic)
        numbers = range(count) if key is None else [partition_of(key.encode(), count)]
        doing = f"asking for the ends of {topic}"
        try:
            ends = {
                number: self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_TIMEOUT_SECONDS)
                for number in numbers
            }
            starts = self._at(topic, numbers, since) if since is not None else {}
            stops = self._at(topic, numbers, until) if until is not None else {}
        except KafkaException as exc:
            raise _kafka_error(exc, doing) from exc
        return [
            Span(topic, number, max(starts.get(number, first), first), min(stops.get(number, last), last))
            for number, (first, last) in ends.items()
        ]

    def _at(self, topic: str, numbers: Iterable[int], instant: datetime) -> dict[int, int]:
        milliseconds = round(instant.timestamp() * 1000)
        asked = [TopicPartition(topic, number, milliseconds) for number in numbers]
        found = self._consumer.offsets_for_times(asked, timeout=_TIMEOUT_SECONDS)
        for part in found:
            if part.error is not None:
                raise KafkaException(part.error)
        # A time behind the last record has no offset: nothing before the end was written after it.
        return {part.partition: part.offset if part.offset >= 0 else 1 << 62 for part in found}

    def read(self, spans: Iterable[Span]) -> Iterator[StoredRecord]:
        """The committed records of spans of one topic, in order within each partition."""
        left = {span.partition: span for span in spans if span.end > span.start}
        if not left:
            return
        topic = next(iter(left.values())).topic
        total = sum(span.end - span.start for span in left.values())
        reached = {number: span.start for number, span in left.items()}
        begun = dict(reached)
        doing = f"reading {topic}"
        try:
            self._consumer.assign([TopicPartition(topic, number, span.start) for number, span in left.items()])
            heard = monotonic()
            while left:
                messages = self._consumer.consume(_BATCH, _WAIT_SECONDS)
                heard = monotonic() if messages else heard
                if monotonic() - heard > _TIMEOUT_SECONDS:
                    raise Transient(f"{doing}: nothing came for {_TIMEOUT_SECONDS:.0f} s; is the broker running?")
                for message in messages:
                    record = self._record(message, left, reached, doing)
                    if record is not None:
                        yield record
                self._progress(doing, sum(reached[number] - begun[number] for number in begun), total)
        except KafkaException as exc:
            raise _kafka_error(exc, doing) from exc
        finally:
            self._consumer.unassign()

    def _record(
        self, message: Message, left: dict[int, Span], reached: dict[int, int], doing: str
    ) -> StoredRecord | None:
        error, number, offset = message.error(), message.partition() or 0, message.offset() or 0
        span = left.get(number)
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF and span is not None:
                reached[number] = span.end
                del left[number]
            elif error.code() != KafkaError._PARTITION_EOF and not error.retriable() and error.code() not in AWAY:
                raise _kafka_error(error, doing)
            return None
        if span is None:
            return None
        if offset >= span.end - 1:
            reached[number] = span.end
            del left[number]
            if offset >= span.end:
                return None
        else:
            reached[number] = offset + 1
        return StoredRecord(
            span.topic,
            number,
            offset,
            message.timestamp()[1],
            _bytes(message.key()),
            None if message.value() is None else _bytes(message.value()),
            message.headers() or (),  # type: ignore[arg-type]  # a list of pairs, as the client gives them
        )

    def last_records(self, spans: Iterable[Span]) -> dict[tuple[str, int], int]:
        """The offset of each span's last committed record, behind which only markers of transactions stand.

        The spans are of one topic; one that holds no record is left out.
        """
        last: dict[tuple[str, int], int] = {}
        left, step = {span: span.end for span in spans if span.end > span.start}, _LAST_STEP
        while left:
            tails = [span._replace(start=max(span.start, end - step), end=end) for span, end in left.items()]
            for record in self.read(tails):
                last[record.topic, record.partition] = record.offset
            left = {
                span: tail.start
                for span, tail in zip(left, tails, strict=True)
                if (span.topic, span.partition) not in last and tail.start > span.start
            }
            step *= 8
        return last


def _kafka_error(problem: KafkaException | KafkaError, doing: str) -> OrdersyncError:
    error = problem.args[0] if isinstance(problem, KafkaException) else problem
    if error.code() in REFUSED:
        return ConfigurationError(f"{doing}: {error.str()}; run `ordersync topics apply`, or ask for the right to read")
    if error.retriable() or error.code() in AWAY:
        return Transient(f"{doing}: Kafka does not answer ({error.str()}); is the broker running?")
    return Fatal(f"{doing}: {error.str()}")


def _bytes(part: str | bytes | None) -> bytes:
    return part.encode() if isinstance(part, str) else part or b""
