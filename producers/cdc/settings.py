"""Settings of a capture worker: one source database, one mapping file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from schemas import mapping
from schemas.mapping import SourceMapping, built_in_or_path, replication_name
from schemas.settings import DatabaseSettings, WorkerSettings

_ORIGINS = ("ordersync", *(f"ordersync_{number}" for number in range(2, 9)))


class CaptureSettings(WorkerSettings):
    """Environment `ORDERSYNC_…` of `ordersync worker capture`."""

    mapping: str = Field(description="Path of the mapping file, or the name of a built-in one (crm, inventory ...)")
    database: DatabaseSettings = Field(description="The source database")
    slot: str | None = Field(None, description="Replication slot; ordersync_<system> unless given")
    publication: str | None = Field(None, description="Publication; ordersync_<system> unless given")
    topic_prefix: str = Field("", description="Start of each topic's name, where installations share a cluster")
    ignored_origins: tuple[str, ...] = Field(_ORIGINS, description="Replication origins of ordersync's own writes")
    heartbeat_seconds: float = Field(10.0, gt=0, description="How often an idle database gets a message in its log")
    retained_warning_bytes: int = Field(1 << 30, gt=0, description="Log kept for the slot from which on to warn")
    retained_error_bytes: int = Field(8 << 30, gt=0, description="Log kept for the slot that counts as an error")
    safe_warning_bytes: int = Field(1 << 30, ge=0, description="Room before invalidation that counts as an error")
    schema_check_seconds: float = Field(10.0, gt=0, description="How often live tables are compared with the mapping")
    snapshot_readers: int = Field(2, gt=0, description="Connections that read the source side by side in a snapshot")
    snapshot_roots: int = Field(5_000, gt=0, description="Root rows (orders) of one chunk of a snapshot")
    resync_roots: int = Field(1_000, gt=0, description="Root rows (orders) read again at once while changes stream")
    checkpoint_seconds: float = Field(0.1, gt=0, description="Longest time between two checkpoints under load")
    checkpoint_changes: int = Field(10_000, gt=0, description="Row changes after which a checkpoint is made earlier")
    linger_milliseconds: float = Field(1.0, ge=0, description="How long the producer waits to fill a batch")
    max_pending_events: int = Field(50_000, gt=0, description="Events that may wait for Kafka before reading pauses")
    cached_orders: int = Field(20_000, gt=0, description="Assembled rows kept decoded in memory, in orders")
    retry_limit_seconds: float = Field(10.0, gt=0, description="Longest pause between two attempts to go on")

    @property
    def mapping_path(self) -> Path:
        """The mapping file."""
        return built_in_or_path(self.mapping)

    def load_mapping(self) -> SourceMapping:
        """The mapping, checked and compiled. Raises ConfigurationError that names what is wrong, and where."""
        return mapping.load(self.mapping_path)

    def slot_of(self, system: str) -> str:
        """The slot's name."""
        return self.slot or replication_name(system)

    def publication_of(self, system: str) -> str:
        """The publication's name."""
        return self.publication or replication_name(system)
