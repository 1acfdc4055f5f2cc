"""How a validation rule is declared: one function with its code, severity, message and source beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

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


Check = Callable[[Candidate], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One declared rule; its metric label, dead-letter reason and documentation follow from here."""

    code: str
    severity: Severity
    sections: frozenset[Section]
    source: str
    owner: str
    since: str
    check: Check
    plain: str | None = None
    """A condition (see `schemas.conditions`) under which the rule surely has nothing to say about commercial facts."""

    @property
    def statement(self) -> str:
        """What the rule demands, in one sentence."""
        return (self.check.__doc__ or "").strip().splitlines()[0]


RULES: dict[str, Rule] = {}
"""Every declared rule by its code, in the order of declaration."""


def rule(
    code: str,
    *sections: Section,
    source: str,
    owner: str,
    severity: Severity = Severity.ERROR,
    since: str = "0.1.0",
    plain: str | None = None,
) -> Callable[[Check], Check]:
    """Declare a rule that is checked when one of `sections` changes (each section if none is named).

    A rule about commercial facts says beside its check when an order is `plain`; an order for which all rules say so is
    not checked further, and a rule that says nothing has every order checked by all rules.
    """

    def declare(check: Check) -> Check:
        if code in RULES:
            raise ValueError(f"rule {code} is declared twice")
        if not check.__doc__:
            raise ValueError(f"rule {code} says nothing: give its function a docstring")
        RULES[code] = Rule(code, severity, frozenset(sections or Section), source, owner, since, check, plain)
        return check

    return declare
