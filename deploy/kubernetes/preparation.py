"""`python -m deploy.kubernetes.preparation`: makes the ledger's tables and gives each role its rights, as the owner.

The job `prepare` runs it before the workers of a version start; again changes nothing.
"""

from __future__ import annotations

import sys

from pydantic import Field

from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink
from deploy.security.database_grants import grant_tables
from schemas.database_roles import ERP, LEDGER
from schemas.errors import OrdersyncError
from schemas.registry import InMemorySchemas
from schemas.settings import DatabaseSettings, WorkerSettings


class PreparationSettings(WorkerSettings):
    """Environment `ORDERSYNC_…` of the job."""

    database: DatabaseSettings = Field(description="Any database of the server, as its owner")


def prepare(server: DatabaseSettings) -> None:
    """Tables of the ledger, and the rights of each role in ERP and ledger; the roles are there already.

    Raises:
        Transient: the server is away.
        Fatal: a right cannot be given.
    """

    def reach(dbname: str) -> DatabaseSettings:
        return server.model_copy(update={"dbname": dbname})

    sink = WarehouseSink(WarehouseSettings(database=reach(LEDGER)), InMemorySchemas())
    try:
        sink.prepare()
    finally:
        sink.close()
    for dbname in (ERP, LEDGER):
        grant_tables(reach, dbname)


def main() -> int:
    """Prepare by the environment's settings; gives the exit code."""
    try:
        prepare(PreparationSettings.load().database)
    except OrdersyncError as exc:
        sys.stderr.write(f"preparation: {exc}\n")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
