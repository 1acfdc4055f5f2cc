"""The peer of the stream benchmark in plain Faust: the ten checks, with the transport that Faust ships.

Its state is a dict without a changelog, which costs less than any store.
"""

from __future__ import annotations

import asyncio
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from faust.types import StreamT

from schemas.topics import ORDER_EVENTS, ORDERS_CAPTURED
from tests.benchmarks.peers.faust_app import peer_app, settings
from tests.benchmarks.peers.ten_checks import Refused, Work, master_record

_settings = settings()

app = peer_app()
_output = app.topic(ORDER_EVENTS, key_serializer="raw", value_serializer="raw")


@app.agent(app.topic(ORDERS_CAPTURED, key_serializer="raw", value_serializer="raw"))
async def orders(stream: StreamT[bytes]) -> None:
    """A thousand records at a time, Faust's best way."""
    tables = [await asyncio.to_thread(_table, topic) for topic in ("master.customers", "master.products")]
    work, states = Work(*tables), dict[bytes, bytes]()
    async for events in stream.take_events(1_000, within=0.2):
        for event in events:
            message = event.message
            try:
                made = work.next_state(message.key, message.value, states.get(message.key))
            except Refused:
                continue
            states[message.key] = made
            await _output.send(key=message.key, value=made, partition=message.partition)


def _table(topic: str) -> dict[str, dict[str, Any]]:
    """A compacted master topic of one partition, whole."""
    consumer = Consumer({"bootstrap.servers": _settings["servers"], "group.id": f"{_settings['group']}-master"})
    partition = TopicPartition(topic, 0, OFFSET_BEGINNING)
    consumer.assign([partition])
    end = consumer.get_watermark_offsets(partition, timeout=30)[1]
    table: dict[str, dict[str, Any]] = {}
    while True:
        message = consumer.poll(30)
        assert message is not None and message.error() is None, f"{topic} does not answer"
        table[message.key().decode()] = master_record(topic, message.value())
        if message.offset() == end - 1:
            consumer.close()
            return table


if __name__ == "__main__":
    app.Worker(loglevel="WARNING").execute_from_commandline()
