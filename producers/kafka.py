"""The producers' Kafka errors mapped to ours; the capture has a mapping of its own, for its transactions."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import OrdersyncError
from schemas.kafka_codes import error_of_code


def kafka_error(problem: KafkaException | KafkaError, doing: str) -> OrdersyncError:
    """Our error for one of librdkafka's, by its code; `doing` says what was attempted."""
    error = problem.args[0] if isinstance(problem, KafkaException) else problem
    return error_of_code(error.code(), error.str(), doing, passes=error.retriable())
