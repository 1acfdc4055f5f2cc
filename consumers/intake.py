"""A worker's part of its consumer group: which partitions it has, where they stand, and the records they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumers.kafka import consumer_config, kafka_error
from consumers.settings import SinkSettings
from consumers.sink import Advance, Partition, place_of
from schemas.errors import Fatal, Transient

_SLICE_SECONDS = 0.1


class Intake:
    """Polls for one runner. `epoch` grows with each rebalance: what was polled in an older one must be dropped.

    After a rebalance the partitions are `unplaced`: nothing is fetched until `place` is told their positions.
    """

    def __init__(self, settings: SinkSettings, topics: Sequence[str]) -> None:
        self.group_id = settings.group_id
        self.epoch = 0
        self.unplaced: tuple[Partition, ...] | None = None
        self.positions: dict[Partition, int | None] = {}
        """What the destination holds for each placed partition; None where it holds nothing yet."""
        self.ends: dict[Partition, int] = {}
        """The end of each partition whose last record was polled."""
        self.reachable = True
        self.before_leaving: Callable[[], None] = lambda: None
        """Called before partitions are given away: what is being written of them must come to its end."""
        self._settings = settings
        self._topics = topics
        self._held: list[Message] = []
        self._consumer = Consumer(consumer_config(settings) | {"error_cb": self._on_error})
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    @property
    def placed(self) -> bool:
        """Whether the group has given this worker its partitions (maybe none) and each stands at its position."""
        return self.epoch > 0 and self.unplaced is None

    def poll(self, wait_seconds: float) -> list[Message]:
        """Up to a batch of records, in order within each partition; waits for the first, then a little for more.

        Raises:
            Fatal: a position is no longer in the log, or Kafka refuses the worker.
        """
        epoch = self.epoch
        messages = self._held or self._consume(1, wait_seconds)
        self._held = []
        if messages:
            messages += self._consume(self._settings.batch_size - len(messages), self._settings.linger_seconds)
        # What was polled before a rebalance is the next owner's.
        return messages if epoch == self.epoch else []

    def keep_alive(self, seconds: float, stop: Event) -> None:
        """Stay a member of the group, with the partitions paused, for that long, a rebalance or the stop."""
        epoch, until = self.epoch, monotonic() + seconds
        paused = self._assigned()
        self._consumer.pause(paused)
        while epoch == self.epoch and not stop.is_set() and (left := until - monotonic()) > 0:
            self._held += self._consume(self._settings.batch_size, min(left, _SLICE_SECONDS))
        if epoch == self.epoch:
            self._consumer.resume(paused)
        else:
            self._held = []

    def place(self, found: Mapping[Partition, int]) -> None:
        """Start fetching the unplaced partitions at the positions found; those without one at their beginning."""
        partitions, self.unplaced = self.unplaced or (), None
        self.positions = {partition: found.get(partition) for partition in partitions}
        self.ends = {}
        self._held = []
        starts = [
            TopicPartition(partition.topic, partition.number, OFFSET_BEGINNING if start is None else start)
            for partition, start in self.positions.items()
        ]
        self._consumer.assign(starts)
        # A partition that a rebalance took while it was paused would come back paused.
        self._consumer.resume(starts)

    def displace(self) -> None:
        """Fetch nothing more until `place`: the positions in memory have turned out to be wrong."""
        self.epoch += 1
        self.unplaced = tuple(self.positions)
        self._consumer.assign([])

    def advances(self, messages: Iterable[Message], ends: Mapping[Partition, int]) -> dict[Partition, Advance]:
        """The moves of the positions that handling `messages` brings; `ends` where they reach a partition's end."""
        reached: dict[Partition, int] = {}
        for message in messages:
            partition, offset = place_of(message)
            reached[partition] = offset + 1
        return {
            # Markers of transactions stand between the last record and the end.
            partition: Advance(self.positions[partition], max(offset, ends.get(partition, 0)))
            for partition, offset in reached.items()
        }

    def advanced(self, advances: Mapping[Partition, Advance], *, tell_group: bool) -> None:
        """The destination holds these positions now; the group is told so for lag tools, without waiting."""
        for partition, advance in advances.items():
            self.positions[partition] = advance.reached
        if tell_group:
            offsets = [TopicPartition(*partition, advance.reached) for partition, advance in advances.items()]
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def group(self) -> object:
        """The group's metadata with this worker's generation."""
        return self._consumer.consumer_group_metadata()

    def high_watermark(self, partition: Partition) -> int | None:
        """The end of the partition as the last fetch told; None before the first."""
        high: int = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)[1]
        return high if high >= 0 else None

    def probe(self, seconds: float) -> None:
        """Ask the brokers whether they are back, where they had been lost."""
        try:
            self._consumer.list_topics(self._topics[0], timeout=seconds)
        except KafkaException:
            return
        self.reachable = True

    def close(self) -> None:
        """Leave the group at once, so that another worker need not wait for the session to end."""
        self._consumer.close()

    def _consume(self, count: int, seconds: float) -> list[Message]:
        if count <= 0:
            return []
        try:
            polled = self._consumer.consume(count, seconds)
        except KafkaException as exc:
            raise kafka_error(exc, f"consuming as {self.group_id}") from exc
        messages = [message for message in polled if message.error() is None]
        if len(messages) < len(polled):
            for message in polled:
                if (error := message.error()) is not None:
                    self._on_event(message, error)
        if polled:
            self.reachable = True
        return messages

    def _on_event(self, message: Message, error: KafkaError) -> None:
        code = error.code()
        partition = Partition(message.topic() or "", message.partition() or 0)
        if code == KafkaError._PARTITION_EOF:
            self.ends[partition] = message.offset() or 0
        elif code == KafkaError._AUTO_OFFSET_RESET:
            raise Fatal(
                f"{partition.topic}/{partition.number}: the log does not have offset {self.positions.get(partition)}, "
                f"where {self.group_id} stands: records expired before they were read, or the topic was made anew. "
                "Restore the topic, or rebuild the destination from an empty one"
            )
        elif not isinstance(
            problem := kafka_error(error, f"consuming {partition.topic} as {self.group_id}"), Transient
        ):
            raise problem

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
            self.reachable = False

    def _assigned(self) -> list[TopicPartition]:
        return [] if self.unplaced is not None else [TopicPartition(*partition) for partition in self.positions]

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.epoch += 1
        self.unplaced = tuple(sorted(Partition(one.topic, one.partition) for one in partitions))
        # The positions are read outside this callback, where a database that is away can be waited for.
        consumer.assign([])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.before_leaving()
        self.epoch += 1
        self.unplaced = None
        self.positions = {}
        self.ends = {}
        consumer.unassign()
