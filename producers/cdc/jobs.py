"""What is to be read again from the source: each job with how far it is, kept with the rows that it changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Protocol

from producers.cdc.portions import ColumnBound

_JOBS = b"jobs"

KeyText = list[str]
"""A key's raw values as text."""


class Cause(StrEnum):
    """Why something is read again."""

    SNAPSHOT = "snapshot"
    """The first reading of the source, or a new one because the kept rows were lost."""
    SLOT = "slot"
    """The slot was lost, dropped or recreated: the log has a gap."""
    SCHEMA = "schema"
    """A table had another shape than the mapping needs, or has another one now."""
    MAPPING = "mapping"
    """The mapping says something else about rows that are kept already."""
    REQUEST = "request"
    """Somebody asked for it."""
    CLAIMS = "claims"
    """What stands on the topics is compared with the kept rows, because these were lost."""


class Stage(StrEnum):
    """The steps of a tree, in their order; only a whole tree goes through all of them."""

    RANGE = "range"
    """All roots in the order of their keys, with what belongs to them."""
    ORPHANS = "orphans"
    """Rows below the root whose parent does not exist (yet)."""
    ROOTLESS = "rootless"
    """Kept rows between root and leaves that are below no root: they are gone, or hold rows that are."""
    REST = "rest"
    """Roots that are kept but were not met: they came meanwhile, or are gone."""
    TIDY = "tidy"
    """The marks of roots that were read are removed."""


@dataclass(slots=True)
class Job:
    """One job; works off `trees` one after the other.

    `gated`: nothing is said about a root of these trees before it has been read again. `whole`: all roots, also those
    that no longer exist; otherwise the roots with `keys`, or those within `bounds`. `resumed`: a snapshot that was
    interrupted is gone on with by watermarks.
    """

    job_id: str
    cause: Cause
    trees: list[str]
    gated: bool
    whole: bool
    keys: list[KeyText] = field(default_factory=list)
    bounds: list[ColumnBound] = field(default_factory=list)
    stage: Stage = Stage.RANGE
    cursor: KeyText | None = None
    table: str | None = None
    again: list[KeyText] = field(default_factory=list)
    rows: int = 0
    roots: int = 0
    expected_roots: int = 0
    resumed: bool = False

    @property
    def tree(self) -> str:
        """Alias of the root table in work."""
        return self.trees[0]


class Notes(Protocol):
    """Where jobs are kept; `assembly_state.AssemblyState` is the durable place."""

    def note(self, name: bytes) -> bytes | None:
        """The note, None if there is none."""
        ...

    def put_note(self, name: bytes, value: bytes | None) -> None:
        """Keep it from the next seal on."""
        ...

    def notes(self, prefix: bytes) -> Iterator[bytes]:
        """Names of the notes that begin so."""
        ...


class Jobs:
    """The jobs of one state, first come, first served; `save` notes every change of them."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        value = notes.note(_JOBS)
        self._jobs = [] if value is None else [_job(entry) for entry in json.loads(value)]

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    @property
    def current(self) -> Job | None:
        """The one in work."""
        return self._jobs[0] if self._jobs else None

    def gated_trees(self) -> frozenset[str]:
        """Trees about which nothing is said before it was read again."""
        return frozenset(tree for job in self._jobs if job.gated for tree in job.trees)

    def add(self, job: Job) -> None:
        """Queue a job. A gated one goes first and takes over its trees from other gated jobs."""
        if job.gated:
            for other in self._jobs:
                if other.gated:
                    other.trees = [tree for tree in other.trees if tree not in job.trees]
            self._jobs = [job, *(other for other in self._jobs if other.trees)]
        else:
            self._jobs.append(job)
        self.save()

    def leave(self, trees: Sequence[str]) -> list[Job]:
        """Take trees out of every job: they no longer exist, or are stopped. Gives the jobs that have none left."""
        for job in self._jobs:
            if job.trees and job.tree in trees:
                job.stage, job.cursor, job.table, job.again = Stage.RANGE, None, None, []
            job.trees = [tree for tree in job.trees if tree not in trees]
        left = [job for job in self._jobs if not job.trees]
        self._jobs = [job for job in self._jobs if job.trees]
        self.save()
        return left

    def finish_tree(self) -> Job | None:
        """The current job's tree is done; gives the job if it is done with it."""
        job = self._jobs[0]
        job.trees = job.trees[1:]
        job.stage, job.cursor, job.table, job.again = Stage.RANGE, None, None, []
        if not job.trees:
            self._jobs = self._jobs[1:]
        self.save()
        return None if job.trees else job

    def save(self) -> None:
        """Note the jobs as they are now."""
        value = json.dumps([asdict(job) for job in self._jobs]).encode() if self._jobs else None
        self._notes.put_note(_JOBS, value)


def _job(entry: dict[str, object]) -> Job:
    known = {name: entry[name] for name in (f.name for f in fields(Job)) if name in entry}
    job = Job(**known)  # type: ignore[arg-type]  # written by `Jobs.save`
    job.cause, job.stage = Cause(job.cause), Stage(job.stage)
    job.bounds = [ColumnBound(*bound) for bound in job.bounds]
    return job
