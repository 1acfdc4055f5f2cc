"""Draws the pages of a PDF or an image and cuts places out of them; only `isolation` calls it, in a process of its own.

All that it needs is loaded at once: when the first byte of a document is looked at, no file can be opened any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import groupby
from math import sqrt
from typing import Final

import pypdfium2  # type: ignore[import-untyped]
from PIL import Image, ImageDraw

from producers.documents.limits import Limits
from producers.documents.order import Box
from producers.documents.pdf.pages import POINTS, RESOLUTION
from producers.documents.pdf.sheets import FORMATS

_SCALE: Final = 150 / POINTS
"""Dots a point at which pages are drawn."""
_MOST_DOTS: Final = 8_000_000
"""Larger pages are drawn more coarsely."""
_BESIDE: Final = 12.0
_ABOVE: Final = 1.2
"""Of the height of the letters: so much of what is around is shown too."""
_COLOUR: Final = (200, 0, 40)
_SEAM: Final = 3
"""Dots between the letters and the line around them."""


def cut(content: bytes, form: str, boxes: Sequence[Box], limits: Limits) -> Iterator[tuple[int, bytes]]:
    """The number of each box that is on a page, with its picture as PNG; page by page.

    `form` is what the boxes are measured on: `image`, the `pdf` itself, or a `scan`, a PDF as it is drawn.

    Raises:
        ValueError, OSError, pypdfium2.PdfiumError: the document cannot be drawn.
    """
    ordered = sorted(enumerate(boxes), key=lambda one: one[1].page)
    for number, found in groupby(ordered, key=lambda one: one[1].page):
        drawn = _image(content, number, limits) if form == "image" else _page(content, number, form)
        if drawn is None:
            continue
        picture, scale = drawn
        for place, box in found:
            made = _around(picture, box, scale)
            if made is not None:
                yield place, made


def _image(content: bytes, number: int, limits: Limits) -> tuple[Image.Image, float] | None:
    with Image.open(BytesIO(content), formats=FORMATS) as image:
        if not 1 <= number <= getattr(image, "n_frames", 1):
            return None
        image.seek(number - 1)
        if image.width * image.height > limits.page_pixels:
            raise ValueError(f"{image.width} x {image.height} pixels")
        return image.convert("RGB"), RESOLUTION / POINTS


def _page(content: bytes, number: int, form: str) -> tuple[Image.Image, float] | None:
    with pypdfium2.PdfDocument(content) as pdf:
        if not 1 <= number <= len(pdf):
            return None
        page = pdf[number - 1]
        if form == "pdf":
            # The places of its text count from the edge of the sheet, also where less of it is meant to be seen.
            page.set_cropbox(*page.get_mediabox())
            page.close()
            page = pdf[number - 1]
        width, height = page.get_size()
        scale = min(_SCALE, sqrt(_MOST_DOTS / max(width * height, 1.0)))
        return page.render(scale=scale).to_pil().convert("RGB"), scale


def _around(picture: Image.Image, box: Box, scale: float) -> bytes | None:
    """The place with a line around it and some of what stands there; None where it is not on the page."""
    high = min(max(box.bottom - box.top, 1.0), 40.0)
    inner = (box.left * scale, box.top * scale, box.right * scale, box.bottom * scale)
    beside, above = _BESIDE * high * scale, _ABOVE * high * scale
    left, top = max(0, round(inner[0] - beside)), max(0, round(inner[1] - above))
    right, bottom = min(picture.width, round(inner[2] + beside)), min(picture.height, round(inner[3] + above))
    if not (left < right and top < bottom):
        return None
    piece = picture.crop((left, top, right, bottom))
    corners = (inner[0] - left - _SEAM, inner[1] - top - _SEAM, inner[2] - left + _SEAM, inner[3] - top + _SEAM)
    ImageDraw.Draw(piece).rectangle(corners, outline=_COLOUR, width=2)
    written = BytesIO()
    piece.save(written, "PNG")
    return written.getvalue()
