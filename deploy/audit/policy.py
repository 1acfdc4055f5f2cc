"""The approval policy: for which deeds a second person must approve, and who may ask and approve."""

from __future__ import annotations

import os
import tomllib
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from pydantic import Field, ValidationError, model_validator

from deploy.console.people.roles import Role
from schemas.audit_chain import Actor, Identity
from schemas.errors import ConfigurationError
from schemas.settings import SettingsPart
from schemas.toml_file import places_of

VARIABLE: Final = "ORDERSYNC_APPROVAL_POLICY"
FILE: Final = "approvals.toml"


class Kind(StrEnum):
    """What the policy decides on."""

    MAPPING_CHANGE = "mapping-change"
    RULE_CHANGE = "rule-change"
    REPAIR = "repair"
    EDITED_REPLAY = "edited-replay"
    PROMOTION = "promotion"
    ERASURE = "erasure"


class Terms(SettingsPart):
    """What the policy says of one kind of deed."""

    two_people: bool = Field(False, description="Whether somebody else must approve it first")
    ask: frozenset[Role] = Field(frozenset(), description="Roles that may ask for it")
    approve: frozenset[Role] = Field(frozenset(), description="Roles that may approve it")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.two_people and not (self.ask and self.approve):
            raise ValueError("where two people are needed, name the roles that `ask` and those that `approve`")
        return self


class ApprovalPolicy(SettingsPart):
    """A policy file, validated; without a file nothing needs a second person."""

    version: str = Field("none", min_length=1, description="Name of this state of the policy; stands in the audit")
    expires_hours: float = Field(24.0, gt=0, le=720, description="How long after it was asked for a deed may be done")
    identified_by: frozenset[Identity] = Field(
        frozenset({Identity.SIGN_IN, Identity.SYSTEM_USER}),
        description="How somebody must be known to ask or approve; `stated` would believe --actor",
    )
    people: dict[str, Role] = Field({}, description="Roles of those who use the command line, as `ann@host`")
    deeds: dict[Kind, Terms] = Field({}, description="By kind of deed")
    digest: str = Field("", exclude=True, description="SHA-256 of the file")

    @classmethod
    def load(cls, path: Path) -> ApprovalPolicy:
        """Raises ConfigurationError where the file cannot be read or contradicts itself."""
        try:
            content = path.read_bytes()
            told = tomllib.loads(content.decode())
            if "version" not in told or "digest" in told:
                raise ConfigurationError(f"approval policy {path} needs a `version`, and has no `digest`")
            return cls.model_validate(told | {"digest": sha256(content).hexdigest()})
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise ConfigurationError(f"approval policy {path} cannot be read: {exc}") from exc
        except ValidationError as exc:
            raise ConfigurationError(f"approval policy {path}: {places_of(exc)}") from exc

    @classmethod
    def of(cls, home: Path) -> ApprovalPolicy:
        """What ORDERSYNC_APPROVAL_POLICY names, else `approvals.toml` of the home, else: one person for everything."""
        named, own = os.environ.get(VARIABLE), home / FILE
        if named:
            return cls.load(Path(named))
        return cls.load(own) if own.exists() else cls()

    def terms(self, kind: Kind) -> Terms:
        """What it says of a kind."""
        return self.deeds.get(kind, Terms())

    def require_may_ask(self, kind: Kind, person: Person) -> None:
        """Raises ConfigurationError where this person may not ask for such a deed."""
        self._require(kind, person, self.terms(kind).ask, "ask for")

    def require_may_decide(self, kind: Kind, requester: str, person: Person) -> None:
        """Raises ConfigurationError where this person may not approve or reject what `requester` asked for."""
        self._require(kind, person, self.terms(kind).approve, "decide about")
        if is_same_person(person.name, requester):
            raise ConfigurationError(f"{requester} asked for it, so somebody other than {person.name} has to decide")

    def may_decide(self, kind: Kind, requester: str, person: Person) -> bool:
        """The same as an answer, for pages."""
        try:
            self.require_may_decide(kind, requester, person)
        except ConfigurationError:
            return False
        return True

    def _require(self, kind: Kind, person: Person, roles: frozenset[Role], what: str) -> None:
        known = person.actor.identified_by
        if known not in self.identified_by:
            raise ConfigurationError(
                f"{person.name} is known only by `{known}`, which {self.told} does not take: sign in to the console, "
                "or leave out --actor"
            )
        if person.role not in roles:
            have = f"is {person.role}" if person.role else "has no role in [people]"
            raise ConfigurationError(
                f"{person.name} {have} and may not {what} {kind}; {self.told} names "
                f"{' and '.join(sorted(roles)) or 'nobody'}"
            )

    def person(self, actor: Actor) -> Person:
        """Somebody on the command line, with the role that the policy gives them."""
        return Person(actor=actor, role=self.people.get(actor.name))

    @property
    def told(self) -> str:
        """The state of the policy that a deed was judged by."""
        return f"policy {self.version} (SHA-256 {self.digest[:12] or 'of no file'})"


class Person(SettingsPart):
    """Somebody who asks or approves."""

    actor: Actor
    role: Role | None

    @property
    def name(self) -> str:
        """As the audit tells it."""
        return self.actor.name


def is_same_person(one: str, other: str) -> bool:
    """Whether two names are taken for one person: `Ada` in the console is `ada@host` on the command line."""
    return one.partition("@")[0].casefold() == other.partition("@")[0].casefold()
