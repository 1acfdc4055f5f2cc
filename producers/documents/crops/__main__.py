"""The process that draws a document: it gives up its rights before it looks at the first byte of it.

Standard input is one line of JSON and the document; standard output is, for each picture, its number and length as
two unsigned 32 bit integers, most significant byte first, and the PNG.
"""

from __future__ import annotations

import json
import resource
import sys

from producers.documents.crops.bounded import FAILED
from producers.documents.crops.cutting import cut
from producers.documents.limits import Limits
from producers.documents.order import Box


def _give_up(memory_bytes: int, seconds: int, written_bytes: int) -> None:
    """From here on no file, socket or process can be opened, and memory, processor time and output have an end."""
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, written_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def main() -> int:
    """Write the pictures that were asked for; those that were made before something went wrong are whole."""
    asked = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read()
    _give_up(asked["memory_bytes"], asked["seconds"], asked["written_bytes"])
    boxes = [Box(*box) for box in asked["boxes"]]
    try:
        for number, picture in cut(content, asked["form"], boxes, Limits(page_pixels=asked["page_pixels"])):
            sys.stdout.buffer.write(number.to_bytes(4, "big") + len(picture).to_bytes(4, "big") + picture)
            sys.stdout.buffer.flush()
    except Exception:  # noqa: BLE001 - whatever a damaged file makes the libraries stumble over: it cannot be drawn
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
