"""Who may do what in the databases: one login role for each worker, with the least that it needs.

Source: S8 (segregation of duties), B9 (creating, storing and restoring are different roles).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatabaseRole:
    """One login role.

    `owns` are databases in which it makes its own tables; `selects` are databases whose every table it may read;
    `member_of` are roles whose rights it has, by the database in which they are given. `replicates` lets it read the
    server's log, `copies_files` also the server's files: a backup.
    """

    name: str
    duty: str
    owns: tuple[str, ...] = ()
    selects: tuple[str, ...] = ()
    member_of: tuple[tuple[str, str], ...] = ()
    replicates: bool = False
    copies_files: bool = False

    @property
    def databases(self) -> tuple[str, ...]:
        """The databases that it may enter."""
        named = [*self.owns, *self.selects, *(one for one, _ in self.member_of)]
        return tuple(dict.fromkeys(named))


SOURCES = ("crm", "inventory", "finance")
ERP = "erp"
LEDGER = "ledger"
REGISTRY = "registry"
LEDGER_WRITER = "ordersync_ledger_writer"

ROLES: dict[str, DatabaseRole] = {
    role.name: role
    for role in (
        *(
            DatabaseRole(
                f"capture-{system}", f"decodes the log of {system} and reads its tables", (), (system,), replicates=True
            )
            for system in SOURCES
        ),
        DatabaseRole("erp", "writes orders to the ERP", owns=(ERP,)),
        DatabaseRole("warehouse", "appends to the general ledger", member_of=((LEDGER, LEDGER_WRITER),)),
        DatabaseRole("registry", "keeps the schemas", owns=(REGISTRY,)),
        DatabaseRole("reconcile", "compares all systems", selects=(*SOURCES, ERP, LEDGER)),
        DatabaseRole("archive", "copies the server's files, and queries nothing", replicates=True, copies_files=True),
        DatabaseRole("figures", "shows figures of the general ledger", selects=(LEDGER,)),
        DatabaseRole("auditor", "reads the general ledger", selects=(LEDGER,)),
    )
}
"""Everybody but the owner of the server."""
