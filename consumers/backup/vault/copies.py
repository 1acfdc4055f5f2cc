"""The copies of a backup: places where files are put once and never again, and what their libraries' errors mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import LocalStore, MemoryStore, S3Store

from consumers.backup.policy import CopyPolicy
from consumers.backup.vault.pace import Pace
from schemas.errors import BackupRefused, ConfigurationError, Fatal, Transient

_REQUEST_SECONDS = "30s"


class Source(Protocol):
    """Where files of a backup are read; a hostile one may answer anything, so each reader verifies."""

    name: str

    def get(self, path: str) -> bytes | None:
        """The file's content; None where there is no such file. Raises `Transient`."""
        ...

    def names(self, folder: str, after: str = "") -> list[str]:
        """Paths of the files below `folder`, sorted; those after the path `after` only. Raises `Transient`."""
        ...


class Copy:
    """One place: a directory or a bucket, through conditional writes, so that nothing is ever overwritten."""

    def __init__(self, name: str, store: LocalStore | MemoryStore | S3Store, pace: Pace | None = None) -> None:
        self.name = name
        self._store = store
        self._pace = pace

    def put_new(self, path: str, content: bytes) -> bool:
        """Put a file; False where it is there already, with whatever content.

        Raises:
            Transient: the place is away or full; called again later it goes on.
            ConfigurationError: it refuses us, or cannot write conditionally.
        """
        try:
            obstore.put(self._store, path, content, mode="create")
            self._spend(content)
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as exc:
            raise _mapped(exc, f"copy {self.name}: writing {path}") from exc
        return True

    def keep(self, path: str, content: bytes) -> None:
        """Put a file that may be there already, but then with this content.

        Raises:
            BackupRefused: another content is there.
        """
        if not self.put_new(path, content) and self.get(path) != content:
            raise BackupRefused(
                f"copy {self.name}: {path} is there with another content; somebody else wrote it", reason="overwritten"
            )

    def replace(self, path: str, content: bytes) -> None:
        """Put a file in the place of one that was altered; only mending does so, with content that was proved.

        Raises:
            Transient: the place is away or full.
            ConfigurationError: it refuses us, as a store with object lock does.
        """
        try:
            obstore.put(self._store, path, content)
            self._spend(content)
        except (BaseError, OSError) as exc:
            raise _mapped(exc, f"copy {self.name}: replacing {path}") from exc

    def remove(self, path: str) -> bool:
        """Take a file away that has expired; False where the store keeps it still, as one with object lock does.

        Only the keeper calls it. Harmless where there is no such file. No lock is ever lifted or gone round.

        Raises:
            Transient: the place is away.
        """
        try:
            obstore.delete(self._store, path)
        except FileNotFoundError:
            return True
        except (PermissionDeniedError, UnauthenticatedError, PermissionError):
            return False
        except (BaseError, OSError) as exc:
            raise _mapped(exc, f"copy {self.name}: removing {path}") from exc
        return True

    def get(self, path: str) -> bytes | None:
        """The file's content; None where there is no such file. Raises `Transient`."""
        try:
            content = bytes(obstore.get(self._store, path).bytes())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as exc:
            raise _mapped(exc, f"copy {self.name}: reading {path}") from exc
        self._spend(content)
        return content

    def names(self, folder: str, after: str = "") -> list[str]:
        """Paths of the files below `folder`, sorted; those after the path `after` only. Raises `Transient`."""
        try:
            pages = obstore.list(self._store, folder, offset=after or None)
            return sorted(str(meta["path"]) for page in pages for meta in page)
        except (BaseError, OSError) as exc:
            raise _mapped(exc, f"copy {self.name}: listing {folder}") from exc

    def _spend(self, content: bytes) -> None:
        if self._pace is not None:
            self._pace.spend(len(content))


class Copies:
    """All places of a policy, in its order: a write goes to each, a read takes the first that has the file."""

    def __init__(self, copies: Sequence[Copy], minimum: int = 1) -> None:
        self.copies = tuple(copies)
        self.name = ", ".join(copy.name for copy in copies)
        self._minimum = minimum
        self._owed: dict[str, list[str]] = {copy.name: [] for copy in copies}

    @property
    def behind(self) -> dict[str, int]:
        """Copies that were away, and how many files they still miss of what this process wrote."""
        return {name: len(files) for name, files in self._owed.items() if files}

    def put_new(self, path: str, content: bytes) -> bool:
        """Put a file into each copy; False where one of them has it already with another content.

        A copy that is away gets it later, in the order of writing, before anything else. Called again after a lost
        answer it finds its own bytes and goes on.

        Raises:
            Transient: fewer than the policy's minimum of copies took it.
        """
        problems: list[Transient] = []
        owing: list[list[str]] = []
        for copy in self.copies:
            owed = self._owed[copy.name]
            try:
                self._settle(copy, owed)
                if not copy.put_new(path, content) and copy.get(path) != content:
                    return False
            except Transient as exc:
                problems.append(exc)
                owing.append(owed)
        if len(self.copies) - len(problems) < self._minimum:
            raise Transient("; ".join(map(str, problems)), retry_after_seconds=1.0)
        for owed in owing:
            owed.append(path)
        return True

    def get(self, path: str) -> bytes | None:
        """The file from the first copy that has it.

        Raises:
            Transient: no copy has it, and one of them is away.
        """
        away: Transient | None = None
        for copy in self.copies:
            try:
                content = copy.get(path)
            except Transient as exc:
                away = exc
                continue
            if content is not None:
                return content
        if away is not None:
            raise away
        return None

    def names(self, folder: str, after: str = "") -> list[str]:
        """What any copy that answers has. Raises `Transient` where none does."""
        found: set[str] = set()
        away: list[Transient] = []
        for copy in self.copies:
            try:
                found.update(copy.names(folder, after))
            except Transient as exc:
                away.append(exc)
        if len(away) == len(self.copies):
            raise away[0]
        return sorted(found)

    def _settle(self, copy: Copy, owed: list[str]) -> None:
        while owed:
            content = self.get(owed[0])
            if content is not None:
                copy.put_new(owed[0], content)
            del owed[0]


def open_copy(policy: CopyPolicy) -> Copy:
    """The place that a policy names; `s3://` reads its credentials from the environment (AWS_...).

    Raises:
        ConfigurationError: the address cannot work.
    """
    limit = policy.max_bytes_per_second
    pace = None if limit is None else Pace(limit)
    try:
        if policy.url.startswith("file://"):
            directory = Path(policy.url.removeprefix("file://"))
            return Copy(policy.name, LocalStore(prefix=directory, mkdir=True), pace)
        settings: dict[str, Any] = {
            "endpoint": policy.endpoint,
            "region": policy.region,
            "client_options": {"timeout": _REQUEST_SECONDS, "allow_http": (policy.endpoint or "").startswith("http:")},
        }
        return Copy(
            policy.name, S3Store.from_url(policy.url, **{key: value for key, value in settings.items() if value}), pace
        )
    except (BaseError, OSError, ValueError) as exc:
        raise ConfigurationError(f"copy {policy.name} at {policy.url}: {_first_line(exc)}") from exc


def _mapped(exc: Exception, doing: str) -> Transient | Fatal:
    told = f"{doing}: {_first_line(exc)}"
    if isinstance(exc, (PermissionDeniedError, UnauthenticatedError, PermissionError)):
        return ConfigurationError(f"{told}; check the credentials and rights of this process")
    if isinstance(exc, (InvalidPathError, NotSupportedError, UnknownConfigurationKeyError)):
        return ConfigurationError(f"{told}; this place cannot hold a backup")
    return Transient(f"{told}; is the place reachable, and has it room?", retry_after_seconds=1.0)


def _first_line(exc: Exception) -> str:
    return str(exc).strip().split("\n", 1)[0]
