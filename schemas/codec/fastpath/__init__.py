"""The fast path: encoded records that meet all conditions become encoded outputs, without Python objects between.

For hot paths where most records need no more than a look: the native engine scans a record, looks up others by its
texts, evaluates conditions, and copies fields into the outputs. Whatever is not plain is left to the caller's ordinary
way, which decides alone: the fast path may always say "not for me", and must otherwise give what the ordinary way
gives, byte for byte. Tests hold it to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.attributes import CanonicalModel
from schemas.codec.engine import implementation
from schemas.codec.fastpath.compiler import NodeCompiler, Scope
from schemas.codec.fastpath.projection import (
    Argument,
    Computed,
    Copy,
    Each,
    Given,
    IfFound,
    OutputDeclaration,
    Projection,
    ProjectionCompiler,
    Whole,
    encoded_attribute,
)
from schemas.codec.fastpath.slots import items_of, slots_of
from schemas.conditions import Condition, Vocabulary, parse_conditions

__all__ = [
    "Argument",
    "Computed",
    "Copy",
    "Each",
    "FastPath",
    "FastPathDeclaration",
    "Given",
    "IfFound",
    "LookedUp",
    "OutputDeclaration",
    "Projection",
    "Records",
    "Whole",
    "encoded_attribute",
    "is_available",
]

Records = dict[str, bytes | None]
"""Encoded records by the text that finds them; None where there is nothing to be looked up for that text."""

is_available = implementation == "native"
"""Whether this machine has the native engine; without it everything goes the ordinary way."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Records that are found by the text at `key` (`order.buyer_customer_party_id`, `line.product_id`).

    `records` is the caller's to fill. With `day` (the path of a date) the key is `text@days since 1970`.
    """

    model: type[CanonicalModel]
    key: str
    records: Records
    day: str | None = None


@dataclass(frozen=True, slots=True)
class FastPathDeclaration:
    """What comes in, what is looked up, what must hold, and what goes out.

    `names` gives conditions and projections their words for parts of the record: a name and its path. `key` is the
    text that the message's key must be, `instant` the number that is handed back with the outputs. `present` are paths
    of optional records without which a message is not for the fast path; `absent` are names of records that are None
    on it, `optional` of those looked up of which there may be none.
    """

    prefix: bytes
    model: type[CanonicalModel]
    names: Mapping[str, str]
    items: str
    key: str
    instant: str
    looked_up: Mapping[str, LookedUp]
    conditions: tuple[Condition, ...]
    vocabulary: Vocabulary
    outputs: tuple[OutputDeclaration, ...]
    present: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()


class FastPath:
    """One compiled fast path; made where `is_available`, used by one thread.

    Raises:
        ConfigurationError: conditions or outputs do not fit the models.
    """

    def __init__(self, declaration: FastPathDeclaration) -> None:
        from schemas.codec.native import _avro
        from schemas.codec.native.programs import native_engine

        scopes = _scopes(declaration)
        items = items_of(declaration.model)
        compiler = NodeCompiler(
            scopes, declaration.items, declaration.absent, declaration.optional, declaration.vocabulary
        )
        looked_up = declaration.looked_up
        per_item = {name for name, other in looked_up.items() if other.key.startswith(f"{declaration.items}.")}
        given = [
            condition
            for path in sorted(declaration.present)
            for condition in parse_conditions(f"{_spoken(declaration, path)} is not None", scopes, {}, path)
        ]
        conditions = (*given, *declaration.conditions)
        once, each = compiler.compile(conditions, frozenset(per_item | {declaration.items}))
        projections = ProjectionCompiler(scopes, compiler)
        outputs = tuple(projections.compile(output) for output in declaration.outputs)
        self._native = _avro.FastPath(
            declaration.prefix,
            native_engine(declaration.model),
            None if items is None else native_engine(items),
            _slot(scopes, declaration.key)[1],
            _slot(scopes, declaration.instant)[1],
            tuple(
                (
                    native_engine(other.model),
                    *_slot(scopes, other.key),
                    -1 if other.day is None else _slot(scopes, other.day)[1],
                    other.records,
                )
                for other in looked_up.values()
            ),
            tuple(compiler.nodes),
            once,
            each,
            outputs,
        )
        self.take = self._native.take
        """`take(message, key, arguments)`: the outputs and the instant; or what to look up before it is tried again,
        as a list of (place in the declaration, key); or None: not for the fast path."""


def _spoken(declaration: FastPathDeclaration, path: str) -> str:
    """`path` of the record as conditions write it."""
    name = next(name for name, prefix in declaration.names.items() if not prefix)
    return f"{name}.{path}"


def _scopes(declaration: FastPathDeclaration) -> dict[str, Scope]:
    slots = slots_of(declaration.model, declaration.present)
    scopes = {name: Scope(0, slots, path) for name, path in declaration.names.items()}
    items = items_of(declaration.model)
    if items is not None:
        scopes[declaration.items] = Scope(1, slots_of(items))
    for number, (name, other) in enumerate(declaration.looked_up.items()):
        scopes[name] = Scope(2 + number, slots_of(other.model))
    return scopes


def _slot(scopes: Mapping[str, Scope], path: str) -> tuple[int, int]:
    root, _, rest = path.partition(".")
    scope = scopes[root]
    return scope.number, scope.slots[".".join(part for part in (scope.path, rest) if part)].number
