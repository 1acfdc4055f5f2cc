"""The peer of the stream benchmark in Quix Streams: a process of the environment that `quix` makes."""

from __future__ import annotations

import json
import os
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from quixstreams import Application
from quixstreams.state import State
from quixstreams.state.rocksdb import RocksDBOptions

from tests.benchmarks.peers.ten_checks import Refused, Work, master_record


def main() -> None:
    """Process until SIGTERM."""
    settings = json.loads(os.environ["BENCH"])
    servers = settings["servers"]
    work = Work(*(_table(servers, topic) for topic in ("master.customers", "master.products")))
    app = Application(
        broker_address=servers,
        consumer_group=settings["group"],
        auto_offset_reset="earliest",
        # Below the default of 5 s, so that a short run sees several commits; a second costs nothing that can be seen.
        commit_interval=1.0,
        processing_guarantee=settings["guarantee"],
        state_dir=settings["home"],
        rocksdb_options=RocksDBOptions(dumps=bytes, loads=bytes),
        consumer_extra_config={"fetch.queue.backoff.ms": 5, "queued.max.messages.kbytes": 65_536},
        producer_extra_config={
            "linger.ms": 20,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 200_000,
            "batch.num.messages": 10_000,
        },
        loglevel="WARNING",
    )

    def next_state(value: bytes, key: bytes, _timestamp: int, _headers: Any, state: State) -> bytes | None:
        try:
            made = work.next_state(key, value, state.get(b"order"))
        except Refused:
            return None
        state.set(b"order", made)
        return made

    orders = app.dataframe(app.topic(settings["input"], key_deserializer="bytes", value_deserializer="bytes"))
    orders = orders.apply(next_state, stateful=True, metadata=True)
    orders = orders[orders.apply(lambda made: made is not None)]
    orders.to_topic(app.topic(settings["output"], key_serializer="bytes", value_serializer="bytes"))
    app.run()


def _table(servers: str, topic: str) -> dict[str, dict[str, Any]]:
    """A compacted master topic of one partition, whole."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bench-master", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    table: dict[str, dict[str, Any]] = {}
    while True:
        message = consumer.poll(30)
        assert message is not None, f"{topic} does not answer"
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            consumer.close()
            return table
        table[message.key().decode()] = master_record(topic, message.value())


if __name__ == "__main__":
    main()
