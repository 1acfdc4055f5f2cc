"""The general-ledger sink keeps the promises of sinks."""

from __future__ import annotations

from consumers.registry import SINKS
from schemas.topics import ORDER_STATE, POSTINGS
from tests.contract.sink_conformance import DatabaseSinkConformance
from tests.contract.sink_samples import journal_entry, journal_line
from tests.contract.sink_workbench import Cluster


class TestWarehouseSink(DatabaseSinkConformance):
    definition = SINKS["warehouse"]
    topics = (POSTINGS, ORDER_STATE)
    topic = POSTINGS
    last_table = "journal_line"

    def value(self, cluster: Cluster, number: int, version: int) -> bytes:
        return cluster.codec(POSTINGS).encode(journal_entry(number, version))

    def query(self) -> str:
        return "SELECT order_id, order_version FROM journal_entry"

    def unacceptable(self, cluster: Cluster, number: int) -> bytes:
        lines = [journal_line("1200", debit="12.50"), journal_line("4000", credit="12.49")]
        return cluster.codec(POSTINGS).encode(journal_entry(number, lines=lines))
