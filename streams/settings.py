"""Settings of the stream worker."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from schemas.settings import WorkerSettings
from streams.transport import Delivery


class StateStore(StrEnum):
    """Where the worker keeps the state of its orders and the master data; Kafka has it in any case."""

    ROCKSDB = "rocksdb"
    """On the local disk, under `data_dir`: memory is bounded, and a restart reads only what is missing."""
    MEMORY = "memory"
    """In memory: needs no disk, and each start reads everything."""


class StreamsSettings(WorkerSettings):
    """Environment `ORDERSYNC_…` of `ordersync worker streams` and `faust -A streams.app worker`."""

    group: str = Field("ordersync-streams", description="Consumer group; workers of one group share the partitions")
    slot: str | None = Field(
        None,
        description="Place of this worker among its equals (a StatefulSet's ordinal); a restart takes over at once",
    )
    delivery: Delivery = Field(Delivery.EXACTLY_ONCE, description="exactly_once or at_least_once")
    commit_interval_seconds: float = Field(
        0.1, gt=0, description="How often outputs and offsets are committed while more is waiting"
    )
    idle_commit_interval_seconds: float = Field(
        0.015, gt=0, description="The same where all that came is done: readers of read_committed wait for it"
    )
    functional_currency_code: str = Field("EUR", description="Currency of the ledger, ISO 4217")
    parked_for_seconds: float = Field(86_400.0, gt=0, description="How long an order waits before it is refused")
    rules_file: Path | None = Field(None, description="Governance file of the rules; without it they are as declared")
    state_store: StateStore = Field(StateStore.ROCKSDB, description="rocksdb or memory")
    state_cache_bytes: int = Field(8 << 20, ge=0, description="Memory for the orders that were used last")
    checkpoint_interval_seconds: float = Field(
        2.0,
        gt=0,
        description="How often it notes how far local state goes; a killed worker reads this much again",
    )
