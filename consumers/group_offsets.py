"""How far consumer groups have committed, asked of the brokers without joining."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers.kafka import kafka_error
from schemas.errors import OrdersyncError
from schemas.settings import KafkaSettings

_ANSWER_SECONDS = 15.0
_GROUPS_AT_ONCE = 64

Committed = dict[tuple[str, int], int]
"""Offsets by topic and partition; those where the group has none are left out."""


class GroupOffsets:
    """Asks the brokers; used by one thread.

    Every method raises `Transient` while they do not answer, and `ConfigurationError` where they refuse.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._config = kafka.client_config()
        self._admin = AdminClient(self._config)

    def groups(self) -> dict[str, bool]:
        """Every group that the cluster knows, by name, with whether somebody is in it now."""
        try:
            return self._groups()
        except OrdersyncError:
            # A client goes on asking brokers that it once knew, and cannot list the groups while one of them is away.
            self._admin = AdminClient(self._config)
            raise

    def committed(
        self,
        groups: Iterable[str],
        places: Collection[tuple[str, int]] | None = None,
    ) -> dict[str, Committed]:
        """What each of these groups has committed, at these topics and partitions or everywhere.

        Without what an open transaction is about to commit.
        """
        partitions = None if places is None else [TopicPartition(*place) for place in sorted(places)]
        found: dict[str, Committed] = {}
        waiting = iter(sorted(groups))
        while several := list(islice(waiting, _GROUPS_AT_ONCE)):
            known = list(self._known(several))
            asked = {
                group: self._admin.list_consumer_group_offsets(
                    [ConsumerGroupTopicPartitions(group, partitions)],
                    request_timeout=_ANSWER_SECONDS,
                )[group]
                for group in known
            }
            found.update((group, {}) for group in several)
            for group, future in asked.items():
                doing = f"asking for the offsets of group {group}"
                try:
                    answer = future.result().topic_partitions
                except KafkaException as exc:
                    raise kafka_error(exc, doing) from exc
                for one in answer:
                    if one.error is not None:
                        raise kafka_error(one.error, doing)
                    if one.offset >= 0:
                        found[group][one.topic, one.partition] = one.offset
        return found

    def _groups(self) -> dict[str, bool]:
        doing = "listing consumer groups"
        try:
            # Fails at once while no broker answers; the listing keeps two threads busy until its time is over.
            self._admin.list_topics(timeout=_ANSWER_SECONDS)
            listed = self._admin.list_consumer_groups(request_timeout=_ANSWER_SECONDS).result()
        except KafkaException as exc:
            raise kafka_error(exc, doing) from exc
        for error in listed.errors:
            # Half a list would let the groups of one broker vanish.
            raise kafka_error(error, doing)
        vacant = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
        return {one.group_id: one.state not in vacant for one in sorted(listed.valid, key=lambda one: one.group_id)}

    def _known(self, groups: Sequence[str]) -> Iterator[str]:
        """Those of the groups that exist, once their coordinators are at work.

        librdkafka ends the process when a broker that is not the coordinator is asked for offsets
        (confluentinc/librdkafka#5040), as one that has just started is; this question it may be asked.
        """
        for group, future in self._admin.describe_consumer_groups(
            list(groups), request_timeout=_ANSWER_SECONDS
        ).items():
            try:
                future.result()
            except KafkaException as exc:
                if exc.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                    continue
                raise kafka_error(exc, f"looking for the coordinator of group {group}") from exc
            yield group
