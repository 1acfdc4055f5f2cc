"""Reads the facts of orders from a source database, through the mapping that the capture uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from consumers.reconcile.facts import Facts, says_something
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.images import AggregateReader, AssembledImage, NativeKey
from consumers.reconcile.rows import Snapshots, snapshot
from consumers.reconcile.settings import SourceSettings
from schemas.errors import ConfigurationError, InvalidValue
from schemas.mapping import AggregateMapping, load
from schemas.models import Fulfilment, SalesOrder, Settlement
from schemas.settings import DatabaseSettings

__all__ = ["Locator", "SourceFacts", "SourceReader", "SourceSettings"]

_SECTIONS = {section.value: section for section in (Section.ORDER, Section.FULFILMENT, Section.SETTLEMENT)}


@dataclass(frozen=True, slots=True)
class Locator:
    """Where a section of an order stands in a source, to find it again."""

    section: Section
    key: NativeKey


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One section of one order as the source has it now; exactly one of `facts` and `error` is there."""

    order_id: str
    locator: Locator
    facts: Facts | None
    error: InvalidValue | None = None


class SourceReader:
    """One source; each call of `facts` is one read-only transaction."""

    def __init__(self, settings: SourceSettings, snapshots: Snapshots = snapshot) -> None:
        """Raises ConfigurationError if the mapping is wrong, or writes no section of orders."""
        self._database, self._snapshots = settings.database, snapshots
        self._mapping = load(settings.mapping_path)
        self.mapping_digest = sha256(settings.mapping_path.read_bytes()).digest()
        self.system = self._mapping.system
        self._aggregates = [
            (_SECTIONS[aggregate.section], aggregate, AggregateReader(self._mapping, aggregate))
            for aggregate in self._mapping.aggregates
            if aggregate.section is not None
        ]
        if not self._aggregates:
            raise ConfigurationError(
                f"mapping file {settings.mapping_path} gives no section of orders; leave it out of the sources"
            )

    def facts(self, wanted: Iterable[Locator] | None = None) -> Iterator[SourceFacts]:
        """Everything that the source says of its orders, or what is still at `wanted`; streaming, sorted by nothing.

        Raises:
            ConfigurationError: a mapped table or column is missing, or the role may not read it.
            Transient: the source is away.
        """
        by_section = None if wanted is None else _by_section(wanted)
        with self._snapshots(self._database, zone=self._mapping.zone) as source:
            for section, aggregate, reader in self._aggregates:
                keys = None if by_section is None else by_section.get(section, [])
                if keys == []:
                    continue
                for assembled in reader.images(source, keys):
                    found = self._facts(section, aggregate, assembled)
                    if found is not None:
                        yield found

    @property
    def database(self) -> DatabaseSettings:
        """Where it is."""
        return self._database

    @property
    def aggregates(self) -> list[tuple[Section, AggregateReader]]:
        """The sections that it gives, and how their rows are read."""
        return [(section, reader) for section, _, reader in self._aggregates]

    def order_ids(self, wanted: Iterable[Locator]) -> Iterator[tuple[Locator, str]]:
        """The order of which each of these places that is still there holds a section.

        Raises:
            ConfigurationError: a mapped table or column is missing, or the role may not read it.
            Transient: the source is away.
        """
        by_section = _by_section(wanted)
        with self._snapshots(self._database, zone=self._mapping.zone) as source:
            for section, aggregate, reader in self._aggregates:
                for assembled in reader.images(source, by_section[section]) if section in by_section else ():
                    yield Locator(section, assembled.key), self._order_id(aggregate, assembled)

    def _order_id(self, aggregate: AggregateMapping, assembled: AssembledImage) -> str:
        try:
            return aggregate.key_of(assembled.image.row)
        except InvalidValue:
            return f"{self.system}:{'/'.join(assembled.key)}"

    def _facts(self, section: Section, aggregate: AggregateMapping, assembled: AssembledImage) -> SourceFacts | None:
        locator = Locator(section, assembled.key)
        order_id = self._order_id(aggregate, assembled)
        try:
            facts = aggregate.build(assembled.image)
        except InvalidValue as exc:
            return SourceFacts(order_id, locator, None, exc)
        assert facts is None or isinstance(facts, SalesOrder | Fulfilment | Settlement)
        return SourceFacts(order_id, locator, facts) if says_something(facts) else None


def _by_section(wanted: Iterable[Locator]) -> dict[Section, list[NativeKey]]:
    keys: dict[Section, list[NativeKey]] = {}
    for locator in wanted:
        keys.setdefault(locator.section, []).append(locator.key)
    return keys
