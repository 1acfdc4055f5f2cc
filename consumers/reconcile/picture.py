"""The worker's own picture: each order's state, and the hash of what every system said when it was compared last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import orjson

from consumers.backup.chain import ChainHead
from consumers.reconcile.backup_feed import BackedUp, Holding
from consumers.reconcile.disk import Disk
from consumers.reconcile.hashes import BUCKETS, MODULUS, RowHash

_STATE: Final = b"s"
_MARK: Final = b"m"
_HASH: Final = b"h"
_REFUSED: Final = b"r"
_PARKED: Final = b"p"
_POSITIONS: Final = b"x"
_TOLD: Final = b"v"
_BACKED_UP: Final = b"b"
_BROKEN: Final = b"c"
_CHAINS: Final = b"y"

Part = str
"""What is hashed together: erp, ledger, or a section of a source."""
Positions = dict[str, dict[int, int]]
"""Topic to partition to offset of the next record."""


@dataclass(frozen=True, slots=True)
class StateMark:
    """What is remembered of an order besides its state."""

    partition: int = 0
    written_at: float = 0.0
    """Timestamp of the state's record, seconds since 1970."""
    places: tuple[tuple[Part, str], ...] = ()
    """Where the sources hold it: part and native key."""
    is_settled: bool = True
    """False from the moment when it may differ until it was found out."""
    sinks_agree: bool = False
    """ERP and ledger agreed with this state when their rows had the hashes that are remembered."""
    sections: tuple[tuple[str, str], ...] = ()
    """Sections with the digest of what the state said of them when their places, as they are remembered, agreed."""


class HashedPlace(NamedTuple):
    """One key of one part as it was compared last; `order_id` is empty where no order stands behind it."""

    part: Part
    key: str
    row: RowHash | None
    """None: it is not there any more."""
    order_id: str


@dataclass(slots=True)
class Changes:
    """What one step of the worker learned, written together."""

    states: dict[str, bytes | None] = field(default_factory=dict)
    marks: dict[str, StateMark] = field(default_factory=dict)
    places: list[HashedPlace] = field(default_factory=list)
    refused: list[tuple[str, int, int, bytes]] = field(default_factory=list)
    parked: dict[str, bool] = field(default_factory=dict)
    told: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Order and vendor to the last update."""
    backed_up: dict[str, bytes] = field(default_factory=dict)
    """Order to its newest version in the backup."""
    broken: dict[tuple[str, str], str] = field(default_factory=dict)
    """Order and place in a chain of the backup to what is wrong there."""
    chains: dict[int, ChainHead] | None = None
    """The heads of the backup's chains; those of all partitions, or None where none was read."""
    positions: Mapping[str, Mapping[int, int]] | None = None


class Picture:
    """All of it on the local disk, but for the bucket sums, which are in memory.

    A part's sums tell what the part said when each of its keys was compared; where a database says the same today,
    nothing of it has changed since, and every order stands as it was found then.
    """

    def __init__(self, disk: Disk, parts: Sequence[Part]) -> None:
        """Reads the hashes of every part once."""
        self._disk = disk
        self._numbers = {part: number for number, part in enumerate(parts)}
        self.sums: dict[Part, dict[int, int]] = {part: defaultdict(int) for part in parts}
        self.orders = sum(1 for _ in disk.scan(_STATE))
        for part in parts:
            for bucket, _, number, _ in self._hashes(part):
                self._add(part, bucket, number)

    @property
    def positions(self) -> Positions:
        """How far each topic was read."""
        stored = self._disk.get(_POSITIONS)
        read: dict[str, dict[str, int]] = {} if stored is None else orjson.loads(stored)
        return {topic: {int(one): offset for one, offset in ends.items()} for topic, ends in read.items()}

    def write(self, changes: Changes) -> None:
        """Take in everything, or nothing if the process dies meanwhile."""
        known = self._stored([(place.part, place.key) for place in changes.places])
        entries: list[tuple[bytes, bytes | None]] = []
        for order_id, value in changes.states.items():
            entries.append((_STATE + order_id.encode(), value))
        fresh = self._disk.get_many([_STATE + order_id.encode() for order_id in changes.states])
        for before, value in zip(fresh, changes.states.values(), strict=True):
            self.orders += (value is not None) - (before is not None)
        entries += [(_MARK + order_id.encode(), _packed(mark)) for order_id, mark in changes.marks.items()]
        for place in changes.places:
            entries += self._moved(place, known)
        for order_id, partition, offset, value in changes.refused:
            entries.append((_refusal_key(order_id) + f"{partition}/{offset}".encode(), value))
        for order_id, waits in changes.parked.items():
            entries.append((_PARKED + order_id.encode(), b"" if waits else None))
        for (order_id, vendor_id), update in changes.told.items():
            entries.append((_told_key(order_id) + vendor_id.encode(), update))
        for order_id, newest in changes.backed_up.items():
            entries.append((_BACKED_UP + order_id.encode(), newest))
        for (order_id, link), fault in changes.broken.items():
            entries.append((_broken_key(order_id) + link.encode(), fault.encode()))
        if changes.chains is not None:
            heads = {str(number): [head.sequence, head.hash.hex()] for number, head in changes.chains.items()}
            entries.append((_CHAINS, orjson.dumps(heads)))
        if changes.positions is not None:
            told = {
                topic: {str(one): offset for one, offset in ends.items()} for topic, ends in changes.positions.items()
            }
            entries.append((_POSITIONS, orjson.dumps(told)))
        self._disk.write(entries)

    def states(self, order_ids: Sequence[str]) -> dict[str, bytes | None]:
        """The state of each of these orders, as its record on the topic."""
        found = self._disk.get_many([_STATE + order_id.encode() for order_id in order_ids])
        return dict(zip(order_ids, found, strict=True))

    def marks(self, order_ids: Sequence[str]) -> dict[str, StateMark]:
        """What is remembered of each of these orders."""
        found = self._disk.get_many([_MARK + order_id.encode() for order_id in order_ids])
        return {
            order_id: StateMark() if packed is None else _unpacked(packed)
            for order_id, packed in zip(order_ids, found, strict=True)
        }

    def unsettled(self) -> Iterator[str]:
        """Every order of which it is not known how it stands."""
        for key, packed in self._disk.scan(_MARK):
            if not _unpacked(packed).is_settled:
                yield key.decode()

    def parked(self, order_ids: Sequence[str]) -> set[str]:
        """Which of these orders wait."""
        found = self._disk.get_many([_PARKED + order_id.encode() for order_id in order_ids])
        return {order_id for order_id, value in zip(order_ids, found, strict=True) if value is not None}

    def refused(self, order_id: str) -> list[bytes]:
        """The dead letters about an order, as their records."""
        return [value for _, value in self._disk.scan(_refusal_key(order_id))]

    def told(self, order_id: str) -> list[bytes]:
        """The last update of each vendor that was told of an order, as on the topic."""
        return [value for _, value in self._disk.scan(_told_key(order_id))]

    @property
    def chains(self) -> dict[int, ChainHead]:
        """The heads of the backup's chains, by partition, as far as they were read."""
        stored = self._disk.get(_CHAINS)
        heads: dict[str, tuple[int, str]] = {} if stored is None else orjson.loads(stored)
        return {int(number): ChainHead(sequence, bytes.fromhex(told)) for number, (sequence, told) in heads.items()}

    def backed_up(self, order_ids: Sequence[str]) -> dict[str, Holding]:
        """What the backup holds of each of these orders."""
        found = self._disk.get_many([_BACKED_UP + order_id.encode() for order_id in order_ids])
        return {
            order_id: Holding(
                None if packed is None else BackedUp.unpacked(packed),
                {place.decode(): fault.decode() for place, fault in self._disk.scan(_broken_key(order_id))},
            )
            for order_id, packed in zip(order_ids, found, strict=True)
        }

    def hashes(self, part: Part, keys: Sequence[str]) -> dict[str, int]:
        """The hash of each of these keys of a part that was there when it was compared."""
        known = self._stored([(part, key) for key in keys])
        found: dict[str, int] = {}
        for key in keys:
            bucket = known[self._key(part, key)]
            if bucket is not None:
                entry = known[self._entry(part, int.from_bytes(bucket, "big"), key)]
                assert entry is not None
                found[key] = int.from_bytes(entry[:8], "big")
        return found

    def in_buckets(self, part: Part, buckets: Collection[int]) -> dict[str, tuple[int, str]]:
        """Hash and order of each key of these buckets of a part."""
        found: dict[str, tuple[int, str]] = {}
        for wanted in buckets:
            for _, key, number, order_id in self._hashes(part, wanted):
                found[key] = (number, order_id)
        return found

    def forget(self) -> None:
        """Begin anew, with nothing."""
        self._disk.clear()
        self.orders = 0
        for sums in self.sums.values():
            sums.clear()

    def flush(self) -> None:
        """Write down what a crash would lose."""
        self._disk.flush()

    def close(self) -> None:
        """Let another process have the files."""
        self._disk.close()

    def _add(self, part: Part, bucket: int, number: int) -> None:
        sums = self.sums[part]
        total = (sums[bucket] + number) % MODULUS
        if total:
            sums[bucket] = total
        else:
            del sums[bucket]

    def _moved(self, place: HashedPlace, known: dict[bytes, bytes | None]) -> Iterable[tuple[bytes, bytes | None]]:
        """The entries that bring one place up to date: by key, to find its bucket, and by bucket."""
        by_key = self._key(place.part, place.key)
        before = known[by_key]
        entry = value = None
        if place.row is not None:
            entry = self._entry(place.part, place.row.bucket, place.key)
            value = place.row.hash.to_bytes(8, "big") + place.order_id.encode()
        if before is not None:
            bucket = int.from_bytes(before, "big")
            held = self._entry(place.part, bucket, place.key)
            stored = known[held]
            assert stored is not None
            if held == entry and stored == value:
                return
            self._add(place.part, bucket, -int.from_bytes(stored[:8], "big"))
            yield held, None
        if place.row is None or entry is None:
            yield by_key, None
            known[by_key] = None
            return
        self._add(place.part, place.row.bucket, place.row.hash)
        known[by_key], known[entry] = place.row.bucket.to_bytes(2, "big"), value
        yield by_key, place.row.bucket.to_bytes(2, "big")
        yield entry, value

    def _stored(self, places: Sequence[tuple[Part, str]]) -> dict[bytes, bytes | None]:
        keys = [self._key(part, key) for part, key in places]
        known = dict(zip(keys, self._disk.get_many(keys), strict=True)) if keys else {}
        entries = [
            self._entry(part, int.from_bytes(bucket, "big"), key)
            for (part, key), bucket in zip(places, (known[key] for key in keys), strict=True)
            if bucket is not None
        ]
        return known | (dict(zip(entries, self._disk.get_many(entries), strict=True)) if entries else {})

    def _hashes(self, part: Part, bucket: int | None = None) -> Iterator[tuple[int, str, int, str]]:
        """Bucket, key, hash and order of each entry of a part."""
        own = _HASH + bytes([self._numbers[part]]) + b"b"
        prefix = own if bucket is None else own + bucket.to_bytes(2, "big")
        for rest, value in self._disk.scan(prefix):
            place = rest if bucket is not None else rest[2:]
            number = int.from_bytes(rest[:2], "big") if bucket is None else bucket
            yield number, place.decode(), int.from_bytes(value[:8], "big"), value[8:].decode()

    def _key(self, part: Part, key: str) -> bytes:
        return _HASH + bytes([self._numbers[part]]) + b"k" + key.encode()

    def _entry(self, part: Part, bucket: int, key: str) -> bytes:
        return _HASH + bytes([self._numbers[part]]) + b"b" + bucket.to_bytes(2, "big") + key.encode()


def with_place(mark: StateMark, part: Part, key: str) -> StateMark:
    """The mark of an order that stands there too."""
    return mark if (part, key) in mark.places else replace(mark, places=(*mark.places, (part, key)))


def _refusal_key(order_id: str) -> bytes:
    return _REFUSED + order_id.encode() + b"\x00"


def _broken_key(order_id: str) -> bytes:
    return _BROKEN + order_id.encode() + b"\x00"


def _told_key(order_id: str) -> bytes:
    return _TOLD + order_id.encode() + b"\x00"


def _packed(mark: StateMark) -> bytes:
    return orjson.dumps(
        [mark.partition, mark.written_at, mark.places, mark.is_settled, mark.sinks_agree, mark.sections]
    )


def _unpacked(packed: bytes) -> StateMark:
    partition, written_at, places, is_settled, sinks_agree, sections = orjson.loads(packed)
    return StateMark(
        partition, written_at, tuple(map(tuple, places)), is_settled, sinks_agree, tuple(map(tuple, sections))
    )


assert BUCKETS <= 1 << 16
