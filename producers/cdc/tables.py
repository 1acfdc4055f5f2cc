"""Which columns of each mapped table are kept, how its rows are identified, and to which parent they belong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from marshal import dumps, loads
from operator import itemgetter

from producers.cdc.changes import UNCHANGED, KeyForm, Relation, Row, TableName
from producers.cdc.rows import key_value
from schemas.errors import ConfigurationError
from schemas.mapping import SourceMapping, TableMapping

RowKey = bytes
"""A row's key as one byte string; equal for equal raw values."""

KeyValues = tuple[bytes, ...]
"""The raw values of a key, in the order in which the mapping names its columns."""

_MARSHAL_VERSION = 2

Project = Callable[[Row], Row]


@dataclass(frozen=True, slots=True, eq=False)
class TablePlan:
    """One table of the mapping, prepared for the assembly; the plans of a mapping form trees.

    `prefix` begins the ids of its nodes. `leaf`: it has a parent, and no table names it as theirs; its rows are kept
    within their parent's node, all other rows are nodes of their own. `indexed`: a leaf whose key does not tell its
    parent, so that the parent has to be remembered for updates and deletes that send nothing but the key.
    """

    number: int
    prefix: bytes
    mapping: TableMapping
    parent: TablePlan | None
    relation: Relation | None
    key: Callable[[Row], RowKey]
    parent_key: Callable[[Row], RowKey | None]
    leaf: bool
    indexed: bool
    children: list[TablePlan] = field(default_factory=list)

    @property
    def alias(self) -> str:
        """Its name within the mapping."""
        return self.mapping.alias

    @property
    def subtree(self) -> list[TablePlan]:
        """This table and all below it, each after its parent."""
        return [self, *(below for child in self.children for below in child.subtree)]

    def key_values(self, key: RowKey) -> KeyValues:
        """The raw values that a row's key was made of."""
        return (key,) if len(self.mapping.key) == 1 else loads(key)

    def key_of(self, values: Sequence[bytes]) -> RowKey:
        """The key of the row with these raw values in its key columns; the inverse of `key_values`."""
        forms = _forms(self.relation, self.mapping.key)
        return _joined([key_value(value, form) for value, form in zip(values, forms, strict=True)])


class SourceChanged(ConfigurationError):
    """A mapped column was dropped, renamed or retyped in the source's log: its aggregates stop here.

    `roots` are the aliases of the root tables whose aggregates need the table; `types` the numbers of the former and
    the present type where it is only that.
    """

    def __init__(self, message: str, roots: frozenset[str] = frozenset(), types: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.roots = roots
        self.types = types


class TablePlans:
    """The tables of a mapping, with the shape that they had when the capture started."""

    def __init__(
        self, mapping: SourceMapping, relations: Mapping[TableName, Relation], stopped: Collection[str] = ()
    ) -> None:
        """`relations`: the live tables, as their rows are sent; `stopped`: root aliases that are left out.

        Raises:
            ConfigurationError: a column is missing, or the source would not send what identifies a row.
        """
        self.mapping = mapping
        self.by_alias: dict[str, TablePlan] = {}
        for alias in mapping.tables:
            if mapping.root_of(alias) not in stopped:
                self._add(alias, relations)
        self.by_prefix = {plan.prefix: plan for plan in self.by_alias.values()}
        self._named: dict[TableName, list[TablePlan]] = {}
        for plan in self.by_alias.values():
            if plan.relation is not None:
                self._named.setdefault(plan.relation.name, []).append(plan)

    @property
    def in_reading_order(self) -> list[TablePlan]:
        """The tables that exist, each after its parent."""
        return [plan for plan in self.by_alias.values() if plan.relation is not None]

    def layout(self) -> str:
        """Changes with the numbers that kept rows refer to: tables and aggregates."""
        aggregates = [(aggregate.topic.name, aggregate.root) for aggregate in self.mapping.aggregates]
        return _digest([self.mapping.system, list(self.mapping.tables), aggregates])

    @property
    def roots(self) -> list[TablePlan]:
        """The root tables, those of master data first, so that orders find what they refer to."""
        sections = {aggregate.root: aggregate.section for aggregate in self.mapping.aggregates}
        roots = [plan for plan in self.by_alias.values() if plan.parent is None]
        return sorted(roots, key=lambda plan: sections.get(plan.alias) is not None)

    def fingerprint(self, root: TablePlan) -> str:
        """Changes with everything that the kept rows of a tree depend on: keys, links, columns and their types."""
        parts: list[object] = []
        for plan in root.subtree:
            columns = [(column.name, column.type_id) for column in plan.relation.columns] if plan.relation else []
            link = plan.mapping.parent
            parts.append((plan.alias, plan.mapping.qualified_name, plan.mapping.key, columns))
            parts.append((link.table, link.columns) if link else None)
        return _digest(parts)

    def bound(self, relation: Relation) -> list[tuple[TablePlan, Project]]:
        """How rows of this relation become kept rows, for each alias of the table; empty for an unmapped table.

        Raises:
            SourceChanged: a mapped column was dropped, renamed or retyped since the capture started.
        """
        found: list[tuple[TablePlan, Project]] = []
        problems: dict[str, SourceChanged] = {}
        for plan in self._named.get(relation.name, []):
            try:
                found.append((plan, _projection(plan, relation)))
            except SourceChanged as exc:
                problems[self.mapping.root_of(plan.alias)] = exc
        if problems:
            message = "; ".join(dict.fromkeys(str(exc) for exc in problems.values()))
            raise SourceChanged(message, frozenset(problems), next(iter(problems.values())).types)
        return found

    def _add(self, alias: str, relations: Mapping[TableName, Relation]) -> TablePlan:
        if alias in self.by_alias:
            return self.by_alias[alias]
        table = self.mapping.tables[alias]
        parent = None if table.parent is None else self._add(table.parent.table, relations)
        relation = None if table.is_virtual else _kept(self.mapping, table, relations)
        columns = table.key if relation is None else tuple(column.name for column in relation.columns)
        links = () if table.parent is None else table.parent.columns
        inner = any(child.parent is not None and child.parent.table == alias for child in self.mapping.tables.values())
        number = list(self.mapping.tables).index(alias)
        leaf = parent is not None and not inner
        plan = TablePlan(
            number=number,
            prefix=number.to_bytes(2, "big"),
            mapping=table,
            parent=parent,
            relation=relation,
            key=_key_reader(columns, table.key, table, _forms(relation, table.key)),
            parent_key=_parent_key_reader(columns, links, _forms(relation, links)),
            leaf=leaf,
            indexed=leaf and not set(links) <= set(table.key),
        )
        if parent is not None:
            parent.children.append(plan)
        self.by_alias[alias] = plan
        return plan


def _digest(parts: list[object]) -> str:
    return sha256(repr(parts).encode()).hexdigest()


def _kept(mapping: SourceMapping, table: TableMapping, relations: Mapping[TableName, Relation]) -> Relation:
    assert table.schema is not None
    assert table.name is not None
    relation = relations[TableName(table.schema, table.name)]
    unsent = [column.name for column in relation.columns if column.name in table.key and not column.is_key]
    if unsent:
        raise SourceChanged(
            f"table {relation.name}: the mapping's key column {', '.join(unsent)} is not part of the replica identity, "
            f"so deletes would not name the row: use the primary key as key of [tables.{table.alias}], or "
            f"ALTER TABLE {relation.name} REPLICA IDENTITY FULL",
            frozenset({mapping.root_of(table.alias)}),
        )
    wanted = mapping.columns_of(table.alias)
    columns = tuple(column for column in relation.columns if column.name in wanted)
    return Relation(relation.relation_id, relation.name, columns, relation.replica_identity)


def _projection(plan: TablePlan, relation: Relation) -> Project:
    assert plan.relation is not None
    present = {column.name: column for column in relation.columns}
    for column in plan.relation.columns:
        found = present.get(column.name)
        if found is None:
            raise SourceChanged(
                f"table {relation.name} no longer has the column {column.name}, which the mapping needs (it was "
                f"dropped or renamed); it has {', '.join(present)}: mend the mapping and restart, or bring the column "
                "back; what was missed is then read again"
            )
        if found.type_id != column.type_id:
            raise SourceChanged(
                f"column {relation.name}.{column.name} has changed its type (from OID {column.type_id} to "
                f"{found.type_id}): check the mapping's expressions for it and restart; what was missed is then read "
                "again with the new type",
                types=(column.type_id, found.type_id),
            )
        if column.name in plan.mapping.key and not found.is_key:
            raise SourceChanged(
                f"table {relation.name}: the replica identity no longer has the mapping's key column {column.name}, so "
                f"deletes would not name the row: ALTER TABLE {relation.name} REPLICA IDENTITY DEFAULT (or FULL)"
            )
    return _picker(relation.indexes_of([column.name for column in plan.relation.columns]))


def _picker(indexes: Sequence[int]) -> Project:
    if len(indexes) == 1:
        (index,) = indexes
        return lambda row: (row[index],)
    return itemgetter(*indexes)


def _forms(relation: Relation | None, columns: Sequence[str]) -> list[KeyForm]:
    if relation is None:
        return [KeyForm.AS_SENT] * len(columns)
    return [relation.columns[relation.index_of(name)].form for name in columns]


def _joined(values: Sequence[bytes]) -> RowKey:
    return values[0] if len(values) == 1 else dumps(tuple(values), _MARSHAL_VERSION)


def _key_reader(
    columns: Sequence[str], key: Sequence[str], table: TableMapping, forms: Sequence[KeyForm]
) -> Callable[[Row], RowKey]:
    indexes = [columns.index(name) for name in key]
    pick = _picker(indexes)
    single = indexes[0] if len(indexes) == 1 else None

    def missing() -> ConfigurationError:
        return ConfigurationError(
            f"table {table.qualified_name}: a row came without a value of its key ({', '.join(key)}): the key "
            f"of [tables.{table.alias}] must be columns that are NOT NULL and belong to the replica identity"
        )

    def read_one(row: Row) -> RowKey:
        value = row[single]  # type: ignore[index]
        if value.__class__ is bytes:
            return value
        raise missing()

    def read_several(row: Row) -> RowKey:
        values = pick(row)
        if None in values or UNCHANGED in values:
            raise missing()
        return dumps(values, _MARSHAL_VERSION)  # type: ignore[arg-type]

    def read_formed(row: Row) -> RowKey:
        values = [row[index] for index in indexes]
        if None in values or UNCHANGED in values:
            raise missing()
        return _joined([key_value(value, form) for value, form in zip(values, forms, strict=True)])  # type: ignore[arg-type]

    if any(forms):
        return read_formed
    return read_several if single is None else read_one


def _parent_key_reader(
    columns: Sequence[str], links: Sequence[str], forms: Sequence[KeyForm]
) -> Callable[[Row], RowKey | None]:
    """A NULL in the link means that the row has no parent, as in SQL's foreign keys."""
    if not links:
        return lambda row: None
    indexes = [columns.index(name) for name in links]

    def read_formed(row: Row) -> RowKey | None:
        values = [row[index] for index in indexes]
        if None in values:
            return None
        return _joined([key_value(value, form) for value, form in zip(values, forms, strict=True)])  # type: ignore[arg-type]

    if any(forms):
        return read_formed
    if len(indexes) == 1:
        return itemgetter(indexes[0])
    pick = _picker(indexes)

    def read(row: Row) -> RowKey | None:
        values = pick(row)
        return None if None in values else dumps(values, _MARSHAL_VERSION)  # type: ignore[arg-type]

    return read
