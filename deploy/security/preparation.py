"""What the owner of the databases does before workers start that may not do it themselves."""

from __future__ import annotations

from contextlib import closing

from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink
from deploy.security.database_grants import Reach, grant_tables
from producers.cdc.postgres.catalog import read_tables
from producers.cdc.postgres.mapping_check import mapped_tables
from producers.cdc.postgres.publication import ensure_publication
from producers.cdc.postgres.session import connect
from producers.cdc.settings import CaptureSettings
from schemas.database_roles import ERP, LEDGER, SOURCES
from schemas.registry import InMemorySchemas
from schemas.settings import DatabaseSettings


def prepare_databases(reach: Reach) -> None:
    """Publications of the sources, the ledger's tables, and each role's rights; again changes nothing.

    Called by the launcher of a secured stack once the sources' tables are there, before the workers start. `reach`
    gives a database as its owner.

    Raises:
        ConfigurationError: a source does not fit its mapping.
        Transient: a server is away.
        Fatal: a right cannot be given.
    """
    for system in SOURCES:
        _publish(CaptureSettings(mapping=system, database=reach(system)))
    _make_ledger(reach(LEDGER))
    for dbname in (*SOURCES, ERP, LEDGER):
        grant_tables(reach, dbname)


def _publish(settings: CaptureSettings) -> None:
    """The tables belong to their owner: the capture may read them, and not choose what is published."""
    mapping = settings.load_mapping()
    mapped = mapped_tables(mapping)
    with closing(connect(settings.database.conninfo(), application_name="ordersync deployer")) as session:
        live = read_tables(session)
        tables = [live[name] for name in mapped if name in live]
        ensure_publication(session, settings.publication_of(mapping.system), tables, mapped)


def _make_ledger(database: DatabaseSettings) -> None:
    """Tables, views, chart of accounts and the role that may only append."""
    sink = WarehouseSink(WarehouseSettings(database=database), InMemorySchemas())
    try:
        sink.prepare()
    finally:
        sink.close()
