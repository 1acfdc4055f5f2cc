"""How far consumer groups have committed, asked without joining them."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.errors import Transient
from schemas.settings import KafkaSettings

_TIMEOUT_SECONDS = 15.0


class GroupOffsets:
    """Asks the brokers; every method raises `Transient` while they do not answer."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._admin = AdminClient(kafka.client_config())

    def groups(self) -> list[str]:
        """Every group that the cluster knows."""
        try:
            listed = self._admin.list_consumer_groups(request_timeout=_TIMEOUT_SECONDS).result()
            for error in listed.errors:
                raise error
        except KafkaException as exc:
            raise _away(exc, "listing consumer groups") from exc
        return sorted(one.group_id for one in listed.valid)

    def committed(self, group: str, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The group's committed offset at these topics and partitions; those where it has none are left out."""
        asked = [TopicPartition(topic, partition) for topic, partition in sorted(places)]
        if not asked:
            return {}
        request = [ConsumerGroupTopicPartitions(group, asked)]
        try:
            future = self._admin.list_consumer_group_offsets(request, request_timeout=_TIMEOUT_SECONDS)[group]
            found = future.result().topic_partitions
            for error in (part.error for part in found if part.error is not None):
                raise KafkaException(error)
        except KafkaException as exc:
            raise _away(exc, f"asking for the offsets of group {group}") from exc
        return {(part.topic, part.partition): part.offset for part in found if part.offset >= 0}


def _away(exc: KafkaException, doing: str) -> Transient:
    return Transient(f"{doing}: Kafka does not answer ({exc.args[0].str()}); is the broker running?")
