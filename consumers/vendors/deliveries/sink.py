"""Puts all that vendors and clients are told into their queues, and notes what vendors acknowledge."""

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
from consumers.vendors.subscriptions.news import News, in_sequence, news_of_event, news_of_parked, news_of_rejection
from consumers.vendors.subscriptions.queue import FAN_OUT, NEWS, create_staged, news_rows
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import OrderEvent, ParkedOrder, Rejection, VendorAcknowledgement, VendorUpdate
from schemas.topics import ORDER_EVENTS, PARKED, REJECTED, VENDOR_ACKNOWLEDGEMENTS, VENDOR_UPDATES

NAME = "deliveries"
Told = VendorUpdate | VendorAcknowledgement | News

ACKNOWLEDGEMENT = Table("acknowledgement", ("subscriber", "message_id"), ("acknowledged_at",))
_ACKNOWLEDGE = sql.SQL("INSERT INTO {target} ({columns}) SELECT {columns} FROM {staged} ON CONFLICT DO NOTHING").format(
    target=ACKNOWLEDGEMENT.target, columns=ACKNOWLEDGEMENT.listed, staged=ACKNOWLEDGEMENT.staged
)

_TICK_OFF = sql.SQL(
    "UPDATE delivery AS queued SET acknowledged_at = heard.acknowledged_at FROM {staged} AS heard "
    "WHERE (queued.subscriber, queued.message_id) = (heard.subscriber, heard.message_id) "
    "AND queued.acknowledged_at IS NULL"
).format(staged=ACKNOWLEDGEMENT.staged)


class DeliveriesSink(PostgresSink[Told]):
    """From what vendors are told, and from what becomes of orders; each piece stands once in each queue, in order.

    Between the versions of an order its refusals and waits stand by their time: they lie on topics of their own.

    An update of a vendor that the file does not name, or does not want to be told of, is in no queue: it can be
    delivered later (`ordersync vendors replay`).
    """

    def __init__(self, settings: DeliveriesSettings, schemas: SchemaIds) -> None:
        updates, acknowledged = settings.topic(VENDOR_UPDATES), settings.topic(VENDOR_ACKNOWLEDGEMENTS)
        tables = files("consumers.vendors.deliveries") / "tables.sql"
        events, parked, rejected = (settings.topic(one) for one in (ORDER_EVENTS, PARKED, REJECTED))
        super().__init__(NAME, (updates, acknowledged, events, parked, rejected), settings.database, tables)
        self._topics = {"updates": updates, "acknowledged": acknowledged, "events": events, "parked": parked}
        self._topics |= {"rejected": rejected}
        self._events = TopicCodec(events, OrderEvent, schemas)
        self._parked = TopicCodec(parked, ParkedOrder, schemas)
        self._rejected = TopicCodec(rejected, Rejection, schemas)
        self._updates = TopicCodec(updates, VendorUpdate, schemas)
        self._acknowledged = TopicCodec(acknowledged, VendorAcknowledgement, schemas)
        self._profiles = VendorProfiles.load(settings.vendors)
        self._prepared = False

    def prepare(self) -> None:
        """Create the queues."""
        super().prepare()
        self._prepared = True
        self._database.close()

    def decode(self, messages: Sequence[Message]) -> Reading[Told]:
        """Every update, acknowledgement and piece of news, in order."""
        found = {name: [one for one in messages if one.topic() == topic] for name, topic in self._topics.items()}
        # A tombstone says that an order waits no more: what it became is news of its own.
        found["parked"] = [one for one in found["parked"] if one.value() is not None]
        updates, refused = read_each(self._updates, found["updates"])
        acknowledgements, unread = read_each(self._acknowledged, found["acknowledged"])
        events, unknown = read_each(self._events, found["events"])
        parked, unparked = read_each(self._parked, found["parked"])
        rejections, unjudged = read_each(self._rejected, found["rejected"])
        told = [news for news in map(news_of_rejection, rejections) if news is not None]
        news = in_sequence(map(news_of_event, events), [*map(news_of_parked, parked), *told])
        times = [*(update.committed_at for update in updates), *(event.state.committed_at for event in events)]
        refusals = [*refused, *unread, *unknown, *unparked, *unjudged]
        return Reading([*updates, *acknowledgements, *news], refusals, times)

    def shape(self, values: Sequence[Told]) -> Staging:
        """One row for each update and channel; the acknowledgements; and the news for whom they concern."""
        queued = [row for one in values if isinstance(one, VendorUpdate) for row in rows_of(one, self._profiles)]
        heard = [
            (str(one.vendor_id), str(one.update_id), one.acknowledged_at)
            for one in values
            if isinstance(one, VendorAcknowledgement)
        ]
        news = news_rows(one for one in values if isinstance(one, News))
        rows = [(DELIVERY, copied(queued)), (ACKNOWLEDGEMENT, copied(heard)), (NEWS, copied(news))]
        return Staging(rows, [QUEUE, _TICK_OFF, _ACKNOWLEDGE, FAN_OUT])

    def set_up_session(self, cursor: Rows) -> None:
        """Create the temporary tables, once there is something to be like."""
        if self._prepared:
            DELIVERY.create_staged(cursor)
            ACKNOWLEDGEMENT.create_staged(cursor)
            create_staged(cursor)
