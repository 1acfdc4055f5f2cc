"""The differences that stand open now, on `orders.mismatches` and in memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from consumers.reconcile.causes import Cause
from consumers.reconcile.publication import known_mismatches, produce
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import Mismatch
from schemas.settings import KafkaSettings
from schemas.topics import MISMATCHES


class OpenMismatches:
    """By order; a difference that goes on keeps the time of its first detection. One process writes them."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds) -> None:
        """Raises SchemaDrift if this version's schemas are not registered, Transient if the registry is away."""
        self._kafka = kafka
        self._codec = TopicCodec(MISMATCHES, Mismatch, schemas)
        self._open: dict[str, dict[str, Mismatch]] = defaultdict(dict)
        self._unreadable: list[str] = []

    def load(self) -> None:
        """Take in what stands open on the topic; called once, before anything else.

        Raises:
            ConfigurationError: the topic cannot be read.
            Transient: Kafka does not answer.
        """
        self._open.clear()
        for key, mismatch in known_mismatches(self._kafka, self._codec).items():
            if mismatch is None:
                self._unreadable.append(key)
            else:
                self._open[mismatch.order_id][key] = mismatch

    @property
    def order_ids(self) -> set[str]:
        """The orders that differ."""
        return {order_id for order_id, found in self._open.items() if found}

    def of(self, order_id: str) -> Collection[Mismatch]:
        """What stands open about an order."""
        return self._open.get(order_id, {}).values()

    def __iter__(self) -> Iterator[Mismatch]:
        for found in self._open.values():
            yield from found.values()

    def bring(self, found: Mapping[str, Iterable[Mismatch]]) -> None:
        """Make these the open differences of these orders: publish what is new, tombstones for what has healed.

        At least once; the same again changes nothing.

        Raises:
            Fatal: Kafka refuses.
            Transient: Kafka does not answer; nothing has changed in memory then.
        """
        records: list[tuple[str, bytes | None]] = [(key, None) for key in self._unreadable]
        after: dict[str, dict[str, Mismatch]] = {}
        for order_id, mismatches in found.items():
            before = self._open.get(order_id, {})
            now = after[order_id] = {one.mismatch_id: _since(one, before.get(one.mismatch_id)) for one in mismatches}
            records += [(key, self._codec.encode(one)) for key, one in now.items() if before.get(key) != one]
            records += [(key, None) for key in before.keys() - now.keys()]
        if records:
            produce(self._kafka, records)
        self._unreadable = []
        for order_id, now in after.items():
            if now:
                self._open[order_id] = now
            else:
                self._open.pop(order_id, None)

    def counts(self) -> Counter[tuple[str, str]]:
        """How many there are of each system and kind."""
        return Counter((one.system, one.kind) for one in self)

    def causes(self) -> Counter[str]:
        """How many there are of each cause."""
        return Counter(one.cause for one in self)

    def amounts(self) -> dict[tuple[str, str], Decimal]:
        """The money at stake by system and currency."""
        amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for one in self:
            if one.amount is not None and one.currency_code is not None:
                amounts[one.system, one.currency_code] += abs(one.amount)
        return dict(amounts)


def _since(mismatch: Mismatch, before: Mismatch | None) -> Mismatch:
    if before is None:
        return mismatch
    update: dict[str, object] = {"detected_at": before.detected_at}
    if before.cause == Cause.MANUAL_CHANGE and mismatch.cause == Cause.LOST_EVENT:
        # Who changed it was noted then, and is forgotten since.
        update |= {"cause": before.cause, "explanation": before.explanation, "remedy": before.remedy}
    return mismatch.model_copy(update=update)
