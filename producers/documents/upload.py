"""Puts a document into a source's folder, whole or not at all: for uploads and other programs."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from producers.documents.limits import Limits
from producers.documents.originals import DocumentId, document_id_of
from producers.documents.source import Source
from schemas.errors import ConfigurationError, Transient

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def put(source: Source, name: str, content: bytes, limits: Limits) -> DocumentId:
    """Hand a document to the worker; gives the id under which it will be known.

    Called by `ordersync documents put` and by whatever takes uploads. The same document twice is one.

    Raises:
        RefusedDocument: empty or too long.
        ConfigurationError: the source has no folder. Transient: the disk is full.
    """
    limits.check_size(len(content), name)
    if source.path is None:
        way = (
            "is a mailbox: send an e-mail there" if source.kind == "imap" else "takes what its client sends to the API"
        )
        raise ConfigurationError(f"source {source.name} {way}")
    document_id = document_id_of(content)
    plain = _UNSAFE.sub("-", Path(name).name).strip("-.")[-100:] or "document"
    try:
        source.path.mkdir(parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(dir=source.path, prefix=".put-")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(made).rename(source.path / f"{document_id[:12]}-{plain}")
    except OSError as exc:
        raise Transient(f"the document cannot be put into {source.path}: {exc.strerror}") from exc
    return document_id
