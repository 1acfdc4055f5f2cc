"""Where every consumer group stands, and where partitions begin and end: asked of the broker, without joining."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, IsolationLevel, KafkaException
from confluent_kafka import TopicPartition as ClientPlace
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumers.kafka import named_offset
from deploy.telemetry.lag.report import Place
from producers.kafka import kafka_error
from schemas.kafka_codes import Refused
from schemas.settings import KafkaSettings

_ANSWER_SECONDS = 15.0
_GROUPS_AT_ONCE = 64
_PLACES_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class GroupOffsets:
    """What one group has committed."""

    group: str
    members: bool
    committed: Mapping[Place, int]


@dataclass(frozen=True, slots=True)
class Extent:
    """First offset of a partition, the one where readers of whole transactions end, and the one behind its last record.

    The last two differ while a transaction is open.
    """

    start: int
    end: int
    written: int

    @property
    def has_open_transaction(self) -> bool:
        """Whether readers of whole transactions wait for one to end."""
        return self.written > self.end


class BrokerOffsets:
    """Asks the brokers: one request a group, and three for all partitions that one broker leads.

    Each method raises `Transient` while they do not answer, `ConfigurationError` where they refuse.
    """

    def __init__(self, kafka: KafkaSettings, ignored_groups: str = "") -> None:
        """`ignored_groups` is a regular expression of groups that are not asked for; empty for none."""
        self._ignored = re.compile(ignored_groups) if ignored_groups else None
        self._admin = AdminClient(kafka.client_config())

    def groups(self) -> list[GroupOffsets]:
        """Every group with what it has committed, by name. Ask before `extents`, so that no end is before a commit."""
        doing = "listing consumer groups"
        try:
            listed = self._admin.list_consumer_groups(request_timeout=_ANSWER_SECONDS).result()
        except KafkaException as exc:
            raise kafka_error(exc, doing) from exc
        for error in listed.errors:
            # Half a list would let the groups of one broker vanish.
            raise kafka_error(error, doing)
        present = {
            one.group_id: one.state not in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
            for one in listed.valid
            if self._ignored is None or not self._ignored.fullmatch(one.group_id)
        }
        committed = self._committed(sorted(present))
        return [GroupOffsets(group, present[group], committed[group]) for group in sorted(present)]

    def extents(self, places: Collection[Place]) -> dict[Place, Extent]:
        """Begin and end of these partitions; those that do not exist any more are left out."""
        existing = self._existing(places)
        starts = self._offsets(existing, OffsetSpec.earliest(), IsolationLevel.READ_COMMITTED)
        ends = self._offsets(existing, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
        written = self._offsets(existing, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
        return {
            place: Extent(starts[place], max(starts[place], ends[place]), written[place])
            for place in existing
            if place in starts and place in ends and place in written
        }

    def _committed(self, groups: Sequence[str]) -> dict[str, dict[Place, int]]:
        found: dict[str, dict[Place, int]] = {}
        waiting = iter(groups)
        while several := list(islice(waiting, _GROUPS_AT_ONCE)):
            asked = {
                group: self._admin.list_consumer_group_offsets(
                    [ConsumerGroupTopicPartitions(group)], request_timeout=_ANSWER_SECONDS
                )[group]
                for group in several
            }
            for group, future in asked.items():
                try:
                    answer = future.result().topic_partitions
                except KafkaException as exc:
                    raise kafka_error(exc, f"asking for the offsets of group {group}") from exc
                found[group] = {
                    Place(one.topic, one.partition): one.offset
                    for one in answer
                    if one.error is None and one.offset >= 0
                }
        return found

    def _existing(self, places: Collection[Place]) -> list[Place]:
        # Also tells the client who leads what: it would look for the leaders of each partition by itself, and sleep.
        try:
            known = self._admin.list_topics(timeout=_ANSWER_SECONDS).topics
        except KafkaException as exc:
            raise kafka_error(exc, "reading the list of topics") from exc
        return sorted(
            place for place in places if place.topic in known and place.partition in known[place.topic].partitions
        )

    def _offsets(self, places: Sequence[Place], spec: OffsetSpec, isolation: IsolationLevel) -> dict[Place, int]:
        found: dict[Place, int] = {}
        for several in _chunks(places):
            asked = self._admin.list_offsets(
                {ClientPlace(place.topic, place.partition): spec for place in several},
                isolation_level=isolation,
                request_timeout=_ANSWER_SECONDS,
            )
            for one, future in asked.items():
                doing = f"asking for the offsets of {one.topic}/{one.partition}"
                try:
                    found[Place(one.topic, one.partition)] = named_offset(future.result(), doing)
                except KafkaException as exc:
                    if exc.args[0].code() == Refused.UNKNOWN_TOPIC_OR_PART:
                        # Deleted since the topics were listed.
                        continue
                    raise kafka_error(exc, doing) from exc
        return found


def _chunks(places: Sequence[Place]) -> Iterator[Sequence[Place]]:
    return (places[start : start + _PLACES_AT_ONCE] for start in range(0, len(places), _PLACES_AT_ONCE))
