"""What the cluster says of the topics that local state follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.settings import KafkaSettings
from streams.processing.checkpoints import Changelog, Span
from streams.transport.errors import client_error

_TIMEOUT_SECONDS = 30.0


class Cluster:
    """Asks the brokers; each question is one request, and may be asked from any thread.

    Every method raises `Transient` while the brokers do not answer, and `Fatal` where a topic does not exist.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._admin = AdminClient(kafka.client_config())

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The identity of each topic, which a topic that was deleted and made again does not share."""
        doing = "asking for the identity of topics"
        try:
            found = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_SECONDS)
            ids = {topic: future.result().topic_id for topic, future in found.items()}
        except KafkaException as exc:
            raise client_error(exc, doing) from exc
        return {
            topic: f"{uuid.get_most_significant_bits():x}:{uuid.get_least_significant_bits():x}"
            for topic, uuid in ids.items()
        }

    def spans(self, changelogs: Iterable[Changelog]) -> dict[Changelog, Span]:
        """What the partitions hold, transactions that are still open included.

        Committed records can lie behind a dead worker's open transaction: asked with `read_committed`, the broker
        would name an end before it, and state would be loaded without them.
        """
        names = list(changelogs)
        starts = self._offsets(names, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
        ends = self._offsets(names, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
        return {changelog: Span(starts[changelog], ends[changelog]) for changelog in names}

    def stable_ends(self, changelogs: Iterable[Changelog]) -> Mapping[Changelog, int]:
        """How far the partitions hold nothing of a transaction that is still open."""
        return self._offsets(list(changelogs), OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)

    def _offsets(
        self, changelogs: list[Changelog], spec: OffsetSpec, isolation: IsolationLevel
    ) -> dict[Changelog, int]:
        asked = {TopicPartition(*changelog): spec for changelog in changelogs}
        if not asked:
            return {}
        try:
            found = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=_TIMEOUT_SECONDS)
            return {Changelog(part.topic, part.partition): future.result().offset for part, future in found.items()}
        except KafkaException as exc:
            raise client_error(exc, "asking for the ends of changelogs") from exc
