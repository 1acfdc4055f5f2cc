"""The directory by which an API hands documents that clients sent to the documents worker, and hears what they became.

```
incoming/ID            a document that is to be dealt with, whole
known/ab/ID.json       who sent it, how long it is, its hash: written once
known/ab/ID.status     what became of it: the worker replaces it, and removes both some time after the last word
```

Plain files, each put in its place by one step that happens or does not, so that either side may be killed at any
moment, and several workers of the API may share the directory, on one machine or on a shared volume. The API needs
nothing else of the documents worker: neither its register nor what others sent.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from uuid import UUID, uuid5

from pydantic import TypeAdapter

from schemas.errors import ConfigurationError, Transient
from schemas.models.source import EVENT_NAMESPACE

PARTS: Final = 256
_HEAD_BYTES: Final = 65_536
_LONGEST_SENDING: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Upload:
    """A document that a client sent."""

    id: str
    client: str
    name: str
    media_type: str
    """As the client said."""
    size: int
    sha256: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """What became of one order of it, or of the document itself where it cannot be read."""

    name: str
    """The file of an e-mail that it stood in."""
    part: int
    kind: str
    outcome: str
    order_id: str | None = None
    request_id: str | None = None
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """What became of a document."""

    state: Literal["received", "done"] = "received"
    parts: list[UploadedPart] = field(default_factory=list)


class UploadConflict(Exception):
    """An id that names another document already."""


_UPLOADS: TypeAdapter[Upload] = TypeAdapter(Upload)
_STATUSES: TypeAdapter[UploadStatus] = TypeAdapter(UploadStatus)


def upload_id_of(client: str, key: str | None, sha256: str) -> str:
    """The id of an upload: by the key of its request, or by its content where there is none."""
    told = f"document {client} {sha256}" if key is None else f"document key {client} {key}"
    return str(uuid5(EVENT_NAMESPACE, told))


class IncomingFile:
    """A document while it comes in. Used as a context; what was not kept is gone at its end."""

    def __init__(self, directory: Path) -> None:
        self._hash = hashlib.sha256()
        self.size = 0
        self.head = b""
        """Its first bytes."""
        try:
            handle, name = tempfile.mkstemp(dir=directory, prefix=".part-")
        except OSError as exc:
            raise _away(directory, exc) from exc
        self.path = Path(name)
        self._file = os.fdopen(handle, "wb")

    def __enter__(self) -> IncomingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, portion: bytes) -> None:
        """Add what came. Raises Transient where the disk is full."""
        try:
            self._file.write(portion)
        except OSError as exc:
            raise _away(self.path.parent, exc) from exc
        self._hash.update(portion)
        self.size += len(portion)
        self.head += portion[: _HEAD_BYTES - len(self.head)]

    def finish(self) -> str:
        """Have it on the disk; gives its SHA-256. Raises Transient."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as exc:
            raise _away(self.path.parent, exc) from exc
        return self._hash.hexdigest()


class UploadSpool:
    """One directory; every method blocks, so call it in a thread.

    Delivery: what `keep` has returned for is on the disk, and stays until a worker has told what became of it.
    """

    def __init__(self, directory: Path, most_waiting: int = 1_000) -> None:
        """Raises ConfigurationError where the directory cannot be made."""
        self._incoming, self._known = directory / "incoming", directory / "known"
        self._most_waiting = most_waiting
        try:
            for one in (self._incoming, self._known):
                one.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise ConfigurationError(f"uploads cannot be kept in {directory}: {exc.strerror}") from exc

    def open(self) -> IncomingFile:
        """A place for one that comes. Raises Transient where too many wait, or the disk is full."""
        try:
            waiting = sum(1 for _ in self._incoming.iterdir())
        except OSError as exc:
            raise _away(self._incoming, exc) from exc
        if waiting >= self._most_waiting:
            raise Transient(f"{waiting} documents wait for the documents worker", retry_after_seconds=30.0)
        return IncomingFile(self._incoming)

    def keep(self, upload: Upload, file: IncomingFile) -> bool:
        """Hand a document over; False where it was there before.

        Raises:
            UploadConflict: another document has its id.
            Transient: the disk is full.
        """
        try:
            is_new = self._note(upload)
            if is_new:
                # Of an earlier one of this id, whose removal was cut short.
                self._status_of(upload.id).unlink(missing_ok=True)
            else:
                known = self.upload(upload.id)
                if known is None or known.sha256 != upload.sha256 or known.client != upload.client:
                    raise UploadConflict(upload.id)
            # A sender may have been killed between the note and this: then the note alone is there.
            if self.status(upload.id).state == "received":
                file.path.rename(self._incoming / upload.id)
                _synchronize(self._incoming)
                # Its note may have been so old that it was removed meanwhile.
                self._note(upload)
        except OSError as exc:
            raise _away(self._incoming, exc) from exc
        return is_new

    def upload(self, upload_id: str) -> Upload | None:
        """Who sent it; None where there is none of that id. Raises Transient where the disk does not answer."""
        content = _content(self._note_of(upload_id))
        return None if content is None else _UPLOADS.validate_json(content)

    def status(self, upload_id: str) -> UploadStatus:
        """What is known of what became of it. Raises Transient where the disk does not answer."""
        content = _content(self._status_of(upload_id))
        return UploadStatus() if content is None else _STATUSES.validate_json(content)

    def waiting(self) -> Iterator[Upload]:
        """Those that no worker has dealt with, oldest first; called by the worker. Raises Transient."""
        try:
            paths = [path for path in self._incoming.iterdir() if not path.name.startswith(".")]
            found = sorted((path.stat().st_mtime, path.name) for path in paths)
        except OSError as exc:
            raise _away(self._incoming, exc) from exc
        for _, name in found:
            upload = self.upload(name) if _is_id(name) else None
            if upload is not None:
                yield upload

    def content(self, upload: Upload) -> bytes:
        """The document. Raises Transient."""
        try:
            return (self._incoming / upload.id).read_bytes()
        except OSError as exc:
            raise _away(self._incoming, exc) from exc

    def tell(self, upload: Upload, status: UploadStatus) -> None:
        """Say what became of it; called by the worker, again where that changes. Raises Transient."""
        try:
            _write(self._status_of(upload.id), _STATUSES.dump_json(status))
            (self._incoming / upload.id).unlink(missing_ok=True)
        except OSError as exc:
            raise _away(self._known, exc) from exc

    def tidy(self, turn: int, told_before: datetime) -> int:
        """Forget uploads that nothing can change any more and that were told of before then; gives how many.

        Called by the worker; each call looks at one of 256 parts of them, so that none takes long. What waits for the
        worker or for a person stays. The note goes first: whoever finds no status finds no note of old either, and
        writes it again. Raises Transient where the disk does not answer.
        """
        directory, removed = self._known / f"{turn % PARTS:02x}", 0
        try:
            for status in list(directory.glob("*.status")) if directory.is_dir() else []:
                if _is_id(status.stem) and _is_older(status, told_before) and self._is_final(status):
                    status.with_suffix(".json").unlink(missing_ok=True)
                    status.unlink(missing_ok=True)
                    removed += 1
            # Left by processes that were killed; what still comes in is younger.
            halves = [*directory.glob(".new-*"), *(self._incoming.glob(".part-*") if turn % PARTS == 0 else ())]
            for half in halves:
                if _is_older(half, min(told_before, datetime.now(UTC) - _LONGEST_SENDING)):
                    half.unlink(missing_ok=True)
        except OSError as exc:
            raise _away(directory, exc) from exc
        return removed

    def _is_final(self, status: Path) -> bool:
        content = _content(status)
        told = UploadStatus() if content is None else _STATUSES.validate_json(content)
        is_waiting = (self._incoming / status.stem).exists()
        return told.state == "done" and not is_waiting and all(one.outcome != "review" for one in told.parts)

    def _note(self, upload: Upload) -> bool:
        """Write the note where there is none."""
        path = self._note_of(upload.id)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        made = _made(path.parent, _UPLOADS.dump_json(upload))
        try:
            os.link(made, path)
        except FileExistsError:
            return False
        finally:
            made.unlink()
        _synchronize(path.parent)
        return True

    def _note_of(self, upload_id: str) -> Path:
        return self._known / upload_id[:2] / f"{upload_id}.json"

    def _status_of(self, upload_id: str) -> Path:
        return self._note_of(upload_id).with_suffix(".status")


def _is_older(path: Path, moment: datetime) -> bool:
    try:
        return path.stat().st_mtime < moment.timestamp()
    except FileNotFoundError:
        return False


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _away(path, exc) from exc


def _write(path: Path, content: bytes) -> None:
    _made(path.parent, content).rename(path)
    _synchronize(path.parent)


def _made(directory: Path, content: bytes) -> Path:
    """A file of that content on the disk, under a hidden name."""
    handle, name = tempfile.mkstemp(dir=directory, prefix=".new-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _synchronize(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _away(path: Path, exc: OSError) -> Transient:
    return Transient(f"{path}: {exc.strerror}; is the disk full?", retry_after_seconds=5.0)
