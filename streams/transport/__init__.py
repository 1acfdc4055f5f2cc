"""A Faust transport that hands over whole batches and commits outputs with offsets in one transaction.

Any Faust app can use it by its URL, `faust.App("group", broker="kafka+batch://host:port", ...)`: it is registered in
the entry-point namespace `faust.transports`. `new_app` makes an app with the settings that suit it::

    app = new_app("orders", kafka_settings, TransportOptions(slot="0"), hooks=state)

    @app.agent(batch_topic(app, "orders.captured", "payments.captured"))
    async def process(stream):
        output = output_of(app)
        async for batch in batches(stream):
            computed = compute(batch)                     # may await, may take long
            async with output.ours(batch) as ours:        # waits for a running commit
                if ours:                                  # else another worker has the partition: drop it
                    output.produce_many(computed.outputs, batch.partition)
                    state.apply(computed.changes)

`faust -A module worker` and `run_worker(app)` both run it.

What it promises
    * Exactly once: the outputs of a batch and its offsets are in one Kafka transaction, one each commit interval for
      all partitions, sooner where nothing more waits. Readers that use `read_committed` see each output once.
      `Delivery.AT_LEAST_ONCE` is a setting.
    * Fencing: the transaction carries the group's real generation and member, as the consumer itself gives them, so the
      brokers refuse what a worker writes whose partitions have moved on.
    * Nothing is skipped: only the finished prefix of what was handed out in the present generation is committed. A
      handler that raises, or that asks for the next batch with one unfinished, ends the worker; nothing is committed.
    * Equal partition numbers of the topics of one agent are always in one worker.
    * Rebalances do not wait for handlers: what is in hand when partitions move is dropped, and the heir does it again.
    * Memory is bounded: polling stops while the handlers are behind, and membership goes on.

The order of a commit
    1. Take `Output.lock`, so that no batch is half written.
    2. Flush the producer.
    3. Send the finished positions, with the generation's metadata, to the transaction.
    4. Commit the transaction.
    5. Strike the batches off the books, and tell the hooks (`on_committed`).
    If 2-4 fail because the group moved on, all is aborted and the next assignment begins from the committed offsets. If
    they fail for another reason, the worker begins again from the committed offsets without leaving the group; after
    six such failures in a minute it ends.

The transactional id
    With `TransportOptions.slot` it is stable, so a restarted worker ends its predecessor's transaction as it starts.
    Without a slot it is unique. In both cases it is also the consumer's client id and the metadata of the committed
    offsets: a worker that is given a partition reads there who wrote last, and if that one is no member of the group
    any more, ends its transaction by taking over its id. So after a kill -9 readers wait for the session timeout
    (6 s); `transaction.timeout.ms` (60 s, noticed by brokers within 10 s more) is the last resort, for a worker that
    died before its first commit and has no slot. It is longer than a broker's restart: see `TransportOptions`.

When brokers go away
    Membership is lost after the session timeout, and everything since the last commit is done again: a commit that is
    not answered within `commit_timeout_seconds` is given up, and its producer replaced. Whoever cannot reach a broker
    for about a minute while he needs one ends with an error that says so. With `Delivery.AT_LEAST_ONCE` what was not
    delivered is dropped with its producer, so that it cannot arrive behind what an heir has written.

What Faust offers and this transport refuses: tables, several agents on one topic, concurrency above 1, `send()`.
"""

from __future__ import annotations

from streams.transport.batch import Assignment, Batch, Generation, Record
from streams.transport.driver import Transport, configure
from streams.transport.options import Delivery, NoHooks, PartitionHooks, TransportOptions
from streams.transport.output import Output
from streams.transport.worker import batch_topic, batches, engine_settings, new_app, output_of, run_worker

__all__ = [
    "Assignment",
    "Batch",
    "Delivery",
    "Generation",
    "NoHooks",
    "Output",
    "PartitionHooks",
    "Record",
    "Transport",
    "TransportOptions",
    "batch_topic",
    "batches",
    "configure",
    "engine_settings",
    "new_app",
    "output_of",
    "run_worker",
]
