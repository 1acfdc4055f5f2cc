"""Turns assembled rows into what is to be said on the topics: facts, withdrawals and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from producers.cdc.aggregates import Node, NodeId, NodeStore
from producers.cdc.changes import RowReader, RowValues
from producers.cdc.rows import KeptRow, values_of
from producers.cdc.sections import SectionBuilder, section_builder
from producers.cdc.tables import TablePlan, TablePlans
from schemas.attributes import CanonicalModel
from schemas.errors import InvalidValue
from schemas.mapping import AggregateMapping, Image
from schemas.mapping.images import reasons_of


class Stated(NamedTuple):
    """The aggregate as it now is; the facts of a captured event may be in their Avro form already."""

    aggregate: AggregateMapping
    key: str
    facts: CanonicalModel | bytes


class Withdrawn(NamedTuple):
    """The aggregate that stood under this key is gone."""

    aggregate: AggregateMapping
    key: str


class Refused(NamedTuple):
    """The mapping refuses the rows; `document` is what they hold, as JSON."""

    aggregate: AggregateMapping
    key: str | None
    table: str
    reasons: list[InvalidValue]
    document: bytes


Outcome = Stated | Withdrawn | Refused


@dataclass(frozen=True, slots=True)
class _Problem:
    reasons: list[InvalidValue]
    readable: dict[str, object]


class FactBuilder:
    """Builds the outcomes of touched roots; notes in each root's node what stands on the topics."""

    def __init__(self, plans: TablePlans, reader: RowReader, store: NodeStore, *, natively: bool = True) -> None:
        self._plans = plans
        self._store = store
        self._reader = reader
        self._values: dict[int, RowValues] = {
            plan.number: reader.row_values(plan.relation) for plan in plans.in_reading_order if plan.relation
        }
        self._aggregates: dict[int, list[tuple[int, AggregateMapping]]] = {}
        self._sections: dict[bytes, tuple[int, AggregateMapping, SectionBuilder]] = {}
        for number, aggregate in enumerate(plans.mapping.aggregates):
            if aggregate.root in plans.by_alias:
                self._aggregates.setdefault(plans.by_alias[aggregate.root].number, []).append((number, aggregate))
        for plan in plans.by_alias.values():
            if natively and len(self._aggregates.get(plan.number, ())) == 1:
                ((number, aggregate),) = self._aggregates[plan.number]
                build = section_builder(aggregate, plan, reader, store.node)
                if build is not None:
                    self._sections[plan.prefix] = (number, aggregate, build)

    @property
    def native_sections(self) -> Mapping[bytes, tuple[int, AggregateMapping, SectionBuilder]]:
        """By the prefix of a root's plan: its only aggregate, with its number, where its section is built natively."""
        return self._sections

    def of_transaction(self, touched: Iterable[NodeId]) -> list[tuple[NodeId, Outcome]]:
        """What a transaction changed, with the root that says it: at most one outcome for each key of a topic.

        Withdrawals come last: where rows exchange their keys, one states what another no longer does.
        """
        found = []
        withdrawn = []
        for root in touched:
            for outcome in self.outcomes(root):
                item = (root, outcome)
                found.append(item)
                if outcome.__class__ is Withdrawn:
                    withdrawn.append(item)
        if not withdrawn:
            return found
        said = [item for item in found if item[1].__class__ is not Withdrawn]
        stated = {(stated.aggregate.topic.name, stated.key) for _, stated in said if isinstance(stated, Stated)}
        return said + [item for item in withdrawn if (item[1].aggregate.topic.name, item[1].key) not in stated]

    def of_large_transaction(self, touched: Sequence[NodeId], count: int) -> Iterator[list[tuple[NodeId, Outcome]]]:
        """The same as `of_transaction`, of so many roots at a time; of those before only the keys are held."""
        withdrawn: list[tuple[NodeId, Withdrawn]] = []
        stated: set[tuple[str, str]] = set()
        for at in range(0, len(touched), count):
            said: list[tuple[NodeId, Outcome]] = []
            for root in touched[at : at + count]:
                for outcome in self.outcomes(root):
                    if isinstance(outcome, Withdrawn):
                        withdrawn.append((root, outcome))
                        continue
                    if isinstance(outcome, Stated):
                        stated.add((outcome.aggregate.topic.name, outcome.key))
                    said.append((root, outcome))
            yield said
        for at in range(0, len(withdrawn), count):
            yield [
                (root, gone)
                for root, gone in withdrawn[at : at + count]
                if (gone.aggregate.topic.name, gone.key) not in stated
            ]

    def outcomes(self, root: NodeId) -> list[Outcome]:
        """What the root's rows now say, for each of its aggregates in the mapping's order."""
        native = self._sections.get(root[:2])
        if native is not None:
            number, aggregate, build = native
            node = self._store.node(root)
            built = build(node)
            if built is not None:
                key, section = built
                if node.emitted.get(number) == key:
                    return [Stated(aggregate, key, section)]
                return [*self._moved(number, aggregate, root, node, key), Stated(aggregate, key, section)]
        return list(self._outcomes(root))

    def _outcomes(self, root: NodeId) -> Iterator[Outcome]:
        plan = self._plans.by_prefix[root[:2]]
        node = self._store.node(root)
        try:
            image = self._image(plan, node)
        except InvalidValue as exc:
            for _, aggregate in self._aggregates.get(plan.number, ()):
                yield self._refused(aggregate, plan, node, exc)
            return
        for number, aggregate in self._aggregates.get(plan.number, ()):
            yield from self._of_aggregate(number, aggregate, plan, root, node, image)

    def withdrawals(self, root: NodeId, node: Node) -> Iterator[Withdrawn]:
        """All that stands on the topics for a node whose rows are gone."""
        for number, aggregate in self._aggregates.get(self._plans.by_prefix[root[:2]].number, ()):
            if number in node.emitted:
                yield Withdrawn(aggregate, node.emitted[number])

    def refusal(self, root: NodeId, outcome: Stated | Withdrawn, reason: InvalidValue) -> Refused:
        """The refusal of an outcome that could not be written."""
        return self._refused(outcome.aggregate, self._plans.by_prefix[root[:2]], self._store.node(root), reason)

    def _of_aggregate(
        self, number: int, aggregate: AggregateMapping, plan: TablePlan, root: NodeId, node: Node, image: Image | None
    ) -> Iterator[Outcome]:
        try:
            facts = None if image is None else aggregate.build(image)
            key = None if image is None or facts is None else aggregate.key_of(image.row)
        except InvalidValue as exc:
            yield self._refused(aggregate, plan, node, exc)
            return
        yield from self._moved(number, aggregate, root, node, key)
        if key is not None and facts is not None:
            yield Stated(aggregate, key, facts)

    def _moved(
        self, number: int, aggregate: AggregateMapping, root: NodeId, node: Node, key: str | None
    ) -> Iterator[Withdrawn]:
        """Note under which key the aggregate now stands; withdraw it where it stood under another."""
        emitted = node.emitted.get(number)
        if emitted == key:
            return
        if emitted is not None:
            yield Withdrawn(aggregate, emitted)
            del node.emitted[number]
        if key is not None:
            node.emitted[number] = key
        self._store.changed(root, node)

    def _image(self, plan: TablePlan, node: Node) -> Image | None:
        if plan.relation is not None and node.row is None:
            return None
        children: dict[str, list[Image]] = {}
        for child in plan.children:
            rows = node.children.get(child.number)
            if not rows:
                continue
            if child.leaf:
                values = self._values[child.number]
                children[child.alias] = [Image(values(values_of(row))) for row in rows.values() if row is not None]
            else:
                nodes = (self._store.node(child.prefix + key) for key in rows)
                images = [self._image(child, below) for below in nodes]
                children[child.alias] = [image for image in images if image is not None]
        if plan.relation is not None:
            assert node.row is not None
            return Image(self._values[plan.number](values_of(node.row)), children)
        return _virtual(plan, children)

    def _refused(self, aggregate: AggregateMapping, plan: TablePlan, node: Node, exc: InvalidValue) -> Refused:
        table, problem = self._examined(plan, node)
        reasons = problem.reasons or list(reasons_of(exc))
        try:
            key = aggregate.key_of(problem.readable)
        except InvalidValue:
            key = None
        document = json.dumps(self._document(plan, node), ensure_ascii=False).encode()
        return Refused(aggregate, key, table, reasons, document)

    def _examined(self, plan: TablePlan, node: Node) -> tuple[str, _Problem]:
        """The root's readable columns, and every column of its tree that cannot be read."""
        reasons: list[InvalidValue] = []
        readable: dict[str, object] = {}
        table = plan.mapping.qualified_name if plan.relation is not None else plan.alias
        if plan.relation is not None and node.row is not None:
            readable, reasons = self._readable(plan, node.row)
        for child in plan.children:
            for key, row in node.children.get(child.number, {}).items():
                below = Node(row, {}, {}) if child.leaf else self._store.node(child.prefix + key)
                _, problem = self._examined(child, below)
                reasons += problem.reasons
                if plan.relation is None and child.mapping.parent is not None:
                    links = zip(plan.mapping.key, child.mapping.parent.columns, strict=True)
                    readable |= {name: problem.readable[link] for name, link in links if link in problem.readable}
                    table = child.mapping.qualified_name
        return table, _Problem(reasons, readable)

    def _readable(self, plan: TablePlan, row: KeptRow) -> tuple[dict[str, object], list[InvalidValue]]:
        assert plan.relation is not None
        readable: dict[str, object] = {}
        reasons: list[InvalidValue] = []
        values = values_of(row)
        for column in plan.relation.columns:
            try:
                readable |= self._reader.row_values(plan.relation, [column.name])(values)
            except InvalidValue as exc:
                reasons.append(exc)
        return readable, reasons

    def _document(self, plan: TablePlan, node: Node) -> dict[str, object]:
        document: dict[str, object] = {}
        if plan.relation is not None and node.row is not None:
            document = {
                column.name: value.decode(errors="backslashreplace") if isinstance(value, bytes) else None
                for column, value in zip(plan.relation.columns, values_of(node.row), strict=True)
            }
        for child in plan.children:
            rows = node.children.get(child.number)
            if rows:
                below = [
                    Node(row, {}, {}) if child.leaf else self._store.node(child.prefix + key)
                    for key, row in rows.items()
                ]
                document[child.alias] = [self._document(child, item) for item in below]
        return document


def _virtual(plan: TablePlan, children: dict[str, list[Image]]) -> Image | None:
    """The row of a table that the source does not have: the key, as the first row below it holds it."""
    for child in plan.children:
        images = children.get(child.alias)
        if images and child.mapping.parent is not None:
            first = images[0].row
            links = zip(plan.mapping.key, child.mapping.parent.columns, strict=True)
            return Image({name: first[link] for name, link in links}, children)
    return None
