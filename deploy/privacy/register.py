"""The keys of persons on a cluster: read as they stand, and changed in one transaction together with its audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumers.privacy.key_book import KeyBook
from consumers.transactions import Beside
from deploy.commands.options import Cluster
from deploy.topic_reading import read_raw
from producers.auditing import writer_of
from schemas.audit_chain import Deed, begin_chain, chained
from schemas.codec import TopicCodec
from schemas.errors import Fatal, Transient
from schemas.models import AuditEvent
from schemas.registry import SchemaRegistry
from schemas.topics import AUDIT, KEY_SEGMENT_MILLISECONDS, SUBJECT_KEYS

SUBJECT_OF_AUDIT: Final = "privacy/"
"""Before the pseudonym, in the audit's subject."""

_TRANSACTIONAL_ID: Final = "ordersync-privacy"
_TIMEOUT_SECONDS: Final = 30.0
_FURTHEST_MILLISECONDS: Final = 55 * 60 * 1000
"""Brokers refuse records that are dated more than an hour ahead."""


class Register:
    """The keys and erasures of one cluster, and the one transaction that changes them; made by `changing`."""

    def __init__(self, cluster: Cluster, registry: SchemaRegistry, producer: Producer | None) -> None:
        self.book = KeyBook(registry)
        self._cluster, self._producer = cluster, producer
        self._audit = TopicCodec(AUDIT, AuditEvent, registry)
        for topic in self.book.topics:
            for record in read_raw(cluster, topic):
                self.book.hear(topic, record.key, record.value)

    def audited(self) -> Iterator[AuditEvent]:
        """Every event of the audit that is about the keys of a person."""
        for record in read_raw(self._cluster, AUDIT):
            if record.value is not None and record.key.startswith(SUBJECT_OF_AUDIT):
                yield self._audit.decode(record.value)

    def write(self, records: Sequence[Beside], deeds: Iterable[Deed]) -> None:
        """Write these records and tell of these deeds: all or nothing.

        Raises:
            Fatal: somebody else changes keys at this moment, or the brokers refuse.
            Transient: the cluster does not answer; look whether it was done before doing it again.
        """
        assert self._producer is not None, "made by reading()"
        events, _ = chained(begin_chain(writer_of(self._cluster.kafka)), deeds, datetime.now(UTC))
        with _mapped("changing the keys of persons"):
            self._producer.begin_transaction()
            for one in records:
                self._producer.produce(one.topic, one.value, one.key, partition=one.number)
            for event in events:
                self._producer.produce(AUDIT, self._audit.encode(event), event.subject.encode())
            self._producer.commit_transaction(_TIMEOUT_SECONDS)
        for one in records:
            self.book.hear(one.topic, (one.key or b"").decode(), one.value)

    def let_go(self, record: Beside) -> bool:
        """Have the brokers close the segment of what was just replaced, so that they remove it from their disks.

        They compact closed segments only, and close one when a record comes that is dated late enough: `record` is
        written once more with such a date. False where that is not possible now; the next change makes up for it.
        """
        assert self._producer is not None, "made by reading()"
        now = int(datetime.now(UTC).timestamp() * 1000)
        at = max(now, self._latest()) + KEY_SEGMENT_MILLISECONDS + 1
        if at > now + _FURTHEST_MILLISECONDS:
            return False
        with _mapped("closing the segment of destroyed keys"):
            self._producer.begin_transaction()
            self._producer.produce(record.topic, record.value, record.key, partition=record.number, timestamp=at)
            self._producer.commit_transaction(_TIMEOUT_SECONDS)
        return True

    def _latest(self) -> int:
        admin = AdminClient(self._cluster.kafka.client_config())
        place = TopicPartition(SUBJECT_KEYS, 0)
        with _mapped(f"reading {SUBJECT_KEYS}"):
            return int(admin.list_offsets({place: OffsetSpec.max_timestamp()})[place].result().timestamp)


@contextmanager
def reading(cluster: Cluster) -> Iterator[Register]:
    """The register as it stands now, for looking."""
    with closing(SchemaRegistry(cluster.registry)) as registry:
        yield Register(cluster, registry, None)


@contextmanager
def changing(cluster: Cluster) -> Iterator[Register]:
    """The register for whoever changes it: one at a time, and who comes later ends what another left open.

    Raises:
        Transient: the cluster or the registry does not answer.
    """
    producer = Producer(cluster.kafka.producer_config(**{"transactional.id": _TRANSACTIONAL_ID}))
    with closing(SchemaRegistry(cluster.registry)) as registry:
        with _mapped("beginning to change the keys of persons"):
            producer.init_transactions(_TIMEOUT_SECONDS)
        yield Register(cluster, registry, producer)


@contextmanager
def _mapped(doing: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as exc:
        error = exc.args[0]
        if error.fatal():
            raise Fatal(f"{doing}: {error.str()}; does somebody else do so? `ordersync privacy show` tells") from exc
        raise Transient(f"{doing}: {error.str()}; `ordersync privacy show` tells whether it was done") from exc
