"""Reads a mapping file: its TOML form, checked shape by shape, before it is compiled."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import ConfigurationError
from schemas.mapping.assembly import AggregateMapping, SourceMapping
from schemas.mapping.records import Declaration, RecordDeclaration
from schemas.mapping.tables import Link, TableMapping
from schemas.mapping.write_back import WriteBack
from schemas.topics import CATALOGUE, ORDERS_CAPTURED


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LinkFile(_Part):
    """`parent = { table = "...", columns = [...] }`: these columns hold the parent's key."""

    table: str
    columns: list[str] = Field(min_length=1)


class TableFile(_Part):
    """`[tables.NAME]`: one source table; without `name` a mere key that its children share."""

    name: str | None = Field(None, pattern=r"^[^.\s]+\.[^.\s]+$", description="schema.table")
    key: list[str] = Field(min_length=1)
    parent: LinkFile | None = None


class RecordFile(_Part):
    """Fields, nested records and lists of one canonical record."""

    fields: dict[str, str] = Field(default_factory=dict)
    records: dict[str, RecordFile] = Field(default_factory=dict)
    lists: dict[str, ListFile] = Field(default_factory=dict)
    when: str | None = None


class ListFile(RecordFile):
    """A list of records: one for each row of `table`, or one for each element of the JSON value `each`."""

    table: str | None = None
    each: str | None = None
    order_by: list[str] = Field(default_factory=list)


class AggregateFile(RecordFile):
    """`[[aggregates]]`: rows that become one canonical record on one topic."""

    topic: str
    root: str
    key: str


class WriteBackFile(_Part):
    """`[write_back]`: `columns` of the orders' table that tell how each order stands elsewhere, with their fields."""

    table: str
    columns: dict[str, str] = Field(min_length=1)


class MappingFile(_Part):
    """A whole mapping file."""

    system: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    description: str
    time_zone: str = "UTC"
    tables: dict[str, TableFile]
    aggregates: list[AggregateFile] = Field(min_length=1)
    lookups: dict[str, dict[str, str | int | bool]] = Field(default_factory=dict)
    write_back: WriteBackFile | None = None


_BUILT_IN = Path(__file__).parent / "sources"


def built_in_or_path(name: str) -> Path:
    """The file of a built-in mapping (crm, inventory ...), else the path that the name is."""
    built_in = _BUILT_IN / f"{name}.toml"
    return built_in if built_in.is_file() else Path(name)


def load(path: Path) -> SourceMapping:
    """Read, check and compile a mapping file.

    Raises:
        ConfigurationError: it cannot be read, or something in it is wrong; the message names the place.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"mapping file {path} cannot be read: {exc}") from exc
    return parse(content, origin=str(path))


def parse(content: str, *, origin: str) -> SourceMapping:
    """Check and compile the text of a mapping file; `origin` names it in messages.

    Raises:
        ConfigurationError: something in it is wrong; the message names each place, all mistakes of expressions at once.
    """
    try:
        file = MappingFile.model_validate(tomllib.loads(content))
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError(f"mapping file {origin} is not TOML: {exc}") from exc
    except ValidationError as exc:
        problems = "; ".join(
            f"[{'.'.join(str(part) for part in error['loc'])}] {error['msg']}" for error in exc.errors()
        )
        raise ConfigurationError(f"mapping file {origin}: {problems}") from exc
    tables = _tables(file, origin)
    declarations = [
        Declaration(f"mapping file {origin}: aggregate {number} ({entry.topic})", file.lookups, file.time_zone, tables)
        for number, entry in enumerate(file.aggregates, 1)
    ]
    aggregates, mistakes = list[AggregateMapping](), list[str]()
    for entry, declaration in zip(file.aggregates, declarations, strict=True):
        try:
            aggregates.append(_aggregate(file.system, entry, declaration))
        except ConfigurationError as exc:
            mistakes.append(str(exc))
    if mistakes:
        raise ConfigurationError("\n  ".join(mistakes))
    found = SourceMapping(file.system, file.description, declarations[0].zone(), tables, tuple(aggregates))
    return found if file.write_back is None else replace(found, write_back=_write_back(file.write_back, found, origin))


def _write_back(entry: WriteBackFile, found: SourceMapping, origin: str) -> WriteBack:
    where = f"mapping file {origin}: [write_back]"
    table = found.tables.get(entry.table)
    if table is None:
        raise ConfigurationError(f"{where} table {entry.table!r} is not declared")
    write_back = WriteBack(table, entry.columns)
    write_back.check(found.columns_of(entry.table), where)
    orders = [one for one in found.aggregates if one.topic.name == ORDERS_CAPTURED and one.root == entry.table]
    if not orders or orders[0].key_of({write_back.key: "1"}) != f"{found.system}:1":
        raise ConfigurationError(
            f"{where} table {entry.table!r} has to be the root of an aggregate for {ORDERS_CAPTURED} with the key "
            f"concat('{found.system}:', {write_back.key})"
        )
    return write_back


def _tables(file: MappingFile, origin: str) -> dict[str, TableMapping]:
    tables = {}
    for alias, table in file.tables.items():
        where = f"mapping file {origin}: [tables.{alias}]"
        if repeated := sorted({column for column in table.key if table.key.count(column) > 1}):
            raise ConfigurationError(f"{where} names {', '.join(repeated)} twice in its key")
        schema, name = (None, None) if table.name is None else table.name.split(".")
        link = None if table.parent is None else _link(file, table.parent, where)
        if name is None and link is not None:
            raise ConfigurationError(f"{where} without a name cannot have a parent")
        if name is None and not any(child.parent and child.parent.table == alias for child in file.tables.values()):
            raise ConfigurationError(f"{where} has neither a name nor a child: give the name of the source's table")
        tables[alias] = TableMapping(alias, schema, name, tuple(table.key), link)
    _check_acyclic(tables, origin)
    return tables


def _link(file: MappingFile, link: LinkFile, where: str) -> Link:
    parent = file.tables.get(link.table)
    if parent is None:
        raise ConfigurationError(f"{where[:-1]}.parent] table {link.table!r} is not declared")
    if len(parent.key) != len(link.columns):
        raise ConfigurationError(
            f"{where[:-1]}.parent] names {len(link.columns)} columns for the {len(parent.key)} key columns of "
            f"{link.table}"
        )
    return Link(link.table, tuple(link.columns))


def _check_acyclic(tables: dict[str, TableMapping], origin: str) -> None:
    for alias in tables:
        seen, link = [alias], tables[alias].parent
        while link is not None:
            if link.table in seen:
                raise ConfigurationError(
                    f"mapping file {origin}: [tables.{alias}.parent] goes round in a circle: "
                    f"{' -> '.join([*seen, link.table])}"
                )
            seen.append(link.table)
            link = tables[link.table].parent


def _aggregate(system: str, entry: AggregateFile, declaration: Declaration) -> AggregateMapping:
    topic = CATALOGUE.get(entry.topic)
    if topic is None:
        raise ConfigurationError(f"{declaration.where}: there is no such topic; topics: {', '.join(CATALOGUE)}")
    table = declaration.tables.get(entry.root)
    if table is None:
        raise ConfigurationError(
            f"{declaration.where}: root {entry.root!r} is not one of [tables]: {', '.join(declaration.tables)}"
        )
    if table.parent is not None:
        raise ConfigurationError(
            f"{declaration.where}: root {entry.root!r} has the parent {table.parent.table!r}: a root has none"
        )
    return AggregateMapping.compile(declaration, system, topic, entry.root, entry.key, _record(entry))


def _record(entry: RecordFile) -> RecordDeclaration:
    declaration = RecordDeclaration(
        fields=entry.fields,
        records={name: _record(record) for name, record in entry.records.items()},
        lists={name: _record(item) for name, item in entry.lists.items()},
        when=entry.when,
    )
    if isinstance(entry, ListFile):
        return replace(declaration, table=entry.table, each=entry.each, order_by=tuple(entry.order_by))
    return declaration
