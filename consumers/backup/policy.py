"""The backup policy: which data is critical, how soon, how long, where and for whom it is kept; a TOML file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from consumers.backup.vault.encryption import recipient_of
from schemas.settings import SettingsPart
from schemas.toml_file import read_toml
from schemas.topics import CATALOGUE

DATABASES = ("erp", "warehouse")
"""The databases that sinks write; like the topics of the catalogue, each needs a policy or a reason to have none."""

_URL_SCHEMES = ("file://", "s3://")


class Mode(StrEnum):
    """How a dataset gets into the backup."""

    CONTINUOUS = "continuous"
    """Of a database: base backups, and the log between them."""
    SCHEDULED = "scheduled"
    """Base backups only."""


def _is_recipient(text: str) -> str:
    recipient_of(text)
    return text


def _is_url(text: str) -> str:
    if not text.startswith(_URL_SCHEMES):
        raise ValueError(f"{text!r} is not the address of a copy; it begins with file:/// or s3://")
    return text


Recipient = Annotated[str, AfterValidator(_is_recipient)]


class Objectives(SettingsPart):
    """What is promised to the business."""

    rpo_seconds: float = Field(gt=0, description="Recovery point objective: most seconds of changes that may be lost")
    rto_seconds: float = Field(gt=0, description="Recovery time objective: most seconds until orders are served again")


class Segments(SettingsPart):
    """When a segment is closed, whichever comes first."""

    max_bytes: int = Field(16 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024, description="Keys and values, uncompressed")
    max_age_seconds: float = Field(2.0, gt=0, description="Age of the oldest record that is not yet in a copy")
    surroundings_seconds: float = Field(60.0, gt=0, description="How often schemas, configurations, offsets are taken")
    snapshot_hours: float = Field(24.0, gt=0, description="How often compacted topics are taken whole")


class Retention(SettingsPart):
    """Which restore points stay: all of the last days, then the last of so many days, weeks, months and years.

    Periods are UTC's, and a point belongs to the one in which the keeper received it: a producer's clock moves none.
    """

    enforce: bool = Field(False, description="Whether what no restore point needs is removed; first look at the plan")
    grace_hours: float = Field(24.0, ge=0, description="From being named expired until it is removed from the copies")
    keep_within_days: int = Field(ge=1, description="Every point in time of so many days")
    daily: int = Field(0, ge=0)
    weekly: int = Field(0, ge=0)
    monthly: int = Field(0, ge=0)
    yearly: int = Field(0, ge=0)


class CopyPolicy(SettingsPart):
    """One copy; credentials of an object store come from the environment (AWS_...), never from this file."""

    name: str = Field(min_length=1, pattern="^[a-z0-9-]+$")
    url: Annotated[str, AfterValidator(_is_url)] = Field(description="file:///directory or s3://bucket/prefix")
    endpoint: str | None = Field(None, description="Address of an S3-compatible store")
    region: str | None = Field(None, description="Region of the bucket")
    max_bytes_per_second: float | None = Field(
        None, gt=0, description="Most bytes that each process sends to it and fetches from it"
    )


class Copies(SettingsPart):
    """Where the backup lies."""

    minimum: int = Field(1, ge=1, description="Copies that must have a segment before it counts as backed up")
    places: tuple[CopyPolicy, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for what, values in (("name", [one.name for one in self.places]), ("url", [one.url for one in self.places])):
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"two places have the same {what}: {', '.join(twice)}")
        if self.minimum > len(self.places):
            raise ValueError(f"minimum is {self.minimum}, but there are only {len(self.places)} places")
        return self


class Encryption(SettingsPart):
    """Who can read the backup: at least two people, so that none of them is indispensable."""

    recipients: dict[str, Recipient] = Field(min_length=2, description="Name of the person or office -> age1...")
    set_max_age_hours: float = Field(24.0, gt=0, description="When the backup changes to a fresh key")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.recipients.values())) != len(self.recipients):
            raise ValueError("two recipients have the same key")
        return self


class Trust(SettingsPart):
    """How long signatures hold: so long an old state of the copies could be shown as the newest one unnoticed."""

    timestamp_valid_hours: float = Field(24.0, gt=0, description="The keeper signs anew at half of it")
    catalogue_valid_days: float = Field(365.0, gt=0, description="The creator signs anew with each commit")


class Drill(SettingsPart):
    """How often a restore is rehearsed."""

    every_days: float = Field(gt=0, le=366)


class Dataset(SettingsPart):
    """One topic of the catalogue or one database that is backed up."""

    name: str
    mode: Mode
    every_hours: float | None = Field(None, gt=0, description="Between two base backups of a database")
    critical: bool = True


class Excluded(SettingsPart):
    """A dataset that is left out on purpose."""

    name: str
    reason: str = Field(min_length=10, description="Why it can be lost or rebuilt, for the auditor")


class Policy(SettingsPart):
    """Everything that is decided about the backup. Source: B1, B2, B5, B6, B7, B10."""

    format: Literal[1] = Field(description="Form of this file")
    version: int = Field(ge=1, description="Counts the approved policies; each change is a new version")
    name: str = Field(min_length=1)
    effective_from: date
    approved_by: tuple[str, ...] = Field(min_length=1)
    objectives: Objectives
    segments: Segments = Segments()
    retention: Retention
    copies: Copies
    encryption: Encryption
    trust: Trust = Trust()
    drill: Drill
    topics: tuple[Dataset, ...] = Field(min_length=1)
    databases: tuple[Dataset, ...] = ()
    excluded: tuple[Excluded, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """The policy in `path`; every process of the backup reads it once, at its start.

        Raises:
            ConfigurationError: it cannot be read; the message names every wrong entry by its path.
        """
        return read_toml(cls, path, "backup policy", "name one with --policy")

    @property
    def continuous_topics(self) -> tuple[str, ...]:
        """The topics that the archive follows."""
        return tuple(topic.name for topic in self.topics)

    @model_validator(mode="after")
    def _check(self) -> Self:
        topics, databases = [one.name for one in self.topics], [one.name for one in self.databases]
        _all_known(topics, CATALOGUE, "topic of the catalogue")
        _all_known(databases, DATABASES, "database of ordersync")
        names = [*topics, *databases, *(one.name for one in self.excluded)]
        _all_known(names, [*CATALOGUE, *DATABASES], "dataset")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"named more than once: {', '.join(twice)}")
        if scheduled := [one.name for one in self.topics if one.mode is Mode.SCHEDULED]:
            raise ValueError(f"topics are backed up continuously; change the mode of {', '.join(scheduled)}")
        if timed := [one.name for one in self.topics if one.every_hours is not None]:
            raise ValueError(f"every_hours belongs to databases only; leave it out of {', '.join(timed)}")
        if untimed := [one.name for one in self.databases if one.every_hours is None]:
            raise ValueError(f"say in every_hours how often the base backup of {', '.join(untimed)} is taken")
        if self.segments.max_age_seconds >= self.objectives.rpo_seconds:
            raise ValueError(
                f"a record may wait {self.segments.max_age_seconds:g} s in an open segment, which cannot keep the "
                f"recovery point objective of {self.objectives.rpo_seconds:g} s"
            )
        return self


def uncovered(policy: Policy, known: Iterable[str] = (*CATALOGUE, *DATABASES)) -> tuple[str, ...]:
    """The datasets that are neither backed up nor left out with a reason; `backup policy check` reports them."""
    named = {one.name for one in (*policy.topics, *policy.databases)} | {one.name for one in policy.excluded}
    return tuple(name for name in known if name not in named)


def _all_known(names: Iterable[str], known: Iterable[str], what: str) -> None:
    held = set(known)
    if strange := [name for name in names if name not in held]:
        raise ValueError(f"{', '.join(strange)}: no {what}; there are {', '.join(known)}")
