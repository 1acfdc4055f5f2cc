"""The sink that fills the vendors' queues keeps the promises of sinks."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumers.registry import PARTNER_SINKS
from consumers.settings import SinkSettings
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_EVENTS, PARKED, REJECTED, VENDOR_ACKNOWLEDGEMENTS, VENDOR_UPDATES
from tests.contract.sink_conformance import DatabaseSinkConformance
from tests.contract.sink_workbench import Cluster
from tests.unit.vendor_lives import ACME, profiles_file, update


class TestDeliveriesSink(DatabaseSinkConformance):
    definition = PARTNER_SINKS["deliveries"]
    topics = (VENDOR_UPDATES, VENDOR_ACKNOWLEDGEMENTS, ORDER_EVENTS, PARKED, REJECTED)
    topic = VENDOR_UPDATES
    last_table = "subscription"

    @pytest.fixture
    def settings(self, cluster: Cluster, database: DatabaseSettings, tmp_path: Path) -> SinkSettings:
        own = {"database": database, "vendors": profiles_file(tmp_path, {ACME: "https://vendor.example/hook"})}
        settings: SinkSettings = self.definition.settings(**self.common(cluster), **own)
        return settings

    def value(self, cluster: Cluster, number: int, version: int) -> bytes:
        return cluster.codec(VENDOR_UPDATES).encode(update(number, version))

    def query(self) -> str:
        return "SELECT order_id, order_version FROM delivery"

    def unacceptable(self, cluster: Cluster, number: int) -> bytes:
        return cluster.codec(VENDOR_UPDATES).encode(update(number, order_id=f"crm:{number}\x00"))
