"""How large a document may be, in every sense in which one can be too large."""

from __future__ import annotations

import zipfile
from io import BytesIO
from zlib import error as ZlibError

from pydantic import Field

from producers.documents.reasons import refused
from schemas.settings import SettingsPart


class Limits(SettingsPart):
    """What is more is refused before it is read."""

    document_bytes: int = Field(20 * 1024 * 1024, gt=0, description="Longest document or attachment")
    mailbox_bytes: int = Field(512 * 1024 * 1024, gt=0, description="Longest mailbox file; each message counts alone")
    pages: int = Field(50, gt=0, description="Most pages of a PDF")
    scanned_pages: int = Field(10, gt=0, description="Most pages that are recognised from their image")
    page_pixels: int = Field(40_000_000, gt=0, description="Most pixels of one image or rendered page")
    words: int = Field(30_000, gt=0, description="Most words of a PDF")
    text_characters: int = Field(200_000, gt=0, description="Longest text of an e-mail that sentences are read from")
    text_line_characters: int = Field(10_000, gt=0, description="Longest line of it")
    reading_seconds: int = Field(60, gt=0, description="Most processor time for looking into one PDF or image")
    reading_memory_bytes: int = Field(
        1024 * 1024 * 1024, ge=512 * 1024 * 1024, description="Most memory for looking into one PDF or image"
    )
    attachments: int = Field(50, gt=0, description="Most parts of one e-mail")
    orders: int = Field(1_000, gt=0, description="Most orders in one document")
    lines: int = Field(1_000, gt=0, le=1_000, description="Most lines of one order")
    elements: int = Field(500_000, gt=0, description="Most XML elements, EDI segments or table rows")
    depth: int = Field(64, gt=0, description="Deepest nesting of XML elements and of e-mails")
    expanded_bytes: int = Field(200 * 1024 * 1024, gt=0, description="Longest content of a compressed file")
    expansion: int = Field(200, gt=0, description="Largest ratio of a compressed member's content to its size")

    def check_size(self, size_bytes: int, place: str) -> None:
        """Raises RefusedDocument where a document is too long or empty."""
        if size_bytes == 0:
            raise refused("document.empty", "there is nothing in it", place)
        if size_bytes > self.document_bytes:
            told = f"{size_bytes:,} bytes; {self.document_bytes:,} are allowed (ORDERSYNC_LIMITS__DOCUMENT_BYTES)"
            raise refused("document.size", told, place)

    def check_text(self, text: str, subject: str) -> None:
        """Raises RefusedDocument where sentences are longer than people write: time grows as the square of a line."""
        if len(text) > self.text_characters:
            told = f"{len(text):,} characters; {self.text_characters:,} are allowed (ORDERSYNC_LIMITS__TEXT_CHARACTERS)"
            raise refused("text.size", told, "text")
        for number, line in enumerate((subject, *text.splitlines())):
            if len(line) > self.text_line_characters:
                most = f"{self.text_line_characters:,} are allowed (ORDERSYNC_LIMITS__TEXT_LINE_CHARACTERS)"
                place = f"line {number}" if number else "subject"
                raise refused("text.line", f"a line of {len(line):,} characters; {most}", place)

    def check_zip(self, content: bytes, place: str) -> None:
        """Raises RefusedDocument for an archive that would unfold to more than a document may be.

        The directory of an archive may lie about sizes, so each member is unfolded once, without being kept.
        """
        try:
            with zipfile.ZipFile(BytesIO(content)) as archive:
                total = 0
                for member in archive.infolist():
                    with archive.open(member) as stream:
                        size = 0
                        while chunk := stream.read(1 << 16):
                            size += len(chunk)
                            total += len(chunk)
                            is_bomb = size > max(1 << 20, member.compress_size * self.expansion)
                            if total > self.expanded_bytes or is_bomb:
                                told = f"{member.filename!r} unfolds to more than {size:,} bytes"
                                raise refused("document.zip_bomb", told, place)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, ZlibError) as exc:
            raise refused("document.zip", f"the archive cannot be read: {exc}", place) from exc
