"""Which trees of the mapping the source fits now, which are stopped because it does not, and which have changed."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from producers.cdc.assembly_state import AssemblyState
from producers.cdc.changes import Relation, TableName
from producers.cdc.tables import SourceChanged, TablePlans
from schemas.mapping import SourceMapping

STOPPED = b"stopped"
"""Note: root aliases of which nothing is captured, each with the reason."""
_SHAPES = b"shapes"
"""Note: root aliases, each with the shape of its tables and with what the mapping says about them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fitness:
    """What one attempt can capture. All are aliases of root tables.

    `plans` are those of the trees that run; `stopped` have a reason; `mending` are stopped, but the source fits again;
    `reshaped` run with other columns than the kept rows have; `restated` run with other expressions than before.
    """

    plans: TablePlans
    stopped: dict[str, str]
    mending: frozenset[str]
    reshaped: frozenset[str]
    restated: frozenset[str]
    shapes: dict[str, list[str]]

    def note(self, state: AssemblyState) -> None:
        """Keep what is stopped, and the shapes of what runs."""
        put_stopped(state, self.stopped)
        state.put_note(_SHAPES, json.dumps(self.shapes).encode())


class Held:
    """Trees that stopped at a changed type in this process: they go on once the table or the process is another."""

    def __init__(self) -> None:
        self._shapes: dict[str, str | None] = {}

    def hold(self, roots: Collection[str]) -> None:
        """Their expressions may no longer mean the same: a person has to look."""
        self._shapes.update(dict.fromkeys(roots))

    def holds(self, root: str, shape: str) -> bool:
        """Whether the tree is still as it was when it was held."""
        if root not in self._shapes:
            return False
        if self._shapes[root] is None:
            self._shapes[root] = shape
        return self._shapes[root] == shape

    def release(self, root: str) -> None:
        """It goes on."""
        self._shapes.pop(root, None)


def unfit(mapping: SourceMapping, misfits: Mapping[TableName, Collection[str]]) -> dict[str, str]:
    """The trees that need a table that does not fit, each with all reasons."""
    found: dict[str, list[str]] = {}
    for alias, table in mapping.tables.items():
        if table.schema is not None and table.name is not None:
            found.setdefault(mapping.root_of(alias), []).extend(misfits.get(TableName(table.schema, table.name), ()))
    return {root: "; ".join(dict.fromkeys(problems)) for root, problems in found.items() if problems}


def planned(
    mapping: SourceMapping, relations: Mapping[TableName, Relation], stopped: Mapping[str, str]
) -> tuple[TablePlans, dict[str, str]]:
    """Plans of all trees but the stopped ones; some more may turn out not to fit."""
    stopped = dict(stopped)
    while True:
        try:
            return TablePlans(mapping, relations, stopped), stopped
        except SourceChanged as exc:
            stopped |= dict.fromkeys(exc.roots, str(exc))


def fitness(
    mapping: SourceMapping,
    path: Path,
    relations: Mapping[TableName, Relation],
    misfits: Mapping[TableName, Collection[str]],
    state: AssemblyState,
    held: Held,
) -> Fitness:
    """Compare the live tables and the mapping with what is kept in `state`."""
    all_plans, bad = planned(mapping, relations, unfit(mapping, misfits))
    said = _said(path)
    live = {plan.alias: [all_plans.fingerprint(plan), said.get(plan.alias, "")] for plan in all_plans.roots}
    before = stopped_trees(state)
    held_now = {root for root in before if root in live and held.holds(root, live[root][0])}
    mending = frozenset(before) - set(bad) - held_now
    for root in mending:
        held.release(root)
    stopped = {root: reason for root, reason in before.items() if mapping.tables.get(root) is not None} | bad
    for root in bad.keys() - before.keys():
        _log.error("nothing is captured of %s until it is mended: %s", root, bad[root])
    plans, _ = planned(mapping, relations, stopped)
    kept = _shapes(state)
    running = {root: shape for root, shape in live.items() if root not in stopped}
    reshaped = frozenset(root for root, shape in running.items() if kept.get(root, [""])[0] != shape[0])
    restated = frozenset(root for root, shape in running.items() if root not in reshaped and kept[root] != shape)
    return Fitness(plans, stopped, mending, reshaped, restated, running)


def stopped_trees(state: AssemblyState) -> dict[str, str]:
    """Root aliases that are noted as stopped, with their reasons."""
    value = state.note(STOPPED)
    return {} if value is None else dict(json.loads(value))


def put_stopped(state: AssemblyState, stopped: Mapping[str, str]) -> None:
    """Note what is stopped."""
    state.put_note(STOPPED, json.dumps(dict(stopped)).encode() if stopped else None)


def forget_shapes(state: AssemblyState, roots: Collection[str]) -> None:
    """Let the next attempt read these trees anew."""
    shapes = {root: shape for root, shape in _shapes(state).items() if root not in roots}
    state.put_note(_SHAPES, json.dumps(shapes).encode())


def _shapes(state: AssemblyState) -> dict[str, list[str]]:
    value = state.note(_SHAPES)
    return {} if value is None else dict(json.loads(value))


def _said(path: Path) -> dict[str, str]:
    """What the mapping file says of each root: changes with its expressions."""
    file = tomllib.loads(path.read_text(encoding="utf-8"))
    common = [file.get("time_zone"), file.get("lookups")]
    by_root: dict[str, list[object]] = {}
    for aggregate in file["aggregates"]:
        by_root.setdefault(aggregate["root"], []).append(aggregate)
    return {root: sha256(repr([common, aggregates]).encode()).hexdigest() for root, aggregates in by_root.items()}
