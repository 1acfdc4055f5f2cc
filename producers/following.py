"""Follows topics from where a copy of them ends, in a thread of its own, for processes that keep such a copy."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from producers.kafka import kafka_error
from schemas.errors import ConfigurationError, Transient, UndecodableMessage
from schemas.kafka_codes import AWAY
from schemas.settings import KafkaSettings

_log = logging.getLogger(__name__)
_ANSWER_SECONDS: Final = 30.0
_TAKEN: Final = 2_000

Place = tuple[str, int]
"""A topic and a partition of it."""
Start = int | datetime | None
"""Where to begin: at an offset, at the first record of that time or later, or at the first of all."""


@dataclass(frozen=True, slots=True)
class Following:
    """What is followed, by whom, and how promptly."""

    subject: str
    """For messages: "the orders"."""
    topics: tuple[str, ...]
    client_id: str
    batch_seconds: float = 0.1
    """How long a record may wait for others to be taken with it."""
    fetch_wait_milliseconds: int = 100
    """How long a broker that has nothing new lets the question wait."""


class TopicFollower(ABC):
    """One consumer without a group, in a thread of its own: each process reads every partition of its topics.

    Whoever keeps a copy writes `_take` and, where more than memory is kept, `_start_of` and `_keep`. Only committed
    records are read, each at least once: after a crash those again that `_keep` had not written down. An exception
    ends the thread and stands in `failure`; the worker looks there and ends with it.
    """

    def __init__(self, kafka: KafkaSettings, following: Following) -> None:
        self._following = following
        self._consumer = Consumer(kafka.client_config(**_config(following)))
        self._positions: dict[Place, int] = {}
        self._ranges: dict[Place, tuple[int, int]] = {}
        """By partition the first offset and the end, as they were in the beginning; 0 and 0 where it was empty."""
        self._stopped = threading.Event()
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=following.client_id, daemon=True)
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begin where the copy ends.

        Raises:
            ConfigurationError: a topic is missing.
            Transient: Kafka does not answer.
        """
        try:
            parts = self._parts()
            for part in parts:
                self._ranges[part.topic, part.partition] = self._range_of(part)
            self._consumer.assign([self._started(part) for part in parts])
        except KafkaException as exc:
            raise kafka_error(exc, f"beginning to follow {self._following.subject}") from exc
        self._thread.start()

    @property
    def is_caught_up(self) -> bool:
        """Whether it has all that was there when it began, and still goes on."""
        return self.failure is None and self._thread.is_alive() and self.progress >= 1

    @property
    def progress(self) -> float:
        """Share of what was there when it began that is in the copy, from 0 to 1."""
        total = done = 0
        for place, (first, end) in self._ranges.items():
            total += end - first
            done += max(0, min(self._positions.get(place, 0), end) - first)
        return 1.0 if total == 0 else done / total

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()

    @abstractmethod
    def _take(self, message: Message) -> None:
        """Called with each record, in the order of its partition.

        Raises:
            UndecodableMessage, UnicodeDecodeError: nobody can read it; it is left out, and the log names it.
        """

    def _start_of(self, place: Place) -> Start:
        """Called once for each partition: where the copy ends. Without a copy that outlives the process: nowhere."""
        return None

    def _keep(self, positions: Mapping[Place, int]) -> None:
        """Called after each batch, and again and again where none comes: write down what was taken, and `positions`.

        `positions` are the offsets to go on from, of the partitions that went on.
        """
        return

    def _waited_for(self, ends: Mapping[Place, int], seconds: float) -> bool:
        """Whether all below these offsets is in the copy, within so many seconds; called in another thread."""

        def is_there() -> bool:
            return all(self._positions.get(place, 0) >= end for place, end in ends.items())

        with self._moved:
            self._moved.wait_for(lambda: is_there() or self.failure is not None, seconds)
            return is_there()

    def _places(self, topic: str) -> list[Place]:
        return [place for place in self._ranges if place[0] == topic]

    def _parts(self) -> list[TopicPartition]:
        topics = self._following.topics
        known = self._consumer.list_topics(timeout=_ANSWER_SECONDS).topics
        missing = [topic for topic in topics if topic not in known]
        if missing:
            raise ConfigurationError(f"topic {', '.join(missing)} does not exist: run `ordersync topics apply`")
        return [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]

    def _range_of(self, part: TopicPartition) -> tuple[int, int]:
        first, end = self._consumer.get_watermark_offsets(part, timeout=_ANSWER_SECONDS) or (0, -1)
        if end < 0:
            raise Transient("Kafka did not say where its topics end; is the broker running?")
        return (first, end) if end > first else (0, 0)

    def _started(self, part: TopicPartition) -> TopicPartition:
        place = part.topic, part.partition
        start = self._start_of(place)
        if isinstance(start, datetime):
            asked = TopicPartition(*place, int(start.timestamp() * 1000))
            # Where nothing is as young it names the end.
            return TopicPartition(*place, self._consumer.offsets_for_times([asked], timeout=_ANSWER_SECONDS)[0].offset)
        if start is not None:
            self._positions[place] = start
        return TopicPartition(*place, OFFSET_BEGINNING if start is None else start)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._read(self._consumer.consume(_TAKEN, self._following.batch_seconds))
        except Exception as exc:  # noqa: BLE001 - told to the worker, which ends with it
            self.failure = exc
        finally:
            with self._moved:
                self._moved.notify_all()

    def _read(self, messages: list[Message]) -> None:
        positions: dict[Place, int] = {}
        for message in messages:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                self._heed(error)
                continue
            place, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
            positions[place] = offset if error is not None else offset + 1
            if error is None:
                self._take_readable(message)
        moved = {place: at for place, at in positions.items() if self._positions.get(place) != at}
        self._keep(moved)
        if moved:
            with self._moved:
                self._positions |= moved
                self._moved.notify_all()

    def _take_readable(self, message: Message) -> None:
        try:
            self._take(message)
        except (UndecodableMessage, UnicodeDecodeError) as exc:
            place = f"{message.topic()}/{message.partition()}/{message.offset()}"
            # Whoever wrote it is told by the stream workers, or by the reconciliation.
            _log.warning("%s cannot be read and is left out: %s", place, exc)

    def _heed(self, error: KafkaError) -> None:
        if error.code() not in AWAY and not error.retriable():
            raise kafka_error(error, f"following {self._following.subject}")
        _log.warning("Kafka is away: %s", error.str())


def _config(following: Following) -> dict[str, Any]:
    return {
        # Never used: nothing is committed to a group.
        "group.id": following.client_id,
        "client.id": following.client_id,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # What is gone was removed as too old, or the topics were made anew.
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": following.fetch_wait_milliseconds,
        "fetch.queue.backoff.ms": 5,
        "queued.max.messages.kbytes": 16_384,
    }
