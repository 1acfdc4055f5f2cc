"""Settings of the backup sink."""

from __future__ import annotations

from pydantic import Field

from consumers.settings import SinkSettings


class BackupSettings(SinkSettings):
    """How the backup sink consumes; it writes to the same cluster."""

    group_id: str = Field("ordersync-backup", description="Consumer group")
    transaction_timeout_seconds: float = Field(
        60.0,
        ge=1,
        description="When the brokers abort what a killed worker left open and no other has taken over; more than a "
        "broker's restart takes",
    )
