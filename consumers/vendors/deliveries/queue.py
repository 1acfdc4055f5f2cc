"""How updates become rows of the queue."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from consumers.postgres.bulk import Table
from consumers.vendors.deliveries.messages import body_of, message_type
from consumers.vendors.profiles import VendorProfiles
from schemas.models import VendorUpdate

DELIVERY = Table(
    "delivery",
    ("subscriber", "channel", "message_id", "replay"),
    ("order_id", "sequence", "message_type", "order_version", "body", "committed_at"),
)
QUEUE = sql.SQL(
    "INSERT INTO {target} ({columns}, acknowledged_at) SELECT {columns}, (SELECT acknowledged_at FROM acknowledgement "
    "AS heard WHERE (heard.subscriber, heard.message_id) = (staged.subscriber, staged.message_id)) "
    "FROM {staged} AS staged ORDER BY order_id, sequence ON CONFLICT DO NOTHING"
).format(target=DELIVERY.target, columns=DELIVERY.listed, staged=DELIVERY.staged)
"""Brings staged rows into the queue, those of each order in their sequence; what stands there stays."""


def rows_of(update: VendorUpdate, profiles: VendorProfiles, *, replay: int = 0) -> list[tuple[Any, ...]]:
    """A row for each way by which its vendor is told, in the order of `DELIVERY.columns`; none where it is not."""
    profile = profiles.vendors.get(update.vendor_id)
    if profile is None or update.update_type not in profile.updates:
        return []
    told = (
        str(update.order_id),
        update.sequence,
        message_type(update),
        update.order_version,
        body_of(update, profile),
        update.committed_at,
    )
    return [(str(update.vendor_id), channel, str(update.update_id), replay, *told) for channel in profile.channels]
