"""Puts every update into the queues of the ways by which its vendor is told, and notes acknowledgements."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from confluent_kafka import Message
from psycopg import sql

from consumers.postgres.bulk import Table
from consumers.postgres.database import Rows
from consumers.postgres.sink import PostgresSink, Staging
from consumers.postgres.text import copied
from consumers.reading import read_each
from consumers.sink import Reading
from consumers.vendors.deliveries.queue import DELIVERY, QUEUE, rows_of
from consumers.vendors.deliveries.settings import DeliveriesSettings
from consumers.vendors.profiles import VendorProfiles
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import VendorAcknowledgement, VendorUpdate
from schemas.topics import VENDOR_ACKNOWLEDGEMENTS, VENDOR_UPDATES

NAME = "deliveries"

ACKNOWLEDGEMENT = Table("acknowledgement", ("subscriber", "message_id"), ("acknowledged_at",))
_ACKNOWLEDGE = sql.SQL("INSERT INTO {target} ({columns}) SELECT {columns} FROM {staged} ON CONFLICT DO NOTHING").format(
    target=ACKNOWLEDGEMENT.target, columns=ACKNOWLEDGEMENT.listed, staged=ACKNOWLEDGEMENT.staged
)

_TICK_OFF = sql.SQL(
    "UPDATE delivery AS queued SET acknowledged_at = heard.acknowledged_at FROM {staged} AS heard "
    "WHERE (queued.subscriber, queued.message_id) = (heard.subscriber, heard.message_id) "
    "AND queued.acknowledged_at IS NULL"
).format(staged=ACKNOWLEDGEMENT.staged)


class DeliveriesSink(PostgresSink[VendorUpdate | VendorAcknowledgement]):
    """From `vendors.updates` and `vendors.acknowledgements`; each update stands once in each queue, in order.

    An update of a vendor that the file does not name, or does not want to be told of, is in no queue: it can be
    delivered later (`ordersync vendors replay`).
    """

    def __init__(self, settings: DeliveriesSettings, schemas: SchemaIds) -> None:
        updates, acknowledged = settings.topic(VENDOR_UPDATES), settings.topic(VENDOR_ACKNOWLEDGEMENTS)
        tables = files("consumers.vendors.deliveries") / "tables.sql"
        super().__init__(NAME, (updates, acknowledged), settings.database, tables)
        self._acknowledged_topic = acknowledged
        self._updates = TopicCodec(updates, VendorUpdate, schemas)
        self._acknowledged = TopicCodec(acknowledged, VendorAcknowledgement, schemas)
        self._profiles = VendorProfiles.load(settings.vendors)
        self._prepared = False

    def prepare(self) -> None:
        """Create the queues."""
        super().prepare()
        self._prepared = True
        self._database.close()

    def decode(self, messages: Sequence[Message]) -> Reading[VendorUpdate | VendorAcknowledgement]:
        """Every update and acknowledgement, in order."""
        acknowledged = [one for one in messages if one.topic() == self._acknowledged_topic]
        told = [one for one in messages if one.topic() != self._acknowledged_topic]
        updates, refused = read_each(self._updates, told)
        acknowledgements, unread = read_each(self._acknowledged, acknowledged)
        times = [update.committed_at for update in updates]
        return Reading([*updates, *acknowledgements], [*refused, *unread], times)

    def shape(self, values: Sequence[VendorUpdate | VendorAcknowledgement]) -> Staging:
        """One row for each update and channel; and the acknowledgements."""
        queued = [row for one in values if isinstance(one, VendorUpdate) for row in rows_of(one, self._profiles)]
        heard = [
            (str(one.vendor_id), str(one.update_id), one.acknowledged_at)
            for one in values
            if isinstance(one, VendorAcknowledgement)
        ]
        return Staging([(DELIVERY, copied(queued)), (ACKNOWLEDGEMENT, copied(heard))], [QUEUE, _TICK_OFF, _ACKNOWLEDGE])

    def set_up_session(self, cursor: Rows) -> None:
        """Create the temporary tables, once there is something to be like."""
        if self._prepared:
            DELIVERY.create_staged(cursor)
            ACKNOWLEDGEMENT.create_staged(cursor)
