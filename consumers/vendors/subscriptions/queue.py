"""How news become rows of the queue: one for each subscription that they concern."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from psycopg import sql

from consumers.postgres.bulk import Table
from consumers.postgres.database import Rows
from consumers.vendors.profiles import WEBHOOK
from consumers.vendors.subscriptions.news import News

NEWS: Final = Table(
    "order_news",
    ("message_id",),
    ("system", "order_id", "message_type", "order_version", "body", "told_at", "sequence"),
)
_CREATE = sql.SQL(
    "CREATE TEMPORARY TABLE {} (message_id text, system text, order_id text, message_type text, order_version bigint, "
    "body text, told_at timestamptz, sequence bigint) ON COMMIT DELETE ROWS"
).format(NEWS.staged)
# A subscription that is removed at this moment waits for this transaction, and then takes its rows with it.
_CONCERNED = """
INSERT INTO delivery (subscriber, channel, message_id, replay, order_id, sequence, message_type, order_version, body,
    committed_at)
SELECT one.subscription_id, {channel}, news.message_id, {replay}, news.order_id, news.sequence, news.message_type,
    news.order_version, news.body, news.told_at
FROM {staged} AS news JOIN subscription AS one
    ON (news.system = ANY (one.systems) OR '*' = ANY (one.systems))
    AND (news.message_type = ANY (one.message_types) OR '*' = ANY (one.message_types))
WHERE {which}
ORDER BY news.order_id, news.sequence FOR SHARE OF one
ON CONFLICT DO NOTHING
"""
_OPEN = """
news.told_at >= one.created_at AND NOT EXISTS (
    SELECT FROM subscriber AS held
    WHERE (held.name, held.channel) = (one.subscription_id, {channel}) AND held.closed_at IS NOT NULL
)
"""
FAN_OUT: Final = sql.SQL(_CONCERNED).format(
    channel=sql.Literal(WEBHOOK),
    replay=sql.Literal(0),
    staged=NEWS.staged,
    which=sql.SQL(_OPEN).format(channel=sql.Literal(WEBHOOK)),
)
"""Brings staged news to every open subscription that was there when they were decided."""


def fan_out_again(subscription_id: str, replay: int) -> sql.Composed:
    """Brings staged news to one subscription, once more."""
    return sql.SQL(_CONCERNED).format(
        channel=sql.Literal(WEBHOOK),
        replay=sql.Literal(replay),
        staged=NEWS.staged,
        which=sql.SQL("one.subscription_id = {}").format(sql.Literal(subscription_id)),
    )


def create_staged(cursor: Rows) -> None:
    """Make the temporary table of a session."""
    cursor.execute(_CREATE)


def news_rows(news: Iterable[News]) -> list[tuple[Any, ...]]:
    """Rows of `NEWS`, in the order in which they are to be told."""
    return [(*one, number) for number, one in enumerate(news)]
