"""What people ask a capture to do while it runs."""

from __future__ import annotations

from schemas.attributes import CanonicalModel, Instant, attribute


class CaptureSignal(CanonicalModel):
    """A request to read part of a source again, or the capture's answer to it (topic `capture.signals`, key system).

    A request (action resync) makes exactly one choice; an answer has the request's id, and none.
    """

    signal_id: str = attribute("UUID of the request; the same request twice is done once")
    system: str = attribute("Name of the source system, as in its mapping file")
    action: str = attribute(
        "resync: read again, state again, withdraw what is gone; answers: progress, done (Kafka has all of it), refused"
    )
    order_ids: str | None = attribute("These orders: their ids, separated by commas", default=None)
    table: str | None = attribute("All that belongs to this source table (schema.table)", default=None)
    column: str | None = attribute("Only roots whose column of this name is within the range", default=None)
    range_from: str | None = attribute("First value of the column, as the source writes it", default=None)
    range_to: str | None = attribute("Last value of the column, as the source writes it", default=None)
    range_before: str | None = attribute("First value of the column behind the range", default=None)
    requested_at: Instant = attribute("When it was asked for or answered", unit="UTC")
    roots: int | None = attribute("Answer: root rows (orders) read until now", unit="rows", default=None)
    rows: int | None = attribute("Answer: rows of all tables read until now", unit="rows", default=None)
    message: str | None = attribute("Answer: why it is refused", default=None)
