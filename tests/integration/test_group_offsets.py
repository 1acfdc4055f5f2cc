"""How far groups have committed, as the real brokers tell it."""

from __future__ import annotations

from contextlib import closing

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from consumers.group_offsets import GroupOffsets
from deploy.local.endpoints import Endpoints
from schemas.errors import Transient
from schemas.settings import KafkaSettings
from tests.integration.groups import commit


@pytest.fixture
def topic(stack: Endpoints, topic_prefix: str) -> str:
    name = f"{topic_prefix}offsets"
    admin = AdminClient(stack.kafka().client_config())
    admin.create_topics([NewTopic(name, 2)])[name].result()
    return name


def test_groups_and_what_they_have_committed(stack: Endpoints, topic: str) -> None:
    first, second = f"{topic}-first", f"{topic}-second"
    commit(stack.kafka(), first, {(topic, 0): 3, (topic, 1): 4})
    commit(stack.kafka(), second, {(topic, 1): 5})
    offsets = GroupOffsets(stack.kafka())
    assert {first: False, second: False}.items() <= offsets.groups().items()
    assert offsets.committed([first, second]) == {first: {(topic, 0): 3, (topic, 1): 4}, second: {(topic, 1): 5}}
    assert offsets.committed([first, second], [(topic, 0)]) == {first: {(topic, 0): 3}, second: {}}


def test_a_member_is_seen(stack: Endpoints, topic: str) -> None:
    group = f"{topic}-joined"
    with closing(Consumer(stack.kafka().client_config(**{"group.id": group}))) as reader:
        reader.subscribe([topic])
        while not reader.assignment():
            reader.poll(0.1)
        assert GroupOffsets(stack.kafka()).groups()[group] is True


def test_a_group_that_never_was_has_committed_nothing(stack: Endpoints, topic: str) -> None:
    never = f"{topic}-never"
    offsets = GroupOffsets(stack.kafka())
    assert offsets.committed([never]) == {never: {}}
    assert offsets.committed([never], [(topic, 0)]) == {never: {}}
    assert offsets.committed([]) == {}


def test_brokers_that_are_away_are_waited_for_by_the_caller() -> None:
    with pytest.raises(Transient, match="listing consumer groups"):
        GroupOffsets(KafkaSettings(bootstrap_servers="127.0.0.1:1")).groups()
