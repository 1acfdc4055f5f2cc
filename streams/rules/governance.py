"""The governance file: how a tenant switches, parametrises and adds rules, approved, versioned and with dates.

```toml
tenant = "acme"
version = "2026.4"
author = "ada.byron"
approver = "grace.hopper"          # another person: segregation of duties
approved_on = 2026-11-20
reason = "Prices of the winter season"

[[changes]]                        # of a rule that the product declares
rule = "price.list_tolerance"
valid_from = 2026-12-01            # from approved_on where it is missing; never before it
valid_until = 2027-03-01           # the first day without it; for ever where it is missing
severity = "error"
parameters = { tolerance_percent = 15 }
reason = "Sellers may not round any more"

[[changes]]
rule = "customer.sanctioned"
parameters = { names = { file = "sanctions.txt" } }   # one a line, beside this file
reason = "List of 2026-11-19"

[[changes]]
rule = "order.issued_long_ago"
enabled = false
reason = "The migration of November enters old orders"

[[rules]]                          # a rule of one's own
code = "acme.whole_pallets"
statement = "Paint is ordered by the pallet of 48."
must = "product.category is None or product.category != 'Paint' or line.quantity >= 48"
message = "line {line.line_id}: {line.quantity} of {product.name}, at least 48"
severity = "warning"
owner = "inventory"
reason = "The new carrier"
```

`must` is a condition of `schemas.conditions`; where it does not hold (or cannot be evaluated: ask `is None` first), the
rule is violated, once or for each line that it speaks of.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import ConfigurationError
from streams.rules.catalogue import Parameters, Rule, Severity, Value
from streams.rules.facts import Section
from streams.rules.ruleset import Edition, RuleInForce, RuleSet, builtin_rules, declared_rules, in_force, rule_set
from streams.rules.screening import check_fit
from streams.rules.written import written_check

_BEFORE_ANYTHING = date(1970, 1, 1)


class TextsFile(BaseModel):
    """A set of texts that stands in a file beside the governance file: one a line, `#` begins a remark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str


class _Dated(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(min_length=3)
    valid_from: date | None = None
    valid_until: date | None = None
    severity: Literal["error", "warning"] | None = None


class RuleChange(_Dated):
    """What is otherwise about a rule that the product declares."""

    rule: str
    enabled: bool = True
    parameters: dict[str, Decimal | list[str] | TextsFile] = Field(default_factory=dict)


class OwnRule(_Dated):
    """A rule that the tenant adds."""

    code: str = Field(pattern=r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
    statement: str = Field(min_length=3)
    must: str
    message: str
    owner: str
    source: str = "governance file"
    field: str | None = None


class RulesFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str = Field(pattern=r"[a-z][a-z0-9_]*")
    version: str = Field(min_length=1)
    author: str = Field(min_length=1)
    approver: str = Field(min_length=1)
    approved_on: date
    reason: str = Field(min_length=3)
    changes: list[RuleChange] = []
    rules: list[OwnRule] = []


@dataclass(frozen=True, slots=True)
class _Effect:
    """What one entry of the file makes of one rule for some time; None switches it off."""

    code: str
    valid_from: date
    valid_until: date | None
    rule: RuleInForce | None

    def covers(self, day: date | None) -> bool:
        return day is not None and self.valid_from <= day and (self.valid_until is None or day < self.valid_until)


def rules_of(path: Path | None) -> RuleSet:
    """The rules of a worker: as declared, or with the changes of a governance file. Called when it starts.

    Raises:
        ConfigurationError: the file is missing, malformed or not approved; names the place and how to mend it.
    """
    return builtin_rules() if path is None else _rules(_file(_content(path), path), path)


def draft_of(path: Path) -> RuleSet:
    """The rules of a file that need not be approved yet, for trying it out; no worker runs with them.

    Raises:
        ConfigurationError: the file is missing or malformed.
    """
    content = _content(path)
    content.setdefault("approved_on", _BEFORE_ANYTHING)
    if content.get("approver") in (None, "", content.get("author")):
        content["approver"] = "nobody yet"
    return _rules(_file(content, path), path)


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(f"rules file {path}: {exc.strerror}; correct ORDERSYNC_RULES_FILE") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"rules file {path} is no TOML: {exc}") from exc


def _file(content: dict[str, Any], path: Path) -> RulesFile:
    if not content.get("approver"):
        raise ConfigurationError(f"rules file {path} is not approved: it has no approver; have it approved first")
    try:
        file = RulesFile.model_validate(content)
    except ValidationError as exc:
        problems = "; ".join(f"{_place(error['loc'])}: {error['msg']}" for error in exc.errors())
        raise ConfigurationError(f"rules file {path}: {problems}") from exc
    if file.approver == file.author:
        raise ConfigurationError(f"rules file {path}: {file.author} is author and approver; another has to approve")
    return file


def _rules(file: RulesFile, path: Path) -> RuleSet:
    effects = [
        *(_changed(file, change, path, f"{path}: changes[{n}]") for n, change in enumerate(file.changes)),
        *(_added(file, own, f"{path}: rules[{n}]") for n, own in enumerate(file.rules)),
    ]
    _check_overlaps(effects, path)
    days = sorted({effect.valid_from for effect in effects} | {one.valid_until for one in effects if one.valid_until})
    begins: list[date | None] = [None, *days]
    ends: list[date | None] = [*days, None]
    editions = [Edition.of(_in_force(effects, day), day, end) for day, end in zip(begins, ends, strict=True)]
    for edition in editions:
        try:
            check_fit(edition.screening.conditions)
        except ConfigurationError as exc:
            raise ConfigurationError(f"rules file {path}: {exc}; write parameters with fewer decimals") from exc
    return rule_set(f"{file.tenant}-{file.version}", editions)


def _in_force(effects: Iterable[_Effect], day: date | None) -> Iterator[RuleInForce]:
    """The rules on a day; before the first change (None) those that the product declares."""
    changed = {effect.code: effect.rule for effect in effects if effect.covers(day)}
    for code, rule in declared_rules().items():
        chosen = changed.pop(code, in_force(rule))
        if chosen is not None:
            yield chosen
    yield from (rule for rule in changed.values() if rule is not None)


def _changed(file: RulesFile, change: RuleChange, path: Path, where: str) -> _Effect:
    declared = declared_rules().get(change.rule)
    if declared is None:
        raise ConfigurationError(f"{where}: there is no rule {change.rule!r}; see `ordersync rules list`")
    chosen = in_force(declared)
    values = dict(chosen.parameters.items())
    for name, value in change.parameters.items():
        if name not in values:
            there = f"has {', '.join(values)}" if values else "has no parameters"
            raise ConfigurationError(f"{where}: {change.rule} has no parameter {name!r}; it {there}")
        values[name] = _value(value, values[name], path, f"{where}.parameters.{name}")
    severity = declared.severity if change.severity is None else Severity(change.severity)
    made = replace(chosen, severity=severity, parameters=Parameters(values))
    return _dated(file, change, change.rule, made if change.enabled else None, where)


def _added(file: RulesFile, own: OwnRule, where: str) -> _Effect:
    if not own.code.startswith(f"{file.tenant}."):
        raise ConfigurationError(f"{where}: the code of a rule of one's own begins with {file.tenant!r} and a point")
    rule = Rule(
        code=own.code,
        severity=Severity(own.severity or "error"),
        sections=frozenset({Section.ORDER}),
        statement=own.statement,
        source=own.source,
        owner=own.owner,
        since=file.version,
        check=written_check(own.must, own.message, own.field, f"{where} ({own.code})"),
        plain=own.must,
    )
    return _dated(file, own, own.code, in_force(rule), where)


def _dated(file: RulesFile, entry: _Dated, code: str, rule: RuleInForce | None, where: str) -> _Effect:
    begin = entry.valid_from or file.approved_on
    if begin < file.approved_on:
        raise ConfigurationError(
            f"{where}: valid_from {begin} is before the approval of {file.approved_on}; rules do not judge the past"
        )
    if entry.valid_until is not None and entry.valid_until <= begin:
        raise ConfigurationError(f"{where}: valid_until {entry.valid_until} is not after {begin}")
    return _Effect(code, begin, entry.valid_until, rule)


def _value(value: Decimal | list[str] | TextsFile, default: Value, path: Path, where: str) -> Value:
    if isinstance(default, Decimal) != isinstance(value, Decimal):
        wanted = "a number" if isinstance(default, Decimal) else 'a list of texts or { file = "..." }'
        raise ConfigurationError(f"{where} is {wanted}")
    if isinstance(value, Decimal):
        return value
    return frozenset(value) if isinstance(value, list) else _texts(path.parent / value.file, where)


def _texts(path: Path, where: str) -> frozenset[str]:
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{where}: {path} cannot be read as UTF-8 text: {exc}") from exc
    return frozenset(line for line in lines if line)


def _check_overlaps(effects: list[_Effect], path: Path) -> None:
    for number, one in enumerate(effects):
        for other in effects[:number]:
            if one.code == other.code and (one.covers(other.valid_from) or other.covers(one.valid_from)):
                raise ConfigurationError(
                    f"rules file {path}: {one.code} is changed twice at a time; end the first with valid_until"
                )


def _place(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "file"
