"""Settings of the stream worker."""

from __future__ import annotations

from pydantic import Field

from schemas.settings import WorkerSettings
from streams.transport import Delivery


class StreamsSettings(WorkerSettings):
    """Environment `ORDERSYNC_…` of `ordersync worker streams` and `faust -A streams.app worker`."""

    group: str = Field("ordersync-streams", description="Consumer group; workers of one group share the partitions")
    slot: str | None = Field(
        None,
        description="Place of this worker among its equals (a StatefulSet's ordinal); a restart takes over at once",
    )
    delivery: Delivery = Field(Delivery.EXACTLY_ONCE, description="exactly_once or at_least_once")
    commit_interval_seconds: float = Field(0.1, gt=0, description="How often outputs and offsets are committed")
    functional_currency_code: str = Field("EUR", description="Currency of the ledger, ISO 4217")
    parked_for_seconds: float = Field(86_400.0, gt=0, description="How long an order waits before it is refused")
