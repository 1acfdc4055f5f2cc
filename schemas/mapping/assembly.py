"""A compiled mapping: which tables belong to which aggregate, and the canonical facts of an assembled image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from schemas.attributes import CanonicalModel
from schemas.avro import shapes_of
from schemas.errors import ConfigurationError, InvalidValue
from schemas.mapping.images import Builder, Image, Row, located
from schemas.mapping.plain import Plain, PlainRecord, plain_source
from schemas.mapping.records import Declaration, Place, RecordCompiler, RecordDeclaration
from schemas.mapping.tables import TableMapping
from schemas.mapping.write_back import WriteBack
from schemas.models import CapturedEvent, MasterRecord
from schemas.topics import Topic

_MASTER_FIELDS = frozenset(MasterRecord.model_fields)


@dataclass(frozen=True, slots=True)
class AggregateMapping:
    """Rows that become one canonical record: the root table's row and all rows below it.

    For a captured topic (`orders.captured` ...) `section` names the field of the event that holds the facts and
    `model` is their model; for a master topic `section` is None and `model` is the topic's own model, whose
    fields of origin the capture fills in. `plain` and `plain_key` say the same as data, where it is plain enough.
    """

    system: str
    topic: Topic
    root: str
    section: str | None
    model: type[CanonicalModel]
    columns: Mapping[str, frozenset[str]]
    plain: PlainRecord | None
    plain_key: Plain | None
    _build: Builder
    _key: Callable[[Row], Any]
    _key_where: str

    @classmethod
    def compile(
        cls, declaration: Declaration, system: str, topic: Topic, root: str, key: str, entry: RecordDeclaration
    ) -> AggregateMapping:
        """Compile one aggregate.

        Raises:
            ConfigurationError: the topic cannot be captured, or something in the declaration is wrong; it lists all.
        """
        section, model, given = _target(declaration, topic)
        compiler = RecordCompiler(declaration, root)
        build = compiler.compile(model, entry, Place(model.__name__, root), given=given)
        key_code = compiler.code(key, Place("key", root))
        if compiler.problems:
            raise ConfigurationError("\n  ".join(compiler.problems))
        scope = compiler.scope
        exec(f"def key_of(row): root = row; return {key_code}", scope)  # a checked expression
        columns = {alias: frozenset(names) for alias, names in compiler.columns.items()}
        where = f"{declaration.where}: key = {key}"
        plain = None if section is None else compiler.plain(model, entry, root, given)
        plain_key = plain_source(key, declaration.lookups)
        return cls(system, topic, root, section, model, columns, plain, plain_key, build, scope["key_of"], where)

    def key_of(self, root: Row) -> str:
        """The Kafka key of the aggregate with this root row.

        Raises:
            InvalidValue: the key expression gives no text.
        """
        try:
            key = self._key(root)
        except Exception as exc:
            raise located(exc, self._key_where, "key") from exc
        if not isinstance(key, str) or not key:
            raise InvalidValue(f"{self._key_where}: gives {key!r}, not a text", rule="mapping", field="key")
        return key

    def build(self, image: Image) -> CanonicalModel | None:
        """The canonical facts of an assembled root row; None where the aggregate's `when` is false.

        Raises:
            InvalidValue: a column's value has no meaning for the attribute; the message names both.
        """
        return self._build(image, image.row, None)


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """One source system: its tables and what becomes of them.

    `zone` is where its times without a zone are meant; whoever reads the source's rows uses it for them.
    """

    system: str
    description: str
    zone: ZoneInfo
    tables: Mapping[str, TableMapping]
    aggregates: tuple[AggregateMapping, ...]
    write_back: WriteBack | None = None

    def columns_of(self, alias: str) -> frozenset[str]:
        """Every column of a table that the mapping needs: keys, links, and what expressions read."""
        table = self.tables[alias]
        needed = set(table.key)
        if table.parent is not None:
            needed.update(table.parent.columns)
        for child in self.tables.values():
            if child.parent is not None and child.parent.table == alias:
                needed.update(table.key)
        for aggregate in self.aggregates:
            needed.update(aggregate.columns.get(alias, ()))
        return frozenset(needed)

    def root_of(self, alias: str) -> str:
        """The root table above `alias` (itself, where it has no parent)."""
        parent = self.tables[alias].parent
        return alias if parent is None else self.root_of(parent.table)


def _target(declaration: Declaration, topic: Topic) -> tuple[str | None, type[CanonicalModel], frozenset[str]]:
    if issubclass(topic.model, CapturedEvent):
        section = shapes_of(topic.model)[-1]
        assert section.record is not None
        return section.name, section.record, frozenset()
    if issubclass(topic.model, MasterRecord):
        return None, topic.model, _MASTER_FIELDS
    raise ConfigurationError(f"{declaration.where}: {topic.name} is not a topic that sources write to")


def replication_name(system: str) -> str:
    """The name of a source's replication slot and publication, unless settings give another.

    A slot's name may hold lower-case letters, digits and underscores only.
    """
    return f"ordersync_{system.replace('-', '_')}"
