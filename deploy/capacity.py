"""The arithmetic of size: how many partitions, brokers, workers and database servers so many orders a second need.

The measured inputs are those of README.md and the guides, each of one processor core; `deploy/guide/capacity.md`
explains them, and a test holds its tables against this.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil

from schemas.errors import ConfigurationError

MOST_ORDERS_PER_SECOND = 1_000_000
SECONDS_OF_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process on one core does, in records a second, and how large records are."""

    stream_orders: float = 51_200
    """`make bench-streams`: exactly once, all rules; on two cores with its broker."""
    captured_rows: float = 77_500
    """`make bench-capture`."""
    erp_rows: float = 97_100
    """`make bench-sinks`."""
    journal_lines: float = 54_500
    """`make bench-sinks`."""
    archived_events: float = 77_000
    """`make bench-backup`."""
    api_orders: float = 3_050
    """`make bench-api`."""
    order_bytes: int = 700
    """A three-line order in Avro."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What an installation's orders are like, and how much of what was measured is planned with."""

    rows_of_an_order: float = 4.0
    """Changed rows of the sources for each event: one header and three lines."""
    journal_lines_of_an_event: float = 5.0
    erp_rows_of_an_event: float = 4.0
    outputs_of_an_event: float = 4.0
    """Records that follow from an event: version, state, journal entry, chained copy."""
    utilization: float = 0.5
    """Of what was measured on an otherwise idle machine: the rest is for peaks, encryption and catching up."""
    copies: int = 3
    retention_days: int = 30
    compression: float = 0.5
    """lz4 on Avro."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an installation of that size needs; workers are processes of one core."""

    orders_per_second: int
    partitions: int
    brokers: int
    stream_workers: int
    capture_workers: int
    erp_workers: int
    ledger_workers: int
    backup_workers: int
    api_workers: int
    ledger_servers: int
    broker_bytes_per_second: int
    """Written by all brokers together, copies included."""
    broker_disk_bytes: int
    """Of all brokers together, for `retention_days` of every topic that keeps all or a month."""
    ledger_lines_per_day: int


_BROKER_BYTES_PER_SECOND = 100e6
"""Planned for one broker with local NVMe and 10 Gbit/s: a third of what such disks write, for reads and recovery."""
_LEDGER_LINES_OF_A_SERVER = 100_000
"""Planned for one PostgreSQL server: two writers at the measured 54,500 each."""
_PARTITION_STEP = 12


def capacity(orders_per_second: int, measured: Measured | None = None, shape: Shape | None = None) -> Capacity:
    """The sizes for a steady load of order events; each is rounded up, and never below what one failure leaves.

    Raises:
        ConfigurationError: no number of orders that this arithmetic is good for.
    """
    if not 1 <= orders_per_second <= MOST_ORDERS_PER_SECOND:
        raise ConfigurationError(f"orders per second: from 1 to {MOST_ORDERS_PER_SECOND:,}, not {orders_per_second:,}")
    known, like = measured or Measured(), shape or Shape()

    def workers(records_of_an_order: float, measured_rate: float, least: int = 1) -> int:
        return max(least, ceil(orders_per_second * records_of_an_order / (measured_rate * like.utilization)))

    streams = workers(1, known.stream_orders, least=2)
    ledger = workers(like.journal_lines_of_an_event, known.journal_lines, least=2)
    lines = orders_per_second * like.journal_lines_of_an_event
    # What is captured and what follows from it.
    records = orders_per_second * (1 + like.outputs_of_an_event)
    written = records * known.order_bytes * like.compression * like.copies
    return Capacity(
        orders_per_second=orders_per_second,
        # Room to double, in steps that divide well; each worker has at least one of every topic.
        partitions=_PARTITION_STEP * ceil(2 * max(streams, ledger) / _PARTITION_STEP),
        brokers=max(3, ceil(written / _BROKER_BYTES_PER_SECOND)),
        stream_workers=streams,
        capture_workers=workers(like.rows_of_an_order, known.captured_rows),
        erp_workers=workers(like.erp_rows_of_an_event, known.erp_rows, least=2),
        ledger_workers=ledger,
        backup_workers=workers(1 + like.outputs_of_an_event, known.archived_events),
        api_workers=workers(1, known.api_orders, least=2),
        ledger_servers=max(1, ceil(lines / _LEDGER_LINES_OF_A_SERVER)),
        broker_bytes_per_second=round(written),
        broker_disk_bytes=round(written * SECONDS_OF_A_DAY * like.retention_days),
        ledger_lines_per_day=round(lines * SECONDS_OF_A_DAY),
    )


def names() -> tuple[str, ...]:
    """What is reckoned, in the order in which it is shown."""
    return tuple(field.name for field in fields(Capacity))
