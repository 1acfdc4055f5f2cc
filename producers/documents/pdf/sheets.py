"""What stands on the sheets of a PDF or an image: words with their places, and pictures of those without.

Only `isolation` calls it, in a process without rights: what it needs is loaded before, and parts of one document are
told as bytes. Their first says what they are: `x` an order as XML, `w` the words of a page, `p` a picture of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

import pdfplumber
import pypdfium2  # type: ignore[import-untyped]
from PIL import Image, ImageSequence, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from producers.documents.limits import Limits
from producers.documents.pdf import embedded
from producers.documents.pdf.pages import LEAST_WORDS, PICTURE, POINTS, RESOLUTION, WORDS, XML
from producers.documents.reasons import RefusedDocument, refused

FORMATS: Final = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        TiffImagePlugin.TiffImageFile,
        WebPImagePlugin.WebPImageFile,
    )
    if plugin.format is not None
)
"""Of images; no other plugin of the library is given a byte."""
_COVERED = 0.8
"""Of the page: a picture that large under text is a scan whose text somebody else recognised."""
_SECOND_HAND = 0.99
"""So sure is what others recognised: its numbers have to prove each other too."""

# Pillow would look for its plugins when it is first used.
Image.preinit()


def of_pdf(content: bytes, limits: Limits, is_text_read: bool) -> Iterator[bytes]:
    """The order that a PDF carries as XML; otherwise, if text is read, words of all pages, and pictures of scans.

    Raises:
        RefusedDocument: damaged, encrypted, or more of something than is allowed.
    """
    attached = embedded.order_xml(content, limits)
    if attached is not None:
        yield XML + attached
    elif is_text_read:
        found: dict[int, tuple[int, bool]] = {}
        for number, words, has_picture in _texts(content, limits):
            found[number] = len(words), has_picture
            yield WORDS + json.dumps({"page": number, "words": words}).encode()
        scans = [page for page, (count, has_picture) in found.items() if has_picture and count < LEAST_WORDS]
        if all(count < LEAST_WORDS for count, _ in found.values()):
            scans = list(found)
        yield from _scans(content, limits, scans)


def of_image(content: bytes, limits: Limits) -> Iterator[bytes]:
    """Each frame as a picture. Raises RefusedDocument."""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            for number, frame in enumerate(ImageSequence.Iterator(image), 1):
                if number > limits.scanned_pages:
                    raise refused("pdf.scanned_pages", f"more than {limits.scanned_pages} pages", f"page {number}")
                _check_size(number, frame.width, frame.height, limits)
                yield _picture(frame.convert("RGB"), number)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as exc:
        raise refused("image.damaged", f"the image cannot be read: {exc}", "document") from exc


def _texts(content: bytes, limits: Limits) -> Iterator[tuple[int, list[list[Any]], bool]]:
    """Number and words of each page, and whether there is a picture on it."""
    count = 0
    try:
        with pdfplumber.open(BytesIO(content)) as pdf:
            for number, page in enumerate(pdf.pages, 1):
                if number > limits.pages:
                    raise refused("pdf.pages", f"more than {limits.pages} pages", f"page {number}")
                words = _words(page)
                count += len(words)
                if count > limits.words:
                    told = f"more than {limits.words:,} words (ORDERSYNC_LIMITS__WORDS)"
                    raise refused("pdf.words", told, f"page {number}")
                yield number, words, bool(page.images)
                page.close()
    except (RefusedDocument, MemoryError):
        raise
    except Exception as exc:
        # pdfminer raises whatever a damaged file makes it stumble over; pdfplumber wraps it.
        if isinstance(exc.__context__, MemoryError) or any(isinstance(one, MemoryError) for one in exc.args):
            raise MemoryError from exc
        raise _damaged(exc) from exc


def _words(page: Any) -> list[list[Any]]:
    """Text, left, top, right, bottom, and how sure it is."""
    whole = float(page.width) * float(page.height)
    largest = max((abs((one["x1"] - one["x0"]) * (one["bottom"] - one["top"])) for one in page.images), default=0.0)
    sure = _SECOND_HAND if largest > _COVERED * whole else 1.0
    # Sheets may be measured from elsewhere than their corner.
    left, top = page.bbox[:2]
    words: list[list[Any]] = []
    for word in page.extract_words(x_tolerance_ratio=0.15, y_tolerance=2, keep_blank_chars=False):
        text = re.sub(r"\s+", " ", word["text"]).strip()
        if text:
            across, down = (word["x0"] - left, word["x1"] - left), (word["top"] - top, word["bottom"] - top)
            words.append([text, across[0], down[0], across[1], down[1], sure])
    return words


def _scans(content: bytes, limits: Limits, numbers: list[int]) -> Iterator[bytes]:
    """Pictures of the pages with these numbers."""
    if len(numbers) > limits.scanned_pages:
        told = f"{len(numbers)} scanned pages; {limits.scanned_pages} are allowed"
        raise refused("pdf.scanned_pages", told, f"page {numbers[limits.scanned_pages]}")
    try:
        with pypdfium2.PdfDocument(content) as pdf:
            for number in numbers:
                page = pdf[number - 1]
                width, height = (side * RESOLUTION / POINTS for side in page.get_size())
                _check_size(number, int(width), int(height), limits)
                image = page.render(scale=RESOLUTION / POINTS).to_pil().convert("RGB")
                yield _picture(image, number)
    except pypdfium2.PdfiumError as exc:
        raise _damaged(exc) from exc


def _picture(image: Image.Image, number: int) -> bytes:
    told = json.dumps({"page": number, "width": image.width, "height": image.height}).encode()
    return PICTURE + told + b"\n" + image.tobytes()


def _damaged(exc: Exception) -> RefusedDocument:
    return refused("pdf.damaged", f"the PDF cannot be read: {exc or type(exc).__name__}", "document")


def _check_size(number: int, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.page_pixels:
        told = f"{width} x {height} pixels; {limits.page_pixels:,} are allowed"
        raise refused("image.pixels", told, f"page {number}")
