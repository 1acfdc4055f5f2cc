"""The cluster that a restore writes to: topics made for it, and the consumer groups' positions in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic, sleep

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from consumers.backup.archive.surroundings import GroupOffset, TopicConfiguration
from consumers.backup.restore.lines import RestoreLine
from consumers.kafka import kafka_error, named_offset
from consumers.sink import Partition
from schemas.errors import ConfigurationError, OrdersyncError, Transient
from schemas.settings import KafkaSettings

_SECONDS = 60.0
_PAUSE_SECONDS = 0.2


class RestoreTarget:
    """Topics under a prefix of their own; nothing that exists is written to unless this restore began it."""

    def __init__(self, kafka: KafkaSettings, prefix: str) -> None:
        self._kafka = kafka
        self._prefix = prefix
        self._admin = AdminClient(kafka.client_config())

    def create(self, topics: Sequence[TopicConfiguration]) -> None:
        """Make the topics as they were laid out.

        Raises:
            ConfigurationError: one of them exists.
            Transient: the brokers are away.
        """
        try:
            known = self._admin.list_topics(timeout=_SECONDS).topics
            if there := [self._prefix + one.name for one in topics if self._prefix + one.name in known]:
                raise ConfigurationError(
                    f"{', '.join(there)}: a restore writes to new topics only; choose another --prefix, or go on with "
                    "--resume where an earlier attempt of the same restore was interrupted"
                )
            # Old records would expire at once in topics that delete by age; who takes them into use sets that again.
            new = [
                NewTopic(self._prefix + one.name, one.partitions, config=one.config | {"retention.ms": "-1"})
                for one in topics
            ]
            for future in self._admin.create_topics(new, operation_timeout=_SECONDS).values():
                future.result()
        except KafkaException as exc:
            raise kafka_error(exc, "making the topics of the restore") from exc
        self._await_leaders([Partition(one.name, number) for one in topics for number in range(one.partitions)])

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """How many records each partition has; restored topics have no gaps. Raises `Transient`."""
        asked = {TopicPartition(self._prefix + topic, number): OffsetSpec.latest() for topic, number in partitions}
        doing = "reading the ends of the restored topics"
        try:
            return {
                Partition(one.topic.removeprefix(self._prefix), one.partition): named_offset(future.result(), doing)
                for one, future in self._admin.list_offsets(asked, request_timeout=_SECONDS).items()
            }
        except (KafkaException, Transient) as exc:
            # This client asks with the leader's epoch from before the brokers' restart for as long as it lives.
            self._admin = AdminClient(self._kafka.client_config())
            if isinstance(exc, KafkaException):
                raise kafka_error(exc, doing) from exc
            raise

    def line(self) -> RestoreLine:
        """Connections to write records and read them back; close them."""
        return RestoreLine(self._kafka, self._prefix)

    def set_offsets(self, offsets: Iterable[GroupOffset], group_prefix: str) -> int:
        """Commit the groups' positions, already in terms of the restored topics. Raises `Transient`."""
        groups: dict[str, list[TopicPartition]] = {}
        for one in offsets:
            place = TopicPartition(self._prefix + one.topic, one.partition, one.offset)
            groups.setdefault(group_prefix + one.group, []).append(place)
        for group, places in groups.items():
            self._set_offsets(ConsumerGroupTopicPartitions(group, places))
        return len(groups)

    def _set_offsets(self, asked: ConsumerGroupTopicPartitions) -> None:
        doing = f"setting the offsets of consumer group {asked.group_id}"

        def attempt() -> None:
            try:
                (future,) = self._admin.alter_consumer_group_offsets([asked], request_timeout=_SECONDS).values()
                refused = [one.error for one in future.result().topic_partitions if one.error is not None]
            except KafkaException as exc:
                raise kafka_error(exc, doing) from exc
            if refused:
                raise kafka_error(refused[0], doing)

        # The first group of a new cluster meets a coordinator that is still being loaded.
        _until_done(attempt, lambda problem: isinstance(problem, Transient))

    def _await_leaders(self, partitions: Sequence[Partition]) -> None:
        """Wait until each new partition answers. Raises `Transient` where one does not in time."""
        # The client has no code of its own for partitions that have no leader yet.
        _until_done(lambda: self.ends(partitions), lambda problem: not isinstance(problem, ConfigurationError))


def _until_done(attempt: Callable[[], object], is_passing: Callable[[OrdersyncError], bool]) -> None:
    """Attempt it until it succeeds, meets what does not pass, or the time is over."""
    deadline = monotonic() + _SECONDS
    while True:
        try:
            attempt()
        except OrdersyncError as problem:
            if not is_passing(problem) or monotonic() > deadline:
                raise
            sleep(_PAUSE_SECONDS)
        else:
            return
