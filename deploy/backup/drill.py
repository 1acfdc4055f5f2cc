"""A rehearsed restore: a fresh stack, every topic at one moment, ERP and ledger after them, and the proof of it all."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from consumers.backup.policy import Policy
from consumers.backup.restore.cut import Cut
from consumers.backup.restore.proof import Proof, RestoredPlaces, posted_in, prove
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.restoration import Restoration, RestorePlan, require_reach
from consumers.backup.restore.target import RestoreTarget
from consumers.backup.vault.drills import FAILED, PASSED
from deploy.backup.rebuilding import ERP, WAREHOUSE, Rebuilding, new_database
from deploy.backup.restoring import counted
from deploy.local.stack import EmbeddedStack
from schemas.registry import SchemaRegistry


@dataclass(frozen=True, slots=True)
class DrillReport:
    """How a drill went."""

    at: datetime
    records: int
    proof: Proof
    restored_seconds: float
    """Until every topic was there and proved."""
    rebuilt_seconds: float
    """Until ERP and ledger had followed, too: orders can be served again."""
    altogether_seconds: float
    rto_seconds: float

    @property
    def faults(self) -> tuple[str, ...]:
        """Why it failed; none where it passed."""
        if self.rebuilt_seconds <= self.rto_seconds:
            return self.proof.faults
        late = f"it took {self.rebuilt_seconds:.1f} s, the policy promises {self.rto_seconds:g} s"
        return (*self.proof.faults, late)

    @property
    def action(self) -> str:
        """How the audit log calls it."""
        return FAILED if self.faults else PASSED

    def __str__(self) -> str:
        told = (
            f"{self.records:,} records and {self.proof.orders:,} orders of {self.at.isoformat()}, restored in "
            f"{self.restored_seconds:.1f} s, ERP and ledger after {self.rebuilt_seconds:.1f} s, proved after "
            f"{self.altogether_seconds:.1f} s"
        )
        return "; ".join((told, *self.faults))


def drill(
    reader: ArchiveReader,
    policy: Policy,
    at: datetime,
    scratch: Path,
    told: Callable[[str], None] = lambda _: None,
    progress: Callable[[str, int, int], None] = lambda _doing, _done, _total: None,
) -> DrillReport:
    """Restore the backup of `at` to a stack in the empty directory `scratch`, which ends with this call, and prove it.

    Called by `ordersync backup drill`. The clock starts when the stack is up: a real restore finds servers there.

    Raises:
        ConfigurationError: the moment is out of the backup's reach.
        BackupRefused: the archive is not what was signed, or a restored topic is not what it holds.
        OrdersyncError: a server or a sink failed.
    """
    require_reach(reader, at)
    with EmbeddedStack(scratch) as stack:
        server = stack.endpoints.database("postgres")
        kafka, registry = stack.endpoints.kafka(), stack.endpoints.registry()
        places = RestoredPlaces(kafka, new_database(server, ERP), new_database(server, WAREHOUSE))
        began = time.monotonic()
        with closing(SchemaRegistry(registry)) as schemas:
            told("restoring the topics")
            plan, count = RestorePlan(at, (), ""), counted(reader.catalogue, (), progress)
            restored = Restoration(reader, RestoreTarget(kafka, ""), schemas, plan, count).run()
            restored_seconds = time.monotonic() - began
            told("writing ERP and ledger from them")
            Rebuilding(places, registry, scratch / "sinks").run()
            rebuilt_seconds = time.monotonic() - began
            told("comparing state, ERP, ledger and archive")
            proof = prove(places, schemas, posted_in(reader, Cut(reader, at)))
    return DrillReport(
        at=at,
        records=restored.records,
        proof=proof,
        restored_seconds=restored_seconds,
        rebuilt_seconds=rebuilt_seconds,
        altogether_seconds=time.monotonic() - began,
        rto_seconds=policy.objectives.rto_seconds,
    )
