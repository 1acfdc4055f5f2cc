"""Aggregates from random row changes in random transactions: what was stated, folded by key, equals the tables."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from producers.cdc.aggregates import Assembly
from producers.cdc.assembly_state import AssemblyState, Phase, Standing
from producers.cdc.changes import Position, RowChange
from producers.cdc.facts import FactBuilder, Outcome, Refused, Stated
from tests.unit.depot import READER, Depot, RowId, Values, depot_plans

SMALL = st.integers(0, 3)
TABLES = st.sampled_from(["orders", "shipments", "parcels", "pieces", "vendors"])
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


KINDS = st.sampled_from(["insert"] * 8 + ["update"] * 8 + ["delete"] * 4 + ["truncate"])
STATEMENTS = st.builds(Statement, KINDS, TABLES, st.tuples(SMALL, SMALL, SMALL), st.tuples(SMALL, SMALL), st.booleans())
STEPS = st.lists(
    st.tuples(st.lists(STATEMENTS, min_size=1, max_size=8), st.sampled_from(["", "", "seal", "write", "crash"])),
    max_size=25,
)


@dataclass
class Capturing:
    """The assembly over a state that may be crashed at any time; what it stated is folded by key."""

    directory: Path
    cached_nodes: int
    topics: dict[tuple[str, str], object] = field(default_factory=dict)
    replay: list[tuple[list[RowChange], list[tuple[str, str, object]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plans = depot_plans()
        self._open()

    def _open(self) -> None:
        self.state = AssemblyState(self.directory, cached_nodes=self.cached_nodes)
        self.assembly = Assembly(self.plans, self.state)
        self.facts = FactBuilder(self.plans, READER, self.state)
        self.sealed: list[object] = []

    def transaction(self, changes: list[RowChange]) -> list[Outcome]:
        middle = len(changes) // 2
        self.assembly.apply(changes[:middle])
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

    def write(self) -> None:
        sealed = self.state.seal(Standing(Position(len(self.replay)), Phase.STREAMING, "", "", ""))
        self.state.write(sealed, durable=False)
        self.replay.clear()

    def crash(self) -> None:
        """Memory is gone; the same transactions come again and must say the same in the same order."""
        self.state.close()
        self._open()
        for changes, said in self.replay:
            assert described(self.transaction(changes)) == said


def described(outcomes: list[Outcome]) -> list[tuple[str, str, object]]:
    return [(o.aggregate.topic.name, str(o.key), o.facts if isinstance(o, Stated) else None) for o in outcomes]


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from([4, 1_000]))
def test_folded_outcomes_are_the_tables(steps: list[tuple[list[Statement], str]], cached_nodes: int) -> None:
    depot = Depot()
    with tempfile.TemporaryDirectory() as directory:
        capturing = Capturing(Path(directory) / "state", cached_nodes)
        for statements, then in steps:
            before = depot.stated()
            changes = [change for statement in statements for change in statement.run(depot)]
            outcomes = capturing.commit(changes)
            after = depot.stated()
            assert capturing.topics == after
            places = [(o.aggregate.topic.name, o.key) for o in outcomes]
            assert len(places) == len(set(places)), "one event for each aggregate in a transaction"
            assert {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)} <= set(
                places
            )
            if then in ("seal", "write"):
                capturing.write()
            elif then == "crash":
                capturing.crash()
        capturing.state.close()
