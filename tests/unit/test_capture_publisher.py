"""The capture's producer without a broker: its lines go to our log, and silence is noticed in spite of them."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from producers.cdc import publisher as publishers
from producers.cdc.publisher import Publisher
from producers.cdc.records import Record
from schemas.errors import Transient
from schemas.settings import KafkaSettings

DEADLINE_SECONDS = 30.0


@pytest.fixture
def nowhere() -> KafkaSettings:
    """A port of ours that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return KafkaSettings(bootstrap_servers=f"127.0.0.1:{held.getsockname()[1]}")


def test_the_clients_lines_go_to_our_log_and_nowhere_else(
    nowhere: KafkaSettings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    publisher = Publisher(nowhere, linger_milliseconds=1, max_pending=10)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "Connection refused" not in caplog.text:
        assert time.monotonic() < deadline, caplog.text
        publisher.poll(0.1)
    publisher.close()
    assert "enable.gapless.guarantee" not in caplog.text
    assert capfd.readouterr().err == ""


class Talkative(KafkaSettings):
    """Clients that log something at each of their attempts to connect, of which there is one a second."""

    def client_config(self, **overrides: Any) -> dict[str, Any]:
        return super().client_config(**{"debug": "broker", **overrides})


def test_lines_of_the_client_are_no_answers(nowhere: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishers, "_UNANSWERED_SECONDS", 3.0)
    talkative = Talkative(bootstrap_servers=nowhere.bootstrap_servers)
    publisher = Publisher(talkative, linger_milliseconds=1, max_pending=10)
    publisher.publish(Record("nowhere", b"k", b"v"), lambda error, message: None)
    deadline = time.monotonic() + DEADLINE_SECONDS
    with pytest.raises(Transient, match="has not answered"):
        while time.monotonic() < deadline:
            publisher.poll(0.1)
    publisher.close()


def test_a_fatal_error_that_breaks_a_callback_is_a_failure_that_passes(nowhere: KafkaSettings) -> None:
    """As the client raises it for records that were in flight when the broker was killed."""
    publisher = Publisher(nowhere, linger_milliseconds=1, max_pending=10)

    def interrupted(_timeout_seconds: float) -> int:
        fatal = KafkaException(KafkaError(KafkaError._GAPLESS_GUARANTEE, "purged in flight", fatal=True))
        raise SystemError("a callback returned a result with an exception set") from fatal

    publisher._serve(interrupted, 0)
    with pytest.raises(Transient, match="purged in flight"):
        publisher.poll()
    publisher.close()


def test_a_broken_interpreter_is_no_failure_of_kafka(nowhere: KafkaSettings) -> None:
    publisher = Publisher(nowhere, linger_milliseconds=1, max_pending=10)

    def broken(_timeout_seconds: float) -> int:
        raise SystemError("something else")

    with pytest.raises(SystemError, match="something else"):
        publisher._serve(broken, 0)
    publisher.close()
