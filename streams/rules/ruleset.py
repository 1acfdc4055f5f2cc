"""The rules in force: which are on, with which parameters and severities, at which time.

A fact is judged by the rules in force on the day (UTC) on which its source committed it: so a replay, a late delivery
and another order of arrival all give the same decision, and a change of the rules never condemns the past.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from importlib import import_module

from streams.rules.catalogue import Finding, Parameters, Rule, Severity
from streams.rules.facts import Candidate, Section
from streams.rules.screening import NOTHING_PLAIN, Screening, screening_of

_DECLARING_MODULES = (
    "commercial",
    "taxation",
    "parties",
    "pricing",
    "dates",
    "approvals",
    "lifecycle",
    "settling",
    "answering",
)
_BUILT_IN = "builtin"


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule as it is applied."""

    rule: Rule
    severity: Severity
    parameters: Parameters

    def findings(self, candidate: Candidate) -> Iterator[Finding]:
        """What the rule has to say about a candidate."""
        return self.rule.check(candidate, self.parameters)


def in_force(rule: Rule) -> RuleInForce:
    """A rule as it is declared."""
    values = {name: parameter.default for name, parameter in rule.parameters.items()}
    return RuleInForce(rule, rule.severity, Parameters(values))


@dataclass(frozen=True, slots=True)
class Edition:
    """The rules that judge what is committed from `valid_from` until before `valid_until` (UTC days; None: ever)."""

    rules: tuple[RuleInForce, ...]
    valid_from: date | None = None
    valid_until: date | None = None
    screening: Screening = NOTHING_PLAIN
    by_section: Mapping[Section, tuple[RuleInForce, ...]] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    """Of each code in the order of declaration."""

    @classmethod
    def of(cls, rules: Iterable[RuleInForce], valid_from: date | None, valid_until: date | None) -> Edition:
        """Put rules together.

        Raises:
            ConfigurationError: a condition is not in the language; names the rule.
        """
        chosen = tuple(rules)
        return cls(
            rules=chosen,
            valid_from=valid_from,
            valid_until=valid_until,
            screening=screening_of([(one.rule, one.parameters) for one in chosen], valid_from, valid_until),
            by_section={section: tuple(one for one in chosen if section in one.rule.sections) for section in Section},
            places={one.rule.code: number for number, one in enumerate(chosen)},
        )


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All editions, oldest first, without gaps; `version` names the file that they come from and what they say."""

    version: str
    editions: tuple[Edition, ...]

    def on(self, day: date) -> Edition:
        """The rules in force on a day."""
        if len(self.editions) == 1:
            return self.editions[0]
        return self.editions[bisect_right(self.editions, day, key=lambda edition: edition.valid_from or date.min) - 1]

    def at(self, instant: datetime) -> Edition:
        """The rules that judge what is committed at `instant`."""
        return self.on(instant.date())

    def newest_change(self) -> Edition:
        """The last edition that differs from the rules as they are declared; the first one where none does."""
        declared = _said_by(builtin_rules().editions[0])
        changed = [edition for edition in self.editions if _said_by(edition) != declared]
        return changed[-1] if changed else self.editions[0]

    def unscreened(self) -> RuleSet:
        """The same rules, asked about every order: what screening and fast path are compared with."""
        return replace(self, editions=tuple(replace(one, screening=NOTHING_PLAIN) for one in self.editions))


def rule_set(name: str, editions: Iterable[Edition]) -> RuleSet:
    """Editions with the version that follows from their name and content."""
    made = tuple(editions)
    return RuleSet(f"{name}+{_digest(made)}", made)


@cache
def declared_rules() -> Mapping[str, Rule]:
    """Every rule that the code declares, by its code, in the order of declaration."""
    found: dict[str, Rule] = {}
    for name in _DECLARING_MODULES:
        for code, rule in import_module(f"streams.rules.{name}").DECLARED.rules.items():
            if code in found:
                raise ValueError(f"rule {code} is declared twice")
            found[code] = rule
    return found


@cache
def builtin_rules() -> RuleSet:
    """The rules as they are declared, for ever."""
    return rule_set(_BUILT_IN, [Edition.of([in_force(rule) for rule in declared_rules().values()], None, None)])


def _digest(editions: Iterable[Edition]) -> str:
    said = [(edition.valid_from, edition.valid_until, _said_by(edition)) for edition in editions]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:8]


def _said_by(edition: Edition) -> list[tuple[object, ...]]:
    return [
        (one.rule.code, one.severity.value, one.rule.statement, one.rule.plain, _said(one.parameters))
        for one in edition.rules
    ]


def _said(parameters: Parameters) -> list[tuple[str, object]]:
    return [
        (name, sorted(value) if isinstance(value, frozenset) else f"{value.normalize():f}")
        for name, value in parameters.items()
    ]
