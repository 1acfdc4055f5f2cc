"""Keeps every document as it came, under the hash of its content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import NewType

from schemas.errors import ConfigurationError, Transient

DocumentId = NewType("DocumentId", str)
"""SHA-256 of the content, in hexadecimal."""


def document_id_of(content: bytes) -> DocumentId:
    """The id of a document: the same content is the same document."""
    return DocumentId(hashlib.sha256(content).hexdigest())


class Originals:
    """A directory of files that are written once and never changed.

    Delivery: what `put` has returned for is on the disk.
    """

    def __init__(self, directory: Path) -> None:
        """Raises ConfigurationError where the directory cannot be made."""
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise ConfigurationError(f"originals cannot be kept in {directory}: {exc.strerror}") from exc

    def path(self, document_id: DocumentId) -> Path:
        """Where it lies."""
        return self._directory / document_id[:2] / document_id

    def put(self, content: bytes) -> DocumentId:
        """Keep a document; one that is there already stays. Raises Transient where the disk is full."""
        document_id = document_id_of(content)
        path = self.path(document_id)
        if path.exists():
            return document_id
        try:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o400)
            Path(name).rename(path)
        except OSError as exc:
            raise Transient(f"the original cannot be kept in {path.parent}: {exc.strerror}") from exc
        return document_id

    def get(self, document_id: DocumentId) -> bytes:
        """The content. Raises ConfigurationError where it is not there or is no longer what it was."""
        try:
            content = self.path(document_id).read_bytes()
        except OSError as exc:
            raise ConfigurationError(f"there is no original {document_id}: {exc.strerror}") from exc
        if document_id_of(content) != document_id:
            raise ConfigurationError(f"the original {self.path(document_id)} was changed since it was kept")
        return content
