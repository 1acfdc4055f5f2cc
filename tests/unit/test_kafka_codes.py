"""The codes of the contract are those of the client library."""

from __future__ import annotations

from enum import IntEnum

import pytest
from confluent_kafka import KafkaError

from schemas.kafka_codes import AWAY, FENCED, MOVED_ON, REFUSED, Away, Fenced, MovedOn, Refused


@pytest.mark.parametrize("code", [*MovedOn, *Fenced, *Refused, *Away], ids=lambda code: code.name)
def test_code_has_the_client_librarys_number(code: IntEnum) -> None:
    assert getattr(KafkaError, code.name) == code.value


def test_no_code_asks_for_two_things() -> None:
    assert len(MOVED_ON | FENCED | REFUSED | AWAY) == sum(map(len, (MOVED_ON, FENCED, REFUSED, AWAY)))
