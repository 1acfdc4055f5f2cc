"""Follows a capture's answers to one request until it is done, on the topic of signals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError, InvalidMessage, Transient
from schemas.models import CaptureSignal
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings, RegistrySettings
from schemas.topics import CAPTURE_SIGNALS

PROGRESS: Final = "progress"
DONE: Final = "done"
REFUSED: Final = "refused"
_ANSWER_SECONDS: Final = 30.0


class AnswerReader:
    """Opened before the request is sent, so that no answer comes too early for it; closed when it is answered."""

    def __init__(self, kafka: KafkaSettings, registry: RegistrySettings, topic_prefix: str) -> None:
        """Raises ConfigurationError if the topic does not exist, Transient while Kafka or the registry are away."""
        self._topic = topic_prefix + CAPTURE_SIGNALS
        self._schemas = SchemaRegistry(registry)
        config = {"group.id": "ordersync-capture-answers", "enable.auto.commit": False, "fetch.wait.max.ms": 100}
        self._consumer = Consumer(kafka.client_config(**config))
        try:
            self._codec: TopicCodec[CaptureSignal] = TopicCodec(self._topic, CaptureSignal, self._schemas)
            if self._topic not in self._consumer.list_topics(timeout=_ANSWER_SECONDS).topics:
                raise ConfigurationError(f"topic {self._topic} does not exist: run `ordersync topics apply`")
            partition = TopicPartition(self._topic, 0)
            _, partition.offset = self._consumer.get_watermark_offsets(partition, timeout=_ANSWER_SECONDS)
            self._consumer.assign([partition])
        except KafkaException as exc:
            self.close()
            raise Transient(f"reading {self._topic}: {exc}; is the broker running?") from exc
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()
        self._schemas.close()

    def answers(self, signal_id: str, timeout_seconds: float | None) -> Iterator[CaptureSignal | None]:
        """Each answer to the request as it comes, None now and then while there is none; ends behind the last one.

        Raises:
            ConfigurationError: the capture refuses the request; the message is its reason.
            Transient: Kafka is away, or the time is over. The request stays: the capture follows it all the same.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            if deadline is not None and time.monotonic() > deadline:
                raise Transient(
                    f"not done within {timeout_seconds:g} s; the request {signal_id} stays and is followed all the "
                    "same: look at ordersync_capture_rereading"
                )
            messages = self._consumer.consume(100, 0.5)
            if not messages:
                yield None
            for message in messages:
                if (error := message.error()) is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        continue
                    raise Transient(f"reading {self._topic}: {error.str()}; is the broker running?")
                answer = self._answer(message.value(), signal_id)
                if answer is None:
                    continue
                if answer.action == REFUSED:
                    raise ConfigurationError(f"the capture of {answer.system} refuses the request: {answer.message}")
                yield answer
                if answer.action == DONE:
                    return

    def _answer(self, value: bytes | None, signal_id: str) -> CaptureSignal | None:
        try:
            signal = None if value is None else self._codec.decode(value)
        except InvalidMessage:
            # Anybody may write to the topic; what is no signal answers nothing.
            return None
        is_answer = signal is not None and signal.signal_id == signal_id and signal.action in (PROGRESS, DONE, REFUSED)
        return signal if is_answer else None
