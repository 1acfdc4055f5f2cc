"""Who may do what in the databases: one login role for each worker, with the least that it needs.

Source: S8 (segregation of duties), B9 (creating, storing and restoring are different roles).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatabaseRole:
    """One login role.

    `owns` are databases in which it makes its own tables; `selects` are databases whose every table it may read,
    `changes` those whose every row it may also add, change and remove. `member_of` are roles whose rights it has, by
    the database in which they are given. In those of `notes` it reads the notes of changes that the reconciliation
    has taken, and removes them; in those of `restores` it may bring the journal back to what was posted; in those of
    `tells` it writes how orders stand, in the columns that the mapping file names and in tables beside. `replicates`
    lets it read the server's log, `copies_files` also the server's files: a backup.
    """

    name: str
    duty: str
    owns: tuple[str, ...] = ()
    selects: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    member_of: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    restores: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()
    replicates: bool = False
    copies_files: bool = False

    @property
    def databases(self) -> tuple[str, ...]:
        """The databases that it may enter."""
        named = [*self.owns, *self.selects, *self.changes, *self.tells, *(one for one, _ in self.member_of)]
        return tuple(dict.fromkeys(named))


SOURCES = ("crm", "inventory", "finance")
ERP = "erp"
LEDGER = "ledger"
REGISTRY = "registry"
VENDORS = "vendors"
LEDGER_WRITER = "ordersync_ledger_writer"
NOTE_TAKER = "ordersync_note_taker"
"""Nobody's login: with its rights the triggers of the reconciliation write down who changed what."""

ROLES: dict[str, DatabaseRole] = {
    role.name: role
    for role in (
        *(
            DatabaseRole(
                f"capture-{system}", f"decodes the log of {system} and reads its tables", (), (system,), replicates=True
            )
            for system in SOURCES
        ),
        DatabaseRole("write-back-crm", "tells the CRM's own records how its orders stand", tells=("crm",)),
        DatabaseRole("erp", "writes orders to the ERP", owns=(ERP,)),
        DatabaseRole("warehouse", "appends to the general ledger", member_of=((LEDGER, LEDGER_WRITER),)),
        DatabaseRole("registry", "keeps the schemas", owns=(REGISTRY,)),
        DatabaseRole("deliveries", "fills the queues of the vendors", owns=(VENDORS,)),
        DatabaseRole("webhooks", "empties the queues of vendors that are called", changes=(VENDORS,)),
        DatabaseRole("vendor-files", "empties the queues of vendors that take files", changes=(VENDORS,)),
        DatabaseRole(
            "reconcile",
            "compares all systems, and reads who changed ERP and ledger by hand",
            selects=(*SOURCES, ERP, LEDGER),
            notes=(ERP, LEDGER),
        ),
        DatabaseRole("console", "shows people what the systems hold", selects=(*SOURCES, ERP, LEDGER)),
        DatabaseRole(
            "operator",
            "repairs orders in ERP and ledger as their owners say",
            selects=(*SOURCES, LEDGER),
            changes=(ERP,),
            restores=(LEDGER,),
        ),
        DatabaseRole("archive", "copies the server's files, and queries nothing", replicates=True, copies_files=True),
        DatabaseRole("figures", "shows figures of the general ledger", selects=(LEDGER,)),
        DatabaseRole("auditor", "reads the general ledger", selects=(LEDGER,)),
    )
}
"""Everybody but the owner of the server."""
