"""Whether what was committed before a comparison began has come to state, ERP and ledger by its end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from time import time
from types import TracebackType
from typing import Self

from consumers.reconcile.comparison import ERP, LEDGER, STATE
from consumers.reconcile.intake import Intake
from consumers.reconcile.settings import ReconcileSettings
from consumers.reconcile.source import SourceReader
from consumers.reconcile.watermarks import SinkPositions
from schemas.topics import ORDER_EVENTS, POSTINGS


class Arrivals:
    """Asked at the end of a single comparison, where orders still differ; commits nothing anywhere."""

    def __init__(self, settings: ReconcileSettings, sources: Sequence[SourceReader]) -> None:
        """Note where the sources' logs end now.

        Raises:
            ConfigurationError: a source or Kafka refuses.
            Transient: one of them is away.
        """
        self._began = time()
        with ExitStack() as opened:
            self._intake = Intake(sources, settings)
            opened.callback(self._intake.close)
            self._sinks = {
                ERP: SinkPositions("erp", ORDER_EVENTS, settings.erp, settings.kafka),
                LEDGER: SinkPositions("warehouse", POSTINGS, settings.ledger, settings.kafka),
            }
            for positions in self._sinks.values():
                opened.callback(positions.close)
            self._intake.advance()
            self._opened = opened.pop_all()

    def behind(self) -> frozenset[str]:
        """The systems that need not have yet what was committed when the comparison began.

        A sink is behind as soon as one of its partitions is. Raises as the constructor does.
        """
        if self._intake.complete_through < self._began:
            self._intake.advance()
        found = {system for system, sink in self._sinks.items() if sink.watermark().complete_through < self._began}
        return frozenset(found | ({STATE} if self._intake.complete_through < self._began else set()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
