"""Turns a delivery's rows into what is to be said on the topics: facts, and refusals with their reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from producers.cdc.facts import Refused, Stated
from producers.files.spool import Spool, SpooledRow
from schemas.errors import InvalidValue
from schemas.mapping import AggregateMapping, Image, SourceMapping
from schemas.topics import MASTER_TOPICS


class DeliveredFacts:
    """Everything that one delivery says, in an order that its files alone decide: master data first.

    `aggregates` are those whose tables were delivered.
    """

    def __init__(self, mapping: SourceMapping, aggregates: Sequence[AggregateMapping], spool: Spool) -> None:
        self._mapping = mapping
        self._spool = spool
        self._aggregates = sorted(aggregates, key=lambda aggregate: aggregate.topic.name not in MASTER_TOPICS)
        self.unnamed: set[str] = set()
        """Topics of refused rows whose key nobody can tell: of these nothing can be called missing."""

    def outcomes(self) -> Iterator[Stated | Refused]:
        """Each fact once; may be called again, and then gives the same."""
        self._spool.forget_stated()
        yield from self._loose()
        for aggregate in self._aggregates:
            for root in self._spool.roots(aggregate.root):
                outcome = self._outcome(aggregate, root)
                if outcome is not None:
                    yield outcome

    def refusal(self, outcome: Stated, reason: InvalidValue) -> Refused:
        """The refusal of a fact that could not be written."""
        document = json.dumps({"key": outcome.key}, ensure_ascii=False).encode()
        return Refused(outcome.aggregate, outcome.key, self._table(outcome.aggregate.root), [reason], document)

    def _outcome(self, aggregate: AggregateMapping, root: SpooledRow) -> Stated | Refused | None:
        topic, key = aggregate.topic.name, None
        try:
            key = aggregate.key_of(root.row)
            image = self._image(aggregate.root, root)
            facts = aggregate.build(image)
            if facts is None:
                return None
            if not self._spool.state(topic, key):
                raise InvalidValue(f"another row of the delivery also states {key}", rule="delivery.key_twice")
        except InvalidValue as exc:
            if key is None:
                self.unnamed.add(topic)
            else:
                self._spool.state(topic, key)
            return self._refused(aggregate, key, aggregate.root, root, exc)
        return Stated(aggregate, key, facts)

    def _image(self, alias: str, row: SpooledRow) -> Image:
        if row.other is not None:
            raise InvalidValue(
                f"{self._table(alias)}: lines {row.number} and {row.other} have the same key and say different things",
                rule="delivery.rows_differ",
            )
        image = Image(row.row)
        for below, child in self._spool.below(alias, row.key):
            image.children.setdefault(below, []).append(self._image(below, child))
        return image

    def _loose(self) -> Iterator[Refused]:
        """Rows that belong to nothing."""
        for alias, row in self._spool.keyless():
            yield from self._refusals(alias, row, "has no key", "delivery.key_missing")
        for alias, row in self._spool.orphans():
            parent = self._mapping.tables[alias].parent
            assert parent is not None
            missing = f"belongs to a row of {self._table(parent.table)} that was not delivered"
            yield from self._refusals(alias, row, missing, "delivery.parent_missing")

    def _refusals(self, alias: str, row: SpooledRow, problem: str, rule: str) -> Iterator[Refused]:
        reason = InvalidValue(f"line {row.number} {problem}: deliver it whole", rule=rule)
        root = self._mapping.root_of(alias)
        for aggregate in self._aggregates:
            if aggregate.root == root:
                # Which order it was about is not known: one that seems to be missing may be this.
                self.unnamed.add(aggregate.topic.name)
                yield self._refused(aggregate, None, alias, row, reason)

    def _refused(
        self, aggregate: AggregateMapping, key: str | None, alias: str, row: SpooledRow, reason: InvalidValue
    ) -> Refused:
        document: dict[str, Any] = {"line": row.number} | row.row
        if key is not None:
            children = [{"table": self._table(below)} | child.row for below, child in self._spool.below(alias, row.key)]
            document |= {"rows": children}
        packed = json.dumps(document, ensure_ascii=False, default=_as_json).encode()
        return Refused(aggregate, key, self._table(alias), [reason], packed)

    def _table(self, alias: str) -> str:
        table = self._mapping.tables[alias]
        return alias if table.is_virtual else table.qualified_name


def _as_json(value: Any) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
