"""The systems that the worker watches, opened together and closed together."""

from __future__ import annotations

from consumers.reconcile.comparison import ERP, LEDGER
from consumers.reconcile.erp import ErpReader
from consumers.reconcile.hashed_tables import erp_tables, ledger_tables
from consumers.reconcile.hashes import RowHashes
from consumers.reconcile.ledger import LedgerReader
from consumers.reconcile.notes import NoteBook
from consumers.reconcile.settings import ReconcileSettings
from consumers.reconcile.source import SourceReader
from consumers.reconcile.watermarks import SinkPositions
from schemas.topics import ORDER_EVENTS, POSTINGS


class Watched:
    """A reader of each system, its hashes, its notes of changes and its positions."""

    def __init__(self, settings: ReconcileSettings) -> None:
        """Raises ConfigurationError for a wrong mapping."""
        self.sources = [SourceReader(source) for source in settings.sources]
        self.erp = ErpReader(settings.erp)
        self.ledger = LedgerReader(settings.ledger)
        self.erp_hashes = RowHashes(settings.erp, erp_tables())
        self.ledger_hashes = RowHashes(settings.ledger, ledger_tables())
        self.notes = {
            ERP: NoteBook(settings.erp, "ordersync erp", [table.name for table in erp_tables()]),
            LEDGER: NoteBook(settings.ledger, "ordersync warehouse", [table.name for table in ledger_tables()]),
        }
        self.positions = {
            ERP: SinkPositions("erp", ORDER_EVENTS, settings.erp, settings.kafka),
            LEDGER: SinkPositions("warehouse", POSTINGS, settings.ledger, settings.kafka),
        }

    @property
    def hashes(self) -> dict[str, RowHashes]:
        """By system."""
        return {ERP: self.erp_hashes, LEDGER: self.ledger_hashes}

    def close(self) -> None:
        """Give the connections back."""
        for book in self.notes.values():
            book.close()
        for position in self.positions.values():
            position.close()
