"""Holds: spans of time whose restore points stay, whatever the policy says; placed and released in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from consumers.backup.vault.audit import AuditEntry
from consumers.backup.vault.trust import OFFICER, RESTORER
from schemas.errors import BackupRefused
from schemas.settings import SettingsPart

PLACED, RELEASED = "HoldPlaced", "HoldReleased"
"""Actions of the audit log."""


class HeldSpan(SettingsPart):
    """What a hold says; the subject of its entry in the audit log."""

    name: str = Field(min_length=1, max_length=100)
    since: AwareDatetime
    until: AwareDatetime

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.until < self.since:
            raise ValueError("a hold ends after it begins")
        return self


class Hold(NamedTuple):
    """One that is open, and from when on it was known."""

    span: HeldSpan
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Holds:
    """The open ones. Restorers and officers place them, officers alone release them."""

    open: Mapping[str, Hold] = field(default_factory=dict)

    def after(self, entry: AuditEntry, role: str, known_at: datetime) -> Holds:
        """With one more entry of the audit log.

        Raises:
            BackupRefused: a hold was placed or released by somebody who may not, or says nothing.
        """
        if entry.action == PLACED:
            _require(entry, role, (RESTORER, OFFICER))
            span = _span(entry)
            if span.name in self.open:
                # A second one of the same name would shorten the first.
                return self
            return Holds({**self.open, span.name: Hold(span, known_at)})
        if entry.action == RELEASED:
            _require(entry, role, (OFFICER,))
            return Holds({name: hold for name, hold in self.open.items() if name != entry.subject})
        return self

    def known(self, at: datetime) -> list[HeldSpan]:
        """Those that everybody knew at a time."""
        return [hold.span for hold in self.open.values() if hold.known_at <= at]


def _require(entry: AuditEntry, role: str, allowed: tuple[str, ...]) -> None:
    if role not in allowed:
        raise BackupRefused(
            f"entry {entry.sequence} of the audit log: a {role} may not do this ({entry.action})", reason="wrong_role"
        )


def _span(entry: AuditEntry) -> HeldSpan:
    try:
        return HeldSpan.model_validate_json(entry.subject)
    except ValidationError as exc:
        raise BackupRefused(
            f"entry {entry.sequence} of the audit log holds no span of time: {exc}", reason="malformed"
        ) from exc
