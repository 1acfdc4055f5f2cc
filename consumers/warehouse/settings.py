"""Settings of the warehouse sink."""

from __future__ import annotations

from pydantic import Field

from consumers.settings import SinkSettings
from schemas.settings import DatabaseSettings


class WarehouseSettings(SinkSettings):
    """How the warehouse sink consumes, and the database that it appends to."""

    group_id: str = Field("ordersync-warehouse", description="Consumer group")
    database: DatabaseSettings = Field(description="The general ledger's database")
    writer_role: str | None = Field(
        "ordersync_ledger_writer",
        description="Role that the sink writes as: it may insert and read only; null stays with the login role",
    )
