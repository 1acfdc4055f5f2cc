"""Writes a request to the topic of signals and returns when Kafka has it."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError, Transient
from schemas.models import CaptureSignal
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings, RegistrySettings
from schemas.topics import CAPTURE_SIGNALS

_ANSWER_SECONDS = 30.0


def send_signal(signal: CaptureSignal, kafka: KafkaSettings, registry: RegistrySettings, topic_prefix: str) -> None:
    """Used by `ordersync capture`. Delivery: once it returns, the brokers have the signal.

    Raises:
        ConfigurationError: the topic does not exist.
        Transient: Kafka or the registry do not answer.
    """
    topic = topic_prefix + CAPTURE_SIGNALS
    problems: list[KafkaError] = []

    def answered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            problems.append(error)

    schemas = SchemaRegistry(registry)
    try:
        value = TopicCodec(topic, CaptureSignal, schemas).encode(signal)
    finally:
        schemas.close()
    producer = Producer(kafka.producer_config(**{"delivery.timeout.ms": int(_ANSWER_SECONDS * 1000)}))
    try:
        known = producer.list_topics(timeout=_ANSWER_SECONDS).topics
    except KafkaException as exc:
        raise Transient(f"Kafka does not answer: {exc}; is the broker running?") from exc
    if topic not in known:
        raise ConfigurationError(f"topic {topic} does not exist: run `ordersync topics apply`")
    producer.produce(topic, value, signal.system.encode(), on_delivery=answered)
    if producer.flush(_ANSWER_SECONDS + 5) or problems:
        reason = problems[0].str() if problems else "no answer"
        raise Transient(f"the signal did not reach {topic}: {reason}; is the broker running?")
