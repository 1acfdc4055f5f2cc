"""One delivery: which file fills which table, what identifies it, and at which position its facts stand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol
from uuid import uuid5

from producers.files.formats import DeliveredRows
from producers.files.spool import Spool
from schemas import mapping as mappings
from schemas.errors import ConfigurationError
from schemas.mapping import AggregateMapping, SourceMapping
from schemas.models import DeliveredFile, Delivery
from schemas.models.source import EVENT_NAMESPACE

_CLOCKS_DIFFER = timedelta(minutes=5)
_TOLD_EACH = 1_000


class Heard(Protocol):
    """Hears how far a long piece of work is."""

    def __call__(self, doing: str, done: int, total: int) -> None:
        """`done` of `total` units of `doing`; a total of 0 is not known."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """What is to be delivered, before anything is read but the mapping file."""

    mapping: SourceMapping
    mapping_sha256: str
    tables: dict[str, Path]
    """File of each table that has one, by alias; the same file may fill several."""
    is_full: bool
    as_of: datetime
    actor: str

    @classmethod
    def of(
        cls, mapping_file: Path, files: Sequence[Path], *, is_full: bool, as_of: datetime | None, actor: str
    ) -> DeliveryPlan:
        """Match the files with the mapping's tables, whose `name` is a pattern of a file's name.

        Without `as_of` the facts are as old as the youngest file.

        Raises:
            ConfigurationError: a file fits no table, two fit one, a table of a tree that is delivered has none, or a
                time lies in the future.
        """
        mapping = mappings.load(mapping_file)
        tables = _matched(mapping, files, mapping_file)
        for alias, path in tables.items():
            DeliveredRows(path)  # refuses what has no known format
            above = _ancestors(mapping, alias)
            lacking = [name for name in above if not mapping.tables[name].is_virtual and name not in tables]
            if lacking:
                missing = mapping.tables[lacking[0]].qualified_name
                raise ConfigurationError(f"{path} belongs to {missing}, and no file of that name is delivered")
        _check_whole(mapping, tables)
        at = as_of or max(datetime.fromtimestamp(_modified(path), UTC) for path in tables.values())
        if at > datetime.now(UTC) + _CLOCKS_DIFFER:
            raise ConfigurationError(f"the delivery is as of {at.isoformat()}, which is yet to come: give --as-of")
        digest = hashlib.sha256(mapping_file.read_bytes()).hexdigest()
        return cls(mapping, digest, tables, is_full, at, actor)

    @property
    def aggregates(self) -> list[AggregateMapping]:
        """Those whose tables are delivered."""
        roots = {self.mapping.root_of(alias) for alias in self.tables}
        return [aggregate for aggregate in self.mapping.aggregates if aggregate.root in roots]

    def read(self, spool: Spool, heard: Heard) -> Delivery:
        """Read all files into the spool, check them, and say what delivery it is.

        Raises:
            ConfigurationError: a file is damaged or lacks a column that the mapping reads.
        """
        found = [self._read(path, spool, heard) for path in sorted(set(self.tables.values()))]
        spool.finish()
        files = sorted((one for several in found for one in several), key=lambda file: (file.name, file.table))
        contents = "/".join(f"{file.table}={file.sha256}" for file in sorted(files, key=lambda file: file.table))
        content = f"{self.mapping_sha256}/{self.is_full}/{contents}"
        return Delivery(
            delivery_id=str(uuid5(EVENT_NAMESPACE, f"{self.mapping.system}/{self.as_of.isoformat()}/{content}")),
            system=self.mapping.system,
            mapping_sha256=self.mapping_sha256,
            is_full=self.is_full,
            files=files,
            as_of=self.as_of,
            actor=self.actor,
            begun_at=datetime.now(UTC),
            stated=0,
            refused=0,
            withdrawn=0,
        )

    def _read(self, path: Path, spool: Spool, heard: Heard) -> list[DeliveredFile]:
        rows, aliases = DeliveredRows(path), [alias for alias, of in self.tables.items() if of == path]
        for count, (number, row) in enumerate(rows, 1):
            if count % _TOLD_EACH == 0:
                heard(f"reading {path.name}", count, 0)
            for alias in aliases:
                spool.put(alias, number, row)
        for alias in aliases:
            lacking = self.mapping.columns_of(alias) - rows.columns
            if lacking and rows.columns:
                raise ConfigurationError(
                    f"{path} has no column {', '.join(sorted(lacking))}, which the mapping of {alias} reads; it has "
                    f"{', '.join(sorted(rows.columns))}"
                )
        assert rows.digest is not None
        return [
            DeliveredFile(name=path.name, table=alias, size_bytes=rows.digest.size_bytes, sha256=rows.digest.sha256)
            for alias in aliases
        ]


def _matched(mapping: SourceMapping, files: Sequence[Path], mapping_file: Path) -> dict[str, Path]:
    tables: dict[str, Path] = {}
    for path in files:
        name = path.name.removesuffix(".gz")
        fitting = [
            alias
            for alias, table in mapping.tables.items()
            if not table.is_virtual and fnmatchcase(name, table.qualified_name)
        ]
        if not fitting:
            patterns = ", ".join(table.qualified_name for table in mapping.tables.values() if not table.is_virtual)
            raise ConfigurationError(f"{path} is of no table of {mapping_file}; their names there are {patterns}")
        for alias in fitting:
            if alias in tables:
                raise ConfigurationError(f"{tables[alias]} and {path} are both of the table {alias}: deliver one")
            tables[alias] = path
    return tables


def _ancestors(mapping: SourceMapping, alias: str) -> list[str]:
    parent = mapping.tables[alias].parent
    return [] if parent is None else [parent.table, *_ancestors(mapping, parent.table)]


def _check_whole(mapping: SourceMapping, tables: dict[str, Path]) -> None:
    """A tree of tables is delivered as a whole: orders without their lines would all lose them."""
    delivered = {mapping.root_of(alias) for alias in tables}
    for alias, table in mapping.tables.items():
        if not table.is_virtual and mapping.root_of(alias) in delivered and alias not in tables:
            raise ConfigurationError(
                f"no file is of the table {alias} ({table.qualified_name}), which belongs to "
                f"{mapping.root_of(alias)}; an empty one would do where there is nothing to tell"
            )


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc


def place_among(delivery: Delivery, known: Iterable[Delivery]) -> Delivery:
    """The delivery as it goes on from what was noted of it, or as it begins after the others of its system.

    The same files are the same delivery, also when they were copied and look younger: unless another one was made in
    between, for then they take back what that one has changed.

    Raises:
        ConfigurationError: another one is as of the same time, or, for a full one, of a later time.
    """
    others = sorted((other for other in known if other.system == delivery.system), key=lambda other: other.as_of)
    same = [other for other in others if _content(other) == _content(delivery)]
    if same and (same[-1] is others[-1] or delivery.as_of <= others[-1].as_of):
        return same[-1]
    for other in others:
        told = f"a delivery with other files or another mapping, as of {other.as_of.isoformat()}, was made at "
        told += f"{other.begun_at.isoformat()} by {other.actor}"
        if other.as_of == delivery.as_of:
            raise ConfigurationError(
                f"{told}, as of the same time: if this one corrects it, say since when with a later --as-of"
            )
        if delivery.is_full and other.as_of > delivery.as_of:
            raise ConfigurationError(
                f"{told}, later than this full one ({delivery.as_of.isoformat()}): deliver a newer"
            )
    return delivery


def _content(delivery: Delivery) -> tuple[str, bool, frozenset[tuple[str, str]]]:
    files = frozenset((file.table, file.sha256) for file in delivery.files)
    return delivery.mapping_sha256, delivery.is_full, files
