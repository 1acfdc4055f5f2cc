"""The API's Kafka errors mapped to ours, and what every of its clients shares."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import ConfigurationError, Fatal, OrdersyncError, Transient
from schemas.kafka_codes import AWAY, REFUSED

CLIENT_ID = "ordersync-api"


def kafka_error(problem: KafkaException | KafkaError, doing: str) -> OrdersyncError:
    """Our error for one of librdkafka's, by its code; `doing` says what was attempted."""
    error = problem.args[0] if isinstance(problem, KafkaException) else problem
    if error.code() in REFUSED:
        return ConfigurationError(
            f"{doing}: {error.str()}; run `ordersync topics apply` and check what the worker's user may do"
        )
    if error.retriable() or error.code() in AWAY:
        return Transient(f"{doing}: Kafka does not answer ({error.str()}); is the broker running?")
    return Fatal(f"{doing}: {error.str()}")
