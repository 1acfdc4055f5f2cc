"""Which account of the machine may read what of a home, as its file system decides it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from deploy.security.cells import Cell

FILES: Final = "files"

OWNER: Final = "the account of the home"
DATABASE_ACCOUNT: Final = "the account of the database server"
ANOTHER: Final = "another account"
ACCOUNTS: Final = (OWNER, DATABASE_ACCOUNT, ANOTHER)

DATABASE_FILES: Final = "read the databases' files"
KEPT: Final[dict[str, str]] = {
    "read the workers' passwords": "security/passwords/erp",
    "list the workers' passwords": "security/passwords",
    "read the authority's key": "security/ca.key",
    "read the brokers' key": "security/broker.pem",
    "read the administrator's key": "security/admin.key",
    "read the password of the databases' owner": "postgres.password",
    "read how the servers are reached": "endpoints.json",
    "read the brokers' records": "kafka",
    "read the logs": "logs/kafka.log",
    "read the workers' state": "workers",
    "sign backups": "backup/creator.pem",
    "sign the backups' catalogue": "backup/keeper.pem",
    "sign for the officers": "backup/officer-1.pem",
    "open backups": "backup/restorer.age",
    "read the backups' copies": "backup/first",
    "read the console's users": "console/users.json",
    DATABASE_FILES: "postgres/data/global/pg_control",
}
"""Each action with the file or directory of a home that it needs."""


def file_cells() -> Iterator[Cell]:
    """What each account may read in a home. The account of the home is that of every worker of the machine."""
    for account in ACCOUNTS:
        for action in KEPT:
            is_own = account == DATABASE_ACCOUNT and action == DATABASE_FILES
            yield Cell(FILES, account, action, account == OWNER or is_own)
