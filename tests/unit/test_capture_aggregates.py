"""Aggregates from random row changes in random transactions: what was stated, folded by key, equals the tables."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from producers.cdc.aggregates import Assembly
from producers.cdc.assembly_state import AssemblyState, SealedState, Standing
from producers.cdc.changes import Position, RowChange
from producers.cdc.facts import FactBuilder, Outcome, Refused, Stated
from tests.unit.depot import KEYS, READER, Depot, RowId, Values, depot_plans

SHIPPED_AT = b"2026-11-21 08:00:00+00"


def values_of(table: str, number: int, other: int, variant: int) -> Values:
    def text(value: int) -> bytes:
        return str(value).encode()

    nullable = None if other == 3 else text(other)
    return {
        "orders": {"id": text(number), "state": b"hidden" if variant == 0 else text(variant)},
        "shipments": {"number": text(number), "order_id": nullable, "shipped_at": SHIPPED_AT, "carrier": text(variant)},
        "parcels": {"id": text(number), "shipment": nullable, "quantity": text(variant)},
        "pieces": {"bundle": text(other), "number": text(number), "note": text(variant), "shipped_at": SHIPPED_AT},
        "vendors": {"id": text(number), "code": text(other), "name": text(variant)},
    }[table]  # type: ignore[return-value]


@dataclass(frozen=True)
class Statement:
    """One SQL statement on the depot."""

    kind: str
    table: str
    row: tuple[int, int, int]
    at: tuple[int, int]
    toasted: bool

    def run(self, depot: Depot) -> list[RowChange]:
        key: RowId = tuple(str(number).encode() for number in (self.at if self.table == "pieces" else self.at[:1]))
        match self.kind:
            case "insert":
                return depot.put(self.table, values_of(self.table, *self.row))
            case "update":
                return depot.put(self.table, values_of(self.table, *self.row), key=key, toasted=self.toasted)
            case "delete":
                return depot.delete(self.table, key)
            case _:
                return depot.truncate(self.table)


def random_transaction(chance: random.Random) -> list[Statement]:
    """Few keys and many statements, so that rows exchange keys and parents, and come before or outlive them."""
    tables = chance.choice([["vendors"], ["pieces"], ["orders", "shipments", "parcels"], list(KEYS)])
    return [
        Statement(
            chance.choices(["insert", "update", "delete", "truncate"], weights=[8, 10, 4, 0.3])[0],
            chance.choice(tables),
            (chance.randrange(4), chance.randrange(4), chance.randrange(4)),
            (chance.randrange(4), chance.randrange(4)),
            chance.random() < 0.5,
        )
        for _ in range(chance.randrange(1, 9))
    ]


@dataclass
class Capturing:
    """The assembly over a state that may be crashed at any time; what it stated is folded by key."""

    directory: Path
    cached_nodes: int
    spilling: bool = False
    topics: dict[tuple[str, str], object] = field(default_factory=dict)
    replay: list[tuple[list[RowChange], list[tuple[str, str, object]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plans = depot_plans()
        self._open()

    def _open(self) -> None:
        self.state = AssemblyState(self.directory, cached_nodes=self.cached_nodes)
        self.assembly = Assembly(self.plans, self.state)
        self.facts = FactBuilder(self.plans, READER, self.state)
        self.sealed: list[tuple[SealedState, int]] = []

    def transaction(self, changes: list[RowChange]) -> list[Outcome]:
        middle = len(changes) // 2
        self.assembly.apply(changes[:middle])
        if self.spilling:
            self.state.spill()
        self.assembly.apply(changes[middle:])
        return [outcome for _, outcome in self.facts.of_transaction(self.assembly.take_touched())]

    def commit(self, changes: list[RowChange]) -> list[Outcome]:
        outcomes = self.transaction(changes)
        for outcome in outcomes:
            assert not isinstance(outcome, Refused), outcome
            place = (outcome.aggregate.topic.name, outcome.key)
            if isinstance(outcome, Stated):
                self.topics[place] = outcome.facts
            else:
                assert place in self.topics, f"{place} was withdrawn, but did not stand"
                del self.topics[place]
        self.replay.append((changes, described(outcomes)))
        return outcomes

    def seal(self) -> None:
        sealed = self.state.seal(Standing(Position(0), "", ""))
        self.sealed.append((sealed, len(self.replay)))

    def write(self) -> None:
        """The oldest seal becomes durable, as when Kafka has acknowledged it; later transactions are memory still."""
        if self.sealed:
            sealed, transactions = self.sealed.pop(0)
            self.state.write(sealed, durable=False)
            del self.replay[:transactions]
            self.sealed = [(later, count - transactions) for later, count in self.sealed]

    def crash(self) -> None:
        """Memory is gone; the same transactions come again and must say the same in the same order."""
        self.state.close()
        self._open()
        for changes, said in self.replay:
            assert described(self.transaction(changes)) == said


def described(outcomes: list[Outcome]) -> list[tuple[str, str, object]]:
    return [(o.aggregate.topic.name, str(o.key), o.facts if isinstance(o, Stated) else None) for o in outcomes]


@pytest.mark.parametrize("seed", range(20))
def test_folded_outcomes_are_the_tables(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    depot = Depot()
    capturing = Capturing(tmp_path / "state", cached_nodes=chance.choice([4, 1_000]))
    for _ in range(150):
        capturing.spilling = chance.random() < 0.3
        before = depot.stated()
        changes = [change for statement in random_transaction(chance) for change in statement.run(depot)]
        outcomes = capturing.commit(changes)
        after = depot.stated()
        assert capturing.topics == after
        places = {(o.aggregate.topic.name, o.key) for o in outcomes}
        assert len(places) == len(outcomes), "one event for each aggregate in a transaction"
        assert {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)} <= places
        then = chance.random()
        if then < 0.05:
            capturing.crash()
        elif then < 0.35:
            capturing.seal()
        elif then < 0.6:
            capturing.write()
    capturing.state.close()
