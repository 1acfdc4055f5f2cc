"""The Kafka clients of a sink's worker: their configuration, and their errors mapped to ours."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException

from consumers.settings import SinkSettings
from schemas.errors import ConfigurationError, Fatal, OrdersyncError, PositionConflict, Transient

_FENCED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        # Of a transactional producer whose time ran out while the brokers were away.
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)
_REFUSED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._AUTHENTICATION,
    }
)
_AWAY = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._RESOLVE,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        # A broker that was killed comes back before it leads its partitions and groups again. librdkafka calls these
        # retriable in its transactions only.
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError._WAIT_COORD,
    }
)


def kafka_error(problem: KafkaException | KafkaError, doing: str) -> OrdersyncError:
    """Our error for one of librdkafka's, by its code; `doing` says what was attempted."""
    error = problem.args[0] if isinstance(problem, KafkaException) else problem
    if error.code() in _FENCED:
        return PositionConflict(
            f"{doing}: another worker of the group has the partitions now, or its time ran out ({error.str()})"
        )
    if error.code() in _REFUSED:
        return ConfigurationError(
            f"{doing}: {error.str()}; run `ordersync topics apply` and check what the worker's user may do"
        )
    if error.retriable() or error.code() in _AWAY:
        return Transient(f"{doing}: Kafka does not answer ({error.str()}); is the broker running?")
    return Fatal(f"{doing}: {error.str()}")


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
