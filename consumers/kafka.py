"""The Kafka clients of a sink's worker: their configuration, and their errors mapped to ours."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ListOffsetsResultInfo

from consumers.settings import SinkSettings
from schemas.errors import OrdersyncError, PositionConflict, Transient
from schemas.kafka_codes import FENCED, MOVED_ON, error_of_code


def kafka_error(problem: KafkaException | KafkaError, doing: str) -> OrdersyncError:
    """Our error for one of librdkafka's, by its code; `doing` says what was attempted."""
    error = problem.args[0] if isinstance(problem, KafkaException) else problem
    if error.code() in MOVED_ON | FENCED:
        return PositionConflict(
            f"{doing}: another worker of the group has the partitions now, or its time ran out ({error.str()})"
        )
    return error_of_code(error.code(), error.str(), doing, passes=error.retriable())


def named_offset(found: ListOffsetsResultInfo, doing: str) -> int:
    """The offset that the brokers named. Raises Transient where they named none."""
    if found.offset < 0:
        # The client calls it a success when the time ran out.
        raise Transient(f"{doing}: Kafka does not answer; is the broker running?")
    return int(found.offset)


def reader_config(settings: SinkSettings) -> dict[str, Any]:
    """The consumer that reads whole topics for a sink: it never subscribes, so it takes nothing from the group."""
    return settings.kafka.client_config(
        **{
            "group.id": settings.group_id,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 50,
        }
    )


def consumer_config(settings: SinkSettings) -> dict[str, Any]:
    """The consumer of a sink: whole transactions only, positions from elsewhere, a bounded queue, long fetches."""
    return settings.kafka.client_config(
        **{
            "group.id": settings.group_id,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # A position that the log no longer has must never be skipped silently.
            "auto.offset.reset": "error",
            # Same-numbered partitions of all topics go to the same worker.
            "partition.assignment.strategy": "range",
            "enable.partition.eof": True,
            # At the default of one second a full queue throttles long runs to half their speed.
            "fetch.queue.backoff.ms": 5,
            "queued.max.messages.kbytes": settings.queue_kbytes,
            "fetch.wait.max.ms": 50,
            "session.timeout.ms": int(settings.session_timeout_seconds * 1000),
            "heartbeat.interval.ms": min(1000, int(settings.session_timeout_seconds * 1000 / 3)),
        }
    )
