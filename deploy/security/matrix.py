"""The matrix of duties: which role may do which action; every cell is held against the real servers in the tests."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.security.api_matrix import api_cells
from deploy.security.cells import Cell
from deploy.security.file_matrix import file_cells
from schemas.database_roles import ERP, LEDGER, REGISTRY, ROLES, SOURCES, VENDORS, DatabaseRole
from schemas.grants import PRINCIPALS, Operation, Principal, ResourceKind
from schemas.topics import CATALOGUE

DATABASES = (*SOURCES, ERP, LEDGER, VENDORS, REGISTRY)
OF_AN_OWNER = frozenset({"read", "add", "change", "remove", "empty", "make tables"})
OF_WHO_CHANGES = frozenset({"read", "add", "change", "remove"})
OF_A_LEDGER_WRITER = frozenset({"read", "add"})
OF_WHO_RESTORES = frozenset({"read", "add", "remove", "pass the triggers"})
OF_WHO_READS_NOTES = frozenset({"read notes", "remove notes"})
OF_WHO_TELLS = frozenset({"tell how orders stand"})
IN_A_DATABASE = (
    *sorted(OF_AN_OWNER | OF_WHO_RESTORES | OF_WHO_READS_NOTES | OF_WHO_TELLS),
    "write notes",
    "make roles",
    "run programs",
    "read the server's files",
)
COPY_FILES = "copy the server's files"
COPY_FILES_BY_A_DATABASE = "copy the server's files in a session that decodes"


def broker_cells() -> Iterator[Cell]:
    """What each principal may do on the cluster, as the brokers decide it."""
    for principal in PRINCIPALS.values():
        for topic in CATALOGUE:
            yield Cell("broker", principal.name, f"read {topic}", topic in (*principal.reads, *principal.looks_up))
            yield Cell("broker", principal.name, f"write {topic}", topic in principal.writes)
        yield Cell("broker", principal.name, "create topics", _may(principal, ResourceKind.CLUSTER, Operation.CREATE))
        yield Cell("broker", principal.name, "delete topics", _may(principal, ResourceKind.TOPIC, Operation.DELETE))
        yield Cell("broker", principal.name, "change rights", _may(principal, ResourceKind.CLUSTER, Operation.ALTER))


def database_cells() -> Iterator[Cell]:
    """What each role may do in the databases, as PostgreSQL decides it."""
    for role in ROLES.values():
        for dbname in DATABASES:
            yield Cell("database", role.name, f"enter {dbname}", dbname in role.databases)
            may = actions_in(role, dbname)
            for action in IN_A_DATABASE:
                yield Cell("database", role.name, f"{action} in {dbname}", action in may)
        decodes = role.replicates and bool(role.databases)
        yield Cell("database", role.name, "decode a log", decodes)
        yield Cell("database", role.name, COPY_FILES, role.copies_files)
        # What PostgreSQL does not keep apart: whoever decodes a log may copy every file of that server.
        yield Cell("database", role.name, COPY_FILES_BY_A_DATABASE, decodes)


def actions_in(role: DatabaseRole, dbname: str) -> frozenset[str]:
    """What a role may do with the tables of a database."""
    held: list[tuple[bool, frozenset[str]]] = [
        (dbname in role.owns, OF_AN_OWNER),
        (dbname in role.changes, OF_WHO_CHANGES),
        (dbname in role.selects, frozenset({"read"})),
        (dbname in role.restores, OF_WHO_RESTORES),
        (dbname in role.notes, OF_WHO_READS_NOTES),
        (dbname in role.tells, OF_WHO_TELLS),
        (any(one == dbname for one, _ in role.member_of), OF_A_LEDGER_WRITER),
        # A setting of the server, wherever the role is.
        (bool(role.restores) and dbname in role.databases, frozenset({"pass the triggers"})),
    ]
    return frozenset[str]().union(*(actions for is_held, actions in held if is_held))


def cells() -> list[Cell]:
    """The whole matrix."""
    return [*broker_cells(), *database_cells(), *api_cells(), *file_cells()]


def _may(principal: Principal, kind: ResourceKind, operation: Operation) -> bool:
    return any(grant.kind is kind and grant.operation is operation for grant in principal.grants())
