"""Keeps the master data of a worker current: a thread that follows the `master.*` topics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.attributes import CanonicalModel
from schemas.errors import Fatal, InvalidMessage, Transient
from schemas.settings import KafkaSettings
from streams.processing.checkpoints import Changelog, Checkpoint, checkpoint_of, no_checkpoint
from streams.processing.cluster import Cluster
from streams.processing.codecs import Codecs
from streams.processing.keyvalues import KeyValues
from streams.processing.master import MasterTables, codecs_of_master
from streams.processing.waiting import AwaitedKey

logger = logging.getLogger(__name__)

T = TypeVar("T")

_POLL_SECONDS = 0.2
_BATCH = 1_000
_REFRESHED_AFTER = timedelta(hours=1)


class MasterFeed:
    """Keeps `tables` current; `on_arrival` is called (from the feed's thread) when keys have arrived.

    What it has read is in `values`, with checkpoints: a restart reads what came since.
    """

    def __init__(self, kafka: KafkaSettings, codecs: Codecs, on_arrival: Callable[[], None], values: KeyValues) -> None:
        self.tables = MasterTables(values, codecs)
        self._kafka = kafka
        self._values = values
        self._config = kafka.client_config(
            **{
                "group.id": "ordersync-master-feed",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 5,
                "fetch.wait.max.ms": 100,
            }
        )
        self._codecs = codecs_of_master(codecs)
        self._on_arrival = on_arrival
        self._changelogs = [Changelog(topic, 0) for topic in self._codecs]
        self._arrived: set[AwaitedKey] = set()
        self._lock = Lock()
        self._stop = Event()
        self._loaded = Event()
        self._failure: BaseException | None = None
        self._unread: set[Changelog] = set()
        self._topic_ids: dict[str, str] = {}
        self._positions: dict[Changelog, int] = {}
        self._followed: dict[Changelog, Checkpoint] = {}
        self._thread = Thread(target=self._run, name="master-feed", daemon=True)

    def start(self) -> None:
        """Begin to read; `wait_loaded` tells when the past is in."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def wait_loaded(self, timeout_seconds: float) -> None:
        """Block until everything that was on the topics at the start is in.

        Raises:
            Transient: it takes longer.
            Fatal: the feed has ended with an error.
        """
        if not self._loaded.wait(timeout_seconds):
            raise Transient(f"master data was not read within {timeout_seconds:g} s; is Kafka running?")
        self.check()

    def check(self) -> None:
        """Raise what ended the feed, if anything did."""
        if self._failure is not None:
            raise Fatal(f"the master data feed ended: {self._failure}") from self._failure

    def take_arrived(self) -> set[AwaitedKey]:
        """Keys that have arrived since the last call."""
        with self._lock:
            arrived, self._arrived = self._arrived, set()
        return arrived

    def _run(self) -> None:
        consumer = Consumer(self._config)
        try:
            self._unread = self._assign(consumer)
            while not self._stop.is_set():
                for message in consumer.consume(_BATCH, _POLL_SECONDS):
                    self._take(message)
                self._follow()
                if self._arrived:
                    self._on_arrival()
        except BaseException as exc:
            self._failure = exc
            self._loaded.set()
            self._on_arrival()
            raise
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer) -> set[Changelog]:
        """Read every partition from where the values stand, or from its start; gives the partitions."""
        cluster = Cluster(self._kafka)
        self._topic_ids = self._patiently(lambda: cluster.topic_ids(self._codecs))
        # Topics of master data have one partition: all versions of a record are in their order.
        spans = self._patiently(lambda: cluster.spans(self._changelogs))
        starts = {}
        for changelog, span in spans.items():
            known = checkpoint_of(self._values, changelog)
            now = datetime.now(UTC)
            if known is not None and known.distrust(self._topic_ids[changelog.topic], span, now) is None:
                starts[changelog] = known.offset
                continue
            self._values.write([no_checkpoint(changelog)])
            self.tables.clear(changelog.topic)
            starts[changelog] = span.start
        consumer.assign([TopicPartition(*changelog, offset) for changelog, offset in starts.items()])
        return set(starts)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """The brokers' answer, once they give it."""
        while True:
            try:
                return ask()
            except Transient as exc:
                logger.warning("master data waits: %s", exc)
                if self._stop.wait(exc.retry_after_seconds):
                    raise

    def _follow(self) -> None:
        """Note how far the topics have been read, where their ends have been reached once."""
        now = datetime.now(UTC)
        for changelog in self._positions.keys() - self._unread:
            offset, before = self._positions[changelog], self._followed.get(changelog)
            if before is None or before.offset != offset or now - before.as_of > _REFRESHED_AFTER:
                checkpoint = Checkpoint(self._topic_ids[changelog.topic], offset, now)
                self._values.write([checkpoint.change(changelog)])
                self._followed[changelog] = checkpoint

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._reached_end(message)
                return
            if error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaException(error)
            logger.warning("master data: %s", error.str())
            return
        changelog, key, value = (
            Changelog(message.topic() or "", message.partition() or 0),
            message.key(),
            message.value(),
        )
        name = key if isinstance(key, str) else (key or b"").decode(errors="replace")
        if value is None:
            self.tables.remove(changelog.topic, name)
        else:
            self._put(changelog.topic, name, value, message.offset())
        self._positions[changelog] = (message.offset() or 0) + 1

    def _put(self, topic: str, key: str, value: bytes, offset: int | None) -> None:
        try:
            record = self._decoded(topic, value)
        except InvalidMessage as exc:
            # Nobody waits for a record that cannot be read: it stays missing, and orders that need it wait.
            logger.error("%s offset %s is left out: %s", topic, offset, exc)
            return
        if record is not None:
            arrived = self.tables.put(topic, record, key)
            with self._lock:
                self._arrived.add(arrived)

    def _decoded(self, topic: str, value: bytes) -> CanonicalModel | None:
        """The record, once the registry has told its schema; None where the feed is stopped before."""
        while not self._stop.is_set():
            try:
                record: CanonicalModel = self._codecs[topic].decode(value)
            except Transient as exc:
                logger.warning("%s waits: %s", topic, exc)
                self._stop.wait(exc.retry_after_seconds)
            else:
                return record
        return None

    def _reached_end(self, message: Message) -> None:
        changelog = Changelog(message.topic() or "", message.partition() or 0)
        self._positions[changelog] = message.offset() or 0
        self._unread.discard(changelog)
        if not self._unread:
            self._loaded.set()
