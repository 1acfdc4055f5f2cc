"""Looks at all rows of all sources by their hashes, and finds the orders of which anything changed there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice

from consumers.reconcile.abreast import asking_abreast
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.hashed_tables import KEY_SEPARATOR, source_tables
from consumers.reconcile.hashes import RowHash, RowHashes
from consumers.reconcile.picture import HashedPlace, Part, Picture
from consumers.reconcile.rows import Snapshots, snapshot
from consumers.reconcile.source import Locator, SourceReader

_KEYS_AT_ONCE = 5_000


@dataclass(slots=True)
class SourceChanges:
    """Places of the sources that are not as they were when they were compared; `by_order` are those of an order."""

    by_order: dict[str, list[HashedPlace]] = field(default_factory=dict)
    of_no_order: list[HashedPlace] = field(default_factory=list)

    def add(self, order_id: str, place: HashedPlace) -> None:
        """Take in one place of an order."""
        self.by_order.setdefault(order_id, []).append(place)


@dataclass(frozen=True, slots=True)
class SourcePart:
    """One section of one source."""

    part: Part
    number: int
    section: Section
    hashes: RowHashes

    def locator(self, key: str) -> Locator:
        """Where a key of this part leads to."""
        return Locator(self.section, tuple(key.split(KEY_SEPARATOR)))


def part_name(reader: SourceReader, section: Section) -> Part:
    """The name of one section of one source in the picture."""
    return f"{reader.system}/{section.value}"


class SourcesPass:
    """Every source, section by section; made once, when the sources' tables are known."""

    def __init__(self, readers: list[SourceReader], picture: Picture, snapshots: Snapshots = snapshot) -> None:
        """Raises ConfigurationError where a source lacks a table, Transient where it is away."""
        self._readers, self._picture = readers, picture
        self.parts: dict[Part, SourcePart] = {}
        for number, reader in enumerate(readers):
            with snapshots(reader.database) as database:
                for section, aggregate in reader.aggregates:
                    hashes = RowHashes(reader.database, source_tables(aggregate, database), snapshots)
                    part = part_name(reader, section)
                    self.parts[part] = SourcePart(part, number, section, hashes)

    def changes(self) -> Iterator[SourceChanges]:
        """What changed since each place was compared, some thousand places at a time.

        Raises:
            ConfigurationError: a mapped table or column is missing, or the role may not read it.
            Transient: a source is away.
        """
        with asking_abreast() as ask:
            sums = {name: ask(part.hashes.sums) for name, part in self.parts.items()}
        for name, part in self.parts.items():
            buckets = differing(self._picture.sums[name], sums[name].result().by_bucket)
            if buckets:
                yield from self._of(part, buckets)

    def _of(self, part: SourcePart, buckets: Collection[int]) -> Iterator[SourceChanges]:
        known = self._picture.in_buckets(part.part, buckets)
        changed: dict[str, tuple[RowHash, str]] = {}
        for row in part.hashes.of_buckets(buckets):
            number, order_id = known.pop(row.key, (-1, ""))
            if number != row.hash:
                changed[row.key] = row, order_id
        gone = SourceChanges()
        for key, (_, order_id) in known.items():
            self._put(gone, HashedPlace(part.part, key, None, order_id))
        if known:
            yield gone
        rest = iter(changed.items())
        while several := dict(islice(rest, _KEYS_AT_ONCE)):
            yield self._located(part, several)

    def _located(self, part: SourcePart, changed: dict[str, tuple[RowHash, str]]) -> SourceChanges:
        keys = {part.locator(key): key for key in changed}
        orders = {keys[locator]: order_id for locator, order_id in self._readers[part.number].order_ids(list(keys))}
        found = SourceChanges()
        for key, (row, before) in changed.items():
            # Of an order whose root is gone, rows may be left.
            order_id = orders.get(key, before)
            self._put(found, HashedPlace(part.part, key, row, order_id))
            if before not in ("", order_id):
                found.by_order.setdefault(before, [])
        return found

    def _put(self, changes: SourceChanges, place: HashedPlace) -> None:
        if place.order_id:
            changes.add(place.order_id, place)
        else:
            changes.of_no_order.append(place)


def differing(before: dict[int, int], now: dict[int, int]) -> frozenset[int]:
    """The buckets whose sums are not the same."""
    return frozenset(bucket for bucket in before.keys() | now.keys() if before.get(bucket, 0) != now.get(bucket, 0))
