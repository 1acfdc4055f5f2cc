"""What a restorer, a verifier and the keeper trust: the newest state that the keeper signed, through TUF's client.

The client keeps what it has seen in a directory of its own, so that no store can show it an older state later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tuf.api import exceptions as tuf
from tuf.api.metadata import Metadata, Root, Timestamp
from tuf.ngclient import FetcherInterface, Updater

from consumers.backup.vault.audit import verify_audit
from consumers.backup.vault.catalogue import Catalogue, load_onto, newest_version
from consumers.backup.vault.commits import START, Link, link_of
from consumers.backup.vault.copies import Source
from consumers.backup.vault.kept import audit_end
from consumers.backup.vault.layout import TIMESTAMPS, metadata_path
from consumers.backup.vault.roots import Roots
from schemas.errors import BackupRefused, ConfigurationError, OrdersyncError

_BASE = "https://backup.invalid/"
# From the special to the general: the first that fits gives the reason.
_REASONS: tuple[tuple[type[Exception], str, str], ...] = (
    (tuf.ExpiredMetadataError, "expired", "nobody signed it anew in time: the keeper stands, or an old state is shown"),
    (tuf.BadVersionNumberError, "rolled_back", "an older state is shown than was seen before"),
    (tuf.UnsignedMetadataError, "unsigned", "the signature is not of whom the officers named"),
    (tuf.LengthOrHashMismatchError, "altered", "it is not what the keeper signed"),
    (tuf.DownloadLengthMismatchError, "altered", "it is longer than the keeper signed"),
    (tuf.DownloadHTTPError, "missing", "it was taken away, or never arrived in this copy"),
    (tuf.RepositoryError, "malformed", "it cannot be read"),
)


@dataclass(frozen=True, slots=True)
class Trusted:
    """A verified state of the backup."""

    roots: Roots
    """The chain of roots; its newest is TUF's."""
    head: Link
    """The newest commit."""
    audit: Link
    """The end of the audit log that the keeper has seen."""
    timestamp_version: int
    expires_at: datetime

    @property
    def root(self) -> Root:
        """What the officers said last."""
        return self.roots.newest


class Client:
    """Verifies one source; `state_dir` remembers what was seen, `root` is what the officers gave out."""

    def __init__(self, source: Source, root: bytes, state_dir: Path) -> None:
        self._source = source
        self._given = Roots(source, root)
        self._root = root
        self._dir = state_dir

    def refresh(self, newest: int | None = None) -> Trusted:
        """The newest state, after all of TUF's checks; `newest` is its number where the caller knows it.

        Raises:
            BackupRefused: the copies show something that was not signed so; `reason` says what.
            Transient: they are away.
        """
        try:
            self._dir.mkdir(parents=True, exist_ok=True)
            updater = Updater(str(self._dir), _BASE, fetcher=_Fetcher(self._source, newest), bootstrap=self._root)
            updater.refresh()
        except (tuf.RepositoryError, tuf.DownloadError, ValueError) as exc:
            raise _refusal(exc, self._source.name) from exc
        except OSError as exc:
            raise ConfigurationError(f"the client's state in {self._dir} cannot be kept: {exc}") from exc
        return self._trusted()

    def load(self, catalogue: Catalogue) -> Trusted:
        """Bring the catalogue up to the newest state, each commit and audit entry proved.

        Raises:
            BackupRefused, Transient: as `refresh`.
        """
        trusted = self.refresh()
        load_onto(catalogue, self._source, trusted.head)
        verify_audit(self._source, START, trusted.roots, trusted.audit)
        return trusted

    def _trusted(self) -> Trusted:
        """From the files that the updater has just verified."""
        newest = (self._dir / "root.json").read_bytes()
        roots = self._given if newest == self._root else Roots(self._source, newest)
        timestamp = Metadata[Timestamp].from_bytes((self._dir / "timestamp.json").read_bytes()).signed
        targets = (self._dir / "targets.json").read_bytes()
        head = link_of(Metadata[Any].from_bytes(targets).signed.version, targets)
        return Trusted(roots, head, audit_end(timestamp), timestamp.version, timestamp.expires)


class _Fetcher(FetcherInterface):
    """TUF's names of files -> ours. The timestamp has a number too, because nothing is ever overwritten."""

    def __init__(self, source: Source, newest: int | None) -> None:
        self._source = source
        self._newest = newest

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = urlsplit(url).path.lstrip("/")
        version, _, role = name.removesuffix(".json").rpartition(".")
        number = int(version) if version else self._newest or newest_version(self._source, TIMESTAMPS, 0)
        if role == "timestamp" and number == 0:
            raise tuf.DownloadHTTPError("the keeper has not signed any state yet; is the worker `keeper` running?", 404)
        path = metadata_path(role, number)
        content = self._source.get(path)
        if content is None:
            raise tuf.DownloadHTTPError(f"{path} is not there", 404)
        return iter([content])


def _refusal(exc: Exception, where: str) -> OrdersyncError:
    # The client wraps our own errors where they come from a copy that is away.
    cause = exc.__cause__
    if isinstance(cause, OrdersyncError):
        return cause
    for kind, reason, meaning in _REASONS:
        if isinstance(exc, kind):
            return BackupRefused(f"the backup in {where} is refused: {meaning} ({exc})", reason=reason)
    return BackupRefused(f"the backup in {where} is refused: it cannot be read ({exc})", reason="malformed")
