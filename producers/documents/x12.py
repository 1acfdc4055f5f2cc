"""The syntax of ASC X12: separators as each ISA says them, transaction sets proved whole by their own counts."""

from __future__ import annotations

from dataclasses import replace

from producers.documents.edi import Message, Segment, without_mark
from producers.documents.limits import Limits
from producers.documents.reasons import Reason, RefusedDocument, refused

_ELEMENTS_OF_ISA = 16


def is_x12(content: bytes) -> bool:
    """Whether it begins as an interchange does."""
    start = without_mark(content[:400]).lstrip()
    return start[:3] == b"ISA" and len(start) > 100 and not start[3:4].isalnum()


def messages(content: bytes, limits: Limits) -> tuple[list[Message], list[Reason]]:
    """Each whole transaction set, and what is wrong with others.

    Raises:
        RefusedDocument: the segments cannot be told apart.
    """
    content = without_mark(content)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("iso-8859-1")
    return _Interchanges(_segments(text, limits)).messages()


def _segments(text: str, limits: Limits) -> list[Segment]:
    segments: list[Segment] = []
    at = len(text) - len(text.lstrip())
    line, line_start = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
    element = component = terminator = ""
    while at < len(text):
        if text.startswith("ISA", at):
            element, component, terminator = _separators(text, at, line)
        elif not element:
            raise refused("x12.isa", "the interchange does not begin with ISA", f"line {line}")
        end = text.find(terminator, at)
        column = at - line_start + 1
        if end < 0:
            if text[at:].strip() and not terminator.isspace():
                place = f"line {line}, column {column}"
                raise refused("x12.terminator", f"the last segment does not end with {terminator!r}", place)
            end = len(text)
        raw = text[at:end]
        if raw.strip():
            if len(segments) == limits.elements:
                raise refused("x12.segments", f"more than {limits.elements:,} segments", f"line {line}")
            segments.append(_segment(raw, element, component, len(segments) + 1, (line, column)))
        at = end + 1
        while at < len(text) and text[at] in "\r\n \t":
            at += 1
        line += text.count("\n", end - len(raw), at)
        line_start = text.rfind("\n", 0, at) + 1
    return segments


def _separators(text: str, at: int, line: int) -> tuple[str, str, str]:
    """Element, component and terminator: behind the 16 elements of ISA stand the other two."""
    element, place = text[at + 3 : at + 4], at + 3
    for _ in range(_ELEMENTS_OF_ISA - 1):
        place = text.find(element, place + 1, at + 200)
        if place < 0:
            raise refused("x12.isa", "ISA has not its 16 elements", f"line {line}, column 1")
    component, terminator = text[place + 1 : place + 2], text[place + 2 : place + 3]
    if not terminator or element.isalnum() or element in " \t\r\n":
        raise refused("x12.isa", "the separators cannot be told", f"line {line}, column 1")
    if terminator == "\r" and text[place + 3 : place + 4] == "\n":
        terminator = "\n"
    if terminator == element or terminator.isalnum():
        raise refused("x12.isa", f"{terminator!r} cannot end a segment", f"line {line}, column {place + 3 - at}")
    return element, component, terminator


def _segment(raw: str, element: str, component: str, number: int, place: tuple[int, int]) -> Segment:
    raw = raw.strip("\r\n ")
    parts = raw.split(element)
    tag = parts[0].strip()
    if not (2 <= len(tag) <= 3 and tag.isalnum() and tag[0].isalpha() and tag.isupper()):
        where = f"segment {number}, line {place[0]}, column {place[1]}"
        raise refused("x12.tag", f"{tag[:20]!r} is no segment's tag", where)
    is_header = tag == "ISA" or not component.strip()
    elements = tuple((part,) if is_header else tuple(part.split(component)) for part in parts[1:])
    return Segment(tag, elements, number, *place)


class _Interchanges:
    """Envelopes within envelopes: ISA, GS, ST, and their ends."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments
        self._reasons: list[Reason] = []
        self._whole: list[Message] = []
        self._isa: Segment | None = None
        self._gs: Segment | None = None
        self._opened: list[Segment] | None = None
        self._groups = self._sets = 0

    def messages(self) -> tuple[list[Message], list[Reason]]:
        steps = {"ISA": self._begin, "GS": self._group, "ST": self._open, "SE": self._close}
        steps |= {"GE": self._end_group, "IEA": self._end}
        for segment in self._segments:
            step = steps.get(segment.tag)
            if step is not None:
                step(segment)
            elif self._opened is not None:
                self._opened.append(segment)
            elif segment.tag not in ("TA1",):
                self._wrong("x12.outside", f"{segment.tag} stands outside of a transaction set", segment)
        self._cut_off()
        if self._isa is not None:
            self._whole = [
                replace(one, warnings=("x12.iea_missing: the interchange has no IEA",)) for one in self._whole
            ]
        if not self._whole and not self._reasons:
            raise RefusedDocument([Reason("x12.no_message", "there is no transaction set in it", "segment 1")])
        return self._whole, self._reasons

    def _begin(self, segment: Segment) -> None:
        self._cut_off()
        if self._isa is not None:
            self._wrong("x12.iea_missing", "the interchange before has no IEA", segment)
        self._isa, self._groups = segment, 0

    def _group(self, segment: Segment) -> None:
        self._cut_off()
        self._check_group(segment)
        self._gs, self._sets = segment, 0
        self._groups += 1

    def _open(self, segment: Segment) -> None:
        self._cut_off()
        self._opened = [segment]
        self._sets += 1

    def _close(self, segment: Segment) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            self._wrong("x12.st_missing", "SE without ST", segment)
            return
        segments = (*opened, segment)
        if segment[1] != str(len(segments)) and segment[1].lstrip("0") != str(len(segments)):
            self._wrong("x12.se_count", f"SE counts {segment[1]} segments; there are {len(segments)}", segment)
        elif segment[2] != opened[0][2]:
            self._wrong("x12.se_reference", f"SE names set {segment[2]!r}, ST {opened[0][2]!r}", segment)
        elif self._isa is None:
            self._wrong("x12.isa", "a transaction set outside of an interchange", segment)
        else:
            sender = self._isa[6].strip() or (self._gs[2] if self._gs else "")
            version = self._gs[8] if self._gs else ""
            is_test = self._isa[15] == "T"
            self._whole.append(Message(opened[0][1], version, opened[0][2], segments, sender, self._isa[9], is_test))

    def _end_group(self, segment: Segment) -> None:
        self._cut_off()
        if segment[1].lstrip("0") != str(self._sets):
            self._wrong("x12.ge_count", f"GE counts {segment[1]} sets; there are {self._sets}", segment)
        if self._gs is None or segment[2] != self._gs[6]:
            self._wrong("x12.ge_reference", f"GE names group {segment[2]!r}, which is not the one of GS", segment)
        self._gs = None

    def _end(self, segment: Segment) -> None:
        self._cut_off()
        self._check_group(segment)
        if segment[1].lstrip("0") != str(self._groups):
            self._wrong("x12.iea_count", f"IEA counts {segment[1]} groups; there are {self._groups}", segment)
        if self._isa is None or segment[2] != self._isa[13]:
            self._wrong(
                "x12.iea_reference", f"IEA names interchange {segment[2]!r}, which is not the one of ISA", segment
            )
        self._isa = None

    def _check_group(self, segment: Segment) -> None:
        if self._gs is not None:
            self._wrong("x12.ge_missing", "the functional group before has no GE", segment)
        self._gs = None

    def _cut_off(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            self._wrong("x12.se_missing", "the transaction set has no SE: it was cut off", opened[0])

    def _wrong(self, rule: str, message: str, segment: Segment) -> None:
        self._reasons.append(Reason(rule, message, segment.place))
