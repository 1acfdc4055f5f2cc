"""The sink for vendors keeps the promises of sinks."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from consumers.registry import PARTNER_SINKS
from consumers.settings import SinkSettings
from schemas.topics import ORDER_EVENTS, VENDOR_UPDATES
from tests.contract.sink_conformance import SinkConformance, Version
from tests.contract.sink_samples import order_event
from tests.contract.sink_workbench import Cluster
from tests.unit.order_samples import sales_order


class TestVendorsSink(SinkConformance):
    definition = PARTNER_SINKS["vendors"]
    topics = (ORDER_EVENTS, VENDOR_UPDATES)
    topic = ORDER_EVENTS

    @pytest.fixture
    def settings(self, cluster: Cluster, tmp_path: Path) -> SinkSettings:
        own = {"data_dir": tmp_path, "transaction_timeout_seconds": 5}
        settings: SinkSettings = self.definition.settings(**self.common(cluster), **own)
        return settings

    def value(self, cluster: Cluster, number: int, version: int) -> bytes:
        order = sales_order(number)
        first = order.order_lines[0].model_copy(update={"quantity": Decimal(version)})
        changed = order.model_copy(update={"order_lines": [first, *order.order_lines[1:]]})
        return cluster.codec(ORDER_EVENTS).encode(order_event(number, version, order=changed, fulfilment=None))

    def effects(self, cluster: Cluster, settings: Any) -> list[Version]:
        told = cluster.values(VENDOR_UPDATES)
        for one in told:
            assert one.sequence == one.order_version, "told once, in order and without gaps"
        return sorted((int(one.order_id.partition(":")[2]), one.order_version) for one in told)
