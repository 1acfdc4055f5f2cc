"""Keeps a key book at the ends of its topics."""

from __future__ import annotations

from collections import deque
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumers.kafka import kafka_error, reader_config
from consumers.privacy.key_book import KeyBook
from consumers.reading import key_of
from consumers.settings import SinkSettings
from schemas.errors import Transient

_PORTION = 1_000
_SILENCE_SECONDS = 10.0


class KeyFollower:
    """Reads both topics from their beginnings and then as they grow; never joins a group. Used by one thread."""

    def __init__(self, settings: SinkSettings, book: KeyBook) -> None:
        self._book = book
        self._behind = set(book.topics)
        self._held: deque[Message] = deque()
        # It waits for ever, so each fetch may do so for long.
        self._consumer = Consumer(reader_config(settings) | {"fetch.wait.max.ms": 500})
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in book.topics])

    def catch_up(self) -> None:
        """Return when everything that was there has been heard.

        Raises:
            Transient: the brokers or the registry are away.
            Fatal: as `KeyBook.hear`, or the topics may not be read.
        """
        heard_at = monotonic()
        while self._behind:
            heard_at = monotonic() if self._hear(0.1) else heard_at
            if monotonic() - heard_at > _SILENCE_SECONDS:
                raise Transient(f"nothing came of {', '.join(sorted(self._behind))} for {_SILENCE_SECONDS:.0f} s")

    def follow(self) -> None:
        """Hear what has come since, without waiting. Raises as `catch_up`."""
        while self._hear(0.0) == _PORTION:
            pass

    def close(self) -> None:
        """Give the connection back."""
        self._consumer.close()

    def _hear(self, seconds: float) -> int:
        try:
            messages = self._consumer.consume(_PORTION, seconds)
        except KafkaException as exc:
            raise kafka_error(exc, "reading the keys of people") from exc
        self._held.extend(messages)
        while self._held:
            # Held until it was heard: what fails here for a while must not be missed.
            self._take_in(self._held[0])
            self._held.popleft()
        return len(messages)

    def _take_in(self, message: Message) -> None:
        topic, error = message.topic() or "", message.error()
        if error is None:
            self._book.hear(topic, key_of(message), message.value())
        elif error.code() == KafkaError._PARTITION_EOF:
            self._behind.discard(topic)
        elif not isinstance(problem := kafka_error(error, f"reading {topic}"), Transient):
            raise problem
