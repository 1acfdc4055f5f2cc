"""What the two families of EDI have in common: segments with their place, and how a message's own counts are proved."""

from __future__ import annotations

from dataclasses import dataclass


def without_mark(content: bytes) -> bytes:
    """The content without its byte-order mark; UTF-16 becomes UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace").encode()
    return content.removeprefix(b"\xef\xbb\xbf")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; elements count from 1 as in the standards, each a list of components."""

    tag: str
    elements: tuple[tuple[str, ...], ...]
    number: int
    """Among the segments of the interchange, from 1."""
    line: int
    column: int

    def __getitem__(self, place: int | tuple[int, int]) -> str:
        """Element `n`, or component `m` of it, from 1; empty where it is missing."""
        element, component = (place, 1) if isinstance(place, int) else place
        if element > len(self.elements) or component > len(self.elements[element - 1]):
            return ""
        return self.elements[element - 1][component - 1].strip()

    @property
    def place(self) -> str:
        """For people."""
        return f"segment {self.number} ({self.tag}), line {self.line}, column {self.column}"

    def at(self, element: int, component: int | None = None) -> str:
        """For people: one element of it."""
        part = "" if component is None else f", component {component}"
        return f"{self.place}, element {element}{part}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message or transaction set, with who sent it."""

    kind: str
    version: str
    reference: str
    segments: tuple[Segment, ...]
    """From its header to its trailer."""
    sender: str
    sent_on: str
    is_test: bool = False
    warnings: tuple[str, ...] = ()
