"""Tells what a document is by its content, and has it read: structured parts first, text and images then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from producers.documents import (
    cii,
    edifact,
    edifact_orders,
    mail,
    tables,
    ubl,
    ubl_answers,
    x12,
    x12_orders,
    xml_tree,
)
from producers.documents.answers import ReadAnswer
from producers.documents.limits import Limits
from producers.documents.order import ReadOrder
from producers.documents.pdf import pages
from producers.documents.reasons import RefusedDocument, refused
from producers.documents.source import Source
from producers.documents.text import free_text

InterchangeReader = Callable[[bytes, Limits, list[ReadAnswer] | None], tuple[list[ReadOrder], list[RefusedDocument]]]
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")
_OFFICE = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(slots=True)
class Readings:
    """What one document holds."""

    media: str
    orders: list[ReadOrder] = field(default_factory=list)
    problems: list[RefusedDocument] = field(default_factory=list)
    """Of parts that could not be read, while others could."""
    answers: list[ReadAnswer] = field(default_factory=list)
    """What vendors say of their lines, and of their stock."""


def media_of(content: bytes) -> str:
    """What the content is, by its first bytes: names and senders may say something else."""
    start = content[:16].removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"%PDF-" in content[:1024]:
        return "pdf"
    if content.startswith(_OFFICE):
        return "xlsx" if b"xl/" in content or b"[Content_Types].xml" in content[:4096] else "zip"
    if content.startswith(_OLD_OFFICE):
        return "old-office"
    if content.startswith(_IMAGES) or content[8:12] == b"WEBP":
        return "image"
    if edifact.is_edifact(content):
        return "edifact"
    if x12.is_x12(content):
        return "x12"
    if start.startswith(b"<") or content[:4] in (b"\xff\xfe<\x00", b"\xfe\xff\x00<"):
        head = content[:2048].lower()
        return "html" if b"<html" in head or b"<!doctype html" in head else "xml"
    if mail.is_mailbox(content):
        return "mbox"
    if mail.is_mail(content):
        return "mail"
    return "text" if _is_text(content) else "unknown"


def _is_text(content: bytes) -> bool:
    if b"\x00" in content[:4096]:
        return False
    try:
        content[:65_536].decode("utf-8")
    except UnicodeDecodeError as exc:
        # A character may be cut at the end of what is looked at.
        return exc.start > 65_530 or sum(byte < 9 for byte in content[:4096]) == 0
    return True


class Reader:
    """Reads documents of one source; it knows nothing of master data."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._mapping = source.table_mapping()
        self._readers: dict[str, Callable[[bytes], Readings]] = {
            "pdf": self._pdf,
            "xlsx": self._xlsx,
            "image": self._image,
            "edifact": lambda content: self._interchange("edifact", edifact_orders.read, content),
            "x12": lambda content: self._interchange("x12", x12_orders.read, content),
            "xml": self._xml,
            "text": self._text,
        }

    def read_any(self, content: bytes) -> Readings:
        """The orders of a document, also of all files of an e-mail; for trying, where nothing is kept."""
        if media_of(content) != "mail":
            try:
                return self.read(content)
            except RefusedDocument as exc:
                return Readings(media_of(content), [], [exc])
        message, found = mail.read(content, self._limits), Readings("mail")
        for attachment in message.attachments:
            inner = self.read_any(attachment.content)
            found.orders += inner.orders
            found.problems += inner.problems
            found.answers += inner.answers
        if not found.orders and not found.answers:
            try:
                found.orders += self.read_text(message.body, message.subject, message.sender, message.sent_on).orders
            except RefusedDocument as exc:
                found.problems.append(exc)
        return found

    def read(self, content: bytes) -> Readings:
        """The orders of a document that is no e-mail.

        Raises:
            RefusedDocument: nothing of it can be read as an order; the reasons say why and where.
            ConfigurationError: the libraries for it are not installed.
        """
        self._limits.check_size(len(content), "document")
        media = media_of(content)
        reader = self._readers.get(media)
        if reader is None:
            raise refused("document.type", f"{media} is no form that orders are read from", "document")
        return reader(content)

    def read_text(self, text: str, subject: str = "", sender: str = "", sent_on: date | None = None) -> Readings:
        """The order of an e-mail's own text. Raises RefusedDocument where it is none."""
        if not self._source.free_text:
            raise refused("document.free_text", "free text is not read from this source", "document")
        self._limits.check_text(text, subject)
        return Readings("text", [free_text.read(text, subject, sender, self._source.date_order, sent_on)])

    def _interchange(self, media: str, read: InterchangeReader, content: bytes) -> Readings:
        answers: list[ReadAnswer] = []
        orders, problems = read(content, self._limits, answers if self._source.vendors else None)
        return Readings(media, orders, problems, answers)

    def _xml(self, content: bytes) -> Readings:
        root = xml_tree.parse(content, self._limits)
        if self._source.vendors and ubl_answers.is_answer(root):
            return Readings("xml", answers=[ubl_answers.read(root, self._limits)])
        return Readings("xml", read_tree(root, self._limits))

    def _text(self, content: bytes) -> Readings:
        if self._mapping is not None:
            return Readings("csv", tables.read_csv(content, self._mapping, self._limits))
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252", "replace")
        return self.read_text(text)

    def _xlsx(self, content: bytes) -> Readings:
        if self._mapping is None:
            raise refused("xlsx.mapping", "the source has no mapping file for workbooks; add `mapping`", "workbook")
        return Readings("xlsx", tables.read_xlsx(content, self._mapping, self._limits))

    def _pdf(self, content: bytes) -> Readings:
        found = pages.look_into_pdf(content, self._limits, self._source.free_text)
        if found.xml is not None:
            return Readings("pdf/order-x", read_xml(found.xml, self._limits))
        if not self._source.free_text:
            raise refused("document.free_text", "the PDF carries no Order-X, and no other is read here", "document")
        return Readings("pdf", [pages.read_text(found, self._source.date_order)])

    def _image(self, content: bytes) -> Readings:
        if not self._source.free_text:
            raise refused("document.free_text", "images are not read from this source", "document")
        return Readings("image", [pages.read_image(content, self._limits, self._source.date_order)])


def read_xml(content: bytes, limits: Limits) -> list[ReadOrder]:
    """The order of an XML document. Raises RefusedDocument."""
    return read_tree(xml_tree.parse(content, limits), limits)


def read_tree(root: xml_tree.Node, limits: Limits) -> list[ReadOrder]:
    """The order below a root element. Raises RefusedDocument."""
    if root.name == cii.ROOT:
        return cii.read(root, limits)
    if root.namespace.startswith(ubl.NAMESPACE):
        return ubl.read(root, limits)
    told = {
        cii.INVOICE: "it is an invoice (Factur-X), not an order; nothing is ordered by it",
    }.get(root.name, f"{root.name} of {root.namespace or 'no namespace'} is no order that is known")
    raise refused("xml.document_type", told, root.place)
