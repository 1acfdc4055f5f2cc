"""The order that a PDF carries as an XML file. Source: Order-X 1.0, ISO 32000-2 (embedded files)."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from producers.documents.limits import Limits
from producers.documents.reasons import RefusedDocument, refused

_NAMES = ("order-x.xml", "factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml")


def order_xml(content: bytes, limits: Limits) -> bytes | None:
    """The embedded order, or invoice that says that it is none; None where there is no such file.

    Raises:
        RefusedDocument: damaged, encrypted, too many pages, or an embedded file that is too long.
    """
    try:
        reader = PdfReader(BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise refused("pdf.encrypted", "the PDF is encrypted; send it without a password", "document")
        count = len(reader.pages)
        if count > limits.pages:
            raise refused("pdf.pages", f"{count} pages; {limits.pages} are allowed", f"page {limits.pages + 1}")
        return _embedded(reader, limits)
    except RefusedDocument:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError) as exc:
        # pypdf raises these for what a damaged file makes it stumble over.
        raise refused("pdf.damaged", f"the PDF cannot be read: {exc or type(exc).__name__}", "document") from exc


def _embedded(reader: Any, limits: Limits) -> bytes | None:
    found: dict[str, bytes] = {}
    for file in reader.attachment_list:
        name = (file.name or "").lower()
        if name.endswith(".xml") and name not in found:
            data = file.content
            if len(data) > limits.document_bytes:
                raise refused("document.size", f"{name} unfolds to {len(data):,} bytes", f"embedded file {name}")
            found[name] = data
    for known in _NAMES:
        if known in found:
            return found[known]
    return next(iter(found.values())) if len(found) == 1 else None
