"""Tells `audit.events` who did what, and who saw which order, before the answer goes out."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from deploy.console.index.following import CLIENT_ID
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient
from schemas.models import AuditEvent
from schemas.settings import KafkaSettings
from schemas.topics import AUDIT

_log = logging.getLogger(__name__)
_WAIT_SECONDS: Final = 5.0
_KEPT_MILLISECONDS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did; `reference` is what it acted on, or the address that it came from."""

    actor: str
    action: str
    subject: str
    reference: str | None = None
    reason: str | None = None
    changes: list[str] = field(default_factory=list)


class AuditLog:
    """One producer; any thread may call it."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds) -> None:
        """Raises SchemaDrift where this version's schemas are not registered, Transient while the registry is away."""
        self._codec = TopicCodec(AUDIT, AuditEvent, schemas)
        config = {"client.id": CLIENT_ID, "linger.ms": 0, "delivery.timeout.ms": _KEPT_MILLISECONDS}
        self._producer = Producer(kafka.producer_config(**config))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="audit", daemon=True)
        self._thread.start()

    def record(self, deed: Deed) -> None:
        """Return when the brokers have it.

        Raises:
            Transient: they do not take it in time; what it tells of must not be done or shown then.
        """
        told, problems = threading.Event(), list[KafkaError]()

        def delivered(error: KafkaError | None, _: Message) -> None:
            problems.extend([error] if error is not None else [])
            told.set()

        self._produce(deed, delivered)
        if not told.wait(_WAIT_SECONDS) or problems:
            why = problems[0].str() if problems else f"no answer for {_WAIT_SECONDS:.0f} s"
            raise Transient(f"the audit could not be written ({why}), so nothing was done; is the broker running?")

    def note(self, deed: Deed) -> None:
        """Hand it over without waiting: for what has happened whether it is told or not, such as a failed sign-in."""

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                _log.error("audit lost: %s %s %s: %s", deed.actor, deed.action, deed.subject, error.str())

        try:
            self._produce(deed, delivered)
        except Transient as exc:
            _log.error("audit lost: %s %s %s: %s", deed.actor, deed.action, deed.subject, exc)

    def close(self) -> None:
        """Wait for what was handed over."""
        self._stopped.set()
        self._thread.join()
        self._producer.flush(_WAIT_SECONDS)

    def _produce(self, deed: Deed, delivered: object) -> None:
        event = AuditEvent(
            audit_id=str(uuid4()),
            actor=deed.actor,
            action=deed.action,
            subject=deed.subject,
            reference=deed.reference,
            changes=deed.changes,
            reason=deed.reason,
            occurred_at=datetime.now(UTC),
        )
        try:
            self._producer.produce(AUDIT, self._codec.encode(event), deed.subject.encode(), on_delivery=delivered)  # type: ignore[arg-type]
        except (BufferError, KafkaException) as exc:
            raise Transient(f"the audit could not be written ({exc}), so nothing was done") from exc

    def _serve(self) -> None:
        while not self._stopped.is_set():
            self._producer.poll(0.1)
