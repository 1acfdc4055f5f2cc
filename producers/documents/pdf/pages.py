"""The text of PDFs and images with its places: as the file holds it, or recognised from the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import Any

from producers.documents.limits import Limits
from producers.documents.order import ReadOrder
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


def read_pdf(content: bytes, limits: Limits, told: Order | None) -> ReadOrder:
    """The order that people see on the pages.

    Raises:
        RefusedDocument: damaged, too large, or no order.
    """
    segments = list(_text_of(content, limits))
    if len(segments) >= _LEAST_WORDS:
        return document.read(joined(segments), "pdf", told)
    return document.read(list(_scanned(content, limits)), "scan", told)


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
                _check_page(number, frame.width, frame.height, limits)
                scale = POINTS / RESOLUTION
                segments += _recognised(frame.convert("RGB"), number, scale)
    except RefusedDocument:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise refused("image.damaged", f"the image cannot be read: {exc}", "document") from exc
    return document.read(segments, "scan", told)


def _text_of(content: bytes, limits: Limits) -> Iterator[Segment]:
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
                # Sheets may be measured from elsewhere than their corner.
                left, top = page.bbox[:2]
                for word in page.extract_words(x_tolerance_ratio=0.15, y_tolerance=2, keep_blank_chars=False):
                    text = re.sub(r"\s+", " ", word["text"]).strip()
                    if text:
                        across, down = (word["x0"] - left, word["x1"] - left), (word["top"] - top, word["bottom"] - top)
                        yield Segment(text, number, across[0], down[0], across[1], down[1])
                page.close()
    except RefusedDocument:
        raise
    except Exception as exc:
        # pdfminer raises whatever a damaged file makes it stumble over.
        raise refused("pdf.damaged", f"the PDF cannot be read: {exc or type(exc).__name__}", "document") from exc


def _scanned(content: bytes, limits: Limits) -> Iterator[Segment]:
    try:
        # Only here: it is an extra's library.
        import pypdfium2  # type: ignore[import-untyped]
    except ModuleNotFoundError as exc:
        raise _missing(exc) from exc
    try:
        with pypdfium2.PdfDocument(content) as pdf:
            if len(pdf) > limits.scanned_pages:
                told = f"{len(pdf)} scanned pages; {limits.scanned_pages} are allowed"
                raise refused("pdf.scanned_pages", told, f"page {limits.scanned_pages + 1}")
            for number, page in enumerate(pdf, 1):
                width, height = (side * RESOLUTION / POINTS for side in page.get_size())
                _check_page(number, int(width), int(height), limits)
                image = page.render(scale=RESOLUTION / POINTS).to_pil()
                yield from _recognised(image, number, POINTS / RESOLUTION)
    except pypdfium2.PdfiumError as exc:
        raise refused("pdf.damaged", f"the PDF cannot be read: {exc}", "document") from exc


def _check_page(number: int, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.page_pixels:
        told = f"{width} x {height} pixels; {limits.page_pixels:,} are allowed"
        raise refused("image.pixels", told, f"page {number}")
    if number > limits.scanned_pages:
        raise refused("pdf.scanned_pages", f"more than {limits.scanned_pages} pages", f"page {number}")


@cache
def _engine() -> Any:
    try:
        # Only here: it is an extra's library, and loads its models.
        from rapidocr import RapidOCR
    except ModuleNotFoundError as exc:
        raise _missing(exc) from exc
    return RapidOCR(params={"Global.log_level": "error"})


def _recognised(image: Any, page: int, scale: float) -> Iterator[Segment]:
    # Only here: it comes with the extra.
    import numpy

    found = _engine()(numpy.asarray(image)[:, :, ::-1])
    if found.boxes is None:
        return
    for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        rights, downs = [float(one[0]) for one in corners], [float(one[1]) for one in corners]
        box = (min(rights) * scale, min(downs) * scale, max(rights) * scale, max(downs) * scale)
        cleaned = re.sub(r"\s+", " ", text).strip()
        if cleaned:
            yield Segment(cleaned, page, *box, recognition=float(score))


def _missing(exc: ModuleNotFoundError) -> ConfigurationError:
    return ConfigurationError(f"{exc}: PDFs and scans need ordersync[documents]")
