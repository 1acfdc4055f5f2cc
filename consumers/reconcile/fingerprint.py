"""What a first look at a system keeps of its orders: checksums of buckets of orders, whatever their number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

BUCKETS = 4096
_MODULUS = 1 << 128


class Section(Enum):
    """A part of an order that two systems hold both; the value is its name in messages."""

    ORDER = "order"
    FULFILMENT = "fulfilment"
    SETTLEMENT = "settlement"
    ERP = "erp"
    LEDGER = "ledger"


class Fingerprint(NamedTuple):
    """The digest of one section of one order in one system."""

    order_id: str
    section: Section
    digest: bytes


class ControlKey(NamedTuple):
    """What control totals are kept by."""

    currency_code: str
    order_status: str


@dataclass(slots=True)
class ControlTotal:
    """How many orders, and how much they come to."""

    orders: int = 0
    payable_amount: Decimal = Decimal(0)


class ControlTotals:
    """Orders of one system by currency and status."""

    def __init__(self) -> None:
        self._totals: dict[ControlKey, ControlTotal] = defaultdict(ControlTotal)

    def add(self, key: ControlKey, amount: Decimal) -> None:
        """Count one order."""
        total = self._totals[key]
        total.orders += 1
        total.payable_amount += amount

    def items(self) -> Iterator[tuple[ControlKey, ControlTotal]]:
        """All totals, sorted."""
        yield from sorted(self._totals.items())

    @property
    def orders(self) -> int:
        """All orders together."""
        return sum(total.orders for total in self._totals.values())


def bucket_of(order_id: str) -> int:
    """The bucket of an order, the same in every system."""
    return crc32(order_id.encode()) % BUCKETS


@dataclass(slots=True)
class Checksums:
    """One checksum for each bucket of one section in one system; adding is commutative, so no system need sort.

    A bucket's checksum is the sum, modulo 2^128, of a hash of each order's id and digest: two systems agree on a
    bucket if and only if (but for one case in 2^128) they hold the same orders with the same digests.
    """

    sums: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    counts: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def add(self, order_id: str, digest: bytes) -> None:
        """Take in one order."""
        key = order_id.encode()
        bucket = crc32(key) % BUCKETS
        mixed = blake2b(key, digest_size=16, key=digest).digest()
        self.sums[bucket] = (self.sums[bucket] + int.from_bytes(mixed, "little")) % _MODULUS
        self.counts[bucket] += 1

    def differing(self, other: Checksums) -> frozenset[int]:
        """The buckets about which two systems disagree."""
        return frozenset(
            bucket
            for bucket in range(BUCKETS)
            if self.sums[bucket] != other.sums[bucket] or self.counts[bucket] != other.counts[bucket]
        )
