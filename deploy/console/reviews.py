"""The review queue of documents for the pages: what was read, what is doubted, and what a person may correct."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.console.pictures import PictureDesk
from deploy.reviewing import original_of, pictures_of
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from producers.documents.register import DocumentRecord, Register, Review

MOST_LINES: Final = 150
"""So many lines have fields on the page; longer orders are corrected on the command line."""
PREFIX: Final = "set."
"""Of the names of a form's fields that correct something."""
_SHOWN_BYTES: Final = 65_536
_MARKS: Final = frozenset("\n\r\t")


class ReviewDesk:
    """The register of a documents worker on this machine; any thread may ask."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._register: Register | None = None
        self.pictures = PictureDesk(lambda review: pictures_of(directory, self.register, review))

    @property
    def register(self) -> Register:
        """Opened when it is first asked for.

        Raises:
            ConfigurationError: there is none, or it cannot be opened.
        """
        # Only here: the libraries of the documents are an extra, and the register's tables are made when it is opened.
        from deploy.commands.documents import register_in

        with self._lock:
            if self._register is None:
                self._register = register_in(self._directory)
            return self._register

    def waiting(self) -> int:
        """How many orders wait; 0 where no worker has made the register yet."""
        try:
            return self.register.waiting()
        except ConfigurationError:
            return 0

    def record(self, review: Review) -> DocumentRecord | None:
        """The document of a review."""
        return self.register.record(review.document)

    def original(self, review: Review) -> bytes:
        """The document as it came. Raises ConfigurationError where it is not there, or not what it was."""
        return original_of(self._directory, self.register, review)

    def close(self) -> None:
        """Give the file back."""
        self.pictures.close()
        if self._register is not None:
            self._register.close()


def corrections_in(form: Mapping[str, list[str]]) -> dict[str, str]:
    """What a form corrects: fields that somebody filled in, lines that are to go, and what the document is."""
    found = {
        name.removeprefix(PREFIX): values[-1].strip()
        for name, values in form.items()
        if name.startswith(PREFIX) and values[-1].strip()
    }
    return found | {f"lines.{place}": "" for place in form.get("gone", []) if place.isdecimal()}


def shown_text(content: bytes) -> str | None:
    """The beginning of a document that is text, such as EDIFACT, XML or an e-mail; None of a picture or a PDF."""
    start = content[:_SHOWN_BYTES]
    if b"\x00" in start or start.startswith((b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff")):
        return None
    text = start.decode("utf-8-sig", "replace")
    return "".join(char if char.isprintable() or char in _MARKS else "\N{REPLACEMENT CHARACTER}" for char in text)
