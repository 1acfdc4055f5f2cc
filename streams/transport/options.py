"""What a user of the transport can set, and the librdkafka configuration that follows from it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from streams.transport.batch import Assignment, TransactionalId


class Delivery(StrEnum):
    """How outputs and consumed offsets are committed."""

    EXACTLY_ONCE = "exactly_once"
    """In one transaction, fenced by the group's generation; readers use `read_committed`."""
    AT_LEAST_ONCE = "at_least_once"
    """Outputs are flushed and acknowledged, then offsets are committed; a crash repeats outputs."""


class PartitionHooks(Protocol):
    """Told about partitions that come and go; a raised exception ends the worker."""

    async def on_assigned(self, assignment: Assignment) -> None:
        """Called before the first batch of a generation; may take long (heartbeats go on), may be cancelled."""

    def on_committed(self) -> None:
        """Called when everything written so far has been committed, before anything else can be written.

        Not called for a commit that failed or whose outcome is unknown: the partitions are then assigned anew.
        """

    async def on_revoked(self, generation_partitions: frozenset[int]) -> None:
        """Called after the generation's last commit or abort, also when `on_assigned` was cancelled."""


class NoHooks:
    """For workers without state."""

    async def on_assigned(self, assignment: Assignment) -> None:
        """Nothing to load."""

    def on_committed(self) -> None:
        """Nothing to keep."""

    async def on_revoked(self, generation_partitions: frozenset[int]) -> None:
        """Nothing to drop."""


@dataclass(frozen=True, kw_only=True)
class TransportOptions:
    """Settings of the transport; the defaults suit a worker of the order pipeline.

    `client_config` is what each librdkafka client needs to reach the cluster (`KafkaSettings.client_config()`);
    left empty, the broker's URL is used. `slot` names the worker's place in the deployment (a StatefulSet's
    ordinal): a restarted worker with the same slot ends its predecessor's open transaction at once. Two living
    workers must never share one. Without a slot the id is unique for the process.

    Under load a commit comes each `commit_interval_seconds`; where all records that came are done, as soon as
    `idle_commit_interval_seconds` have passed since the last.

    A commit that the brokers do not answer within `commit_timeout_seconds` is given up, and the work done again.
    `transaction_timeout_seconds` should be more than a broker's restart takes: brokers of Kafka 4.3 and 4.4 that time
    out a transaction while its partitions have no leader leave it open for ever (KAFKA-20734).
    """

    client_config: Mapping[str, Any] = field(default_factory=dict)
    delivery: Delivery = Delivery.EXACTLY_ONCE
    slot: str | None = None
    commit_interval_seconds: float = 0.2
    idle_commit_interval_seconds: float = 0.015
    transaction_timeout_seconds: float = 60.0
    commit_timeout_seconds: float = 10.0
    session_timeout_seconds: float = 6.0
    heartbeat_interval_seconds: float = 1.0
    rebalance_timeout_seconds: float = 60.0
    client_timeout_seconds: float = 30.0
    max_batch_records: int = 1_000
    max_buffered_records: int = 4_000
    compression: str = "lz4"
    linger_seconds: float = 0.04

    def transactional_id(self, group: str) -> TransactionalId:
        """The producer's id: stable for a slot, else unique."""
        return TransactionalId(f"{group}-{self.slot or uuid.uuid4()}")

    def consumer_config(self, group: str, client_id: str) -> dict[str, Any]:
        """For the consumer that is a member of the group; other members look for its transactional id there."""
        return {
            **self.client_config,
            "group.id": group,
            "client.id": client_id,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # Positions are always set explicitly, so a reset could only mean that records were deleted.
            "auto.offset.reset": "error",
            # With equal partition counts, range puts equal partition numbers of all topics in one worker.
            "partition.assignment.strategy": "range",
            "session.timeout.ms": _milliseconds(self.session_timeout_seconds),
            "heartbeat.interval.ms": _milliseconds(self.heartbeat_interval_seconds),
            "max.poll.interval.ms": _milliseconds(self.rebalance_timeout_seconds),
            # The default of 1,000 ms stops fetching for a second whenever the local queue was full.
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 100,
            # Bounds on memory: what is fetched ahead, and what one answer of a broker may hold (still compressed).
            "queued.max.messages.kbytes": 1_024,
            "fetch.max.bytes": 8_388_608,
            "max.partition.fetch.bytes": 65_536,
            "topic.metadata.refresh.interval.ms": 30_000,
        }

    def observer_config(self, group: str, isolation_level: str) -> dict[str, Any]:
        """For a consumer that reads the group's offsets and never joins it."""
        return {**self.client_config, "group.id": group, "isolation.level": isolation_level}

    def producer_config(self) -> dict[str, Any]:
        """For either form of delivery; the transactional id is added by the transactional one."""
        return {
            **self.client_config,
            "enable.idempotence": True,
            "compression.type": self.compression,
            # A commit flushes, which ends the waiting at once: it only lets batches fill between two commits.
            "linger.ms": self.linger_seconds * 1000,
            # Kafka's own partitioner, so that equal keys meet whoever wrote them.
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 16_384,
            "batch.num.messages": 10_000,
            # With the default of 100 ms a commit that meets a concurrent one waits that long.
            "retry.backoff.ms": 10,
            "delivery.report.only.error": True,
            # Without transactions a record that timed out would leave a gap, because those behind it are still
            # delivered: it is the flush that gives up, and drops all that is left.
            "message.timeout.ms": 0,
        }

    def transactional_config(self, transactional_id: TransactionalId) -> dict[str, Any]:
        """For the producer of a worker that delivers exactly once."""
        transaction_timeout = _milliseconds(self.transaction_timeout_seconds)
        return {
            **self.producer_config(),
            "transactional.id": transactional_id,
            "transaction.timeout.ms": transaction_timeout,
            # What times out fails the transaction, so nothing behind it is seen by readers either.
            "message.timeout.ms": min(_milliseconds(self.commit_timeout_seconds), transaction_timeout),
        }


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
