"""The sink for vendors keeps the promises of sinks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from consumers.registry import PARTNER_SINKS
from consumers.settings import SinkSettings
from deploy.local.endpoints import Endpoints
from schemas.attributes import VendorId
from schemas.topics import ORDER_EVENTS, REJECTED, VENDOR_UPDATES
from schemas.vendor_topics import vendor_topic
from tests.contract.sink_conformance import SinkConformance, Version
from tests.contract.sink_samples import order_event
from tests.contract.sink_workbench import Cluster
from tests.unit.order_samples import sales_order

VENDOR = VendorId("V-0042")
"""Who supplies every line of the samples."""
OWN = vendor_topic(VENDOR)


class TestVendorsSink(SinkConformance):
    definition = PARTNER_SINKS["vendors"]
    topics = (ORDER_EVENTS, VENDOR_UPDATES)
    topic = ORDER_EVENTS

    @pytest.fixture
    def cluster(self, stack: Endpoints, topic_prefix: str) -> Iterator[Cluster]:
        with closing(Cluster(stack, topic_prefix, {*self.topics, REJECTED}, [OWN])) as cluster:
            yield cluster

    @pytest.fixture
    def settings(self, cluster: Cluster, tmp_path: Path) -> SinkSettings:
        vendors = tmp_path / "vendors.toml"
        vendors.write_text(f'[vendors."{VENDOR}"]\ntopic = true\nshares_delivery = true\n')
        own = {"data_dir": tmp_path, "transaction_timeout_seconds": 5, "vendors": vendors}
        settings: SinkSettings = self.definition.settings(**self.common(cluster), **own)
        return settings

    def value(self, cluster: Cluster, number: int, version: int) -> bytes:
        order = sales_order(number)
        first = order.order_lines[0].model_copy(update={"quantity": Decimal(version)})
        changed = order.model_copy(update={"order_lines": [first, *order.order_lines[1:]]})
        return cluster.codec(ORDER_EVENTS).encode(order_event(number, version, order=changed, fulfilment=None))

    def effects(self, cluster: Cluster, settings: Any) -> list[Version]:
        told = cluster.values(VENDOR_UPDATES)
        if cluster.values(OWN.name) != told:
            # A transaction's end reaches one topic before the other.
            return []
        for one in told:
            assert one.sequence == one.order_version, "told once, in order and without gaps"
        return sorted((int(one.order_id.partition(":")[2]), one.order_version) for one in told)
