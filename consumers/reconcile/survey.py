"""The first looks at all systems: checksums of buckets of orders, then the orders of the buckets that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from consumers.reconcile.attributes import digest_of
from consumers.reconcile.comparison import ERP, LEDGER, SOURCE, STATE
from consumers.reconcile.erp_image import expected_erp
from consumers.reconcile.facts import DELETED, FactsDigest, facts_of
from consumers.reconcile.fingerprint import (
    Checksums,
    ControlKey,
    ControlTotals,
    Fingerprint,
    Section,
    bucket_of,
)
from consumers.reconcile.invariants import expected_ledger
from consumers.reconcile.source import Locator
from consumers.reconcile.systems import Systems
from schemas.models import OrderState, SalesOrder

_PAIRS = {
    Section.ORDER: (SOURCE, STATE),
    Section.FULFILMENT: (SOURCE, STATE),
    Section.SETTLEMENT: (SOURCE, STATE),
    Section.ERP: (STATE, ERP),
    Section.LEDGER: (STATE, LEDGER),
}
"""Which two systems hold each section, the reference first."""
_FACTS_DIGEST = FactsDigest()

Locators = dict[str, list[tuple[int, Locator]]]
"""Order to the places of its sections in the sources, each with the number of its source."""


@dataclass(slots=True)
class Survey:
    """What a look at every order of every system leaves behind; its size does not grow with the number of orders."""

    checksums: dict[tuple[str, Section], Checksums] = field(
        default_factory=lambda: {(system, section): Checksums() for section, pair in _PAIRS.items() for system in pair}
    )
    totals: dict[str, ControlTotals] = field(
        default_factory=lambda: {system: ControlTotals() for system in (SOURCE, STATE, ERP)}
    )
    ledger_orders: int = 0

    def differing(self) -> frozenset[int]:
        """The buckets in which any two systems disagree about any section."""
        found: frozenset[int] = frozenset()
        for section, (reference, system) in _PAIRS.items():
            found |= self.checksums[reference, section].differing(self.checksums[system, section])
        return found

    def orders_in(self, bucket: int) -> int:
        """The most orders that any system holds in a bucket."""
        return max(checksums.counts[bucket] for checksums in self.checksums.values())


@dataclass(slots=True)
class Suspects:
    """Orders whose digests differ, and where the sources hold them."""

    order_ids: list[str]
    locators: Locators


def survey(systems: Systems) -> Survey:
    """Read every order of every system once, and keep checksums and control totals.

    Raises:
        ConfigurationError: a system lacks what is read, or refuses.
        Transient: a system is away.
    """
    result = Survey()
    for system, fingerprints in _streams(systems, result):
        for fingerprint in fingerprints:
            result.checksums[system, fingerprint.section].add(fingerprint.order_id, fingerprint.digest)
            if system == LEDGER:
                result.ledger_orders += 1
    return result


def suspects_of(systems: Systems, found: Survey, at_once: int) -> Iterator[Suspects]:
    """Read the systems again, and compare the orders of the differing buckets one by one; about `at_once` in a group.

    Raises:
        ConfigurationError: a system lacks what is read, or refuses.
        Transient: a system is away.
    """
    for buckets in _groups(found, at_once):
        locators: Locators = {}

        def located(order_id: str, number: int, locator: Locator, kept: Locators = locators) -> None:
            kept.setdefault(order_id, []).append((number, locator))

        unmatched: dict[tuple[str, Section], bytes] = {}
        for system, fingerprints in _streams(systems, None, located, buckets):
            for order_id, section, digest in fingerprints:
                if bucket_of(order_id) not in buckets:
                    continue
                # Whoever comes second takes the entry of the first away, if it says the same.
                key = (order_id, section)
                if system == _PAIRS[section][1] and unmatched.get(key) == digest:
                    del unmatched[key]
                else:
                    unmatched[key] = b"" if key in unmatched else digest
        order_ids = sorted({order_id for order_id, _ in unmatched})
        yield Suspects(order_ids, {order_id: locators.get(order_id, []) for order_id in order_ids})


def _groups(found: Survey, at_once: int) -> Iterator[frozenset[int]]:
    group: set[int] = set()
    size = 0
    for bucket in sorted(found.differing()):
        count = found.orders_in(bucket)
        if group and size + count > at_once:
            yield frozenset(group)
            group, size = set(), 0
        group.add(bucket)
        size += count
    if group:
        yield frozenset(group)


def _streams(
    systems: Systems,
    result: Survey | None,
    located: Callable[[str, int, Locator], None] | None = None,
    buckets: frozenset[int] | None = None,
) -> Iterator[tuple[str, Iterator[Fingerprint]]]:
    """Fingerprints of each system in turn, each reference before what is compared with it."""
    totals = result.totals if result is not None else {}
    for number, _ in enumerate(systems.sources):
        yield SOURCE, _source(systems, number, totals.get(SOURCE), located, buckets)
    yield STATE, _state(systems, totals.get(STATE))
    yield ERP, _erp(systems, totals.get(ERP))
    yield LEDGER, _ledger(systems)


def _source(
    systems: Systems,
    number: int,
    totals: ControlTotals | None,
    located: Callable[[str, int, Locator], None] | None,
    buckets: frozenset[int] | None,
) -> Iterator[Fingerprint]:
    for found in systems.sources[number].facts():
        section = found.locator.section
        if located is not None and buckets is not None and bucket_of(found.order_id) in buckets:
            located(found.order_id, number, found.locator)
        if totals is not None and isinstance(found.facts, SalesOrder):
            order = found.facts
            totals.add(ControlKey(order.document_currency_code, order.order_status), order.payable_amount)
        yield Fingerprint(found.order_id, section, _FACTS_DIGEST.of(section, found.facts))


def _state(systems: Systems, totals: ControlTotals | None) -> Iterator[Fingerprint]:
    for order_id, state in systems.state.states():
        if not isinstance(state, OrderState):
            yield Fingerprint(order_id, Section.ORDER, b"unreadable state")
            continue
        if totals is not None and state.order is not None:
            key = ControlKey(state.order.document_currency_code, state.order_status)
            totals.add(key, state.order.payable_amount)
        for section, facts in facts_of(state).sections.items():
            yield Fingerprint(order_id, section, _FACTS_DIGEST.of(section, facts))
        yield Fingerprint(order_id, Section.ERP, digest_of(expected_erp(state)))
        if ledger := expected_ledger(state):
            yield Fingerprint(order_id, Section.LEDGER, digest_of(ledger))


def _erp(systems: Systems, totals: ControlTotals | None) -> Iterator[Fingerprint]:
    for order_id, attributes in systems.erp.orders():
        if totals is not None and "payable_amount" in attributes:
            key = ControlKey(attributes.get("document_currency_code", ""), attributes.get("order_status", DELETED))
            totals.add(key, Decimal(attributes["payable_amount"]))
        yield Fingerprint(order_id, Section.ERP, digest_of(attributes))


def _ledger(systems: Systems) -> Iterator[Fingerprint]:
    for order_id, attributes in systems.ledger.orders():
        yield Fingerprint(order_id, Section.LEDGER, digest_of(attributes))
