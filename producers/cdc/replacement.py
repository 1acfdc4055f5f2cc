"""Sets kept rows to what a reading of the source holds, whole trees at a time: puts, and removes what is gone."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

from producers.cdc.aggregates import Assembly, Node, NodeId, NodeStore
from producers.cdc.changes import Row
from producers.cdc.portions import Keys, Orphans, Reading
from producers.cdc.rows import values_of
from producers.cdc.tables import RowKey, TablePlan

RowId = tuple[int, RowKey]
"""Number of the table's plan and the row's key."""


class Replaced(NamedTuple):
    """Roots whose trees are now as they were read, and roots that were left as they are because they were spared."""

    roots: list[NodeId]
    spared: list[NodeId]


class Replacement:
    """Works on one state. Trees with a row in `spared` are left: what the stream brought for them is newer."""

    def __init__(self, assembly: Assembly, store: NodeStore) -> None:
        self._assembly = assembly
        self._store = store

    def apply(self, top: TablePlan, reading: Reading, spared: Container[NodeId]) -> Replaced:
        """Bring the kept rows to the reading; `top` is the table that its portion was chosen from."""
        if isinstance(reading.portion, Orphans):
            return self._put_orphans(top, reading, spared)
        trees = _by_root(top, reading)
        if isinstance(reading.portion, Keys):
            for values in reading.portion.keys:
                trees.setdefault(top.key_of(values), [])
        done, left = [], []
        for key, rows in trees.items():
            root = top.prefix + key
            if root in spared or _holds(top, rows, spared):
                left.append(root)
            else:
                self._replace(top, root, rows)
                done.append(root)
        self._assembly.take_touched()
        self._assembly.take_met()
        return Replaced(done, left)

    def fill(self, top: TablePlan, reading: Reading) -> list[NodeId]:
        """Set the roots of a reading that no row is kept of yet, as in a first snapshot; gives them."""
        if any(not child.leaf or child.indexed for child in top.children):
            return self.apply(top, reading, ()).roots
        nodes: dict[NodeId, Node] = {}
        for plan, rows in reading.tables:
            self._assembly.fill(plan, rows, nodes)
        for root, node in nodes.items():
            self._store.changed(root, node)
        return list(nodes)

    def clear(self, top: TablePlan) -> Iterator[int]:
        """Forget all rows of a tree, but not what stands on the topics; gives the number of roots now and then."""
        for number, root in enumerate(self._store.nodes(top.prefix), 1):
            node = self._store.node(root)
            node.row = None
            node.children.clear()
            self._store.changed(root, node)
            if number % 1_000 == 0:
                yield number
        for plan in top.subtree[1:]:
            for node_id in self._store.nodes(plan.prefix):
                node = self._store.node(node_id)
                node.row = None
                node.children.clear()
                self._store.changed(node_id, node)
            for row_id in self._store.parented(plan.prefix):
                self._store.put_parent(row_id, None)
        yield 0

    def _replace(self, top: TablePlan, root: NodeId, rows: list[tuple[TablePlan, Row]]) -> None:
        before = self._kept(top, root, rows)
        for plan, row in rows:
            self._assembly.put(plan, row)
            before.pop((plan.number, plan.key(row)), None)
        plans = {plan.number: plan for plan in top.subtree}
        for number, key in before:
            self._remove(plans[number], key, before[number, key])

    def _kept(self, top: TablePlan, root: NodeId, rows: list[tuple[TablePlan, Row]]) -> dict[RowId, NodeId | None]:
        """Every kept row of a tree, with the node that holds it; also below rows that come from elsewhere."""
        found: dict[RowId, NodeId | None] = {}
        if self._store.node(root).row is not None:
            found[top.number, root[len(top.prefix) :]] = None
        waiting = [(top, root)]
        waiting += [(plan, plan.prefix + plan.key(row)) for plan, row in rows if plan is not top and not plan.leaf]
        while waiting:
            plan, holder = waiting.pop()
            children = self._store.node(holder).children
            for child in plan.children:
                for key in children.get(child.number, ()):
                    if (child.number, key) in found:
                        continue
                    found[child.number, key] = holder
                    if not child.leaf:
                        waiting.append((child, child.prefix + key))
        return found

    def _remove(self, plan: TablePlan, key: RowKey, holder: NodeId | None) -> None:
        if holder is not None:
            node = self._store.node(holder)
            if node.children.get(plan.number, {}).pop(key, None) is not None or not plan.leaf:
                self._store.changed(holder, node)
        if not plan.leaf:
            node = self._store.node(plan.prefix + key)
            node.row = None
            self._store.changed(plan.prefix + key, node)
        elif plan.indexed and holder is not None and plan.parent is not None:
            row_id = plan.prefix + key
            parent = self._store.parent_of(row_id)
            # It may belong to another tree by now, which was read before.
            if parent is not None and parent[0] == holder[len(plan.parent.prefix) :]:
                self._store.put_parent(row_id, None)

    def _put_orphans(self, top: TablePlan, reading: Reading, spared: Container[NodeId]) -> Replaced:
        left: dict[NodeId, None] = {}
        left_keys: set[RowId] = set()
        for plan, rows in reading.tables:
            for row in rows:
                parent = plan.parent_key(row)
                root = self._root_above(plan, parent)
                if plan is not top and plan.parent is not None and (plan.parent.number, parent) in left_keys:
                    left_keys.add((plan.number, plan.key(row)))
                elif (root is not None and root in spared) or plan.prefix + plan.key(row) in spared:
                    if root is not None:
                        left[root] = None
                    left_keys.add((plan.number, plan.key(row)))
                else:
                    self._assembly.put(plan, row)
        self._assembly.take_touched()
        self._assembly.take_met()
        return Replaced([], list(left))

    def rootless(self, plan: TablePlan, node_id: NodeId) -> bool:
        """Whether no root is known above a node of an inner table."""
        row = self._store.node(node_id).row
        return row is None or self._root_above(plan, plan.parent_key(values_of(row))) is None

    def _root_above(self, plan: TablePlan, parent: RowKey | None) -> NodeId | None:
        """The root that a row with this parent hangs below, even where it has no row; None if there is none."""
        while plan.parent is not None and parent is not None:
            node_id = plan.parent.prefix + parent
            plan = plan.parent
            if plan.parent is None:
                return node_id
            row = self._store.node(node_id).row
            parent = None if row is None else plan.parent_key(values_of(row))
        return None


def _holds(top: TablePlan, rows: list[tuple[TablePlan, Row]], spared: Container[NodeId]) -> bool:
    """Whether one of the rows below a root is spared that may have stood below another one."""
    if not spared:
        return False
    return any(
        plan.prefix + plan.key(row) in spared
        for plan, row in rows
        if plan is not top and (not plan.leaf or plan.indexed or plan.parent is not top)
    )


def _by_root(top: TablePlan, reading: Reading) -> dict[RowKey, list[tuple[TablePlan, Row]]]:
    """The reading's rows by the key of the root that they belong to, parents first."""
    trees: dict[RowKey, list[tuple[TablePlan, Row]]] = {}
    owners: dict[RowId, RowKey] = {}
    for plan, rows in reading.tables:
        for row in rows:
            owner: RowKey | None
            if plan is top:
                owner = plan.key(row)
            elif plan.parent is top:
                owner = plan.parent_key(row)
            else:
                parent = plan.parent_key(row)
                assert plan.parent is not None
                owner = None if parent is None else owners.get((plan.parent.number, parent))
            if owner is None:
                continue
            if not plan.leaf:
                owners[plan.number, plan.key(row)] = owner
            trees.setdefault(owner, []).append((plan, row))
    return trees
