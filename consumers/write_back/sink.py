"""Tells a system how its orders stand elsewhere: in tables beside its own, and in columns of its own records."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from confluent_kafka import Message

from consumers.postgres.database import Rows
from consumers.postgres.sink import PostgresSink, Staging
from consumers.postgres.text import copied
from consumers.reading import key_of, read_each
from consumers.sink import Reading, Refusal
from consumers.write_back import statements
from consumers.write_back.record import column_types
from consumers.write_back.settings import WriteBackSettings
from consumers.write_back.told import DIFFERENCE, TABLES, WAITING, Ended, Told
from schemas.attributes import Instant
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import Mismatch, OrderState, ParkedOrder, Rejection
from schemas.topics import MISMATCHES, ORDER_STATE, PARKED, REJECTED

NAME = "write-back"

Value = OrderState | ParkedOrder | Rejection | Mismatch | Ended


class WriteBackSink(PostgresSink[Value]):
    """From `orders.state`, `orders.parked`, `orders.rejected` and `orders.mismatches`, of one system's orders.

    Exactly once in effect; an older version never overwrites a newer one. What it writes bears a replication origin,
    so the capture of the same database leaves it out, and it writes columns that no mapping captures: there is no
    loop. Source: I6, S5.
    """

    def __init__(self, settings: WriteBackSettings, schemas: SchemaIds) -> None:
        """Raises ConfigurationError for a wrong mapping, SchemaDrift where our schemas are not registered."""
        mapping = settings.load_mapping()
        self._system = None if mapping is None else mapping.system
        self._record = None if mapping is None else mapping.write_back
        self._codecs: dict[str, TopicCodec[Any]] = {
            settings.topic(topic): TopicCodec(settings.topic(topic), model, schemas)
            for topic, model in (
                (ORDER_STATE, OrderState),
                (PARKED, ParkedOrder),
                (REJECTED, Rejection),
                (MISMATCHES, Mismatch),
            )
        }
        self._ended = {settings.topic(PARKED): WAITING, settings.topic(MISMATCHES): DIFFERENCE}
        self._rejected = settings.topic(REJECTED)
        super().__init__(NAME, tuple(self._codecs), settings.database, files("consumers.write_back") / "tables.sql")
        self._telling = [statements.tell(self._system)]

    def prepare(self) -> None:
        """Have the tables, and see that the records can be written."""
        super().prepare()
        if self._record is not None:
            with self._database.transaction(f"{self.name}: looking at the records") as cursor:
                types = column_types(cursor, self._record, self._database.place)
            self._telling = [statements.tell(self._system), statements.tell_records(self._record, types)]

    def decode(self, messages: Sequence[Message]) -> Reading[Value]:
        """What the records say of this system's orders, in their order on each topic."""
        values, refused, committed_at = list[Value](), list[Refusal](), list[Instant]()
        for topic, codec in self._codecs.items():
            own = [message for message in messages if message.topic() == topic and self._concerns(message)]
            ended = self._ended.get(topic)
            latest = {message.key(): message for message in own} if topic != self._rejected else dict(enumerate(own))
            told = [message for message in latest.values() if message.value() is not None]
            read, unread = read_each(codec, told)
            values += [one for one in read if self._is_own(one)]
            refused += unread
            committed_at += [one.committed_at for one in read if isinstance(one, OrderState)]
            if ended is not None:
                values += [Ended(ended, key_of(message)) for message in latest.values() if message.value() is None]
        return Reading(values, refused, committed_at)

    def shape(self, values: Sequence[Value]) -> Staging:
        """Rows of the tables; then they are brought in where they are newer, and told."""
        told = Told(self._system)
        told.take(values)
        rows = [(table, list(told.rows[table].values())) for table in TABLES if told.rows[table]]
        applying = [statement for table, _ in rows for statement in statements.APPLY[table]]
        return Staging([(table, copied(found)) for table, found in rows], [*applying, *self._telling])

    def set_up_session(self, cursor: Rows) -> None:
        """Create the temporary tables."""
        cursor.execute(statements.CREATE_TOUCHED)
        for table in TABLES:
            table.create_staged(cursor)

    def _concerns(self, message: Message) -> bool:
        """Whether its key may be of this system; a refused record's key is that of the original, whatever it was."""
        return (
            self._system is None or message.topic() == self._rejected or key_of(message).startswith(f"{self._system}:")
        )

    def _is_own(self, value: OrderState | ParkedOrder | Rejection | Mismatch) -> bool:
        order_id = value.order_id
        return order_id is not None and (self._system is None or order_id.startswith(f"{self._system}:"))
