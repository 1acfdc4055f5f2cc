"""Looks at the ends of the topics and at the groups' positions every few seconds, and remembers the last minutes."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import quantiles
from typing import Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from deploy.console.index.following import CLIENT_ID, IndexFeed
from deploy.telemetry.lag.monitor import LagMonitor
from deploy.telemetry.lag.report import GroupLag
from deploy.telemetry.lag.trend import TrendSettings
from schemas.errors import OrdersyncError, Transient
from schemas.settings import KafkaSettings
from schemas.topics import CAPTURED_TOPICS, ORDER_EVENTS, POSTINGS, REJECTED

_log = logging.getLogger(__name__)
INTERVAL_SECONDS: Final = 2.0
KEPT: Final = 300
_LAGS_KEPT: Final = 60
_ANSWER_SECONDS: Final = 5.0
_RECENT_SECONDS: Final = 60.0
_FLOWS: Final = {
    "captured": CAPTURED_TOPICS,
    "versions": (ORDER_EVENTS,),
    "journal entries": (POSTINGS,),
    "refused": (REJECTED,),
}
_WATCHED: Final = tuple(topic for topics in _FLOWS.values() for topic in topics)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look; `ends` are records so far by kind of flow."""

    at: float
    ends: Mapping[str, int]
    p50_seconds: float | None
    p99_seconds: float | None


@dataclass(slots=True)
class FlowSampler:
    """A thread of its own; it goes on where the brokers are away, and `problem` says so."""

    kafka: KafkaSettings
    feed: IndexFeed
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=KEPT))
    problem: str | None = None
    groups: tuple[GroupLag, ...] = ()
    """Every consumer group, as it was at the last look."""
    lags: deque[Mapping[str, int]] = field(default_factory=lambda: deque(maxlen=_LAGS_KEPT))
    """Records that wait by group, at the last looks."""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def rates(self, name: str) -> list[tuple[float, float]]:
        """Time and records a second of one kind of flow, oldest first."""
        kept = list(self.samples)
        return [
            (after.at, max(0.0, (after.ends[name] - before.ends[name]) / (after.at - before.at)))
            for before, after in pairwise(kept)
        ]

    def _run(self) -> None:
        admin = AdminClient(self.kafka.client_config(**{"client.id": CLIENT_ID, "log_level": 2}))
        trend = TrendSettings()
        monitor, next_lag = LagMonitor(self.kafka, trend), 0.0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self.samples.append(self._look(admin))
                if began >= next_lag:
                    next_lag = began + trend.interval_seconds
                    self.groups = monitor.look().groups
                    self.lags.append({one.group: one.lag_records for one in self.groups})
                self.problem = None
            except OrdersyncError as exc:
                if self.problem is None:
                    _log.warning("the flow cannot be seen: %s", exc)
                self.problem = str(exc)
            self._stopped.wait(max(0.1, INTERVAL_SECONDS - (time.monotonic() - began)))
        monitor.close()

    def _look(self, admin: AdminClient) -> Sample:
        ends = _ends(admin)
        totals = {name: sum(end for (topic, _), end in ends.items() if topic in of) for name, of in _FLOWS.items()}
        ages = [age for at, age in list(self.feed.seconds_to_state) if time.time() - at < _RECENT_SECONDS]
        p50, p99 = _percentiles(ages)
        return Sample(time.time(), totals, p50, p99)


def _ends(admin: AdminClient) -> dict[tuple[str, int], int]:
    try:
        known = admin.list_topics(timeout=_ANSWER_SECONDS).topics
        parts = [
            TopicPartition(topic, number) for topic in _WATCHED if topic in known for number in known[topic].partitions
        ]
        asked = admin.list_offsets({part: OffsetSpec.latest() for part in parts}, request_timeout=_ANSWER_SECONDS)
        found = {(part.topic, part.partition): answer.result().offset for part, answer in asked.items()}
    except KafkaException as exc:
        raise Transient(f"Kafka does not answer ({exc.args[0].str()})") from exc
    if any(offset < 0 for offset in found.values()):
        # The client calls it a success when the time ran out.
        raise Transient("Kafka did not say where its topics end")
    return found


def _percentiles(values: Sequence[float]) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return (values[0], values[0]) if values else (None, None)
    parts = quantiles(values, n=100, method="inclusive")
    return max(0.0, parts[49]), max(0.0, parts[98])
