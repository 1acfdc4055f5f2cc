"""Master data on every worker, as it was at the time that an order speaks of.

Each record is a history of versions. A version holds from its start to the start of the next one:

| Record | Starts with | An order takes the version of |
|---|---|---|
| customer, product | `valid_from` where the source gives it, else the commit of the image | the commit of its event |
| exchange rate | `rate_date` | its `issue_date` |

Where all versions of a customer or product are younger than the event, the oldest counts: sources tell of an order and
of its customer in any order. A rate younger than the order never counts; the order waits for an older one.

What can be known of the past is what the topics keep: every dated version, because its key has the date, and the
images of the last thirty days (`schemas.topics`), as long as captured events live. What is older is forgotten here as
there, so every worker knows the same, whenever it was started.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Generic, TypeVar

from schemas.attributes import CanonicalModel, CustomerId, ProductId
from schemas.codec import TopicCodec
from schemas.codec.scalars import datetime_to_micros
from schemas.models import Customer, FxRate, Product
from schemas.topics import CUSTOMERS, FX_RATES, HISTORY_MILLISECONDS, PRODUCTS
from streams.processing.codecs import Codecs
from streams.processing.keyvalues import Change, Group, KeyValues
from streams.processing.recent import Recent
from streams.processing.waiting import AwaitedKey

M = TypeVar("M", bound=CanonicalModel)

_HISTORY_MICROS = HISTORY_MILLISECONDS * 1_000
_REMEMBERED = 20_000
_LETTERS = {CUSTOMERS: b"c", PRODUCTS: b"p", FX_RATES: b"x"}
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_DAY_MICROS = timedelta(days=1) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _History(Generic[M]):
    """All versions of one record by their starts, in microseconds."""

    starts: list[int]
    versions: list[M]

    def at(self, micros: int) -> M | None:
        """The version in force then, or the oldest if that is younger."""
        if not self.versions:
            return None
        return self.versions[max(bisect_right(self.starts, micros) - 1, 0)]


def codecs_of_master(codecs: Codecs) -> dict[str, TopicCodec[Any]]:
    """By topic, those of the records that orders are checked against."""
    return {CUSTOMERS: codecs.customers, PRODUCTS: codecs.products, FX_RATES: codecs.fx_rates}


class MasterTables:
    """Everything that the `master.*` topics say; written by the feed's thread, looked up in by the processor's.

    The look-ups here give the newest version; `as_of` those of a time.
    """

    def __init__(self, values: KeyValues, codecs: Codecs) -> None:
        self.revision = 0
        self._values = values
        self._codecs = codecs_of_master(codecs)
        self._histories: Recent[Group, _History[Any]] = Recent(_REMEMBERED)
        self._rates: Recent[tuple[Group, bytes], FxRate | None] = Recent(_REMEMBERED)

    # -- looked up ----------------------------------------------------------------------------------------

    def customer(self, customer_id: CustomerId) -> Customer | None:
        """The newest version of a customer."""
        return self.customer_at(customer_id, _NEWEST)

    def product(self, product_id: ProductId) -> Product | None:
        """The newest version of a product."""
        return self.product_at(product_id, _NEWEST)

    def fx_rate(self, base: str, quote: str) -> FxRate | None:
        """The newest rate of a pair."""
        return self.fx_rate_on(base, quote, date.max)

    def customer_at(self, customer_id: CustomerId, micros: int) -> Customer | None:
        """The customer as of a time."""
        found: Customer | None = self._history(CUSTOMERS, customer_id).at(micros)
        return found

    def product_at(self, product_id: ProductId, micros: int) -> Product | None:
        """The product as of a time."""
        found: Product | None = self._history(PRODUCTS, product_id).at(micros)
        return found

    def fx_rate_on(self, base: str, quote: str, day: date) -> FxRate | None:
        """The newest rate of a pair that is not of a later day."""
        place = (_versions(FX_RATES, f"{base}:{quote}"), _key(_day_micros(day)))
        found = self._rates.get(place)
        return found if found is not None else self._rates.remember(place, lambda: self._rate(*place))

    def as_of(self, at: datetime, on: date) -> MasterAsOf:
        """What was in force for an event committed at a time, about an order of a day."""
        return MasterAsOf(self, datetime_to_micros(at), on)

    # -- written ------------------------------------------------------------------------------------------

    def put(self, topic: str, record: CanonicalModel, key: str | None = None) -> AwaitedKey:
        """Take in a version; gives the key that orders wait for it by.

        `key` is that of its message on the topic; by default the one that a record without dates has.
        """
        name, start, is_dated = _place(record)
        versions, index, at = _versions(topic, name), _index(topic, name if key is None else key), _key(start)
        changes: list[Change] = [(versions, at, self._codecs[topic].encode(record)), (index, at, name.encode())]
        if not is_dated:
            changes += self._forgotten(versions, index, start)
        self._change(versions, changes)
        return (topic, name)

    def remove(self, topic: str, key: str) -> None:
        """A tombstone: what was written with this key is gone."""
        index = _index(topic, key)
        for at, name in list(self._values.scan(index)):
            versions = _versions(topic, name.decode())
            self._change(versions, [(versions, at, None), (index, at, None)])

    def clear(self, topic: str) -> None:
        """Forget a whole topic, which is about to be read from its start."""
        for kind in (b"m", b"k"):
            self._values.clear(kind + _LETTERS[topic])
        self._histories.clear()
        self._rates.clear()
        self.revision += 1

    def _change(self, versions: Group, changes: list[Change]) -> None:
        self._histories.forget(versions, lambda: self._values.write(changes))
        # A new rate counts for every day up to the next one.
        self._rates.clear()
        self.revision += 1

    def _forgotten(self, versions: Group, index: Group, start: int) -> Iterable[Change]:
        """Images that were replaced before the history that topics keep."""
        for (at, _), (replaced_at, _) in pairwise(self._values.scan(index)):
            if int.from_bytes(replaced_at, "big") < start - _HISTORY_MICROS:
                yield from ((versions, at, None), (index, at, None))

    def _history(self, topic: str, name: str) -> _History[Any]:
        versions = _versions(topic, name)
        found = self._histories.get(versions)
        return found if found is not None else self._histories.remember(versions, lambda: self._read(topic, versions))

    def _read(self, topic: str, versions: Group) -> _History[Any]:
        codec, found = self._codecs[topic], list(self._values.scan(versions))
        return _History([int.from_bytes(at, "big") for at, _ in found], [codec.decode(message) for _, message in found])

    def _rate(self, versions: Group, key: bytes) -> FxRate | None:
        message = self._values.last(versions, key)
        return None if message is None else self._codecs[FX_RATES].decode(message)


_NEWEST = datetime_to_micros(datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class MasterAsOf:
    """Master data as it is for one event."""

    tables: MasterTables
    micros: int
    day: date

    @property
    def revision(self) -> int:
        """See `MasterData`."""
        return self.tables.revision

    def customer(self, customer_id: CustomerId) -> Customer | None:
        """The version of the time."""
        return self.tables.customer_at(customer_id, self.micros)

    def product(self, product_id: ProductId) -> Product | None:
        """The version of the time."""
        return self.tables.product_at(product_id, self.micros)

    def fx_rate(self, base: str, quote: str) -> FxRate | None:
        """The newest rate that is not of a later day."""
        return self.tables.fx_rate_on(base, quote, self.day)

    def as_of(self, at: datetime, on: date) -> MasterAsOf:
        """Of another time."""
        return self.tables.as_of(at, on)


def _place(record: CanonicalModel) -> tuple[str, int, bool]:
    """The name that orders know a record by, when this version starts, and whether the source says so."""
    if isinstance(record, FxRate):
        return f"{record.base_currency_code}:{record.quote_currency_code}", _day_micros(record.rate_date), True
    assert isinstance(record, Customer | Product)
    name = record.customer_id if isinstance(record, Customer) else record.product_id
    if record.valid_from is not None:
        return name, _day_micros(record.valid_from), True
    return name, datetime_to_micros(record.committed_at), False


def _day_micros(day: date) -> int:
    """The begin of a day, in UTC."""
    return (day.toordinal() - _EPOCH_ORDINAL) * _DAY_MICROS


def _key(micros: int) -> bytes:
    # Nothing of business started before 1970; what claims so started then.
    return max(micros, 0).to_bytes(8, "big")


def _versions(topic: str, name: str) -> Group:
    """The versions of one record, by start."""
    return b"m" + _LETTERS[topic] + _counted(name)


def _index(topic: str, key: str) -> Group:
    """What was written with one key of the topic: start and name of each version."""
    return b"k" + _LETTERS[topic] + _counted(key)


def _counted(name: str) -> bytes:
    written = name.encode()
    return len(written).to_bytes(2, "big") + written
