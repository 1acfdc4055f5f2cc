"""The capture's Kafka producer: idempotent, in order for each key, and every delivery accounted for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from producers.cdc.deliveries import Answered
from producers.cdc.kafka_log import kafka_log
from producers.cdc.records import Record
from schemas.errors import ConfigurationError, OrdersyncError, Transient
from schemas.kafka_codes import error_of_code
from schemas.settings import KafkaSettings

_FLUSH_SECONDS: Final = 30.0
_METADATA_SECONDS: Final = 10.0
_UNANSWERED_SECONDS: Final = 30.0
_HEEDED_EACH: Final = 64
"""Records after which it is looked how many are pending: to ask takes a lock."""
# What was purged with a producer that was thrown away comes again.
_PURGED: Final = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})


def kafka_error(problem: KafkaException | KafkaError, doing: str) -> OrdersyncError:
    """Our error for one of librdkafka's, by its code; `doing` says what was attempted."""
    error = problem.args[0] if isinstance(problem, KafkaException) else problem
    # A fatal error of the idempotent producer ends the producer only: a new one goes on from what is safe.
    passes = error.retriable() or error.code() in _PURGED or error.fatal()
    return error_of_code(error.code(), error.str(), doing, passes=passes)


class Publisher:
    """One producer for one attempt of the capture; after an error it is thrown away with what was not delivered.

    Delivery: at least once over all attempts; within one, records of a key reach their partition once and in order,
    and none of them without those before it: the client never gives one up on its own and goes on with the next.
    """

    def __init__(self, kafka: KafkaSettings, *, linger_milliseconds: float, max_pending: int) -> None:
        self._max_pending = max_pending
        self._unheeded = 0
        self._handed = 0
        self._answered = 0
        self._failure: OrdersyncError | None = None
        self._unanswered_since: float | None = None
        self._producer = Producer(
            kafka.producer_config(
                **{
                    "linger.ms": linger_milliseconds,
                    "queue.buffering.max.messages": max(100_000, 2 * max_pending),
                    "queue.buffering.max.kbytes": 131_072,
                    # A record that timed out would leave a gap: those behind it are still delivered.
                    "message.timeout.ms": 0,
                    "enable.gapless.guarantee": True,
                    "client.id": "ordersync-capture",
                }
            ),
            logger=kafka_log(),
        )

    @property
    def pending(self) -> int:
        """Records without an answer yet."""
        return len(self._producer)

    def require_topics(self, names: list[str]) -> None:
        """Raises ConfigurationError for topics that do not exist, Transient while the cluster is away."""
        try:
            known = self._producer.list_topics(timeout=_METADATA_SECONDS).topics
        except KafkaException as exc:
            raise kafka_error(exc, "asking Kafka for its topics") from exc
        missing = [name for name in names if name not in known]
        if missing:
            raise ConfigurationError(f"topic {', '.join(missing)} does not exist: run `ordersync topics apply`")

    def publish(self, record: Record | tuple[str, bytes, bytes], answered: Answered) -> None:
        """Hand over one record; `answered` is called (inside `poll`) once the brokers have it, or refused it.

        Waits while too many are pending. Raises as `poll` does.
        """
        topic, key, value = record
        producer = self._producer
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=answered)
                break
            except BufferError:
                self.poll(0.05)
            except KafkaException as exc:
                raise kafka_error(exc, f"writing to {topic}") from exc
        self._handed += 1
        self._unheeded += 1
        if self._unheeded >= _HEEDED_EACH:
            self._unheeded = 0
            while len(producer) > self._max_pending:
                self.poll(0.05)

    def failed(self, error: KafkaError, message: Message) -> None:
        """Called for a record that the brokers did not take; the next `poll` raises what that means."""
        if self._failure is None:
            self._failure = kafka_error(error, f"writing to {message.topic()}")

    def poll(self, timeout_seconds: float = 0.0) -> None:
        """Let answers in. Raises what a failed delivery means: Transient, ConfigurationError or Fatal."""
        self._serve(self._producer.poll, timeout_seconds)
        if self._failure is not None:
            raise self._failure
        pending = len(self._producer)
        # The events that `poll` counts are lines of the client's log, too, and those come while no broker answers.
        answered = self._handed - pending
        if answered > self._answered or not pending:
            self._answered = max(answered, self._answered)
            self._unanswered_since = None
        elif self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        elif time.monotonic() - self._unanswered_since > _UNANSWERED_SECONDS:
            raise Transient(
                f"writing captured events: Kafka has not answered for {_UNANSWERED_SECONDS:g} s; is the broker running?"
            )

    def flush(self) -> None:
        """Return when the brokers have everything. Raises as `poll` does, and Transient if they do not answer."""
        # A line of the client's log that came at the end would count as something left, were it not taken out.
        flush = self._producer.flush
        left = self._serve(flush, _FLUSH_SECONDS) and self._serve(flush, 0)
        if self._failure is not None:
            raise self._failure
        if left:
            raise Transient(f"{left} captured events have not reached Kafka; is the broker running?")

    def close(self) -> None:
        """Drop what has no answer; it is captured again."""
        self._producer.purge()
        self._serve(self._producer.flush, 1.0)

    def _serve(self, call: Callable[[float], int], timeout_seconds: float) -> int:
        """Run a call of the client that reports deliveries; what it raises is remembered as by `failed`."""
        try:
            return call(timeout_seconds)
        except KafkaException as exc:
            cause = exc
        except SystemError as exc:
            # A fatal error, as that records in flight were dropped, is pending in the client while it goes on
            # reporting deliveries to us: then the callback seems to have failed.
            if not isinstance(exc.__cause__, KafkaException):
                raise
            cause = exc.__cause__
        if self._failure is None:
            self._failure = kafka_error(cause, "writing captured events")
        return 0
