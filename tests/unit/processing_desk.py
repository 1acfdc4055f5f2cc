"""Drives an `OrderProcessor` as the stream worker does, without Kafka, and reads all that it writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import TypeVar

from schemas.attributes import CanonicalModel, OrderId
from schemas.codec import TopicCodec
from schemas.models import CapturedEvent, JournalEntry, OrderEvent, OrderState, ParkedOrder, Rejection
from schemas.registry import InMemorySchemas
from schemas.topics import (
    CUSTOMERS,
    FX_RATES,
    ORDER_EVENTS,
    ORDER_STATE,
    PARKED,
    POSTINGS,
    PRODUCTS,
    REJECTED,
)
from streams.processing.checkpoints import Changelog
from streams.processing.codecs import Codecs
from streams.processing.keyvalues import KeyValues, MemoryKeyValues
from streams.processing.master import MasterTables
from streams.processing.processor import CapturedRecord, OrderProcessor, Outcome, Output, ProcessingPolicy
from streams.processing.store import CHANGELOG_TOPICS, WorkerState, group_of
from streams.processing.waiting import AwaitedKey
from streams.rules.enrichment import EnrichmentPolicy
from streams.rules.facts import EVENT_MODELS, Section
from tests.unit.order_lives import BEGIN, ORDER_ID, customer, fx_rate, product

M = TypeVar("M", bound=CanonicalModel)
SCHEMAS = InMemorySchemas()
PARTITION = 2
PARKED_FOR = timedelta(hours=1)


@cache
def codecs() -> Codecs:
    """The codecs of all tests; making them takes long."""
    return Codecs(SCHEMAS)


@cache
def codec_of(topic: str) -> TopicCodec[CanonicalModel]:
    """What any other program would read and write `topic` with."""
    models: dict[str, type[CanonicalModel]] = {section.value: EVENT_MODELS[section] for section in Section}
    models |= {
        ORDER_EVENTS: OrderEvent,
        ORDER_STATE: OrderState,
        POSTINGS: JournalEntry,
        REJECTED: Rejection,
        PARKED: ParkedOrder,
    }
    return TopicCodec(topic, models[topic], SCHEMAS)


def empty_master() -> MasterTables:
    """Nothing is known."""
    return MasterTables(MemoryKeyValues(), codecs())


def known_master(*, with_customer: bool = True) -> MasterTables:
    """A customer (if wanted), two products, and rates of the dollar, the yen and the dinar."""
    tables = empty_master()
    if with_customer:
        tables.put(CUSTOMERS, customer())
    tables.put(PRODUCTS, product("P1", cost="4.00"))
    tables.put(PRODUCTS, product("P2", cost="7.333333"))
    for currency, rate in (("USD", "0.9"), ("JPY", "0.0061234"), ("KWD", "3.0101")):
        tables.put(FX_RATES, fx_rate(currency, rate))
    return tables


def section_of(event: CapturedEvent) -> Section:
    """The section that an event is about."""
    return next(section for section, model in EVENT_MODELS.items() if isinstance(event, model))


@dataclass
class Desk:
    """One partition's store and processor; each call is one batch, applied at once."""

    master: MasterTables = field(default_factory=known_master)
    values: KeyValues = field(default_factory=MemoryKeyValues)
    now: datetime = BEGIN + timedelta(days=1)
    written: list[Output] = field(default_factory=list)
    offset: int = 0

    def __post_init__(self) -> None:
        policy = ProcessingPolicy(EnrichmentPolicy("EUR"), PARKED_FOR, "test")
        self.processor = OrderProcessor(codecs(), self.master, policy)
        self._open()

    def record(self, event: CapturedEvent) -> CapturedRecord:
        """The event as the transport hands it over, at the next offset."""
        topic = section_of(event).value
        return self.raw(topic, codec_of(topic).encode(event), event.order_id.encode())

    def raw(self, topic: str, value: bytes | None, key: bytes | None = ORDER_ID.encode()) -> CapturedRecord:
        """Any bytes at the next offset."""
        self.offset += 1
        return CapturedRecord(topic, PARTITION, self.offset, 1_800_000_000_123, key, value, [("trace", b"\x00\xff")])

    def take(self, *records: CapturedEvent | CapturedRecord) -> Outcome:
        """Process one batch."""
        batch = [item if isinstance(item, CapturedRecord) else self.record(item) for item in records]
        return self._done(self.processor.process(batch, self.store, self.now))

    def arrive(self, *records: CanonicalModel) -> Outcome:
        """Master records arrive, and the orders that wait for them are tried again."""
        topics = {"Customer": CUSTOMERS, "Product": PRODUCTS, "FxRate": FX_RATES}
        return self.release({self.master.put(topics[type(record).__name__], record) for record in records})

    def release(self, arrived: Iterable[AwaitedKey]) -> Outcome:
        """Try the orders that wait for one of the keys."""
        return self._done(self.processor.release(self.store.waiting_for(arrived), self.store, self.now))

    def expire(self) -> Outcome:
        """Refuse what waited too long."""
        return self._done(self.processor.expire(self.store, self.now))

    def restart(self) -> None:
        """Forget the store and load it again from what was written, as recovery does."""
        self.values = MemoryKeyValues()
        for topic, key, value in self.written:
            if topic in CHANGELOG_TOPICS:
                assert key is not None
                self.values.write([(group_of(Changelog(topic, PARTITION)), key, value)])
        self._open()

    @property
    def states(self) -> dict[OrderId, bytes]:
        """The latest version of every order, as it is stored."""
        return {OrderId(key.decode()): value for key, value in self._stored(ORDER_STATE)}

    @property
    def places(self) -> dict[OrderId, ParkedOrder]:
        """Every order that waits."""
        decoded = [codecs().parked.decode(value) for _, value in self._stored(PARKED)]
        assert len(self.store.waiting) == len(decoded)
        return {place.order_id: place for place in decoded}

    @property
    def awaited(self) -> dict[AwaitedKey, set[OrderId]]:
        """Who waits for what."""
        return {key: set(self.store.waiting_for([key])) for key in self.store.waiting.awaited()}

    def state(self, order_id: OrderId = ORDER_ID) -> OrderState | None:
        """The latest version, as another program reads it."""
        message = self.store.state(order_id)
        return None if message is None else decoded(ORDER_STATE, message, OrderState)

    def events(self) -> list[OrderEvent]:
        """Every version written."""
        return self._all(ORDER_EVENTS, OrderEvent)

    def versions(self) -> list[tuple[int, str]]:
        """Number and type of every version written."""
        return [(event.state.version, event.event_type) for event in self.events()]

    def rejections(self) -> list[Rejection]:
        """Every dead letter written."""
        return self._all(REJECTED, Rejection)

    def refused_rules(self) -> list[list[str]]:
        """The rules of every dead letter."""
        return [[violation.rule for violation in rejection.violations] for rejection in self.rejections()]

    def entries(self) -> list[JournalEntry]:
        """Every journal entry written."""
        return self._all(POSTINGS, JournalEntry)

    def parked(self, order_id: OrderId = ORDER_ID) -> ParkedOrder | None:
        """The order's place in the waiting room."""
        return self.store.parked(order_id)

    def _stored(self, topic: str) -> Iterator[tuple[bytes, bytes]]:
        return self.values.scan(group_of(Changelog(topic, PARTITION)))

    def _open(self) -> None:
        self.state_of_worker = WorkerState(self.values, codecs().parked)
        self.store = self.state_of_worker.open(PARTITION)

    def _done(self, outcome: Outcome) -> Outcome:
        outcome.view.apply()
        self.state_of_worker.committed({})
        self.written += outcome.outputs
        return outcome

    def _all(self, topic: str, model: type[M]) -> list[M]:
        return [decoded(topic, value, model) for name, _, value in self.written if name == topic and value is not None]


def decoded(topic: str, message: bytes, model: type[M]) -> M:
    """A message as another program reads it."""
    value = codec_of(topic).decode(message)
    assert isinstance(value, model)
    return value


def balances(entries: Sequence[JournalEntry], *, functional: bool) -> dict[str, Decimal]:
    """Accounts that are not zero after all entries; debit is positive. Documents of one currency only."""
    sums: dict[str, Decimal] = {}
    for entry in entries:
        for line in entry.lines:
            debit, credit = line.debit_amount, line.credit_amount
            if functional:
                debit, credit = line.functional_debit_amount, line.functional_credit_amount
            sums[line.account_code] = sums.get(line.account_code, Decimal(0)) + debit - credit
    return {account: amount for account, amount in sums.items() if amount}
