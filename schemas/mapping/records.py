"""Compiles one canonical record of a mapping: Python source that builds the model instance from rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape, shapes_of
from schemas.errors import ConfigurationError, InvalidValue
from schemas.mapping.coercion import coercion
from schemas.mapping.expressions import FUNCTIONS, Expression, parse_expression
from schemas.mapping.images import Builder, Image, Row, json_list, row_list


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
class _Place:
    """Where in the mapping a record is compiled."""

    path: str
    table: str | None
    parent: str | None
    lists: frozenset[str]


class RecordCompiler:
    """Compiles the records of one aggregate and collects which columns of which table they read."""

    def __init__(self, declaration: Declaration, root: str) -> None:
        self._declaration = declaration
        self._root = root
        self._zone = declaration.zone()
        self.columns: dict[str, set[str]] = {root: set()}

    def expression(
        self, source: str, path: str, table: str | None, parent: str | None, lists: frozenset[str] = frozenset()
    ) -> Expression:
        """Check one expression and note its columns; `table` is None for the elements of a JSON value."""
        expression = parse_expression(
            source, where=f"{self._declaration.where}: {path}", lookups=self._declaration.lookups, lists=lists
        )
        for alias, columns in (
            (table, expression.columns),
            (self._root, expression.root_columns),
            (parent, expression.parent_columns),
        ):
            if alias is not None:
                self.columns.setdefault(alias, set()).update(columns)
        return expression

    def compile(
        self,
        model: type[CanonicalModel],
        entry: RecordDeclaration,
        path: str,
        table: str | None,
        parent: str | None = None,
        given: frozenset[str] = frozenset(),
    ) -> Builder:
        """The function that builds `model`; `given` are fields that the caller fills in afterwards.

        Raises:
            ConfigurationError: a field is unknown, twice, missing, or its expression is wrong.
        """
        shapes = {shape.name: shape for shape in shapes_of(model) if shape.name not in given}
        self._check_fields(model, shapes, entry, path)
        place = _Place(path, table, parent, frozenset(entry.lists))
        scope = self._scope(model, given)
        self._compile_parts(shapes, entry, place, scope)
        values = {name: self._value(shape, entry, place) for name, shape in shapes.items()}
        lines = [f"def field_{name}(image, row, root, parent, lists): return {code}" for name, code in values.items()]
        lines += ["def build(image, root, parent):", "    row, lists = image.row, {}"]
        if entry.when is not None:
            lines.append(f"    if not ({self.expression(entry.when, f'{path}.when', table, parent).code}): return None")
        lines += [f"    lists[{name!r}] = list_{name}(image, root)" for name in entry.lists]
        lines += ["    try:", "        values = {"]
        lines += [f"            {name!r}: {code}," for name, code in values.items()]
        lines += ["        }", "    except Exception as exc:", "        explain(exc, image, root, parent, lists)"]
        lines.append("    return construct(values)")
        scope["explain"] = _explainer(scope, entry, list(shapes), path, self._declaration.where)
        exec("\n".join(lines), scope)  # the source holds only checked expressions and our own field names
        builder: Builder = scope["build"]
        return builder

    def _compile_parts(
        self, shapes: Mapping[str, FieldShape], entry: RecordDeclaration, place: _Place, scope: dict[str, Any]
    ) -> None:
        for name, item in entry.lists.items():
            scope[f"list_{name}"] = self._list(shapes[name], item, f"{place.path}.{name}", place.table)
        for name, record in entry.records.items():
            nested = shapes[name].record
            assert nested is not None
            path = f"{place.path}.{name}"
            scope[f"record_{name}"] = self.compile(nested, record, path, place.table, place.parent)

    def _list(
        self, shape: FieldShape, entry: RecordDeclaration, path: str, table: str | None
    ) -> Callable[[Image, Row], list[Any]]:
        model = shape.record
        assert model is not None
        if (entry.table is None) == (entry.each is None):
            raise ConfigurationError(f"{self._declaration.where}: {path}: give either table or each")
        if entry.each is not None:
            build = self.compile(model, entry, path, None, table)
            each = self.expression(entry.each, f"{path}.each", table, None)
            scope: dict[str, Any] = dict(FUNCTIONS)
            exec(f"def elements(row, root): return {each.code}", scope)
            return json_list(scope["elements"], build, path)
        declared = self._declaration.tables.get(entry.table or "")
        if declared is None or declared.parent is None or declared.parent.table != table:
            raise ConfigurationError(
                f"{self._declaration.where}: {path}: table {entry.table!r} is not a child of {table!r} in [tables]"
            )
        build = self.compile(model, entry, path, entry.table, table)
        order_by = entry.order_by or declared.key
        self.columns.setdefault(declared.alias, set()).update(order_by)
        return row_list(declared.alias, order_by, build)

    def _value(self, shape: FieldShape, entry: RecordDeclaration, place: _Place) -> str:
        if shape.name in entry.lists:
            return f"lists[{shape.name!r}]"
        if shape.name in entry.records:
            return f"record_{shape.name}(image, root, parent)"
        if shape.name not in entry.fields:
            return "[]" if shape.is_list else repr(_default(shape))
        path = f"{place.path}.{shape.name}"
        code = self.expression(entry.fields[shape.name], path, place.table, place.parent, place.lists).code
        return f"as_{shape.name}({code})"

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

    def _scope(self, model: type[CanonicalModel], given: frozenset[str]) -> dict[str, Any]:
        scope: dict[str, Any] = dict(FUNCTIONS)
        lookups = self._declaration.lookups

        def lookup(table: str, value: Any) -> Any:
            if value is None:
                return None
            try:
                return lookups[table][str(value)]
            except KeyError:
                raise InvalidValue(f"[lookups.{table}] has no entry {str(value)!r}; add it", rule="mapping") from None

        scope["lookup"] = lookup
        scope["construct"] = _constructor(model, given)
        for shape in shapes_of(model):
            scope[f"as_{shape.name}"] = coercion(shape, self._zone)
        return scope


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


def _explainer(
    scope: dict[str, Any], entry: RecordDeclaration, names: list[str], path: str, where: str
) -> Callable[..., None]:
    def explain(exc: Exception, image: Image, root: Row, parent: Row | None, lists: dict[str, Any]) -> None:
        """Find the field that failed (only then is its name needed) and say so."""
        for name in names:
            try:
                scope[f"field_{name}"](image, image.row, root, parent, lists)
            except InvalidValue as found:
                if name in entry.fields:
                    raise InvalidValue(
                        f"{where}: {path}.{name} = {entry.fields[name]}: {found}",
                        rule=found.rule,
                        field=f"{path}.{name}",
                    ) from exc
                raise
            except KeyError as found:
                raise InvalidValue(
                    f"{where}: {path}.{name}: the row has no column {found}", rule="mapping", field=f"{path}.{name}"
                ) from exc
            except Exception as found:  # noqa: BLE001 - whatever the expression provokes with these values
                raise InvalidValue(
                    f"{where}: {path}.{name} = {entry.fields.get(name)}: {type(found).__name__}: {found}",
                    rule="mapping",
                    field=f"{path}.{name}",
                ) from exc
        raise exc

    return explain
