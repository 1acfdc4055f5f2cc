"""Settings of the ERP sink."""

from __future__ import annotations

from pydantic import Field

from consumers.settings import SinkSettings
from schemas.settings import DatabaseSettings


class ErpSettings(SinkSettings):
    """How the ERP sink consumes, and the database that it keeps."""

    group_id: str = Field("ordersync-erp", description="Consumer group")
    database: DatabaseSettings = Field(description="The ERP's database")
