"""The systems that are compared, opened together and closed together."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from consumers.reconcile.erp import ErpReader
from consumers.reconcile.exceptions import ParkedReader, RejectedReader
from consumers.reconcile.ledger import LedgerReader
from consumers.reconcile.settings import ReconcileSettings
from consumers.reconcile.source import SourceReader
from consumers.reconcile.state import StateReader
from schemas.codec.topic import SchemaIds


class Systems:
    """A reader of each system; databases are only connected to while they are read."""

    def __init__(self, settings: ReconcileSettings, schemas: SchemaIds) -> None:
        """Raises ConfigurationError for a wrong mapping, SchemaDrift or Transient by the registry."""
        self.sources = [SourceReader(source) for source in settings.sources]
        self.erp = ErpReader(settings.erp)
        self.ledger = LedgerReader(settings.ledger)
        self.state = StateReader(settings.kafka, schemas)
        self.parked = ParkedReader(settings.kafka)
        self.rejected = RejectedReader(settings.kafka, schemas)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reader in (self.state, self.parked, self.rejected):
            reader.close()
