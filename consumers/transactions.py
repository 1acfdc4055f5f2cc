"""Writes records and positions in one Kafka transaction, and ends what earlier owners of the partitions left open."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from consumers.kafka import kafka_error
from consumers.settings import TransactionalSettings
from schemas.errors import Fatal, PositionConflict

_log = logging.getLogger(__name__)
_KAFKA_SECONDS = 30.0
_ABORT_SECONDS = 5.0


class Beside(NamedTuple):
    """A record of another topic that is written in the same transaction; without a value it is a tombstone."""

    topic: str
    number: int
    key: bytes | None
    value: bytes | None


class TransactionWriter:
    """The producer of one worker of a sink from topics to a topic; `take` before anything is read or written.

    There is one transactional id for each partition number. A worker writes with that of its lowest number, and takes
    over those of all: so whatever a killed worker left open is ended at once, by whoever has its lowest number now, and
    a worker that lost its partitions without knowing it is fenced.
    """

    def __init__(self, settings: TransactionalSettings, topic: str) -> None:
        self._topic = topic
        self._group_id = settings.group_id
        self._undelivered: KafkaError | None = None
        self._ends: dict[int, int] = {}
        self._producer: Producer | None = None
        self._config = settings.kafka.producer_config(
            **{
                "transaction.timeout.ms": int(settings.transaction_timeout_seconds * 1000),
                "queue.buffering.max.messages": 1_000_000,
                # The default of 100 ms between attempts makes each commit that slow.
                "retry.backoff.ms": 10,
                "on_delivery": self._on_delivery,
            },
        )

    def take(self, numbers: Iterable[int]) -> None:
        """End the open transactions of the partitions' earlier owners, and be ready to write.

        Raises:
            Transient: the brokers are away.
            PositionConflict: another worker took the partitions meanwhile.
        """
        self.leave()
        lowest = min(ordered := sorted(numbers), default=None)
        for number in ordered:
            producer = Producer(self._config | {"transactional.id": f"{self._group_id}-{number}"})
            try:
                producer.init_transactions(_KAFKA_SECONDS)
            except KafkaException as exc:
                raise kafka_error(exc, f"taking over the transactions of {self._topic}/{number}") from exc
            if number == lowest:
                self._producer = producer

    def write(
        self,
        records: Iterable[tuple[int, bytes | None, bytes]],
        offsets: list[TopicPartition],
        group: object,
        beside: Iterable[Beside] = (),
    ) -> Mapping[int, int]:
        """Commit the records (partition number, key, value), those of other topics, and the group's offsets: all or
        nothing. Without offsets the group stays where it is.

        Gives the offset after the last record that it wrote to each partition.

        Raises:
            PositionConflict: the outcome is not known, or another worker has the partitions: read the positions again.
            Fatal: the brokers refuse a record.
        """
        assert self._producer is not None, "take() comes first"
        self._undelivered, self._ends = None, {}
        doing = f"writing to {self._topic}"
        try:
            self._producer.begin_transaction()
            for one in beside:
                self._produce(self._producer, one)
            for number, key, value in records:
                self._produce(self._producer, Beside(self._topic, number, key, value))
            if offsets:
                self._producer.send_offsets_to_transaction(offsets, group, _KAFKA_SECONDS)
            self._producer.commit_transaction(_KAFKA_SECONDS)
        except KafkaException as exc:
            # A commit says only that something was not delivered; what it was tells whether doing it again helps.
            error = self._undelivered or exc.args[0]
            problem = kafka_error(error, doing)
            self.leave()
            # A producer that was fenced while it had nothing to write says only that it is of no more use.
            lasts = isinstance(problem, Fatal) and error.code() != KafkaError._FATAL
            if lasts and not isinstance(problem, PositionConflict):
                raise problem from exc
            # The commit may have come through: only the topic knows.
            raise PositionConflict(str(problem)) from exc
        return self._ends

    def leave(self) -> None:
        """Abort what is open, and write nothing more until the next `take`."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.abort_transaction(_ABORT_SECONDS)
        except KafkaException as exc:
            # The next owner ends it, or the brokers do when its time is over.
            _log.info("the open transaction on %s was not aborted here: %s", self._topic, exc)

    def _produce(self, producer: Producer, one: Beside) -> None:
        while True:
            try:
                producer.produce(one.topic, one.value, one.key, partition=one.number)
            except BufferError:
                producer.poll(0.1)
            else:
                return

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._undelivered = self._undelivered or error
        elif message.topic() == self._topic:
            number, offset = message.partition() or 0, message.offset() or 0
            self._ends[number] = max(self._ends.get(number, 0), offset + 1)
