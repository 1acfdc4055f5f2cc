"""Settings of the backup sink."""

from __future__ import annotations

from pydantic import Field

from consumers.settings import TransactionalSettings


class BackupSettings(TransactionalSettings):
    """How the backup sink consumes; it writes to the same cluster."""

    group_id: str = Field("ordersync-backup", description="Consumer group")
