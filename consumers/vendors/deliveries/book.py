"""The queue as those see it who deliver: whose turn it is, what is due, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from consumers.postgres.database import Database, Rows
from schemas.settings import DatabaseSettings

WAITING = "waiting"
DELIVERED = "delivered"
DEAD = "dead"

_OWN = """
INSERT INTO subscriber AS held (name, channel, owner, owned_until)
SELECT name, %(channel)s, %(owner)s, clock_timestamp() + make_interval(secs => %(seconds)s)
FROM unnest(%(names)s::text[]) AS wanted (name) ORDER BY name
ON CONFLICT (name, channel) DO UPDATE SET owner = excluded.owner, owned_until = excluded.owned_until
WHERE held.owner = excluded.owner OR held.owned_until < clock_timestamp()
RETURNING name, closed_at IS NULL
"""
_RELEASE = "UPDATE subscriber SET owner = NULL, owned_until = '-infinity' WHERE owner = %s"
# Only the first of an order's waiting messages is due: those behind it wait for their turn.
_DUE = """
SELECT found.* FROM unnest(%(names)s::text[], %(free)s::integer[]) AS asked (name, free)
CROSS JOIN LATERAL (
    SELECT delivery_id, subscriber, order_id, message_id, body, attempts
    FROM delivery AS one
    WHERE subscriber = asked.name AND channel = %(channel)s AND state = 'waiting' AND due_at <= clock_timestamp()
      AND delivery_id <> ALL (%(busy)s::bigint[])
      AND NOT EXISTS (
          SELECT FROM delivery AS earlier
          WHERE (earlier.subscriber, earlier.channel, earlier.order_id) = (one.subscriber, one.channel, one.order_id)
            AND earlier.state = 'waiting' AND earlier.delivery_id < one.delivery_id
      )
    ORDER BY due_at, delivery_id LIMIT asked.free
) AS found
"""
_SETTLE = """
UPDATE delivery AS held SET
    state = CASE
        WHEN said.is_delivered THEN 'delivered'
        WHEN clock_timestamp() - coalesce(first_attempted_at, clock_timestamp())
            >= make_interval(secs => said.give_up_seconds) THEN 'dead'
        ELSE 'waiting' END,
    attempts = attempts + 1,
    first_attempted_at = coalesce(first_attempted_at, clock_timestamp()),
    settled_at = clock_timestamp(),
    due_at = clock_timestamp() + make_interval(secs => said.pause_seconds),
    problem = said.problem
FROM unnest(
    %(ids)s::bigint[], %(delivered)s::boolean[], %(pauses)s::float8[], %(limits)s::float8[], %(problems)s::text[]
) AS said (delivery_id, is_delivered, pause_seconds, give_up_seconds, problem)
WHERE held.delivery_id = said.delivery_id AND held.state = 'waiting' AND EXISTS (
    SELECT FROM subscriber AS mine
    WHERE (mine.name, mine.channel, mine.owner) = (held.subscriber, held.channel, %(owner)s)
)
RETURNING held.subscriber, held.state
"""
_ACKNOWLEDGE = """
WITH heard AS (
    INSERT INTO acknowledgement (subscriber, message_id, acknowledged_at)
    SELECT %(name)s, message_id, clock_timestamp() FROM unnest(%(messages)s::text[]) AS said (message_id)
    WHERE EXISTS (SELECT FROM delivery WHERE subscriber = %(name)s AND delivery.message_id = said.message_id)
    ON CONFLICT DO NOTHING
)
UPDATE delivery SET acknowledged_at = clock_timestamp()
WHERE subscriber = %(name)s AND message_id = ANY (%(messages)s) AND acknowledged_at IS NULL
"""
_SUBSCRIPTIONS = "SELECT subscription_id, client, url, secrets FROM subscription ORDER BY subscription_id"
_CLOSE = "UPDATE subscriber SET closed_at = now(), closed_because = %s WHERE name = %s AND channel = %s AND owner = %s"
_TIDY = """
DELETE FROM delivery WHERE delivery_id IN (
    SELECT delivery_id FROM delivery WHERE state = 'delivered'
      AND settled_at < clock_timestamp() - make_interval(secs => %s) LIMIT 10000
)
"""
_STANDING = """
SELECT subscriber, count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'dead'),
    coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE state = 'waiting')), 0)::float8
FROM delivery WHERE state <> 'delivered' GROUP BY subscriber
"""
_UNACKNOWLEDGED = """
SELECT queued.subscriber, queued.message_id, queued.order_id, queued.message_type, min(queued.created_at) AS since,
    bool_or(queued.state = 'delivered')
FROM unnest(%s::text[], %s::float8[]) AS asked (name, seconds)
JOIN delivery AS queued ON queued.subscriber = asked.name
WHERE queued.acknowledged_at IS NULL AND queued.replay = 0
  AND queued.created_at < clock_timestamp() - make_interval(secs => asked.seconds)
GROUP BY 1, 2, 3, 4 ORDER BY since
"""


class Waiting(NamedTuple):
    """A message whose turn it is."""

    delivery_id: int
    subscriber: str
    order_id: str
    message_id: str
    body: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an attempt to deliver."""

    delivery_id: int
    is_delivered: bool
    pause_seconds: float = 0.0
    give_up_seconds: float = 0.0
    """So long after its first attempt it is a dead letter."""
    problem: str | None = None


class Standing(NamedTuple):
    """What is open for one subscriber."""

    subscriber: str
    waiting: int
    dead: int
    oldest_seconds: float


class Subscription(NamedTuple):
    """A client that hears of its orders, as far as requests to it need."""

    subscription_id: str
    client: str
    url: str
    secrets: list[str]


class Unacknowledged(NamedTuple):
    """A message whose receiver has not said that it took it in."""

    subscriber: str
    message_id: str
    order_id: str
    message_type: str
    since: object
    is_delivered: bool


class DeliveryBook:
    """The queues of one channel, for one worker. Every method raises what `consumers.postgres.database` says."""

    def __init__(self, settings: DatabaseSettings, channel: str, owner: str) -> None:
        self._channel = channel
        self._owner = owner
        self.database = Database(settings, f"ordersync {channel}", lambda _: None)

    def prepare(self) -> None:
        """Create the queues where they are missing, or see that their owner did it where this role may not."""
        if self.database.may_define("subscription"):
            self.database.migrate(files("consumers.vendors.deliveries") / "tables.sql")

    def own(self, names: Iterable[str], seconds: float) -> dict[str, bool]:
        """Take or keep those that no other worker has; gives them, and whether they are open."""
        with self.database.transaction("taking over subscribers") as cursor:
            values = {"channel": self._channel, "owner": self._owner, "seconds": seconds, "names": sorted(names)}
            return dict(cursor.execute(_OWN, values).fetchall())

    def subscriptions(self) -> list[Subscription]:
        """All that there are now."""
        with self.database.transaction("looking for subscriptions") as cursor:
            return [Subscription(*row) for row in cursor.execute(_SUBSCRIPTIONS)]

    def shut(self, closed: Mapping[str, str]) -> None:
        """Send no more to these, for the reasons given, until somebody opens them again."""
        with self.database.transaction("closing subscribers") as cursor:
            for name, reason in closed.items():
                cursor.execute(_CLOSE, (reason, name, self._channel, self._owner))

    def release(self) -> None:
        """Leave them to others at once."""
        with self.database.transaction("leaving subscribers to others") as cursor:
            cursor.execute(_RELEASE, (self._owner,))

    def due(self, free: Mapping[str, int], busy: Sequence[int]) -> list[Waiting]:
        """What may be sent now: for each order the first, so many for each subscriber, none that is `busy`."""
        with self.database.transaction("looking for what is due") as cursor:
            values = {"names": list(free), "free": list(free.values()), "channel": self._channel, "busy": list(busy)}
            return [Waiting(*row) for row in cursor.execute(_DUE, values)]

    def settle(
        self, settled: Sequence[Settled], closed: Mapping[str, str], heard: Mapping[str, Sequence[str]]
    ) -> list[tuple[str, str]]:
        """Note what became of attempts, who wants no more, and which messages each has in its system.

        Gives subscriber and state of what was noted.

        What another worker has taken over meanwhile stays as that one has it.
        """
        with self.database.transaction("noting what was delivered") as cursor:
            for name, reason in closed.items():
                cursor.execute(_CLOSE, (reason, name, self._channel, self._owner))
            for name, messages in heard.items():
                acknowledge(cursor, name, messages)
            return cursor.execute(_SETTLE, self._columns(settled)).fetchall()

    def tidy(self, keep_seconds: float) -> None:
        """Forget what was delivered long ago."""
        with self.database.transaction("removing what was delivered long ago") as cursor:
            cursor.execute(_TIDY, (keep_seconds,))

    def standing(self) -> list[Standing]:
        """What is open, by subscriber."""
        with self.database.transaction("counting what is open") as cursor:
            return [Standing(*row) for row in cursor.execute(_STANDING)]

    def unacknowledged(self, patience: Mapping[str, float]) -> list[Unacknowledged]:
        """What subscribers have not acknowledged within so many seconds, oldest first."""
        with self.database.transaction("looking for what was not acknowledged") as cursor:
            return unacknowledged(cursor, patience)

    def close(self) -> None:
        """Give the connection back."""
        self.database.close()

    def _columns(self, settled: Sequence[Settled]) -> dict[str, object]:
        return {
            "ids": [one.delivery_id for one in settled],
            "delivered": [one.is_delivered for one in settled],
            "pauses": [one.pause_seconds for one in settled],
            "limits": [one.give_up_seconds for one in settled],
            "problems": [one.problem for one in settled],
            "owner": self._owner,
        }


def acknowledge(cursor: Rows, subscriber: str, messages: Sequence[str]) -> int:
    """Note that a subscriber has these messages in its system; gives how many deliveries that ticks off."""
    return cursor.execute(_ACKNOWLEDGE, {"name": subscriber, "messages": list(messages)}).rowcount


def unacknowledged(cursor: Rows, patience: Mapping[str, float]) -> list[Unacknowledged]:
    """As `DeliveryBook.unacknowledged`."""
    rows = cursor.execute(_UNACKNOWLEDGED, (list(patience), list(patience.values())))
    return [Unacknowledged(*row) for row in rows]
