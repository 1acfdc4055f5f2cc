"""Assembles row changes to whole aggregates: the rows of each root key and all below it, however deep.

A *node* is a row that other rows belong to, or a root, with the leaf rows below it. It exists independently of its
row: children that come before their parent, or outlive it, wait in the parent's node. So rows may come in any
order, move between parents and lose them, and the tree is always that of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from producers.cdc.changes import UNCHANGED, ChangeKind, Column, Relation, Row, RowChange, completed
from producers.cdc.native import extension
from producers.cdc.rows import KeptRow, kept, values_of
from producers.cdc.tables import Project, RowKey, TablePlan, TablePlans
from schemas.errors import Fatal

NodeId = bytes
"""Prefix of the table's plan, then the row's key."""

MOST_MET: Final = 50_000
"""Rows of one transaction that `take_met` tells; as many as that mean that there may be more."""
_UPDATE, _TRUNCATE = ChangeKind.UPDATE, ChangeKind.TRUNCATE


class Node:
    """A row with the rows below it, by number of the child table; of inner children only the keys.

    `emitted`: the Kafka key under which each aggregate (by number in the mapping) last stood on its topic.
    """

    __slots__ = ("children", "emitted", "row")

    def __init__(
        self, row: KeptRow | None, children: dict[int, dict[RowKey, KeptRow | None]], emitted: dict[int, str]
    ) -> None:
        self.row = row
        self.children = children
        self.emitted = emitted

    @property
    def empty(self) -> bool:
        """Whether nothing would be lost with it."""
        return self.row is None and not self.emitted and not any(self.children.values())


class NodeStore(Protocol):
    """Where the assembly keeps its nodes; `assembly_state.AssemblyState` is the durable one."""

    def node(self, node_id: NodeId) -> Node:
        """The node, an empty one if there is none. What is changed in it counts only after `changed`."""
        ...

    def changed(self, node_id: NodeId, node: Node) -> None:
        """The node is to be kept as it is when the next checkpoint is sealed."""
        ...

    def nodes(self, prefix: bytes) -> Iterator[NodeId]:
        """Ids of all nodes whose id begins so; the store may be changed meanwhile."""
        ...

    def parent_of(self, row_id: NodeId) -> tuple[RowKey | None, KeptRow | None] | None:
        """What `put_parent` was told last, None if nothing."""
        ...

    def put_parent(self, row_id: NodeId, parent: tuple[RowKey | None, KeptRow | None] | None) -> None:
        """Remember the parent's key of an indexed leaf row, and the row itself where it has no parent."""
        ...

    def parented(self, prefix: bytes) -> Iterator[NodeId]:
        """Ids of all rows that `put_parent` knows of a table."""
        ...


class Assembly:
    """Applies row changes to a store and tells which aggregates they touch. Pure; used by one thread.

    Rows that were sent whole, of a root table or of leaves whose key tells their parent, are applied natively where
    that is built (`native/assembly.c`); to the same effect.
    """

    def __init__(self, plans: TablePlans, store: NodeStore, *, natively: bool = True) -> None:
        self._plans = plans
        self._store = store
        self._bound: dict[Relation, list[tuple[TablePlan, Project]]] = {}
        self._touched: dict[NodeId, None] = {}
        self._met: dict[NodeId, None] = {}
        self._relinked: dict[NodeId, None] = {}
        self.tolerated: frozenset[int] = frozenset()
        """Numbers of plans whose rows are being read again: an update of an unknown row may leave columns out."""
        native = extension() if natively else None
        self._native = native and native.Assembly(
            self._change, self._native_plan, store.node, store.changed, self._touched, Node
        )

    def apply(self, changes: Iterable[RowChange]) -> None:
        """Apply changes in their order; a transaction may come in several calls.

        Raises:
            ConfigurationError: the table's columns no longer fit the mapping.
            Fatal: the kept rows do not fit the source.
        """
        if self._native is not None:
            self._native.apply(changes)
            return
        for change in changes:
            self._change(change)

    def _change(self, change: RowChange) -> None:
        kind, relation, new, old = change
        for plan, project in self._bound.get(relation) or self._bind(relation):
            if kind is _TRUNCATE:
                self._truncate(plan)
                continue
            new_row = None if new is None else project(new)
            old_row = None if old is None else project(old)
            if plan.leaf:
                self._change_leaf(plan, new_row, old_row, kind is _UPDATE)
            else:
                self._change_node(plan, new_row, old_row, kind is _UPDATE)

    def put(self, plan: TablePlan, row: Row) -> None:
        """Set a row that was read from the source, in the columns of `plan.relation`; no other alias gets it."""
        if plan.leaf:
            self._put_leaf(plan, plan.key(row), plan.parent_key(row), row)
        else:
            self._put_node(plan, plan.key(row), row)

    def fill(self, plan: TablePlan, rows: list[Row], nodes: dict[NodeId, Node]) -> None:
        """Put rows that were read into `nodes`, which no store has yet: of a root, or of leaves whose key tells it.

        A row without a parent is left out.
        """
        at = 0
        while at < len(rows):
            if self._native is not None:
                at = self._native.fill(plan.relation, rows, at, nodes)
            if at < len(rows):
                _fill(plan, rows[at], nodes)
                at += 1

    def take_touched(self) -> list[NodeId]:
        """Roots touched since the last call, in the order in which they were touched first."""
        touched = list(self._touched)
        self._touched.clear()
        return touched

    @property
    def has_met(self) -> bool:
        """Whether `take_met` would give something."""
        return bool(self._met)

    def take_met(self) -> tuple[list[NodeId], list[NodeId]]:
        """Touched rows that may stand below another root than is known, and roots that got a subtree; since last time.

        While rows are read again, what is kept of a row's parent may be older than the source's.
        """
        if not self._met:
            return [], []
        met, relinked = list(self._met), list(self._relinked)
        self._met.clear()
        self._relinked.clear()
        return met, relinked

    def _bind(self, relation: Relation) -> list[tuple[TablePlan, Project]]:
        self._bound[relation] = bound = self._plans.bound(relation)
        return bound

    def _native_plan(self, relation: Relation) -> tuple[object, ...] | None:
        """What the native part needs for rows of this relation; None where it has to leave them all to us."""
        bound = self._bound.get(relation) or self._bind(relation)
        if len(bound) != 1:
            return None
        (plan, _), *_ = bound
        holder = plan if plan.parent is None else plan.parent
        if plan.relation is None or holder.parent is not None or plan.indexed or plan.leaf is (plan.parent is None):
            return None
        places = relation.indexes_of([column.name for column in plan.relation.columns])
        forms = {column.name: column.form.value for column in plan.relation.columns}
        key = tuple((relation.index_of(name), forms[name]) for name in plan.mapping.key)
        links = () if plan.mapping.parent is None else plan.mapping.parent.columns
        parent = tuple((relation.index_of(name), forms[name]) for name in links)
        return (plan.parent is None, plan.number, holder.prefix, places, key, parent)

    def _change_leaf(self, plan: TablePlan, new: Row | None, old: Row | None, is_update: bool) -> None:
        before = old if old is not None else new if is_update else None
        if before is None:
            assert new is not None
            self._put_leaf(plan, plan.key(new), plan.parent_key(new), new)
            return
        old_key = plan.key(before)
        old_parent, previous = self._parent_before(plan, old_key, before)
        if old_parent is not None:
            holder = self._store.node(self._holder_id(plan, old_parent))
            previous = holder.children.get(plan.number, {}).get(old_key)
        if new is None:
            self._remove_leaf(plan, old_key, old_parent)
            return
        row = self._whole(plan, new, previous)
        key, parent = plan.key(row), plan.parent_key(row)
        if key != old_key or parent != old_parent:
            self._remove_leaf(plan, old_key, old_parent)
        self._put_leaf(plan, key, parent, row)

    def _parent_before(self, plan: TablePlan, key: RowKey, row: Row) -> tuple[RowKey | None, KeptRow | None]:
        if not plan.indexed:
            return plan.parent_key(row), None
        return self._store.parent_of(plan.prefix + key) or (None, None)

    def _put_leaf(self, plan: TablePlan, key: RowKey, parent: RowKey | None, row: Row) -> None:
        self._meet(plan, key)
        if plan.indexed:
            self._store.put_parent(plan.prefix + key, (parent, kept(row) if parent is None else None))
        if parent is None:
            return
        node_id = self._holder_id(plan, parent)
        node = self._store.node(node_id)
        rows = node.children.get(plan.number)
        if rows is None:
            node.children[plan.number] = {key: kept(row)}
        else:
            rows[key] = kept(row)
        self._store.changed(node_id, node)
        self._touch_holder(plan, node_id, node)

    def _remove_leaf(self, plan: TablePlan, key: RowKey, parent: RowKey | None) -> None:
        self._meet(plan, key)
        if plan.indexed:
            self._store.put_parent(plan.prefix + key, None)
        if parent is None:
            return
        node_id = self._holder_id(plan, parent)
        node = self._store.node(node_id)
        if node.children.get(plan.number, {}).pop(key, None) is not None:
            self._store.changed(node_id, node)
        # Also where the row is not known: a reading that is older than its end must not bring it.
        self._touch_holder(plan, node_id, node)

    def _meet(self, plan: TablePlan, key: RowKey) -> None:
        if plan.indexed or (plan.parent is not None and plan.parent.parent is not None):
            self._note_met(plan.prefix + key)

    def _note_met(self, row_id: NodeId) -> None:
        if len(self._met) < MOST_MET:
            self._met[row_id] = None

    def _change_node(self, plan: TablePlan, new: Row | None, old: Row | None, is_update: bool) -> None:
        before = old if old is not None else new if is_update else None
        old_key = None if before is None else plan.key(before)
        previous = None if old_key is None else self._store.node(plan.prefix + old_key).row
        if new is None:
            assert old_key is not None
            self._clear_node(plan, old_key)
            return
        row = self._whole(plan, new, previous)
        key = plan.key(row)
        if old_key is not None and key != old_key:
            self._clear_node(plan, old_key)
        self._put_node(plan, key, row)

    def _put_node(self, plan: TablePlan, key: RowKey, row: Row) -> None:
        node_id = plan.prefix + key
        node = self._store.node(node_id)
        if plan.parent is not None:
            former = _parent_key(plan, node)
            parent = plan.parent_key(row)
            if former is not None and former != parent:
                self._touch(plan, node_id, node)
                self._unlink(plan, key, former)
            if parent is not None and (former != parent):
                self._link(plan, key, parent)
        is_relinked = plan.parent is not None and _parent_key(plan, node) != plan.parent_key(row)
        node.row = kept(row)
        self._store.changed(node_id, node)
        root = self._touch(plan, node_id, node)
        if root is not None and is_relinked and plan.number in self.tolerated:
            self._relinked[root] = None

    def _clear_node(self, plan: TablePlan, key: RowKey) -> None:
        node_id = plan.prefix + key
        node = self._store.node(node_id)
        self._touch(plan, node_id, node)
        if node.row is None:
            return
        parent = _parent_key(plan, node)
        if plan.parent is not None and parent is not None:
            self._unlink(plan, key, parent)
        node.row = None
        self._store.changed(node_id, node)

    def _link(self, plan: TablePlan, key: RowKey, parent: RowKey) -> None:
        parent_id = self._holder_id(plan, parent)
        node = self._store.node(parent_id)
        node.children.setdefault(plan.number, {})[key] = None
        self._store.changed(parent_id, node)

    def _unlink(self, plan: TablePlan, key: RowKey, parent: RowKey) -> None:
        parent_id = self._holder_id(plan, parent)
        node = self._store.node(parent_id)
        node.children.get(plan.number, {}).pop(key, None)
        self._store.changed(parent_id, node)

    def _truncate(self, plan: TablePlan) -> None:
        if not plan.leaf:
            for node_id in self._store.nodes(plan.prefix):
                self._clear_node(plan, node_id[len(plan.prefix) :])
            return
        assert plan.parent is not None
        for node_id in self._store.nodes(plan.parent.prefix):
            node = self._store.node(node_id)
            if node.children.pop(plan.number, None):
                self._store.changed(node_id, node)
                self._touch(plan.parent, node_id, node)
        if plan.indexed:
            for row_id in self._store.parented(plan.prefix):
                self._store.put_parent(row_id, None)

    def _touch_holder(self, plan: TablePlan, node_id: NodeId, node: Node) -> None:
        assert plan.parent is not None
        self._touch(plan.parent, node_id, node)

    def _touch(self, plan: TablePlan, node_id: NodeId, node: Node) -> NodeId | None:
        """Walk up to the root and give it; a row whose parent is missing belongs to no aggregate yet."""
        while plan.parent is not None:
            self._note_met(node_id)
            parent = _parent_key(plan, node)
            if parent is None:
                return None
            node_id = self._holder_id(plan, parent)
            plan = plan.parent
            node = self._store.node(node_id)
        self._touched[node_id] = None
        return node_id

    def _holder_id(self, plan: TablePlan, parent: RowKey) -> NodeId:
        assert plan.parent is not None
        return plan.parent.prefix + parent

    def _whole(self, plan: TablePlan, new: Row, previous: KeptRow | None) -> Row:
        if UNCHANGED not in new:
            return new
        row = completed(new, None if previous is None else values_of(previous))
        if UNCHANGED in row:
            if plan.number in self.tolerated:
                return tuple(None if value is UNCHANGED else value for value in row)
            missing = [c.name for c, value in zip(_columns(plan), row, strict=True) if value is UNCHANGED]
            raise Fatal(
                f"table {plan.mapping.qualified_name}: an update leaves out the unchanged column {', '.join(missing)} "
                "of a row that the capture does not know: the kept rows do not fit the source. Stop the worker, remove "
                "its data directory and start it: it takes a new snapshot"
            )
        return row


def _fill(plan: TablePlan, row: Row, nodes: dict[NodeId, Node]) -> None:
    holder = plan if plan.parent is None else plan.parent
    key = plan.key(row) if plan.parent is None else plan.parent_key(row)
    if key is None:
        return
    node = nodes.get(holder.prefix + key)
    if node is None:
        nodes[holder.prefix + key] = node = Node(None, {}, {})
    if plan.parent is None:
        node.row = kept(row)
    else:
        node.children.setdefault(plan.number, {})[plan.key(row)] = kept(row)


def _columns(plan: TablePlan) -> tuple[Column, ...]:
    assert plan.relation is not None
    return plan.relation.columns


def _parent_key(plan: TablePlan, node: Node) -> RowKey | None:
    return None if node.row is None else plan.parent_key(values_of(node.row))
