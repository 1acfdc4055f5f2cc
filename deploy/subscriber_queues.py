"""Subscriptions of clients and their queues, as `ordersync webhooks` shows and changes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from pydantic import Field, ValidationError

from consumers.postgres.database import Database, Rows
from consumers.postgres.text import copied
from consumers.vendors.deliveries.settings import DeliveriesSettings
from consumers.vendors.deliveries.sink import NAME
from consumers.vendors.profiles import WEBHOOK, Endpoint
from consumers.vendors.subscriptions.news import News, in_sequence, news_of_event, news_of_parked, news_of_rejection
from consumers.vendors.subscriptions.queue import NEWS, create_staged, fan_out_again, news_rows
from consumers.vendors.subscriptions.sealed_secrets import SETTING, SecretSeal
from consumers.vendors.webhooks.signing import new_secret
from deploy.record_reading import RecordReader, Span
from deploy.vendor_queues import NEXT_REPLAY, REOPEN, RETRY, listed
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError
from schemas.models import OrderEvent, ParkedOrder, Rejection
from schemas.registry import SchemaRegistry
from schemas.topics import ORDER_EVENTS, PARKED, REJECTED

PING_TYPE = "webhook.ping"
_LIST = """
SELECT subscription_id, client, url, systems, message_types, cardinality(secrets) AS secrets, created_at,
    coalesce(waiting, 0) AS waiting, oldest, coalesce(dead, 0) AS given_up, last_problem, closed_at, closed_because
FROM subscription AS one
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'dead') AS dead,
        min(queued.created_at) FILTER (WHERE state = 'waiting') AS oldest,
        (array_agg(problem ORDER BY settled_at DESC NULLS LAST))[1] AS last_problem
    FROM delivery AS queued WHERE subscriber = subscription_id AND state <> 'delivered'
) AS open ON true
LEFT JOIN subscriber AS held ON (held.name, held.channel) = (subscription_id, %s)
WHERE coalesce(client = %s, true) ORDER BY client, one.created_at
"""
_ADD = """
INSERT INTO subscription (subscription_id, client, url, systems, message_types, secrets) VALUES (%s, %s, %s, %s, %s, %s)
"""
_ROTATE = "UPDATE subscription SET secrets = ARRAY[%s, secrets[1]] WHERE subscription_id = %s"
_RETIRE = "UPDATE subscription SET secrets = secrets[1:1] WHERE subscription_id = %s"
_PING = """
INSERT INTO delivery (subscriber, channel, order_id, message_id, sequence, message_type, order_version, body,
    committed_at) VALUES (%s, %s, '', %s, 0, %s, 0, %s, %s)
"""
_DEAD = """
SELECT subscriber AS subscription_id, order_id, message_type, order_version, message_id, attempts, delivery.created_at,
    settled_at, problem
FROM delivery JOIN subscription ON subscription_id = subscriber
WHERE state = 'dead' AND coalesce(subscriber = %s, true) ORDER BY delivery_id
"""
_REACHED = "SELECT topic, partition, next_offset FROM sink_position WHERE sink = %s"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who is to hear of what, and where."""

    client: str
    url: str
    systems: Sequence[str]
    message_types: Sequence[str] = ("*",)


class SubscriberSettings(DeliveriesSettings):
    """Those of the worker `deliveries`, and the keys of the worker `webhooks`, if it has any."""

    secret_keys: Path | None = Field(None, description="Keys by which clients' secrets are sealed in the database")


class SubscriberQueues:
    """Reads and changes subscriptions and queues; settings come from the environment, as those of `deliveries`.

    Every method raises what `consumers.postgres.database` says, and ConfigurationError for a subscription that is not
    there. Close it.
    """

    def __init__(self) -> None:
        self._settings = SubscriberSettings.load()
        self._seal = SecretSeal(self._settings.secret_keys)
        self._database = Database(self._settings.database, "ordersync cli", lambda _: None)

    def listed(self, client: str | None = None) -> list[dict[str, Any]]:
        """Every subscription, what waits for it, and why nothing is sent to it any more; no secret."""
        return listed(self._database, "listing subscriptions", _LIST, (WEBHOOK, client))

    def add(self, wanted: Wanted, *, allow_http: bool = False) -> tuple[str, str]:
        """Subscribe a client; gives the id, and the secret, which is shown nowhere again.

        Raises:
            ConfigurationError: the address is none that requests go to.
        """
        try:
            Endpoint.model_validate({"url": wanted.url, "allow_http": allow_http})
        except ValidationError as exc:
            told = "; ".join(str(one["msg"]) for one in exc.errors())
            raise ConfigurationError(f"{wanted.url} is no address for webhooks: {told}") from exc
        subscription_id, secret = str(uuid4()), new_secret()
        row = (subscription_id, wanted.client, wanted.url, list(wanted.systems), list(wanted.message_types))
        sealed = self._seal.sealed(secret, subscription_id)
        with self._database.transaction("adding a subscription") as cursor:
            cursor.execute(_ADD, (*row, [sealed]))
        return subscription_id, secret

    def remove(self, subscription_id: str) -> int:
        """End a subscription; gives how many messages were waiting for it."""
        with self._database.transaction("removing a subscription") as cursor:
            # First the subscription: the sink's transaction that still sees it ends before its rows are removed.
            _one(cursor, "DELETE FROM subscription WHERE subscription_id = %s", subscription_id)
            cursor.execute("DELETE FROM subscriber WHERE name = %s", (subscription_id,))
            gone = cursor.execute("DELETE FROM delivery WHERE subscriber = %s RETURNING state", (subscription_id,))
            return sum(state == "waiting" for (state,) in gone.fetchall())

    def rotate(self, subscription_id: str) -> str:
        """Give it a second secret that signs beside the present one; gives it, and it is shown nowhere again."""
        secret = new_secret()
        with self._database.transaction("adding a secret") as cursor:
            _one(cursor, _ROTATE, self._seal.sealed(secret, subscription_id), subscription_id)
        return secret

    def retire(self, subscription_id: str) -> None:
        """Sign with the newest secret only."""
        with self._database.transaction("removing old secrets") as cursor:
            _one(cursor, _RETIRE, subscription_id)

    def seal(self) -> int:
        """Seal every secret anew by the first key of the file; gives how many. Doing it again does no harm.

        Raises:
            ConfigurationError: there is no key, or one that sealed a secret is not in the file; nothing was changed.
            InvalidValue: a secret does not open.
        """
        if not self._seal.seals:
            raise ConfigurationError(f"{SETTING} names no file: `ordersync privacy key FILE` makes one")
        with self._database.transaction("sealing the secrets of clients") as cursor:
            rows = cursor.execute("SELECT subscription_id, secrets FROM subscription FOR UPDATE").fetchall()
            for name, stored in rows:
                again = [self._seal.sealed(self._seal.opened(one, name), name) for one in stored]
                _one(cursor, "UPDATE subscription SET secrets = %s WHERE subscription_id = %s", again, name)
            return sum(len(stored) for _, stored in rows)

    def ping(self, subscription_id: str) -> str:
        """Queue a message that tells of nothing; gives its id."""
        message_id, now = str(uuid4()), datetime.now(UTC)
        body = orjson.dumps({"type": PING_TYPE, "timestamp": now, "data": {}}, option=orjson.OPT_UTC_Z).decode()
        with self._database.transaction("queueing a ping") as cursor:
            _require(cursor, subscription_id)
            cursor.execute(_PING, (subscription_id, WEBHOOK, message_id, PING_TYPE, body, now))
        return message_id

    def dead_letters(self, subscription_id: str | None) -> list[dict[str, Any]]:
        """What was given up."""
        return listed(self._database, "listing what was given up", _DEAD, (subscription_id,))

    def retry(self, subscription_id: str) -> int:
        """Try at once what was given up or waits for its next attempt; gives how many."""
        with self._database.transaction("queueing again what was given up") as cursor:
            _require(cursor, subscription_id)
            return cursor.execute(RETRY, (subscription_id,)).rowcount

    def reopen(self, subscription_id: str) -> bool:
        """Whether it was closed, and is open now; what was decided meanwhile is brought by `replay`."""
        with self._database.transaction("opening a subscription") as cursor:
            _require(cursor, subscription_id)
            return cursor.execute(REOPEN, (subscription_id,)).rowcount > 0

    def replay(self, subscription_id: str, since: datetime, order: str | None) -> int:
        """Queue again what was decided since a time; gives how many messages.

        Up to where the sink stands: what it has not read yet follows by itself. So an order's newest version is the
        last again, and each message has the id that it had.

        Raises:
            Transient: Kafka or the registry is away; nothing was queued.
        """
        # What takes long is read first: the sink stands still only while the rest of it is read.
        with self._database.transaction("reading positions") as cursor:
            _require(cursor, subscription_id)
            spans = self._spans(since, _reached(cursor, lock=False))
        read = list(self._records(spans))
        with self._database.transaction("queueing news again") as cursor:
            reached = _reached(cursor, lock=True)
            rest = [one._replace(start=one.end, end=reached.get((one.topic, one.partition), one.end)) for one in spans]
            read += self._records(rest)
            told = in_sequence(
                [one for one in read if one.order_version > 0], [one for one in read if one.order_version == 0]
            )
            row = cursor.execute(NEXT_REPLAY, (subscription_id,)).fetchone()
            create_staged(cursor)
            NEWS.stage(cursor, copied(news_rows(one for one in told if order in (None, one.order_id))))
            again = fan_out_again(subscription_id, 1 if row is None else int(row[0]))
            return cursor.execute(again).rowcount

    def close(self) -> None:
        """Give the connection back."""
        self._database.close()

    def _spans(self, since: datetime, reached: Mapping[tuple[str, int], int]) -> list[Span]:
        topics = [self._settings.topic(one) for one in (ORDER_EVENTS, PARKED, REJECTED)]
        with RecordReader(self._settings.kafka) as reader:
            found = [span for topic in topics for span in reader.spans(topic, since=since)]
        return [one._replace(end=max(one.start, reached.get((one.topic, one.partition), 0))) for one in found]

    def _records(self, spans: Sequence[Span]) -> Iterator[News]:
        events, parked, rejected = (self._settings.topic(one) for one in (ORDER_EVENTS, PARKED, REJECTED))
        with closing(SchemaRegistry(self._settings.registry)) as registry:
            versions = TopicCodec(events, OrderEvent, registry)
            waits = TopicCodec(parked, ParkedOrder, registry)
            refusals = TopicCodec(rejected, Rejection, registry)
            with RecordReader(self._settings.kafka) as reader:
                # The reader reads one topic at a time.
                of_topics = ([one for one in spans if one.topic == topic] for topic in (events, parked, rejected))
                for record in (record for some in of_topics for record in reader.read(some)):
                    if record.value is None:
                        continue
                    if record.topic == events:
                        yield news_of_event(versions.decode(record.value))
                    elif record.topic == parked:
                        yield news_of_parked(waits.decode(record.value))
                    elif (news := news_of_rejection(refusals.decode(record.value))) is not None:
                        yield news


def _one(cursor: Rows, statement: str, *values: object) -> None:
    if cursor.execute(statement, values).rowcount != 1:
        raise _unknown(str(values[-1]))


def _require(cursor: Rows, subscription_id: str) -> None:
    _one(cursor, "SELECT FROM subscription WHERE subscription_id = %s FOR SHARE", subscription_id)


def _unknown(subscription_id: str) -> ConfigurationError:
    return ConfigurationError(f"there is no subscription {subscription_id}; `ordersync webhooks list` names them")


def _reached(cursor: Rows, *, lock: bool) -> dict[tuple[str, int], int]:
    # Where this is locked, the sink waits with its next batch: that comes to the queue after the replay.
    query = _REACHED + (" FOR UPDATE" if lock else "")
    return {(topic, int(number)): int(offset) for topic, number, offset in cursor.execute(query, (NAME,))}
