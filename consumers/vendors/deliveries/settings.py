"""Settings of the sink that fills the vendors' queues, and of the workers that empty them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from consumers.settings import SinkSettings
from consumers.vendors.profiles import Sending
from schemas.settings import DatabaseSettings, WorkerSettings


class DeliveriesSettings(SinkSettings):
    """How `vendors.updates` is consumed, and the database of the queues."""

    group_id: str = Field("ordersync-deliveries", description="Consumer group")
    database: DatabaseSettings = Field(description="The database of the vendors' queues")
    vendors: Path = Field(description="File that says how each vendor is told (TOML)")


class DispatchSettings(WorkerSettings):
    """What the workers `webhooks` and `vendor-files` need; they do without Kafka."""

    database: DatabaseSettings = Field(description="The database of the vendors' queues")
    vendors: Path = Field(description="File that says how each vendor is told (TOML)")
    poll_seconds: float = Field(0.25, gt=0, le=60, description="How often an idle worker looks for new updates")
    lease_seconds: float = Field(
        30.0, ge=2, description="When another worker takes over from one that died; more than each vendor's timeout"
    )
    subscribers: Sending = Field(
        default_factory=Sending, description="How clients of the API are told; of the worker webhooks only"
    )
    secret_keys: Path | None = Field(
        None, description="Keys by which clients' secrets are sealed in the database; of the worker webhooks only"
    )
    keep_days: float = Field(30.0, gt=0, description="How long what was delivered can be looked up")
