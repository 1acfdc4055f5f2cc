"""How far local state has followed a changelog, and whether that may still be believed."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import orjson

from schemas.topics import DAY_MILLISECONDS
from streams.processing.keyvalues import Change, Group, KeyValues

TRUSTED_FOR = timedelta(milliseconds=6 * DAY_MILLISECONDS)
"""Compacted topics keep tombstones for seven days (`schemas.topics`): whoever comes later may have missed one."""

_GROUP: Group = b"checkpoint/"


class Changelog(NamedTuple):
    """One partition of a compacted topic that local state follows."""

    topic: str
    partition: int


class Span(NamedTuple):
    """First offset of a partition, and the one after its last."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything committed before `offset` of the topic with this id is in the local state, as of a time."""

    topic_id: str
    offset: int
    as_of: datetime

    def change(self, changelog: Changelog) -> Change:
        """To be written together with what it says."""
        value = {"topic_id": self.topic_id, "offset": self.offset, "as_of": self.as_of.timestamp()}
        return (_GROUP, _key(changelog), orjson.dumps(value))

    def distrust(self, topic_id: str, span: Span, now: datetime) -> str | None:
        """Why it must not be used; None where it may.

        `topic_id` and `span` are what the cluster says now.
        """
        if self.topic_id != topic_id:
            return "the topic was made anew"
        if self.offset > span.end:
            return "the topic has lost records"
        if self.offset < span.start:
            return "records were deleted from the topic"
        if not timedelta() <= now - self.as_of < TRUSTED_FOR:
            return f"it is of {self.as_of.isoformat(timespec='seconds')}"
        return None


def checkpoint_of(values: KeyValues, changelog: Changelog) -> Checkpoint | None:
    """How far local state has followed the changelog, None where it has not begun."""
    found = values.get(_GROUP, _key(changelog))
    if found is None:
        return None
    entry = orjson.loads(found)
    return Checkpoint(entry["topic_id"], entry["offset"], datetime.fromtimestamp(entry["as_of"], UTC))


def no_checkpoint(changelog: Changelog) -> Change:
    """Says that local state follows the changelog no longer."""
    return (_GROUP, _key(changelog), None)


@dataclass(frozen=True, slots=True)
class Mark:
    """Ends of changelogs as the brokers named them."""

    ends: Mapping[Changelog, int]
    asked_at: datetime


class Marks:
    """Turns ends of changelogs into checkpoints, two commits later.

    The first commit after the answer brings into local state whatever was committed before the answer. The second
    proves, because the brokers check the group's generation, that until after the answer nobody else could write.
    A partition that went and came back in between was loaded to an end that is no earlier.
    """

    def __init__(self) -> None:
        self._answered: Mark | None = None
        self._applied: Mark | None = None

    def answered(self, mark: Mark) -> None:
        """The brokers have named the ends."""
        self._answered = mark

    def confirmed(self, held: Container[int], topic_ids: Mapping[str, str]) -> dict[Changelog, Checkpoint]:
        """Called once for each commit that succeeded: the checkpoints of partitions held that it makes certain."""
        mark, self._applied, self._answered = self._applied, self._answered, None
        if mark is None:
            return {}
        return {
            changelog: Checkpoint(topic_ids[changelog.topic], end, mark.asked_at)
            for changelog, end in mark.ends.items()
            if changelog.partition in held
        }


def _key(changelog: Changelog) -> bytes:
    return f"{changelog.topic}/{changelog.partition}".encode()
