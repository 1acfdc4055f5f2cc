"""The sink that publishes orders for other departments keeps the promises of sinks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consumers.privacy.key_files import add_key
from consumers.registry import PARTNER_SINKS
from consumers.settings import SinkSettings
from schemas.topics import ORDER_EVENTS, PUBLISHED, SUBJECT_ERASURES, SUBJECT_KEYS
from tests.contract.sink_conformance import SinkConformance, Version
from tests.contract.sink_samples import order_event
from tests.contract.sink_workbench import Cluster


class TestPublisherSink(SinkConformance):
    definition = PARTNER_SINKS["publisher"]
    topics = (ORDER_EVENTS, PUBLISHED, SUBJECT_KEYS, SUBJECT_ERASURES)
    topic = ORDER_EVENTS

    @pytest.fixture
    def settings(self, cluster: Cluster, tmp_path: Path) -> SinkSettings:
        files = {"encryption_key_file": tmp_path / "encryption.keys", "pseudonym_key_file": tmp_path / "pseudonym.key"}
        for path in files.values():
            add_key(path)
        own = {"data_dir": tmp_path, "transaction_timeout_seconds": 5, "privacy": files}
        settings: SinkSettings = self.definition.settings(**self.common(cluster), **own)
        return settings

    def value(self, cluster: Cluster, number: int, version: int) -> bytes:
        return cluster.codec(ORDER_EVENTS).encode(order_event(number, version))

    def effects(self, cluster: Cluster, settings: Any) -> list[Version]:
        found = [one.state for one in cluster.values(PUBLISHED)]
        latest: dict[str, int] = {}
        for one in found:
            assert one.version > latest.get(one.order_id, 0), "each order's versions in their order"
            latest[one.order_id] = one.version
        return sorted((int(one.order_id.partition(":")[2]), one.version) for one in found)
