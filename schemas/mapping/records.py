"""Compiles one canonical record of a mapping: Python source that builds the model instance from rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape, shapes_of
from schemas.errors import ConfigurationError, InvalidValue
from schemas.mapping.coercion import coercion
from schemas.mapping.expressions import Expression, ListModels, parse_expression
from schemas.mapping.functions import functions_of
from schemas.mapping.images import (
    Builder,
    Image,
    Row,
    json_list,
    located,
    own_row_list,
    reasons_of,
    refused,
    row_list,
)
from schemas.mapping.plain import Plain, PlainConstant, PlainList, PlainRecord, plain_source

JSON_ELEMENT = ""
"""Stands for the alias of the table where the row is an element of a JSON value."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What every record of one aggregate shares."""

    where: str
    lookups: Mapping[str, Mapping[str, Any]]
    time_zone: str
    tables: Mapping[str, Any]

    def zone(self) -> ZoneInfo:
        """The zone of the source's times that name none."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ConfigurationError(f"{self.where}: time_zone {self.time_zone!r} is unknown") from exc


@dataclass(frozen=True, slots=True)
class RecordDeclaration:
    """One record as the mapping file declares it; `table`, `each` and `order_by` only for lists."""

    fields: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, RecordDeclaration] = field(default_factory=dict)
    lists: Mapping[str, RecordDeclaration] = field(default_factory=dict)
    when: str | None = None
    table: str | None = None
    each: str | None = None
    order_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the mapping something is compiled.

    `table` and `parent` are aliases, or `JSON_ELEMENT`; `parent` is None where there is no row above. `lists` are
    what `total` may add up.
    """

    path: str
    table: str
    parent: str | None = None
    lists: ListModels = field(default_factory=dict)

    def at(self, name: str) -> Place:
        """The place of the part `name`, without lists of its own."""
        return Place(f"{self.path}.{name}", self.table, self.parent)


class RecordCompiler:
    """Compiles the records of one aggregate and collects which columns of which table they read."""

    def __init__(self, declaration: Declaration, root: str) -> None:
        self._declaration = declaration
        self._root = root
        self._zone = declaration.zone()
        self.problems: list[str] = []
        """What is wrong in the declaration, of all that was compiled: what was built then is of no use."""
        self.columns: dict[str, set[str]] = {root: set()}

    @property
    def scope(self) -> dict[str, Any]:
        """The names that compiled expressions find: the functions of the language, bound to this mapping."""
        return dict(functions_of(self._zone, self._declaration.lookups))

    def expression(self, source: str, place: Place) -> Expression:
        """Check one expression and note which columns it reads.

        Raises:
            ConfigurationError: it is not one, or it names a parent that there is not.
        """
        where = f"{self._declaration.where}: {place.path}"
        expression = parse_expression(source, where=where, lookups=self._declaration.lookups, lists=place.lists)
        if expression.parent_columns and place.parent is None:
            raise ConfigurationError(f"{where}: {source!r}: there is no parent here, this is the row of the root table")
        self._note(place.table, expression.columns, where)
        self._note(self._root, expression.root_columns, where)
        self._note(place.parent or JSON_ELEMENT, expression.parent_columns, where)
        return expression

    def code(self, source: str, place: Place) -> str:
        """The same as Python; a mistake becomes one of the `problems`."""
        try:
            return self.expression(source, place).code
        except ConfigurationError as exc:
            self.problems.append(str(exc))
            return "None"

    def compile(
        self, model: type[CanonicalModel], entry: RecordDeclaration, place: Place, given: frozenset[str] = frozenset()
    ) -> Builder:
        """The function that builds `model`; `given` are fields that the caller fills in afterwards.

        What is wrong (a field that is unknown, twice or missing, a mistake in an expression) is added to `problems`.
        """
        shapes = {shape.name: shape for shape in shapes_of(model) if shape.name not in given}
        try:
            self._check_fields(model, shapes, entry, place.path)
        except ConfigurationError as exc:
            self.problems.append(str(exc))
        known = {name: shapes[name].record for name in entry.lists if name in shapes}
        place = replace(place, lists={name: record for name, record in known.items() if record is not None})
        if self.problems:
            # Its form is wrong, so that it cannot be built; its expressions are looked at all the same.
            for name, source in entry.fields.items():
                self.code(source, replace(place.at(name), lists=place.lists))
            return _unbuilt
        scope = self.scope | _coercions(model, self._zone) | {"construct": _constructor(model, given)}
        self._compile_parts(shapes, entry, place, scope)
        codes = {name: self._value(shape, entry, place) for name, shape in shapes.items()}
        when = "True" if entry.when is None else self.code(entry.when, place.at("when"))
        if self.problems:
            return _unbuilt
        reads = {
            name: self._reads(source, replace(place.at(name), lists=place.lists))
            for name, source in entry.fields.items()
        }
        scope["explain"] = _Explainer(scope, entry, codes, reads, place.path, self._declaration.where).explain
        exec(_source(codes, when, tuple(entry.lists)), scope)  # only checked expressions and our own field names
        builder: Builder = scope["build"]
        return builder

    def plain(
        self, model: type[CanonicalModel], entry: RecordDeclaration, alias: str, given: frozenset[str] = frozenset()
    ) -> PlainRecord | None:
        """The record as data, None where something in it is not plain; for an entry that was compiled before."""
        if entry.when is not None:
            return None
        found = []
        for shape in shapes_of(model):
            if shape.name in given:
                return None
            part = self._plain_part(shape, entry, alias)
            if part is None:
                return None
            found.append((shape, part))
        return PlainRecord(model, tuple(found))

    def _plain_part(
        self, shape: FieldShape, entry: RecordDeclaration, alias: str
    ) -> Plain | PlainRecord | PlainList | None:
        if shape.name in entry.lists:
            return self._plain_list(_record_of(shape), entry.lists[shape.name], alias)
        if shape.name in entry.records:
            return self.plain(_record_of(shape), entry.records[shape.name], alias)
        if shape.name in entry.fields:
            return plain_source(entry.fields[shape.name], self._declaration.lookups)
        return PlainConstant(None if shape.is_list else _default(shape))

    def _plain_list(self, model: type[CanonicalModel], entry: RecordDeclaration, alias: str) -> PlainList | None:
        if entry.table is None or entry.table == alias:
            return None
        record = self.plain(model, entry, entry.table)
        order_by = entry.order_by or self._declaration.tables[entry.table].key
        return None if record is None else PlainList(entry.table, tuple(order_by), record)

    def _reads(self, source: str, place: Place) -> str:
        """The columns that an expression reads, each with its table, as people are told them."""
        expression = self.expression(source, place)
        columns = [(place.table, name) for name in sorted(expression.columns)]
        columns += [(self._root, name) for name in sorted(expression.root_columns)]
        columns += [(place.parent or JSON_ELEMENT, name) for name in sorted(expression.parent_columns)]
        named = [f"{self._name(alias)}{name}" for alias, name in columns]
        return f" (reads {', '.join(dict.fromkeys(named))})" if named else ""

    def _name(self, alias: str) -> str:
        if alias == JSON_ELEMENT:
            return "element."
        table = self._declaration.tables[alias]
        return f"{alias if table.is_virtual else table.qualified_name}."

    def _note(self, alias: str, columns: Iterable[str], where: str) -> None:
        if alias == JSON_ELEMENT:
            return
        table = self._declaration.tables[alias]
        beyond = sorted(set(columns) - set(table.key)) if table.is_virtual else []
        if beyond:
            raise ConfigurationError(
                f"{where}: [tables.{alias}] has no name, so there is no column but its key ({', '.join(table.key)}); "
                f"{', '.join(beyond)} cannot be read"
            )
        self.columns.setdefault(alias, set()).update(columns)

    def _compile_parts(
        self, shapes: Mapping[str, FieldShape], entry: RecordDeclaration, place: Place, scope: dict[str, Any]
    ) -> None:
        for name, item in entry.lists.items():
            try:
                scope[f"list_{name}"] = self._list(_record_of(shapes[name]), item, place.at(name))
            except ConfigurationError as exc:
                self.problems.append(str(exc))
        for name, record in entry.records.items():
            scope[f"record_{name}"] = self.compile(_record_of(shapes[name]), record, place.at(name))

    def _list(
        self, model: type[CanonicalModel], entry: RecordDeclaration, place: Place
    ) -> Callable[[Image, Row, Row | None], list[Any]]:
        where = f"{self._declaration.where}: {place.path}"
        if (entry.table is None) == (entry.each is None):
            raise ConfigurationError(f"{where}: give either table or each")
        if entry.order_by and entry.table in (None, place.table):
            raise ConfigurationError(f"{where}: order_by belongs to the rows of a child table")
        if entry.each is not None:
            scope = self.scope
            each = self.code(entry.each, place.at("each"))
            exec(f"def elements(row, root, parent): return {each}", scope)  # a checked expression
            build = self.compile(model, entry, Place(place.path, JSON_ELEMENT, place.table))
            return json_list(scope["elements"], build, f"{where} = {entry.each}", place.path)
        if entry.table == place.table:
            return own_row_list(self.compile(model, entry, Place(place.path, place.table, place.table)))
        declared = self._declaration.tables.get(entry.table or "")
        if declared is None or declared.parent is None or declared.parent.table != place.table:
            raise ConfigurationError(f"{where}: table {entry.table!r} is not a child of {place.table!r} in [tables]")
        order_by = entry.order_by or declared.key
        self._note(declared.alias, order_by, where)
        build = self.compile(model, entry, Place(place.path, declared.alias, place.table))
        return row_list(declared.alias, order_by, build, where, place.path)

    def _value(self, shape: FieldShape, entry: RecordDeclaration, place: Place) -> str:
        if shape.name in entry.lists:
            return f"lists[{shape.name!r}]"
        if shape.name in entry.records:
            return f"record_{shape.name}(image, root, parent)"
        if shape.name not in entry.fields:
            return "[]" if shape.is_list else repr(_default(shape))
        at = replace(place.at(shape.name), lists=place.lists)
        return f"as_{shape.name}({self.code(entry.fields[shape.name], at)})"

    def _check_fields(
        self, model: type[CanonicalModel], shapes: dict[str, FieldShape], entry: RecordDeclaration, path: str
    ) -> None:
        where = f"{self._declaration.where}: {path}"
        given = [*entry.fields, *entry.records, *entry.lists]
        if unknown := [name for name in given if name not in shapes]:
            raise ConfigurationError(
                f"{where}: {model.__name__} has no attribute {', '.join(unknown)}; it has {', '.join(shapes)}"
            )
        if twice := [name for name in given if given.count(name) > 1]:
            raise ConfigurationError(f"{where}: {twice[0]} is given twice")
        missing = [
            name for name, shape in shapes.items() if name not in given and model.model_fields[name].is_required()
        ]
        if missing:
            raise ConfigurationError(f"{where}: {model.__name__} needs {', '.join(missing)}")
        for name in given:
            shape = shapes[name]
            right = (name in entry.lists) == shape.is_list and (name in entry.records) == (
                shape.record is not None and not shape.is_list
            )
            if not right:
                kind = "lists" if shape.is_list else "records" if shape.record is not None else "fields"
                raise ConfigurationError(f"{where}: {name} belongs under {kind}")


def _record_of(shape: FieldShape) -> type[CanonicalModel]:
    assert shape.record is not None
    return shape.record


def _source(codes: Mapping[str, str], when: str, lists: tuple[str, ...]) -> str:
    lines = [f"def field_{name}(image, row, root, parent, lists): return {code}" for name, code in codes.items()]
    lines += [f"def when(image, row, root, parent, lists): return {when}"]
    lines += ["def build(image, root, parent):", "    row, lists = image.row, {}", "    try:"]
    if when != "True":
        lines += [f"        if not ({when}): return None"]
    lines += [f"        lists[{name!r}] = list_{name}(image, root, parent)" for name in lists]
    lines += ["        values = {", *(f"            {name!r}: {code}," for name, code in codes.items()), "        }"]
    lines += ["    except Exception as exc:", "        explain(exc, image, root, parent, lists)"]
    return "\n".join([*lines, "    return construct(values)"])


def _coercions(model: type[CanonicalModel], zone: ZoneInfo) -> dict[str, Any]:
    return {f"as_{shape.name}": coercion(shape, zone) for shape in shapes_of(model)}


def _default(shape: FieldShape) -> Any:
    return False if shape.leaf is bool and not shape.is_optional else None


def _constructor(model: type[CanonicalModel], given: frozenset[str]) -> Callable[[dict[str, Any]], CanonicalModel]:
    new, put, fields_set = model.__new__, object.__setattr__, set(model.model_fields)
    blank = dict.fromkeys(given)

    def construct(values: dict[str, Any]) -> CanonicalModel:
        # Each value was coerced to its field's type above, so pydantic's second look is saved on the hot path.
        instance = new(model)
        put(instance, "__dict__", blank | values if blank else values)
        put(instance, "__pydantic_fields_set__", fields_set)
        put(instance, "__pydantic_extra__", None)
        put(instance, "__pydantic_private__", None)
        return instance

    return construct


def _unbuilt(image: Image, root: Row, parent: Row | None) -> CanonicalModel | None:
    raise ConfigurationError("a record of a mapping with problems is not built")


@dataclass(frozen=True, slots=True)
class _Explainer:
    """Finds every expression of a record that fails with some rows; only then are their names needed."""

    scope: dict[str, Any]
    entry: RecordDeclaration
    codes: Mapping[str, str]
    reads: Mapping[str, str]
    path: str
    where: str

    def explain(self, exc: Exception, image: Image, root: Row, parent: Row | None, lists: dict[str, Any]) -> NoReturn:
        """Raise what all of them refuse, each with its place, its source and the columns that it reads."""
        try:
            self.scope["when"](image, image.row, root, parent, lists)
        except Exception as found:  # noqa: BLE001 - whatever the expression provokes with these values
            raise located(found, f"{self.where}: {self.path}.when = {self.entry.when}", f"{self.path}.when") from exc
        built, reasons = self._lists(image, root, parent)
        unbuilt = [f"lists[{name!r}]" for name in self.entry.lists if name not in built]
        for name, code in self.codes.items():
            if name in self.entry.lists or any(missing in code for missing in unbuilt):
                continue
            try:
                self.scope[f"field_{name}"](image, image.row, root, parent, built)
            except Exception as found:  # noqa: BLE001 - as above
                reasons += self._located(found, name)
        if reasons:
            raise refused(reasons) from exc
        raise exc

    def _lists(self, image: Image, root: Row, parent: Row | None) -> tuple[dict[str, list[Any]], list[InvalidValue]]:
        built: dict[str, list[Any]] = {}
        reasons: list[InvalidValue] = []
        for name in self.entry.lists:
            try:
                built[name] = self.scope[f"list_{name}"](image, root, parent)
            except InvalidValue as found:
                reasons += reasons_of(found)
        return built, reasons

    def _located(self, found: Exception, name: str) -> tuple[InvalidValue, ...]:
        if isinstance(found, InvalidValue) and found.field is not None:
            return reasons_of(found)
        source = self.entry.fields.get(name)
        place = f"{self.where}: {self.path}.{name}" + (f" = {source}" if source else "")
        return (located(found, place, f"{self.path}.{name}", self.reads.get(name, "")),)
