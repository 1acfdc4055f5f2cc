"""Settings of the write-back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from consumers.settings import SinkSettings
from schemas.mapping import SourceMapping, built_in_or_path, load
from schemas.settings import DatabaseSettings


class WriteBackSettings(SinkSettings):
    """How one system is told, and where."""

    group_id: str = Field("", description="Consumer group; ordersync-write-back-<name of the mapping, or all> if empty")
    mapping: str | None = Field(
        None,
        description="Path of the system's mapping file, or the name of a built-in one; without it every order is told, "
        "under its order_id, in tables alone: for the ERP",
    )
    database: DatabaseSettings = Field(description="The system's database")

    @model_validator(mode="before")
    @classmethod
    def _named_group(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("group_id"):
            return given
        mapping = given.get("mapping")
        return given | {"group_id": f"ordersync-write-back-{Path(mapping).stem if mapping else 'all'}"}

    def load_mapping(self) -> SourceMapping | None:
        """The mapping, if one is given.

        Raises:
            ConfigurationError: it cannot be read, or something in it is wrong.
        """
        return None if self.mapping is None else load(built_in_or_path(self.mapping))
