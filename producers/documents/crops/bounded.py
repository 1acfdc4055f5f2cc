"""Pictures of the places of a document, drawn by a process without rights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from math import isfinite
from typing import Final

from producers.documents.isolation import template
from producers.documents.limits import Limits
from producers.documents.order import Box, ReadOrder
from producers.documents.reading import media_of
from producers.documents.reasons import RefusedDocument

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_NUMBER_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Bounds(template.Bounds):
    """What drawing one document may use."""

    pictures: int = 1_000


@dataclass(frozen=True, slots=True)
class Crops:
    """Pictures of places, as PNG, by the name of the field that was read there."""

    pictures: Mapping[str, bytes] = field(default_factory=dict)
    problem: str | None = None
    """Why some or all are missing, for people."""


def boxes_of(read: ReadOrder) -> dict[str, Box]:
    """The places on pages where the fields of an order were read; none of forms that have no pages."""
    boxes = {name: evidence.box for name, evidence in read.evidence.items() if evidence.box is not None}
    return {name: box for name, box in boxes.items() if all(map(isfinite, astuple(box)))}


def crops_of(content: bytes, read: ReadOrder, bounds: Bounds | None = None) -> Crops:
    """A picture of the place of each field of an order, cut out of its document; called by whoever shows a review.

    It never takes longer than the bounds say. It does not raise for what a document holds: the answer says what is
    missing and why.

    Raises:
        Transient: no process can be started now.
    """
    bounds = bounds or Bounds()
    boxes = dict(list(boxes_of(read).items())[: bounds.pictures])
    media = media_of(content)
    if not boxes or media not in ("pdf", "image"):
        return Crops(problem="it has no pages: the places that are named are those of its text")
    problem = template.missing()
    if problem is not None:
        return Crops(problem=str(problem))
    form = media if media == "image" else "pdf" if read.format == "pdf" else "scan"
    names, pictures, expected = list(boxes), dict[str, bytes](), len(boxes)
    asked = {
        "form": form,
        "boxes": [astuple(box) for box in boxes.values()],
        "page_pixels": Limits().page_pixels,
    }
    try:
        for part in template.parts_of("crops", asked, content, bounds):
            number, picture = int.from_bytes(part[:_NUMBER_BYTES], "big"), part[_NUMBER_BYTES:]
            if number < expected and picture.startswith(_PNG):
                pictures[names[number]] = picture
    except (template.Broken, RefusedDocument):
        return Crops(pictures, "the document cannot be drawn: look at the original, with care")
    except template.TooExpensive:
        return Crops(pictures, "drawing the document took more than it may use: look at the original, with care")
    lacking = expected - len(pictures)
    return Crops(pictures, f"{lacking} places are outside of its pages" if lacking else None)
