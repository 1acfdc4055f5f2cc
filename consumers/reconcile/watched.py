"""The systems that the worker watches, opened together and closed together."""

from __future__ import annotations

from contextlib import AbstractContextManager

from consumers.reconcile.comparison import BACKUP, ERP, LEDGER, VENDORS
from consumers.reconcile.erp import ErpReader
from consumers.reconcile.hashed_tables import erp_tables, ledger_tables
from consumers.reconcile.hashes import RowHashes
from consumers.reconcile.intake import Intake
from consumers.reconcile.ledger import LedgerReader
from consumers.reconcile.notes import NoteBook
from consumers.reconcile.rows import Snapshots
from consumers.reconcile.sessions import Sessions
from consumers.reconcile.settings import ContinuousSettings
from consumers.reconcile.source import SourceReader
from consumers.reconcile.watermarks import GroupPositions, SinkPositions
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_EVENTS, POSTINGS


def note_books(erp: DatabaseSettings, ledger: DatabaseSettings) -> dict[str, NoteBook]:
    """The notes of changes by system; nothing is connected yet."""
    return {
        ERP: NoteBook(erp, "ordersync erp", [table.name for table in erp_tables()]),
        LEDGER: NoteBook(ledger, "ordersync warehouse", [table.name for table in ledger_tables()]),
    }


class Watched:
    """A reader of each system, its hashes, its notes of changes and its positions."""

    def __init__(self, settings: ContinuousSettings) -> None:
        """Raises ConfigurationError for a wrong mapping."""
        self._sessions = Sessions()
        self._sinks = (settings.erp, settings.ledger)
        self.snapshots: Snapshots = self._sessions.snapshot
        self.sources = [SourceReader(source, self.snapshots) for source in settings.sources]
        self.erp = ErpReader(settings.erp, self.snapshots)
        self.ledger = LedgerReader(settings.ledger, self.snapshots)
        self.erp_hashes = RowHashes(settings.erp, erp_tables(), self.snapshots)
        self.ledger_hashes = RowHashes(settings.ledger, ledger_tables(), self.snapshots)
        self.notes = note_books(settings.erp, settings.ledger)
        self.intake = Intake(self.sources, settings, self.snapshots)
        self.positions = {
            ERP: SinkPositions("erp", ORDER_EVENTS, settings.erp, settings.kafka, self.snapshots),
            LEDGER: SinkPositions("warehouse", POSTINGS, settings.ledger, settings.kafka, self.snapshots),
        }

        self.groups = {
            VENDORS: GroupPositions(settings.vendors_group, ORDER_EVENTS, settings.kafka),
            BACKUP: GroupPositions(settings.backup_group, ORDER_EVENTS, settings.kafka),
        }
        """What is compared where such a group ever ran."""

    @property
    def hashes(self) -> dict[str, RowHashes]:
        """By system."""
        return {ERP: self.erp_hashes, LEDGER: self.ledger_hashes}

    def sinks_held(self) -> AbstractContextManager[None]:
        """Until its end, hashes and rows of ERP and ledger are of one moment each.

        Raises:
            ConfigurationError: one of them refuses the role.
            Transient: one of them is away.
        """
        return self._sessions.held(self._sinks)

    def close(self) -> None:
        """Give the connections back."""
        for book in self.notes.values():
            book.close()
        self.intake.close()
        for group in self.groups.values():
            group.close()
        for position in self.positions.values():
            position.close()
        self._sessions.close()
