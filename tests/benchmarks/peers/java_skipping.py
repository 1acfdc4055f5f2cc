"""Fills in, from the committed schemas, what the Java peer does not read of a record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.avro import avro_schema
from schemas.models import Customer, OrderCaptured, Product

_SKIPPING = re.compile(r"^(?P<indent> *)//@ skip (?P<record>\w+) (?P<after>\w*)\.\.(?P<before>\w*)$", re.MULTILINE)
_LEAVES = {
    "string": "in.skipText();",
    "bytes": "in.skipText();",
    "int": "in.integer();",
    "long": "in.integer();",
    "boolean": "in.truth();",
}


def filled_in(source: str) -> str:
    """The program with each `//@ skip RECORD FIELD..FIELD` replaced; both fields themselves are left to be read."""
    records: dict[str, Any] = {}
    for model in (OrderCaptured, Customer, Product):
        _collect(avro_schema(model), records)

    def statements(found: re.Match[str]) -> str:
        fields = _between(records[found["record"]]["fields"], found["after"], found["before"])
        return "\n".join(f"{found['indent']}{_skip(field['type'], records)} // {field['name']}" for field in fields)

    return _SKIPPING.sub(statements, source)


def _between(fields: list[Any], after: str, before: str) -> Iterator[Any]:
    names = [field["name"] for field in fields]
    return iter(fields[names.index(after) + 1 if after else 0 : names.index(before) if before else None])


def _collect(schema: Any, records: dict[str, Any]) -> None:
    if isinstance(schema, list):
        for branch in schema:
            _collect(branch, records)
    elif isinstance(schema, dict) and schema["type"] == "record":
        records[schema["name"]] = schema
        for field in schema["fields"]:
            _collect(field["type"], records)
    elif isinstance(schema, dict) and schema["type"] == "array":
        _collect(schema["items"], records)


def _skip(schema: Any, records: Mapping[str, Any]) -> str:
    if isinstance(schema, list):
        (branch,) = (branch for branch in schema if branch != "null")
        return f"if (in.integer() == {schema.index(branch)}) {{ {_skip(branch, records)} }}"
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        return " ".join(_skip(field["type"], records) for field in schema["fields"])
    if kind == "array":
        each = _skip(schema["items"], records)
        return f"for (long n = in.integer(); n != 0; n = in.integer()) {{ while (n-- > 0) {{ {each} }} }}"
    named = records.get(kind.rpartition(".")[2])
    return _LEAVES[kind] if named is None else _skip(named, records)
