"""The backup sink keeps the promises of sinks."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.backup.sink import TOPICS
from consumers.registry import SINKS
from consumers.settings import SinkSettings
from schemas.topics import BACKUP, ORDER_EVENTS
from tests.contract.sink_conformance import GARBAGE, SinkConformance, Version
from tests.contract.sink_samples import order_event
from tests.contract.sink_workbench import Cluster


class TestBackupSink(SinkConformance):
    definition = SINKS["backup"]
    topics = (*TOPICS, BACKUP)
    topic = ORDER_EVENTS
    refuses_garbage = False

    @pytest.fixture
    def settings(self, cluster: Cluster) -> SinkSettings:
        settings: SinkSettings = self.definition.settings(**self.common(cluster), transaction_timeout_seconds=5)
        return settings

    def value(self, cluster: Cluster, number: int, version: int) -> bytes:
        return cluster.codec(ORDER_EVENTS).encode(order_event(number, version))

    def effects(self, cluster: Cluster, settings: Any) -> list[Version]:
        codec = cluster.codec(ORDER_EVENTS)
        values = [link.original.value for link in cluster.values(BACKUP)]
        states = [codec.decode(value).state for value in values if value != GARBAGE]
        return sorted((int(state.order_id.partition(":")[2]), state.version) for state in states)
