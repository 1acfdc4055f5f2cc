"""Settings of the workers that tell vendors what becomes of their lines."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from consumers.settings import TransactionalSettings


class VendorsSettings(TransactionalSettings):
    """How `orders.events` becomes `vendors.updates` in the same cluster."""

    group_id: str = Field("ordersync-vendors", description="Consumer group")
    vendors: Path | None = Field(
        None, description="File that says which vendors read a topic of their own (TOML); none does without"
    )
    look_seconds: float = Field(
        10.0, gt=0, description="How often that file and the vendors' topics are looked at, while there is news"
    )
