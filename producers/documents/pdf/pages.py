"""The text of PDFs and images with its places: as the file holds it, or recognised from the picture.

A process without rights looks into the file (`sheets`); what it tells is judged and recognised here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from producers.documents.isolation import template
from producers.documents.limits import Limits
from producers.documents.order import ReadOrder
from producers.documents.pdf.recognition import recognised
from producers.documents.reasons import refused
from producers.documents.text import document
from producers.documents.text.dates import Order
from producers.documents.text.words import Segment, joined

RESOLUTION: Final = 200
"""Dots an inch at which pages are recognised."""
POINTS: Final = 72
LEAST_WORDS: Final = 5
"""A page with less text and a picture is a scan."""
XML, WORDS, PICTURE = b"x", b"w", b"p"
_COLOURS: Final = 3
_TEXT_BYTES: Final = 16 << 20
"""Of all words of a document, with their places."""


@dataclass(slots=True)
class Found:
    """What a file holds."""

    xml: bytes | None = None
    words: dict[int, list[Segment]] = field(default_factory=dict)
    recognised: dict[int, list[Segment]] = field(default_factory=dict)


def look_into_pdf(content: bytes, limits: Limits, is_text_read: bool = True) -> Found:
    """The XML that a PDF carries, or its text, if text is read; called by `Reader` with a PDF from outside.

    Raises:
        RefusedDocument: damaged, too large, or more expensive than is allowed.
        Transient: no process can be started to look into it.
    """
    found = Found()
    asked = {"limits": limits.model_dump(), "is_text_read": is_text_read}
    for part in _parts("pdf", asked, content, limits):
        _take(part, found, limits)
    return found


def read_pdf(content: bytes, limits: Limits, told: Order | None) -> ReadOrder:
    """The order that people see on the pages. Raises RefusedDocument as `look_into_pdf`, or where there is none."""
    return read_text(look_into_pdf(content, limits), told)


def read_text(found: Found, told: Order | None) -> ReadOrder:
    """The order that people see on the pages; a page without text is recognised, whatever the others hold.

    Raises:
        RefusedDocument: there is no order.
    """
    pages = found.words.items()
    segments = joined(word for page, words in pages if page not in found.recognised for word in words)
    for one in found.recognised.values():
        segments += one
    form = "scan" if any(segment.recognition < 1 for segment in segments) else "pdf"
    return document.read(segments, form, told)


def read_image(content: bytes, limits: Limits, told: Order | None) -> ReadOrder:
    """The order on an image. Raises RefusedDocument and Transient as `read_pdf`."""
    found = Found()
    for part in _parts("image", {"limits": limits.model_dump()}, content, limits):
        _take(part, found, limits)
    return document.read([one for page in found.recognised.values() for one in page], "scan", told)


def _parts(task: str, asked: dict[str, Any], content: bytes, limits: Limits) -> Iterator[bytes]:
    problem = template.missing()
    if problem is not None:
        raise problem
    pictures_bytes = limits.scanned_pages * (limits.page_pixels * _COLOURS + 1_000)
    bounds = template.Bounds(
        limits.reading_memory_bytes,
        limits.reading_seconds,
        limits.reading_seconds * 3.0,
        _TEXT_BYTES + limits.document_bytes + pictures_bytes,
    )
    form = "PDF" if task == "pdf" else "image"
    try:
        yield from template.parts_of(task, asked, content, bounds)
    except template.Broken as exc:
        raise refused(f"{task}.damaged", f"the {form} cannot be read: {exc}", "document") from exc
    except template.TooExpensive as exc:
        told = (
            f"reading the {form} takes more than {limits.reading_seconds} s of processor time "
            f"(ORDERSYNC_LIMITS__READING_SECONDS) or {limits.reading_memory_bytes:,} bytes of memory "
            "(ORDERSYNC_LIMITS__READING_MEMORY_BYTES)"
        )
        raise refused(f"{task}.too_expensive", told, "document") from exc


def _take(part: bytes, found: Found, limits: Limits) -> None:
    """Note what is told; the process that tells it may have been taken over by the document."""
    form, told = part[:1], part[1:]
    try:
        if form == XML:
            found.xml = told
        elif form == WORDS:
            page = json.loads(told)
            found.words[int(page["page"])] = [_word(int(page["page"]), *word) for word in page["words"]]
        else:
            head, pixels = told.split(b"\n", 1)
            number, size = _picture_of(json.loads(head), pixels, limits)
            found.recognised[number] = list(recognised(_image(size, pixels), number, POINTS / RESOLUTION))
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise refused("document.unreadable", f"what was read of it cannot be understood: {exc}", "document") from exc


def _word(page: int, text: str, left: float, top: float, right: float, bottom: float, sure: float) -> Segment:
    return Segment(str(text), page, float(left), float(top), float(right), float(bottom), float(sure))


def _picture_of(head: dict[str, int], pixels: bytes, limits: Limits) -> tuple[int, tuple[int, int]]:
    """Number and size of the page. Raises ValueError where they are not those of the pixels."""
    number, width, height = int(head["page"]), int(head["width"]), int(head["height"])
    if width < 1 or height < 1 or width * height > limits.page_pixels or len(pixels) != width * height * _COLOURS:
        raise ValueError(f"a picture of {width} x {height} in {len(pixels)} bytes")
    return number, (width, height)


def _image(size: tuple[int, int], pixels: bytes) -> Any:
    # Only here: it is an extra's library.
    from PIL import Image

    return Image.frombytes("RGB", size, pixels)
