"""The next record that a group has not read: its offset and time, read from the log itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic, time
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from deploy.telemetry.lag.report import Place
from producers.kafka import kafka_error
from schemas.kafka_codes import Refused
from schemas.settings import KafkaSettings

# The client waits for so long, or until it has a whole batch: most rounds are done with fewer records.
_POLL_SECONDS = 0.02
_BATCH = 500
_DOING = "reading unread records"


class Position(NamedTuple):
    """An offset that a group has committed: the records from here on are unread."""

    place: Place
    offset: int


class Unread(NamedTuple):
    """What waits behind a position. `offset` equals the end of the partition where nothing waits."""

    offset: int
    written_at: float | None
    """Seconds since 1970; None where nothing waits, or the record has no time."""


class UnreadRecords:
    """Reads at most one batch behind each position, several partitions in one request, and remembers what it found.

    Between a group's offset and the end there may be nothing but markers of transactions, or records that compaction
    removed: only reading tells. Groups at the same position share the answer.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._known: dict[Position, tuple[Unread, int]] = {}
        """Each answer with the end up to which it holds."""
        self._consumer = Consumer(
            kafka.client_config(
                **{
                    # Never subscribes and never commits; the client asks for one.
                    "group.id": "ordersync-lag",
                    "isolation.level": "read_committed",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",
                    "enable.partition.eof": True,
                    # One batch a partition is enough; a broker gives at least one of the first partition that it is
                    # asked for, whatever its size, but of the others only what fits.
                    "max.partition.fetch.bytes": 65_536,
                    "fetch.queue.backoff.ms": 5,
                    "queued.min.messages": 1,
                    "queued.max.messages.kbytes": 4_096,
                    "fetch.wait.max.ms": 20,
                }
            )
        )

    def find(self, positions: Mapping[Position, int], seconds: float) -> dict[Position, Unread]:
        """What waits behind each of these positions; the value of each is the end of its partition.

        What cannot be read within `seconds` is left out and comes with the next look.

        Raises:
            Transient, ConfigurationError, Fatal: the brokers are away, or refuse.
        """
        self._known = {one: known for one, known in self._known.items() if one in positions}
        deadline = monotonic() + seconds
        open_positions = [one for one, end in positions.items() if not self._holds(one, end)]
        while open_positions and monotonic() < deadline:
            # A consumer has one place in each partition: groups that stand elsewhere in it wait for the next round.
            round_of = {one.place: one for one in open_positions}
            self._read(round_of, positions, deadline)
            chosen = set(round_of.values())
            open_positions = [one for one in open_positions if one not in chosen]
        return {one: known for one, (known, _) in self._known.items()}

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def _holds(self, position: Position, end: int) -> bool:
        known = self._known.get(position)
        return known is not None and (known[0].written_at is not None or known[1] >= end)

    def _read(self, wanted: Mapping[Place, Position], ends: Mapping[Position, int], deadline: float) -> None:
        left = dict(wanted)
        self._consumer.assign([TopicPartition(*place, one.offset) for place, one in left.items()])
        try:
            while left and monotonic() < deadline:
                for message in self._polled(len(left)):
                    position = left.pop(Place(message.topic() or "", message.partition() or 0), None)
                    if position is not None:
                        self._known[position] = _found(message, position, ends[position])
        finally:
            self._consumer.unassign()

    def _polled(self, most: int) -> Iterable[Message]:
        try:
            polled = self._consumer.consume(min(_BATCH, most), _POLL_SECONDS)
        except KafkaException as exc:
            raise kafka_error(exc, _DOING) from exc
        for message in polled:
            error = message.error()
            if error is not None and error.code() not in (
                KafkaError._PARTITION_EOF,
                Refused.TOPIC_AUTHORIZATION_FAILED,
            ):
                raise kafka_error(error, _DOING)
        return polled


def _found(message: Message, position: Position, end: int) -> tuple[Unread, int]:
    offset = message.offset() or 0
    error = message.error()
    if error is not None and error.code() == Refused.TOPIC_AUTHORIZATION_FAILED:
        # A topic that is closed to us: its records wait, and they do so since now at least.
        return Unread(position.offset, time()), end
    if error is not None:
        # The end of the partition came before any record.
        return Unread(offset, None), max(offset, end)
    _, milliseconds = message.timestamp()
    return Unread(offset, max(0, milliseconds) / 1000), offset + 1
