"""The vendors' queues as `ordersync vendors` shows and changes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from consumers.postgres.database import Database, Rows
from consumers.postgres.text import copied
from consumers.vendors.deliveries.book import acknowledge, unacknowledged
from consumers.vendors.deliveries.queue import DELIVERY, QUEUE, rows_of
from consumers.vendors.deliveries.settings import DeliveriesSettings
from consumers.vendors.deliveries.sink import NAME
from consumers.vendors.profiles import VendorProfiles
from deploy.record_reading import RecordReader, Span
from schemas.codec import TopicCodec
from schemas.models import VendorUpdate
from schemas.registry import SchemaRegistry
from schemas.topics import VENDOR_UPDATES

_STATUS = """
SELECT coalesce(open.subscriber, known.name) AS vendor, coalesce(open.channel, known.channel) AS channel,
    coalesce(waiting, 0) AS waiting, oldest, coalesce(dead, 0) AS given_up, last_problem,
    closed_at, closed_because
FROM (
    SELECT subscriber, channel, count(*) FILTER (WHERE state = 'waiting') AS waiting,
        min(created_at) FILTER (WHERE state = 'waiting') AS oldest, count(*) FILTER (WHERE state = 'dead') AS dead,
        (array_agg(problem ORDER BY settled_at DESC NULLS LAST))[1] AS last_problem
    FROM delivery WHERE state <> 'delivered' GROUP BY subscriber, channel
) AS open FULL JOIN subscriber AS known ON (known.name, known.channel) = (open.subscriber, open.channel)
ORDER BY 1, 2
"""
_DEAD = """
SELECT subscriber AS vendor, channel, order_id, message_type, message_id, attempts, created_at, settled_at, problem
FROM delivery WHERE state = 'dead' AND coalesce(subscriber = %s, true) ORDER BY delivery_id
"""
RETRY = """
UPDATE delivery SET state = 'waiting', due_at = clock_timestamp(), first_attempted_at = NULL
WHERE subscriber = %s AND (state = 'dead' OR state = 'waiting' AND due_at > clock_timestamp())
"""
REOPEN = "UPDATE subscriber SET closed_at = NULL, closed_because = NULL WHERE name = %s AND closed_at IS NOT NULL"
# Where this is locked, the sink waits with its next batch: that comes to the queue after the replay.
_REACHED = "SELECT partition, next_offset FROM sink_position WHERE sink = %s AND topic = %s"
NEXT_REPLAY = "SELECT coalesce(max(replay), 0) + 1 FROM delivery WHERE subscriber = %s"


class VendorQueues:
    """Reads and changes the queues; settings come from the environment. Close it.

    Every method raises what `consumers.postgres.database` says.
    """

    def __init__(self) -> None:
        self._settings = DeliveriesSettings.load()
        self._profiles = VendorProfiles.load(self._settings.vendors)
        self._database = Database(self._settings.database, "ordersync cli", lambda _: None)

    def status(self) -> list[dict[str, Any]]:
        """What is open, by vendor and way."""
        return self._listed("counting what is open", _STATUS, ())

    def dead_letters(self, vendor: str | None) -> list[dict[str, Any]]:
        """What was given up."""
        return self._listed("listing what was given up", _DEAD, (vendor,))

    def unacknowledged(self) -> list[dict[str, Any]]:
        """What no vendor acknowledged in time."""
        patience = {
            name: one.acknowledge_within_minutes * 60
            for name, one in self._profiles.vendors.items()
            if one.acknowledge_within_minutes is not None
        }
        with self._database.transaction("looking for what was not acknowledged") as cursor:
            return [one._asdict() for one in unacknowledged(cursor, patience)]

    def acknowledge(self, vendor: str, updates: Sequence[str]) -> int:
        """Note that a vendor has updates in its system, as it told by another way; gives how many deliveries."""
        self._profiles.of(vendor)
        with self._database.transaction("noting acknowledgements") as cursor:
            return acknowledge(cursor, vendor, updates)

    def retry(self, vendor: str) -> int:
        """Try at once what was given up or waits for its next attempt; gives how many."""
        self._profiles.of(vendor)
        with self._database.transaction("queueing again what was given up") as cursor:
            return cursor.execute(RETRY, (vendor,)).rowcount

    def reopen(self, vendor: str) -> bool:
        """Whether the vendor was closed, and is open now."""
        with self._database.transaction("opening a vendor") as cursor:
            return cursor.execute(REOPEN, (vendor,)).rowcount > 0

    def replay(self, vendor: str, since: datetime, order: str | None, channel: str | None) -> int:
        """Queue again what `vendors.updates` has of a vendor since a time; gives how many deliveries.

        Up to where the sink stands: what it has not read yet follows by itself. So an order's newest update is the
        last again, and each has the id that it had.

        Raises:
            ConfigurationError: the file has no such vendor.
            Transient: Kafka or the registry is away; nothing was queued.
        """
        self._profiles.of(vendor)
        wanted = _Wanted(vendor, order)
        # What takes long is read first: the sink stands still only while the rest of it is read.
        with self._database.transaction("reading positions") as cursor:
            spans = self._spans(since, _reached(cursor, self._topic, lock=False))
        updates = list(self._updates(spans, wanted))
        with self._database.transaction("queueing updates again") as cursor:
            reached = _reached(cursor, self._topic, lock=True)
            rest = [one._replace(start=one.end, end=reached.get(one.partition, one.end)) for one in spans]
            updates += self._updates(rest, wanted)
            row = cursor.execute(NEXT_REPLAY, (vendor,)).fetchone()
            number = 1 if row is None else int(row[0])
            rows = [row for one in updates for row in rows_of(one, self._profiles, replay=number)]
            DELIVERY.create_staged(cursor)
            DELIVERY.stage(cursor, copied(row for row in rows if channel in (None, row[1])))
            return cursor.execute(QUEUE).rowcount

    def close(self) -> None:
        """Give the connection back."""
        self._database.close()

    @property
    def _topic(self) -> str:
        return self._settings.topic(VENDOR_UPDATES)

    def _spans(self, since: datetime, reached: Mapping[int, int]) -> list[Span]:
        with RecordReader(self._settings.kafka) as reader:
            found = reader.spans(self._topic, since=since)
        return [one._replace(end=max(one.start, reached.get(one.partition, 0))) for one in found]

    def _updates(self, spans: Sequence[Span], wanted: _Wanted) -> Iterator[VendorUpdate]:
        registry = SchemaRegistry(self._settings.registry)
        try:
            codec = TopicCodec(self._topic, VendorUpdate, registry)
            with RecordReader(self._settings.kafka) as reader:
                for record in reader.read(spans):
                    update = None if record.value is None else codec.decode(record.value)
                    if update is not None and wanted.has(update):
                        yield update
        finally:
            registry.close()

    def _listed(self, doing: str, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
        return listed(self._database, doing, query, values)


def listed(database: Database, doing: str, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
    """What a question finds, row by row, by the names of its columns."""
    with database.transaction(doing) as cursor, cursor.connection.cursor(row_factory=dict_row) as named:
        return named.execute(query, values).fetchall()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whose updates are wanted, and of which order; None of all."""

    vendor: str
    order: str | None

    def has(self, update: VendorUpdate) -> bool:
        return update.vendor_id == self.vendor and self.order in (None, update.order_id)


def _reached(cursor: Rows, topic: str, *, lock: bool) -> dict[int, int]:
    query = _REACHED + (" FOR UPDATE" if lock else "")
    return {int(number): int(offset) for number, offset in cursor.execute(query, (NAME, topic))}
