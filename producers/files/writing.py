"""Writes one delivery to the topics in transactions, each with a note of how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from confluent_kafka import KafkaException, Producer

from producers.auditing import writer_of
from producers.cdc.changes import Position
from producers.cdc.facts import Refused, Stated, Withdrawn
from producers.cdc.publisher import kafka_error
from producers.cdc.records import Moment, Record, RecordWriter
from producers.files.delivery import Heard
from producers.files.facts import DeliveredFacts
from schemas.audit_chain import Deed, begin_chain, next_event
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Fatal, InvalidValue, OrdersyncError
from schemas.kafka_codes import FENCED
from schemas.mapping import SourceMapping
from schemas.models import AuditEvent, Delivery
from schemas.settings import KafkaSettings
from schemas.topics import AUDIT, DELIVERIES

_ANSWER_SECONDS: Final = 30.0
_PORTION: Final = 5_000
_MICROSECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class NoteCodecs:
    """What is noted beside the events."""

    deliveries: TopicCodec[Delivery]
    audit: TopicCodec[AuditEvent]

    @classmethod
    def of(cls, schemas: SchemaIds) -> NoteCodecs:
        """Raises SchemaDrift if a schema is not registered, Transient while the registry is away."""
        return cls(TopicCodec(DELIVERIES, Delivery, schemas), TopicCodec(AUDIT, AuditEvent, schemas))


class DeliveryWriter:
    """One writer for each system at a time; use it as a context.

    Entering it ends what a delivery that died has left open, and shuts out whoever else delivers for the system. Each
    event is on its topic once, however often the delivery is killed and begun again.
    """

    def __init__(self, kafka: KafkaSettings, mapping: SourceMapping, schemas: SchemaIds) -> None:
        self._system = mapping.system
        self._writer = writer_of(kafka)
        self._records = RecordWriter(mapping, schemas, "")
        self._notes = NoteCodecs.of(schemas)
        transactional_id = f"ordersync-delivery-{mapping.system}"
        self._producer = Producer(
            kafka.producer_config(
                **{
                    "transactional.id": transactional_id,
                    "transaction.timeout.ms": 30_000,
                    "client.id": transactional_id,
                    "queue.buffering.max.messages": 4 * _PORTION,
                    "delivery.report.only.error": True,
                }
            )
        )

    def __enter__(self) -> DeliveryWriter:
        with self._explained():
            self._producer.init_transactions(_ANSWER_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.purge()

    def write(
        self, delivery: Delivery, facts: DeliveredFacts, missing: Callable[[], Iterable[Withdrawn]], heard: Heard
    ) -> Delivery:
        """Write what was not written before; gives the note of the completed delivery.

        `missing` is asked for what a full delivery withdraws when all that it states is on the topics.

        Raises:
            Transient: Kafka does not answer; the same delivery goes on where it stopped.
            Fatal: somebody else delivers for the system now.
        """
        total = delivery.stated + delivery.refused
        left = islice(facts.outcomes(), total, None)
        while portion := list(islice(left, _PORTION)):
            records = [self._record(outcome, delivery, facts, total + at) for at, outcome in enumerate(portion)]
            refused = sum(1 for outcome, _ in records if isinstance(outcome, Refused))
            noted = {"stated": delivery.stated + len(portion) - refused, "refused": delivery.refused + refused}
            delivery = delivery.model_copy(update=noted)
            self._commit([record for _, record in records], delivery)
            total += len(portion)
            heard("writing facts", total, 0)
        gone = iter(missing())
        while withdrawals := list(islice(gone, _PORTION)):
            moment = moment_of(delivery)
            records_gone = [self._records.record(one, moment, 0) for one in withdrawals]
            delivery = delivery.model_copy(update={"withdrawn": delivery.withdrawn + len(withdrawals)})
            self._commit(records_gone, delivery)
        delivery = delivery.model_copy(update={"completed_at": datetime.now(UTC)})
        audit, _ = next_event(begin_chain(self._writer), deed_of(delivery), delivery.completed_at or datetime.now(UTC))
        self._commit([Record(AUDIT, audit.subject.encode(), self._notes.audit.encode(audit))], delivery)
        return delivery

    def _record(
        self, outcome: Stated | Refused, delivery: Delivery, facts: DeliveredFacts, sequence: int
    ) -> tuple[Stated | Refused, Record]:
        return encoded(self._records, facts, outcome, moment_of(delivery), sequence)

    def _commit(self, records: Iterable[Record], delivery: Delivery) -> None:
        key = f"{delivery.system}/{delivery.delivery_id}".encode()
        with self._explained():
            self._producer.begin_transaction()
            try:
                for record in (*records, Record(DELIVERIES, key, self._notes.deliveries.encode(delivery))):
                    self._produce(record)
                self._producer.commit_transaction(_ANSWER_SECONDS)
            except BaseException:
                # Readers of the topics would wait for a transaction that is left open.
                with suppress(KafkaException):
                    self._producer.abort_transaction(_ANSWER_SECONDS)
                raise

    def _produce(self, record: Record) -> None:
        while True:
            try:
                self._producer.produce(record.topic, record.value, record.key)
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as exc:
            error: OrdersyncError = kafka_error(exc, f"delivering for {self._system}")
            if exc.args[0].code() in FENCED or exc.args[0].fatal():
                error = Fatal(f"{error}; somebody else delivers for {self._system} at this moment")
            raise error from exc


def encoded(
    records: RecordWriter, facts: DeliveredFacts, outcome: Stated | Refused, moment: Moment, sequence: int
) -> tuple[Stated | Refused, Record]:
    """The record of an outcome; what does not fit its schema is refused."""
    try:
        return outcome, records.record(outcome, moment, sequence)
    except InvalidValue as exc:
        if isinstance(outcome, Refused):
            raise
        refused = facts.refusal(outcome, exc)
        return refused, records.record(refused, moment, sequence)


def moment_of(delivery: Delivery) -> Moment:
    """Where the facts of a delivery stand among those of its system: later deliveries have greater positions.

    All that goes into an event follows from the note, so that a delivery that goes on writes the same events.
    """
    return Moment(0, position_of(delivery), delivery.as_of, delivery.begun_at)


def position_of(delivery: Delivery) -> Position:
    """Microseconds of its time."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    since = delivery.as_of - epoch
    return Position((since.days * 86_400 + since.seconds) * _MICROSECOND + since.microseconds)


def deed_of(delivery: Delivery) -> Deed:
    """The deed as it is told in `audit.events`."""
    names = ", ".join(dict.fromkeys(file.name for file in delivery.files))
    return Deed(
        audit_id=delivery.delivery_id,
        actor=delivery.actor,
        action="FilesDelivered",
        subject=delivery.system,
        reference=delivery.delivery_id,
        changes=[
            f"{delivery.stated} facts stated, {delivery.refused} refused, {delivery.withdrawn} withdrawn, as of "
            f"{delivery.as_of.isoformat()}"
        ],
        reason=f"{'full' if delivery.is_full else 'partial'} delivery of {names}",
    )
