"""Settings of the reconciliation: every system that it compares."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from schemas.mapping import built_in_or_path, replication_name
from schemas.settings import DatabaseSettings, SettingsPart, WorkerSettings


class SourceSettings(SettingsPart):
    """One source database and its mapping."""

    mapping: str = Field(description="Path of the mapping file, or the name of a built-in one: crm, inventory ...")
    database: DatabaseSettings = Field(description="The source database; the role needs SELECT on the mapped tables")

    slot: str | None = Field(
        None, description="Replication slot of its capture, to know how far that is; ordersync_<system> unless given"
    )

    def slot_of(self, system: str) -> str:
        """The slot's name, as the capture names it."""
        return self.slot or replication_name(system)

    @property
    def mapping_path(self) -> Path:
        """Where the mapping file is."""
        return built_in_or_path(self.mapping)


class ReconcileSettings(WorkerSettings):
    """What is compared with what, and how patiently."""

    sources: list[SourceSettings] = Field(
        min_length=1, description="Every source that writes orders, shipments, payments"
    )
    erp: DatabaseSettings = Field(description="The ERP's database")
    ledger: DatabaseSettings = Field(description="The general ledger's database")
    settle_seconds: float = Field(
        30.0, ge=0, description="How long a difference may last before it is a mismatch: an order may be on its way"
    )
    round_seconds: float = Field(0.5, gt=0, description="Pause between two looks at orders that differ")
    examined_at_once: int = Field(
        20_000, gt=0, description="Most differing orders whose whole content is held in memory at once"
    )
    streams_group: str = Field("ordersync-streams", description="Consumer group of the stream workers")


class ContinuousSettings(ReconcileSettings):
    """How the worker reconciles without end; it takes `settle_seconds` and `examined_at_once` from the above."""

    settle_seconds: float = Field(
        10.0, ge=0, description="How long a difference must last unchanged before it is a mismatch"
    )
    round_seconds: float = Field(5.0, gt=0, description="Pause between two looks at what changed")
    late_seconds: float = Field(
        900.0, gt=0, description="How long an order may be on its way to a sink before that is a mismatch of cause lag"
    )
    vendors_group: str = Field(
        "ordersync-vendors",
        description="Consumer group of the workers that tell vendors; where it never ran, nothing is told",
    )
    backup_group: str = Field(
        "ordersync-backup",
        description="Consumer group of the worker that keeps backup.orders; where it never ran, nothing is backed up",
    )
    full_seconds: float = Field(60.0, gt=0, description="Least pause between two looks at all rows of ERP and ledger")
    source_seconds: float = Field(30.0, gt=0, description="Least pause between two looks at all rows of the sources")
    full_share: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Most part of the time spent on each of these looks at everything; 1 is without end",
    )
    round_work_seconds: float = Field(2.0, gt=0, description="Longest work of one look at what changed")
    examined_at_once: int = Field(5_000, gt=0, description="Orders whose whole content is read and compared together")
