"""Settings of the workers that tell vendors what becomes of their lines."""

from __future__ import annotations

from pydantic import Field

from consumers.settings import TransactionalSettings


class VendorsSettings(TransactionalSettings):
    """How `orders.events` becomes `vendors.updates` in the same cluster."""

    group_id: str = Field("ordersync-vendors", description="Consumer group")
