"""What the cluster says of the topics that local state follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.errors import Fatal, Transient
from schemas.settings import KafkaSettings
from streams.processing.checkpoints import Changelog, Span
from streams.transport.errors import client_error

_TIMEOUT_SECONDS = 10.0


class Cluster:
    """Asks the brokers; each question is one request, and may be asked from any thread.

    Every method raises `Transient` while the brokers do not answer, and `Fatal` where a topic does not exist.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        # Without this it would spend all the processor's time while it waits for a leader that it knew.
        self._config = kafka.client_config(**{"metadata.recovery.strategy": "rebootstrap"})
        self._admin: AdminClient | None = None

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The identity of each topic, which a topic that was deleted and made again does not share."""
        with self._asking("the identity of topics") as admin:
            found = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_SECONDS)
            ids = {topic: future.result().topic_id for topic, future in found.items()}
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
        with self._asking("the ends of changelogs") as admin:
            found = admin.list_offsets(asked, isolation_level=isolation, request_timeout=_TIMEOUT_SECONDS)
            offsets = {Changelog(part.topic, part.partition): future.result().offset for part, future in found.items()}
        unknown = [f"{topic}[{number}]" for (topic, number), offset in offsets.items() if offset < 0]
        if unknown:
            # The client calls it a success when the time ran out.
            self._admin = None
            raise Transient(f"The brokers did not name the ends of {', '.join(unknown)}. They are asked again.")
        return offsets

    @contextmanager
    def _asking(self, what: str) -> Iterator[AdminClient]:
        """A client for one question; one that failed does not learn of new leaders and epochs for minutes."""
        admin = self._admin = self._admin or AdminClient(self._config)
        try:
            yield admin
        except KafkaException as exc:
            self._admin = None
            error = client_error(exc, f"asking for {what}")
            if isinstance(error, Fatal):
                raise error from exc
            told: KafkaError = exc.args[0]
            raise Transient(f"Kafka said {told.name()} instead of {what}: {told.str()}. It is asked again.") from exc
