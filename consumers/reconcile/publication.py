"""Publishes what a reconciliation found to `orders.mismatches`, and tombstones for what has healed since."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumers.kafka import kafka_error
from consumers.reading import key_of
from consumers.reconcile.comparison import BACKUP, VENDORS
from consumers.reconcile.report import Report
from consumers.reconcile.topic import TopicReader, value_of
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient, UndecodableMessage
from schemas.models import Mismatch
from schemas.settings import KafkaSettings
from schemas.topics import MISMATCHES

_FLUSH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Publication:
    """How many mismatches are new or changed, and how many have healed."""

    published: int
    healed: int


def publish(report: Report, kafka: KafkaSettings, schemas: SchemaIds) -> Publication:
    """Bring `orders.mismatches` to what the report says; called after each reconciliation, by one process at a time.

    A mismatch that is there already with the same values stays, with the time of its first detection. Those of
    orders on their way are left as they are, and those about vendors and the backup, which only the worker compares.
    At least once; the same report again changes nothing.

    Raises:
        SchemaDrift: this version's schemas are not registered.
        ConfigurationError, Fatal: Kafka refuses.
        Transient: Kafka or the registry does not answer.
    """
    codec = TopicCodec(MISMATCHES, Mismatch, schemas)
    known = known_mismatches(kafka, codec)
    found = {mismatch.mismatch_id: mismatch for mismatch in (*report.mismatches, *report.explained)}
    news = [mismatch for key, mismatch in found.items() if not _is_known(mismatch, known.get(key))]
    moving = set(report.on_the_way)
    healed = [
        key
        for key, before in known.items()
        if key not in found
        and (before is None or (before.order_id not in moving and before.system not in (VENDORS, BACKUP)))
    ]
    records = [(mismatch.mismatch_id, codec.encode(mismatch)) for mismatch in news]
    produce(kafka, [*records, *((key, None) for key in healed)])
    return Publication(len(news), len(healed))


def known_mismatches(kafka: KafkaSettings, codec: TopicCodec[Mismatch]) -> dict[str, Mismatch | None]:
    """The mismatches on the topic; None for a value that cannot be read.

    Raises:
        ConfigurationError: the topic cannot be read.
        Transient: Kafka does not answer.
    """
    reader = TopicReader(kafka, MISMATCHES)
    latest: dict[str, bytes | None] = {}
    try:
        for message in reader.scan({}, reader.ends()):
            latest[key_of(message)] = value_of(message)
    finally:
        reader.close()
    return {key: _decoded(codec, value) for key, value in latest.items() if value is not None}


def _decoded(codec: TopicCodec[Mismatch], value: bytes) -> Mismatch | None:
    try:
        return codec.decode(value)
    except UndecodableMessage:
        return None


def _is_known(mismatch: Mismatch, before: Mismatch | None) -> bool:
    """Whether it stands there with the same values; the worker, which sees more, may have named another cause."""
    if before is None:
        return False
    kept = ("detected_at", "cause", "explanation", "remedy")
    return before == mismatch.model_copy(update={name: getattr(before, name) for name in kept})


def produce(kafka: KafkaSettings, records: list[tuple[str, bytes | None]]) -> None:
    """Write records to `orders.mismatches`, and return when the brokers have them.

    Raises:
        ConfigurationError, Fatal: Kafka refuses.
        Transient: Kafka does not answer.
    """
    producer = Producer(kafka.client_config(**{"enable.idempotence": True, "acks": "all", "compression.type": "lz4"}))
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    try:
        for key, value in records:
            producer.produce(MISMATCHES, key=key, value=value, on_delivery=delivered)
            producer.poll(0)
        waiting = producer.flush(_FLUSH_SECONDS)
    except BufferError as exc:
        raise Transient(f"writing to {MISMATCHES}: the queue is full; is the broker running?") from exc
    except KafkaException as exc:
        raise kafka_error(exc, f"writing to {MISMATCHES}") from exc
    if failures:
        raise kafka_error(failures[0], f"writing to {MISMATCHES}")
    if waiting:
        raise Transient(f"writing to {MISMATCHES}: {waiting} records are not delivered; is the broker running?")
