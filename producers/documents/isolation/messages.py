"""What a process that looks into a document tells: a sign, a length, and so many bytes."""

from __future__ import annotations

from typing import Final

BEGUN: Final = b"B"
"""Its rights are given up; the document has not been looked at yet."""
PART: Final = b"P"
DONE: Final = b"D"
REFUSED: Final = b"R"
"""With rule, message and place of each reason, as JSON."""
BROKEN: Final = b"X"
"""A library stumbled; with what it said."""
MEMORY: Final = b"M"
HEAD_BYTES: Final = 5


def head_of(sign: bytes, part: bytes) -> bytes:
    """What is sent before a part."""
    return sign + len(part).to_bytes(4, "big")


def told_by(head: bytes) -> tuple[bytes, int]:
    """The sign of a head, and the length of what follows."""
    return head[:1], int.from_bytes(head[1:], "big")
