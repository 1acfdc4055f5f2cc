"""Writes deeds into `audit.events`: every process that tells of deeds outside a transaction of its own uses this.

audit = AuditWriter(settings.kafka, schemas, client_id="ordersync-api")
audit.record(Deed(client, "OrderRead", order_id, identified_by=Identity.CREDENTIAL))   # then answer
...
audit.close()
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from producers.cdc.kafka_log import kafka_log
from schemas.audit_chain import AuditHead, Deed, begin_chain, next_event
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient
from schemas.models import AuditEvent
from schemas.settings import KafkaSettings
from schemas.topics import AUDIT

_log = logging.getLogger(__name__)
_WAIT_SECONDS: Final = 5.0
_KEPT_MILLISECONDS: Final = 300_000
UNNAMED: Final = "unsecured"
"""The writer where the cluster asks nobody who speaks."""


def writer_of(kafka: KafkaSettings) -> str:
    """The name under which a process writes: its user of the cluster."""
    return kafka.username or UNNAMED


@dataclass(slots=True)
class _Attempt:
    """One chain with the producer that carries it; after a failed delivery both are left."""

    producer: Producer
    head: AuditHead
    failed: threading.Event = field(default_factory=threading.Event)

    def poll(self, seconds: float) -> None:
        """Hear the brokers' answers; what ends the producer is raised here by the client, once, and noted."""
        try:
            self.producer.poll(seconds)
        except KafkaException as exc:
            _log.warning("the audit goes on with a new chain: %s", exc.args[0].str())
            self.failed.set()


class AuditWriter:
    """One producer and one chain for each process; any thread may call it.

    Delivery: events of a chain reach the topic in order and without a gap. Where one is not delivered, neither is any
    after it, and the next deed begins a new chain; so a gap that a reader finds was not made here.
    """

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds, client_id: str) -> None:
        """Raises SchemaDrift where this version's schemas are not registered, Transient while the registry is away."""
        self._codec = TopicCodec(AUDIT, AuditEvent, schemas)
        self._writer = writer_of(kafka)
        self._config = kafka.producer_config(
            **{
                "client.id": client_id,
                "linger.ms": 0,
                "delivery.timeout.ms": _KEPT_MILLISECONDS,
                # One that is given up takes those behind it along: a chain has no gaps.
                "enable.gapless.guarantee": True,
            }
        )
        self._lock = threading.Lock()
        self._attempt = self._begun()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="audit", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def record(self, *deeds: Deed, wait_seconds: float = _WAIT_SECONDS) -> list[AuditEvent]:
        """Return when the brokers have all of them.

        Raises:
            Transient: they do not take them in time; what they tell of must not be done or shown then.
        """
        receipt = _Receipt(len(deeds))
        events = self._produce(deeds, receipt)
        if not receipt.told.wait(wait_seconds) or receipt.problems:
            why = receipt.problems[0].str() if receipt.problems else f"no answer for {wait_seconds:.0f} s"
            raise Transient(f"the audit could not be written ({why}), so nothing was done; is the broker running?")
        return events

    def note(self, deed: Deed) -> None:
        """Hand it over without waiting: for what has happened whether it is told or not, such as a failed sign-in."""
        try:
            self._produce([deed], _Receipt(1, deed))
        except Transient as exc:
            _log.error("audit lost: %s %s %s: %s", deed.actor, deed.action, deed.subject, exc)

    def close(self) -> None:
        """Wait for what was handed over."""
        self._stopped.set()
        self._thread.join()
        self._attempt.producer.flush(_WAIT_SECONDS)

    def _begun(self) -> _Attempt:
        return _Attempt(Producer(self._config, logger=kafka_log()), begin_chain(self._writer))

    def _leave(self) -> None:
        """Give up what the failed producer still holds, and go on with a new chain."""
        self._attempt.producer.purge()
        self._attempt.poll(0)
        self._attempt.producer.flush(_WAIT_SECONDS)
        self._attempt = self._begun()

    def _produce(self, deeds: Sequence[Deed], receipt: _Receipt) -> list[AuditEvent]:
        events = []
        # Numbered and handed over under one lock: the order of the chain is the order of the topic.
        with self._lock:
            if self._attempt.failed.is_set():
                self._leave()
            attempt = self._attempt

            def delivered(error: KafkaError | None, _: Message) -> None:
                if error is not None:
                    attempt.failed.set()
                receipt.heard(error)

            for deed in deeds:
                event, head = next_event(attempt.head, deed, datetime.now(UTC))
                value = self._codec.encode(event)
                try:
                    attempt.producer.produce(AUDIT, value, deed.subject.encode(), on_delivery=delivered)
                except (BufferError, KafkaException) as exc:
                    if isinstance(exc, KafkaException) and exc.args[0].fatal():
                        attempt.failed.set()
                    raise Transient(f"the audit could not be written ({exc}), so nothing was done") from exc
                attempt.head = head
                events.append(event)
        return events

    def _serve(self) -> None:
        while not self._stopped.is_set():
            self._attempt.poll(0.1)


class _Receipt:
    """Tells when the last of some deeds was delivered, or that one was not; called in the producer's thread."""

    def __init__(self, count: int, noted: Deed | None = None) -> None:
        self._left, self._noted = count, noted
        self.problems: list[KafkaError] = []
        self.told = threading.Event()
        if not count:
            self.told.set()

    def heard(self, error: KafkaError | None) -> None:
        """The brokers' answer about one of them."""
        if error is not None:
            self.problems.append(error)
            if self._noted is not None:
                deed = self._noted
                _log.error("audit lost: %s %s %s: %s", deed.actor, deed.action, deed.subject, error.str())
        self._left -= 1
        if self._left <= 0 or error is not None:
            self.told.set()
