"""A small worker on the batch transport, run as a process by the transport's tests.

Copies each record to the output topic as `topic:partition:offset:value`, counts per key in a state that it loads
from the output when partitions come, and can be told by the environment to misbehave.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from schemas.settings import WorkerSettings
from streams.transport import (
    Assignment,
    Batch,
    Delivery,
    TransportOptions,
    batch_topic,
    batches,
    new_app,
    output_of,
    run_worker,
)

KAFKA = WorkerSettings.load().kafka
GROUP = os.environ["TEST_GROUP"]
INPUTS = os.environ["TEST_INPUTS"].split(",")
OUTPUT = os.environ["TEST_OUTPUT"]
FAIL_ON = os.environ.get("TEST_FAIL_ON", "").encode()
STOP_AFTER = int(os.environ.get("TEST_STOP_AFTER", "0"))
STOP_ONCE = Path(os.environ.get("TEST_STOP_ONCE", os.devnull))
SLOW_SECONDS = float(os.environ.get("TEST_SLOW_SECONDS", "0"))


def loaded_counts(partition: int) -> Counter[bytes]:
    """How often each key of a partition was counted, read from the output.

    Up to the end of the log, not only to the last stable offset: committed records can lie behind an open transaction.
    """
    counts: Counter[bytes] = Counter()
    config = KAFKA.client_config(**{"group.id": "unused", "enable.auto.commit": False})
    watcher = Consumer({**config, "isolation.level": "read_uncommitted"})
    end = watcher.get_watermark_offsets(TopicPartition(OUTPUT, partition), timeout=10)[1]
    watcher.close()
    reader = Consumer({**config, "isolation.level": "read_committed", "enable.partition.eof": True})
    reader.assign([TopicPartition(OUTPUT, partition, 0)])
    while True:
        message = reader.poll(1)
        if message is None:
            continue
        if message.error() is None:
            counts[message.key()] += 1
        elif message.offset() >= end:
            break
    reader.close()
    return counts


class CountsByPartition:
    """The worker's state: it must always agree with what was committed."""

    def __init__(self) -> None:
        self.counts: dict[int, Counter[bytes]] = {}

    async def on_assigned(self, assignment: Assignment) -> None:
        """Load what is not kept."""
        for partition in sorted(assignment.partitions - assignment.kept):
            self.counts[partition] = await asyncio.to_thread(loaded_counts, partition)
        self.counts = {part: self.counts[part] for part in assignment.partitions}
        print(f"ASSIGNED {sorted(assignment.partitions)} {assignment.generation.number}", flush=True)
        for tp in sorted(assignment.positions):
            print(f"HELD {tp.topic} {tp.partition}", flush=True)

    def on_committed(self) -> None:
        """State is built from what was read, not from what was committed."""

    async def on_revoked(self, generation_partitions: frozenset[int]) -> None:
        """Keep it: it may be ours again."""
        print(f"REVOKED {sorted(generation_partitions)}", flush=True)


state = CountsByPartition()
options = TransportOptions(
    delivery=Delivery(os.environ.get("TEST_DELIVERY", "exactly_once")),
    slot=os.environ.get("TEST_SLOT"),
    max_batch_records=int(os.environ.get("TEST_BATCH", "200")),
    max_buffered_records=int(os.environ.get("TEST_BUFFER", "2000")),
)
app = new_app(GROUP, KAFKA, options, state)
seen = 0


def stop_myself_in_the_middle(batch: Batch) -> None:
    """SIGSTOP, once, when so many records were seen."""
    global seen
    seen += len(batch)
    if STOP_AFTER and seen >= STOP_AFTER and not STOP_ONCE.exists():
        STOP_ONCE.touch()
        os.kill(os.getpid(), signal.SIGSTOP)


@app.agent(batch_topic(app, *INPUTS))
async def copy(stream):  # type: ignore[no-untyped-def]
    """Copy and count."""
    output = output_of(app)
    async for batch in batches(stream):
        if SLOW_SECONDS:
            await asyncio.sleep(SLOW_SECONDS)
        counts = state.counts.get(batch.partition, Counter())
        grown: Counter[bytes] = Counter()
        copies = []
        for record in batch.records:
            if FAIL_ON and record.value == FAIL_ON:
                raise ValueError(f"unwanted value at {batch.topic}[{batch.partition}]@{record.offset}")
            grown[record.key] += 1
            number = counts[record.key] + grown[record.key]
            place = f"{batch.topic}:{batch.partition}:{record.offset}:{number}:".encode()
            copies.append((OUTPUT, record.key, place + record.value))
        async with output.ours(batch) as ours:
            if ours:
                output.produce_many([], batch.partition)
                (topic, key, value), *others = copies
                output.produce(topic, value, key, partition=batch.partition)
                output.produce_many(others, batch.partition)
                stop_myself_in_the_middle(batch)
                counts.update(grown)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    sys.exit(run_worker(app))
