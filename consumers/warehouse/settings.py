"""Settings of the warehouse sink."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from consumers.settings import SinkSettings
from schemas.settings import DatabaseSettings


class WarehouseSettings(SinkSettings):
    """How the warehouse sink consumes, and the database that it appends to."""

    group_id: str = Field("ordersync-warehouse", description="Consumer group")
    database: DatabaseSettings = Field(description="The general ledger's database")
    accounts: Path | None = Field(None, description="CSV with the chart of accounts; null takes the built-in one")
    account_assignments: Path | None = Field(
        None, description="CSV that assigns postings to accounts by product group and region; null assigns none"
    )
    writer_role: str | None = Field(
        "ordersync_ledger_writer",
        description="Role that the sink writes as: it may insert and read only; null stays with the login role",
    )
