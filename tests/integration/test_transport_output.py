"""What is written through the transport's output, against a real broker."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from faust.types import TP

from deploy.local.endpoints import Endpoints
from streams.transport import Assignment, Generation, TransportOptions
from streams.transport.errors import DeliveryFailed
from streams.transport.output import FlushedOutput, TransactionalOutput

RECORDS = 12_000
SIZE = 4_000
"""Three times as much as the client buffers."""


def test_many_records_wait_for_room_in_the_clients_buffer_and_come_in_order(
    stack: Endpoints, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}many"
    config = stack.kafka().client_config()
    admin = AdminClient(config)
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(30)
    records = [(topic, b"%d" % number, b"%08d" % number + bytes(SIZE)) for number in range(RECORDS)]
    options = TransportOptions(client_config=config, compression="none")
    assert 2 * options.producer_config()["queue.buffering.max.kbytes"] * 1024 < RECORDS * SIZE

    async def write() -> None:
        output = FlushedOutput(options, topic, lambda positions: None)
        generation = Generation(1, frozenset(), b"")
        await output.start()
        async with output.ours(Assignment(generation, {TP(topic, 1): 0}, frozenset())) as ours:
            assert ours
            output.produce_many(records, 1)
        async with output.lock:
            await output.commit({}, generation)
        await output.stop()

    asyncio.run(write())
    reader = Consumer({**config, "group.id": topic})
    reader.assign([TopicPartition(topic, 1, 0)])
    found: list[bytes] = []
    while len(found) < RECORDS:
        messages = reader.consume(1_000, 30)
        assert messages, f"only {len(found)} records came"
        found += [message.value()[:8] for message in messages]
    reader.close()
    assert found == [value[:8] for _, _, value in records]


def test_a_producer_whose_id_was_taken_over_fails_with_what_a_rewind_mends(stack: Endpoints, topic_prefix: str) -> None:
    topic = f"{topic_prefix}taken"
    config = stack.kafka().client_config()
    admin = AdminClient(config)
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(30)
    # Only a flush sends: so many deliveries are reported together with the client's fatal error.
    options = TransportOptions(client_config=config, slot="0", linger_seconds=5)
    generation = Generation(1, frozenset(), b"")
    holder = Assignment(generation, {TP(topic, 1): 0}, frozenset())

    async def write() -> None:
        output = TransactionalOutput(options, topic)
        await output.start()
        async with output.ours(holder) as ours:
            assert ours
            output.produce_many([(topic, b"key", b"value")] * 10, 1)
        heir = TransactionalOutput(options, topic)
        await heir.start()
        async with output.lock:
            with pytest.raises(DeliveryFailed):
                await output.commit({}, generation)
            await output.discard()
        assert output.is_open
        await heir.stop()
        await output.stop()

    asyncio.run(write())
