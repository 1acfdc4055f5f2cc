"""The customers and products that documents are matched with, by exact code first and by name then."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

EXACT = 1.0
_CLEAR_LEAD = 0.08
"""So much better than the second a match by name has to be."""
_WORDS = re.compile(r"[^\W_]+")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """What is needed of a customer."""

    id: str
    name: str
    country_code: str | None = None
    tax_id: str | None = None
    currency: str | None = None
    is_blocked: bool = False

    @property
    def codes(self) -> tuple[str, ...]:
        """Everything that it may be named by."""
        return tuple(code for code in (self.id, self.id.partition(":")[2], self.tax_id) if code)


@dataclass(frozen=True, slots=True)
class KnownProduct:
    """What is needed of a product."""

    id: str
    name: str
    unit_code: str = "C62"
    list_price: Decimal | None = None
    currency: str | None = None
    tax_category_code: str | None = None
    tax_percent: Decimal | None = None
    is_discontinued: bool = False

    @property
    def codes(self) -> tuple[str, ...]:
        """Everything that it may be named by."""
        return tuple(code for code in (self.id, self.id.partition(":")[2]) if code)


class _Named(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def codes(self) -> tuple[str, ...]: ...


R = TypeVar("R", bound=_Named)


@dataclass(frozen=True, slots=True)
class Match(Generic[R]):
    """What a text was taken for; `record` is None where that is not clear."""

    record: R | None
    confidence: float
    candidates: list[tuple[str, str, float]] = field(default_factory=list)
    """Id, name and likeness of the nearest."""


class Records(Generic[R]):
    """One kind of master record; written by the feed's thread, read by others."""

    def __init__(self, records: Iterable[R] = ()) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, R] = {}
        self._by_code: dict[str, set[str]] = defaultdict(set)
        self._by_name: dict[str, set[str]] = defaultdict(set)
        self._by_look: dict[str, set[str]] = defaultdict(set)
        for record in records:
            self.put(record)

    def __len__(self) -> int:
        return len(self._records)

    def all(self) -> list[R]:
        """Every record."""
        with self._lock:
            return list(self._records.values())

    def put(self, record: R) -> None:
        """A new or changed record."""
        self.remove(record.id)
        with self._lock:
            self._records[record.id] = record
            for code in record.codes:
                self._by_code[code_key(code)].add(record.id)
            self._by_name[name_key(record.name)].add(record.id)
            self._by_look[look_key(record.name)].add(record.id)

    def remove(self, id: str) -> None:
        """A record is gone."""
        with self._lock:
            known = self._records.pop(id, None)
            if known is None:
                return
            for code in known.codes:
                self._by_code[code_key(code)].discard(id)
            self._by_name[name_key(known.name)].discard(id)
            self._by_look[look_key(known.name)].discard(id)

    def get(self, id: str) -> R | None:
        """The record with that id."""
        return self._records.get(id)

    def by_code(self, code: str) -> R | None:
        """The one record that has the code; None where there is none, or more than one."""
        exact = self._records.get(code)
        if exact is not None:
            return exact
        with self._lock:
            found = self._by_code.get(code_key(code), set())
            return self._records[next(iter(found))] if len(found) == 1 else None

    def named(self, name: str, *, is_recognised: bool = False) -> R | None:
        """The one record of exactly that name; of a recognised one, the one record that looks so and no other."""
        with self._lock:
            same = self._by_name.get(name_key(name), set())
            if not same and is_recognised:
                same = self._by_look.get(look_key(name), set())
            return self._records[next(iter(same))] if len(same) == 1 else None

    def by_name(self, name: str, least: float) -> Match[R]:
        """The record whose name is `name`, or clearly nearest to it and at least `least` like it."""
        key = name_key(name)
        if not key:
            return Match(None, 0.0)
        with self._lock:
            same = self._by_name.get(key, set())
            if len(same) == 1:
                return Match(self._records[next(iter(same))], EXACT)
            names = {id: name_key(record.name) for id, record in self._records.items()}
        ranked = sorted(_ranked(key, names), key=lambda one: -one[1])[:_SHOWN]
        candidates = [(id, self._records[id].name, round(score, 3)) for id, score in ranked if id in self._records]
        if not candidates:
            return Match(None, 0.0)
        best, second = candidates[0], candidates[1][2] if len(candidates) > 1 else 0.0
        if len(same) > 1 or best[2] < least or best[2] - second < _CLEAR_LEAD:
            return Match(None, best[2], candidates)
        return Match(self._records.get(best[0]), best[2], candidates)


class Masters:
    """All of it."""

    def __init__(self, customers: Iterable[KnownCustomer] = (), products: Iterable[KnownProduct] = ()) -> None:
        self.customers: Records[KnownCustomer] = Records(customers)
        self.products: Records[KnownProduct] = Records(products)


def code_key(code: str) -> str:
    """Codes that differ only in case and in spaces are the same; another sign makes another code."""
    return "".join(code.split()).casefold()


def name_key(name: str) -> str:
    """Words of a name in lower case, without accents and signs."""
    folded = unicodedata.normalize("NFKD", name.casefold().replace("ß", "ss"))
    words = _WORDS.findall("".join(mark for mark in folded if not unicodedata.combining(mark)))
    return " ".join(words)


def look_key(name: str) -> str:
    """What is left of a name where spaces are lost, and signs that look alike are taken for each other."""
    return "".join(name_key(name).translate(_ALIKE).split())


_ALIKE = str.maketrans("li|!oqsbzg", "1111005826")
"""Letters that recognition takes for digits."""


def _ranked(key: str, names: dict[str, str]) -> list[tuple[str, float]]:
    try:
        # Only here: it is an extra's library; without it only equal names are found.
        from rapidfuzz import fuzz, process
    except ModuleNotFoundError:
        return []
    found = process.extract(key, names, scorer=fuzz.token_sort_ratio, limit=_SHOWN, score_cutoff=40)
    numbers = _numbers(key)
    # Names that differ in a number are two products, however alike the rest is.
    return [(id, score / 100 if _numbers(name) == numbers else min(score / 100, 0.5)) for name, score, id in found]


def _numbers(key: str) -> list[str]:
    return sorted(word for word in key.split() if any(mark.isdigit() for mark in word))
