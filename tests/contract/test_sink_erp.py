"""The ERP sink keeps the promises of sinks."""

from __future__ import annotations

from consumers.registry import SINKS
from schemas.topics import ORDER_EVENTS
from tests.contract.sink_conformance import DatabaseSinkConformance
from tests.contract.sink_samples import order_event
from tests.contract.sink_workbench import Cluster


class TestErpSink(DatabaseSinkConformance):
    definition = SINKS["erp"]
    topics = (ORDER_EVENTS,)
    topic = ORDER_EVENTS
    replaces_versions = True
    last_table = "payment"

    def value(self, cluster: Cluster, number: int, version: int) -> bytes:
        return cluster.codec(ORDER_EVENTS).encode(order_event(number, version))

    def query(self) -> str:
        return "SELECT order_id, version FROM sales_order"

    def unacceptable(self, cluster: Cluster, number: int) -> bytes:
        return cluster.codec(ORDER_EVENTS).encode(order_event(number, order_status="null \x00 character"))
