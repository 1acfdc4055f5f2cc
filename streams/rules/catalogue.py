"""How a validation rule is declared: one function with its code, severity, message and source beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any

from schemas.models import Customer
from streams.rules.facts import Candidate, Section


class Severity(Enum):
    """What a violated rule does to the event."""

    ERROR = "error"
    """The event is refused."""
    WARNING = "warning"
    """The event is accepted; the version names the violation."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation: what is wrong, and where."""

    message: str
    field: str | None = None


Value = Decimal | frozenset[str]
"""Of a parameter: a number, or a set of texts."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a tenant may set about a rule, with the value that it has otherwise."""

    default: Value
    meaning: str


class Parameters:
    """The values of one rule's parameters."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def number(self, name: str) -> Decimal:
        """The number of that name."""
        value = self._values[name]
        assert isinstance(value, Decimal)
        return value

    def texts(self, name: str) -> frozenset[str]:
        """The set of that name."""
        value = self._values[name]
        assert isinstance(value, frozenset)
        return value

    def items(self) -> Iterable[tuple[str, Value]]:
        """Name and value of each, by name."""
        return sorted(self._values.items())


Check = Callable[[Candidate, Parameters], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One declared rule; its metric label, dead-letter reason and documentation follow from here."""

    code: str
    severity: Severity
    sections: frozenset[Section]
    statement: str
    source: str
    owner: str
    since: str
    check: Check
    plain: str | None = None
    """A condition (see `schemas.conditions`) under which the rule surely has nothing to say about commercial facts."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    clears_customer: Callable[[Customer, Parameters], bool] | None = None
    """Whether the rule has nothing to say about orders of this customer; asked once for each image of it."""


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """What a declaration may say beside code, sections, source and owner."""

    severity: Severity = Severity.ERROR
    since: str = "0.1.0"
    plain: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    clears_customer: Callable[..., bool] | None = None


class RuleDeclarations:
    """The rules that one module declares, in their order."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}

    def rule(
        self, code: str, *sections: Section, source: str, owner: str, **options: Any
    ) -> Callable[[Callable[..., Iterator[Finding]]], Callable[..., Iterator[Finding]]]:
        """Declare a rule that is checked when one of `sections` changes (each section if none is named).

        A rule about commercial facts says beside its check when an order is `plain`; an order for which all rules say
        so is not checked further, and a rule that says nothing has every order checked by all rules. A check of a rule
        with `parameters` takes their values as its second argument; `plain` has them as constants in capitals.

        Raises:
            ValueError: declared twice, or without a docstring.
        """
        chosen = RuleOptions(**options)

        def declare(check: Callable[..., Iterator[Finding]]) -> Callable[..., Iterator[Finding]]:
            if code in self.rules:
                raise ValueError(f"rule {code} is declared twice")
            if not check.__doc__:
                raise ValueError(f"rule {code} says nothing: give its function a docstring")
            self.rules[code] = Rule(
                code=code,
                severity=chosen.severity,
                sections=frozenset(sections or Section),
                statement=check.__doc__.strip().splitlines()[0],
                source=source,
                owner=owner,
                since=chosen.since,
                check=check if chosen.parameters else _without_parameters(check),
                plain=chosen.plain,
                parameters=chosen.parameters,
                clears_customer=chosen.clears_customer,
            )
            return check

        return declare


def _without_parameters(check: Callable[[Candidate], Iterator[Finding]]) -> Check:
    return lambda candidate, _: check(candidate)
