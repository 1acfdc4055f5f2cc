"""The text of PDFs and images with its places: as the file holds it, or recognised from the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from producers.documents.limits import Limits
from producers.documents.order import ReadOrder
from producers.documents.pdf.recognition import recognised
from producers.documents.reasons import RefusedDocument, refused
from producers.documents.text import document
from producers.documents.text.dates import Order
from producers.documents.text.words import Segment, joined
from schemas.errors import ConfigurationError

RESOLUTION = 200
"""Dots an inch at which pages are recognised."""
POINTS = 72
_LEAST_WORDS = 5
"""A page with less text and a picture is a scan."""
_COVERED = 0.8
"""Of the page: a picture that large under text is a scan whose text somebody else recognised."""
_SECOND_HAND = 0.99
"""So sure is what others recognised: its numbers have to prove each other too."""


def read_pdf(content: bytes, limits: Limits, told: Order | None) -> ReadOrder:
    """The order that people see on the pages; a page without text is recognised, whatever the others hold.

    Raises:
        RefusedDocument: damaged, too large, or no order.
    """
    pages = list(_pages_of(content, limits))
    pictures = {page.number for page in pages if page.has_picture and len(page.words) < _LEAST_WORDS}
    if not any(len(page.words) >= _LEAST_WORDS for page in pages):
        pictures = {page.number for page in pages}
    segments = joined(word for page in pages if page.number not in pictures for word in page.words)
    if pictures:
        segments += _scanned(content, limits, pictures)
    form = "scan" if any(segment.recognition < 1 for segment in segments) else "pdf"
    return document.read(segments, form, told)


def read_image(content: bytes, limits: Limits, told: Order | None) -> ReadOrder:
    """The order on an image. Raises RefusedDocument as `read_pdf`."""
    try:
        # Only here: it is an extra's library.
        from PIL import Image, ImageSequence, UnidentifiedImageError
    except ModuleNotFoundError as exc:
        raise _missing(exc) from exc
    segments: list[Segment] = []
    try:
        with Image.open(BytesIO(content)) as image:
            for number, frame in enumerate(ImageSequence.Iterator(image), 1):
                _check_frame(number, frame.width, frame.height, limits)
                scale = POINTS / RESOLUTION
                segments += recognised(frame.convert("RGB"), number, scale)
    except RefusedDocument:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise refused("image.damaged", f"the image cannot be read: {exc}", "document") from exc
    return document.read(segments, "scan", told)


@dataclass(frozen=True, slots=True)
class _Page:
    number: int
    words: list[Segment]
    has_picture: bool


def _pages_of(content: bytes, limits: Limits) -> Iterator[_Page]:
    try:
        # Only here: it is an extra's library.
        import pdfplumber
    except ModuleNotFoundError as exc:
        raise _missing(exc) from exc
    try:
        with pdfplumber.open(BytesIO(content)) as pdf:
            for number, page in enumerate(pdf.pages, 1):
                if number > limits.pages:
                    raise refused("pdf.pages", f"more than {limits.pages} pages", f"page {number}")
                yield _page(page, number)
                page.close()
    except RefusedDocument:
        raise
    except Exception as exc:
        # pdfminer raises whatever a damaged file makes it stumble over.
        raise refused("pdf.damaged", f"the PDF cannot be read: {exc or type(exc).__name__}", "document") from exc


def _page(page: Any, number: int) -> _Page:
    whole = float(page.width) * float(page.height)
    largest = max((abs((one["x1"] - one["x0"]) * (one["bottom"] - one["top"])) for one in page.images), default=0.0)
    sure = _SECOND_HAND if largest > _COVERED * whole else 1.0
    # Sheets may be measured from elsewhere than their corner.
    left, top = page.bbox[:2]
    words: list[Segment] = []
    for word in page.extract_words(x_tolerance_ratio=0.15, y_tolerance=2, keep_blank_chars=False):
        text = re.sub(r"\s+", " ", word["text"]).strip()
        if text:
            across, down = (word["x0"] - left, word["x1"] - left), (word["top"] - top, word["bottom"] - top)
            words.append(Segment(text, number, across[0], down[0], across[1], down[1], sure))
    return _Page(number, words, bool(page.images))


def _scanned(content: bytes, limits: Limits, numbers: Set[int]) -> Iterator[Segment]:
    """What is recognised on the pages with these numbers."""
    try:
        # Only here: it is an extra's library.
        import pypdfium2  # type: ignore[import-untyped]
    except ModuleNotFoundError as exc:
        raise _missing(exc) from exc
    if len(numbers) > limits.scanned_pages:
        told = f"{len(numbers)} scanned pages; {limits.scanned_pages} are allowed"
        raise refused("pdf.scanned_pages", told, f"page {sorted(numbers)[limits.scanned_pages]}")
    try:
        with pypdfium2.PdfDocument(content) as pdf:
            for number in sorted(numbers):
                page = pdf[number - 1]
                width, height = (side * RESOLUTION / POINTS for side in page.get_size())
                _check_size(number, int(width), int(height), limits)
                image = page.render(scale=RESOLUTION / POINTS).to_pil().convert("RGB")
                yield from recognised(image, number, POINTS / RESOLUTION)
    except pypdfium2.PdfiumError as exc:
        raise refused("pdf.damaged", f"the PDF cannot be read: {exc}", "document") from exc


def _check_size(number: int, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.page_pixels:
        told = f"{width} x {height} pixels; {limits.page_pixels:,} are allowed"
        raise refused("image.pixels", told, f"page {number}")


def _check_frame(number: int, width: int, height: int, limits: Limits) -> None:
    if number > limits.scanned_pages:
        raise refused("pdf.scanned_pages", f"more than {limits.scanned_pages} pages", f"page {number}")
    _check_size(number, width, height, limits)


def _missing(exc: ModuleNotFoundError) -> ConfigurationError:
    return ConfigurationError(f"{exc}: PDFs and scans need ordersync[documents]")
