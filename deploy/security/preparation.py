"""What the owner of the databases does before workers start that may not do it themselves."""

from __future__ import annotations

from contextlib import closing

from pydantic import Field

from consumers.erp.settings import ErpSettings
from consumers.erp.sink import ErpSink
from consumers.reconcile.watched import note_books
from consumers.vendors.deliveries.book import DeliveryBook
from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink
from consumers.write_back.settings import WriteBackSettings
from consumers.write_back.sink import WriteBackSink
from deploy.security.database_grants import Reach, grant_tables
from producers.cdc.postgres.catalog import read_tables
from producers.cdc.postgres.mapping_check import mapped_tables
from producers.cdc.postgres.publication import ensure_publication
from producers.cdc.postgres.session import connect
from producers.cdc.settings import CaptureSettings
from schemas.database_roles import ERP, LEDGER, SOURCES, VENDORS
from schemas.mapping import SourceMapping
from schemas.registry import InMemorySchemas
from schemas.settings import DatabaseSettings, WorkerSettings


class PreparationSettings(WorkerSettings):
    """Environment `ORDERSYNC_…` of who prepares a server's databases."""

    database: DatabaseSettings = Field(description="Any database of the server, as its owner")

    def reach(self, dbname: str) -> DatabaseSettings:
        """Another database of the server."""
        return self.database.model_copy(update={"dbname": dbname})


def prepare_databases(reach: Reach) -> None:
    """Publications of the sources, all tables that workers write, and each role's rights; again changes nothing.

    Called by the launcher of a secured stack once the sources' tables are there, before the workers start. `reach`
    gives a database as its owner.

    Raises:
        ConfigurationError: a source does not fit its mapping.
        Transient: a server is away.
        Fatal: a right cannot be given.
    """
    schemas = InMemorySchemas()
    for system in SOURCES:
        capture = CaptureSettings(mapping=system, database=reach(system))
        mapping = capture.load_mapping()
        _publish(mapping, capture)
        if mapping.write_back is not None:
            with closing(WriteBackSink(WriteBackSettings(mapping=system, database=reach(system)), schemas)) as told:
                told.define()
        grant_tables(reach, system, mapping.write_back)
    prepare_sinks(reach)


def prepare_sinks(reach: Reach) -> None:
    """Tables of ERP, ledger and vendors' queues, notes of changes in the first two, and each role's rights there.

    Called for servers of one's own by `ordersync security databases` and by the job `prepare`; the roles are there.

    Raises:
        Transient: the server is away.
        Fatal: a right cannot be given.
    """
    schemas = InMemorySchemas()
    with closing(WarehouseSink(WarehouseSettings(database=reach(LEDGER)), schemas)) as ledger:
        ledger.prepare()
    with closing(ErpSink(ErpSettings(database=reach(ERP)), schemas)) as erp:
        erp.prepare()
    with closing(DeliveryBook(reach(VENDORS), "preparation", "")) as queues:
        queues.prepare()
    for book in note_books(reach(ERP), reach(LEDGER)).values():
        with closing(book):
            book.prepare()
    for dbname in (ERP, LEDGER, VENDORS):
        grant_tables(reach, dbname)


def _publish(mapping: SourceMapping, settings: CaptureSettings) -> None:
    """The tables belong to their owner: the capture may read them, and not choose what is published."""
    mapped = mapped_tables(mapping)
    with closing(connect(settings.database.conninfo(), application_name="ordersync deployer")) as session:
        live = read_tables(session)
        tables = [live[name] for name in mapped if name in live]
        ensure_publication(session, settings.publication_of(mapping.system), tables, mapped)
