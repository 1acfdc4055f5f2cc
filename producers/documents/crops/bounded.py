"""Has a document drawn by a process of its own, so that a hostile one harms nobody: neither worker, console nor shell.

That process has no environment, gets the document by its standard input, and can open no file, socket or process once
it looks at it. What it may use has an end; what it has drawn until then is kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from importlib.util import find_spec
from math import isfinite
from tempfile import TemporaryFile
from typing import Final

from producers.documents.limits import Limits
from producers.documents.order import Box, ReadOrder
from producers.documents.reading import media_of

FAILED: Final = 4
"""Status of the process where the document cannot be drawn."""
_LIBRARIES: Final = ("PIL", "pypdfium2")
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_HEAD_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """What drawing one document may use."""

    memory_bytes: int = 1 << 30
    seconds: int = 20
    """Of processor time."""
    waited_seconds: float = 60.0
    written_bytes: int = 16 << 20
    """Of all pictures together."""
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

    It takes about a second, and never longer than the bounds say. It does not raise for what a document holds: the
    answer says what is missing and why.

    Raises:
        OSError: no process can be started, or the disk for its temporary files is full.
    """
    bounds = bounds or Bounds()
    boxes = dict(list(boxes_of(read).items())[: bounds.pictures])
    media = media_of(content)
    if not boxes or media not in ("pdf", "image"):
        return Crops(problem="it has no pages: the places that are named are those of its text")
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        return Crops(problem=f"pictures of pages need ordersync[documents] ({', '.join(missing)} is missing)")
    form = media if media == "image" else "pdf" if read.format == "pdf" else "scan"
    status, written = _drawn(_question(form, list(boxes.values()), bounds) + content, bounds)
    names = list(boxes)
    pictures = {names[number]: picture for number, picture in _pictures_in(written) if number < len(names)}
    return Crops(pictures, _problem(status, len(names) - len(pictures)))


def _question(form: str, boxes: list[Box], bounds: Bounds) -> bytes:
    asked = {
        "form": form,
        "boxes": [astuple(box) for box in boxes],
        "page_pixels": Limits().page_pixels,
        "memory_bytes": bounds.memory_bytes,
        "seconds": bounds.seconds,
        "written_bytes": bounds.written_bytes,
    }
    return json.dumps(asked).encode() + b"\n"


def _drawn(given: bytes, bounds: Bounds) -> tuple[int | None, bytes]:
    """How the process ended, None where it was ended, and what it wrote."""
    command = [sys.executable, "-I", "-m", "producers.documents.crops"]
    with TemporaryFile() as asked, TemporaryFile() as answer:
        asked.write(given)
        asked.seek(0)
        try:
            status: int | None = subprocess.run(
                command,
                stdin=asked,
                stdout=answer,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                timeout=bounds.waited_seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            status = None
        answer.seek(0)
        return status, answer.read(bounds.written_bytes)


def _pictures_in(written: bytes) -> list[tuple[int, bytes]]:
    """Those that are whole."""
    found, at = [], 0
    while len(head := written[at : at + _HEAD_BYTES]) == _HEAD_BYTES:
        number, length = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
        at += _HEAD_BYTES
        picture = written[at : at + length]
        if len(picture) < length or not picture.startswith(_PNG):
            break
        found.append((number, picture))
        at += length
    return found


def _problem(status: int | None, missing: int) -> str | None:
    if status == FAILED:
        return "the document cannot be drawn: look at the original, with care"
    if status != 0:
        return "drawing the document took more than it may use: look at the original, with care"
    return f"{missing} places are outside of its pages" if missing else None
