"""The peer of the stream benchmark: the same processor in plain Faust, with the transport that Faust ships."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from faust.types import StreamT

from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings, RegistrySettings
from schemas.topics import CAPTURED_TOPICS, ORDER_EVENTS, ORDER_STATE, PARKED, POSTINGS, REJECTED
from streams.processing.codecs import Codecs
from streams.processing.keyvalues import MemoryKeyValues
from streams.processing.master_feed import MasterFeed
from streams.processing.processor import CapturedRecord, OrderProcessor, ProcessingPolicy
from streams.processing.store import WorkerState
from tests.benchmarks.peers.faust_app import peer_app, settings

_settings = settings()
_kafka = KafkaSettings(bootstrap_servers=_settings["servers"])

app = peer_app()
_outputs = {
    name: app.topic(name, key_serializer="raw", value_serializer="raw")
    for name in (ORDER_EVENTS, ORDER_STATE, POSTINGS, REJECTED, PARKED)
}


def _processor(codecs: Codecs) -> OrderProcessor:
    feed = MasterFeed(_kafka, codecs, lambda: None, MemoryKeyValues())
    feed.start()
    feed.wait_loaded(60)
    return OrderProcessor(codecs, feed.tables, ProcessingPolicy())


@app.agent(app.topic(*CAPTURED_TOPICS, key_serializer="raw", value_serializer="raw"))
async def orders(stream: StreamT[bytes]) -> None:
    """The same work as the product's worker, a thousand records at a time, its best way."""
    codecs = await asyncio.to_thread(lambda: Codecs(SchemaRegistry(RegistrySettings(url=_settings["registry"]))))
    processor = await asyncio.to_thread(_processor, codecs)
    state = WorkerState(MemoryKeyValues(), codecs.parked)
    async for events in stream.take_events(1_000, within=0.2):
        for event in events:
            message = event.message
            record = CapturedRecord(message.topic, message.partition, message.offset, 0, message.key, message.value, ())
            store = state.partitions.get(message.partition) or state.open(message.partition)
            outcome = processor.process([record], store, datetime.now(UTC))
            outcome.view.apply()
            for topic, key, value in outcome.outputs:
                await _outputs[topic].send(key=key, value=value, partition=message.partition)
        state.committed({})


if __name__ == "__main__":
    app.Worker(loglevel="WARNING").execute_from_commandline()
