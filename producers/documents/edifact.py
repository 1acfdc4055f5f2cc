"""The syntax of UN/EDIFACT (ISO 9735): any service characters, messages proved whole by their own counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from producers.documents.edi import Message, Segment, without_mark
from producers.documents.limits import Limits
from producers.documents.reasons import Reason, RefusedDocument, refused

_CHARSETS = {
    "UNOA": "ascii",
    "UNOB": "ascii",
    "UNOC": "iso-8859-1",
    "UNOD": "iso-8859-2",
    "UNOE": "iso-8859-5",
    "UNOF": "iso-8859-7",
    "UNOG": "iso-8859-3",
    "UNOH": "iso-8859-4",
    "UNOI": "iso-8859-6",
    "UNOJ": "iso-8859-8",
    "UNOK": "iso-8859-9",
    "UNOW": "utf-8",
    "UNOY": "utf-8",
}
_TAG = re.compile(r"[A-Z][A-Z0-9]{2}")
_START = re.compile(rb"(?:UNA.{6}|UNB.UNO[A-Z]|UNH.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Service:
    """The characters that separate; `release` is empty where there is none."""

    component: str = ":"
    element: str = "+"
    decimal: str = "."
    release: str = "?"
    terminator: str = "'"


def is_edifact(content: bytes) -> bool:
    """Whether it begins as an interchange does."""
    return _START.match(without_mark(content[:400]).lstrip()) is not None


def messages(content: bytes, limits: Limits) -> tuple[list[Message], list[Reason], Service]:
    """Each whole message, and what is wrong with others.

    Raises:
        RefusedDocument: no message can be told from the next.
    """
    text, service, offset = _decoded(content)
    segments = list(_segments(text, service, offset, limits))
    return (*_Interchange(segments).messages(), service)


def _decoded(content: bytes) -> tuple[str, Service, int]:
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    content = without_mark(content)
    found = re.search(rb"UNB.(UNO[A-Z])", content[:200], re.DOTALL)
    name = found[1].decode() if found else "UNOY"
    if name not in _CHARSETS:
        raise refused(
            "edifact.charset", f"the character set {name} (ISO 9735) is not read", "segment 1 (UNB), element 1"
        )
    charset = "utf-8" if is_wide else _CHARSETS[name]
    try:
        text = content.decode(charset)
    except UnicodeDecodeError:
        # Many senders name UNOA and send more; what they send is one of the two.
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("iso-8859-1")
    lead = len(text) - len(text.lstrip())
    text = text.lstrip()
    if not text.startswith("UNA"):
        return text, Service(), lead
    if len(text) < 9:
        raise refused("edifact.una", "the service string is cut off", "line 1, column 1")
    component, element, point, release, _, terminator = list(text[3:9])
    service = Service(component, element, point, release.strip(), terminator)
    marks = [component, element, terminator, *([service.release] if service.release else [])]
    if len(set(marks)) < len(marks) or any(mark.isalnum() for mark in marks):
        raise refused("edifact.una", f"the service characters {text[3:9]!r} cannot be told apart", "line 1, column 4")
    return text[9:], service, lead + 9


def _segments(text: str, service: Service, lead: int, limits: Limits) -> Iterator[Segment]:
    elements: list[tuple[str, ...]] = []
    components: list[str] = []
    current: list[str] = []
    number, line, column, released = 0, 1, lead + 1, False
    start: tuple[int, int] | None = None
    for mark in text:
        if released:
            current.append(mark)
            released = False
        elif mark == service.release and service.release:
            released = True
        elif mark == service.terminator:
            components.append("".join(current))
            elements.append(tuple(components))
            number += 1
            if number > limits.elements:
                raise refused("edifact.segments", f"more than {limits.elements:,} segments", f"line {line}")
            if start is not None:
                yield _segment(elements, number, *start)
            elements, components, current, start = [], [], [], None
        elif mark == service.element:
            components.append("".join(current))
            elements.append(tuple(components))
            components, current = [], []
        elif mark == service.component:
            components.append("".join(current))
            current = []
        elif mark not in "\r\n" or service.terminator in "\r\n":
            current.append(mark)
        if start is None and not mark.isspace() and mark != service.terminator:
            start = line, column
        column += 1
        if mark == "\n":
            line, column = line + 1, 1
    if start is not None or "".join(current).strip():
        place = "the end" if start is None else f"line {start[0]}, column {start[1]}"
        raise refused("edifact.terminator", f"the last segment does not end with {service.terminator!r}", place)


def _segment(elements: list[tuple[str, ...]], number: int, line: int, column: int) -> Segment:
    tag = elements[0][0].strip()
    if not _TAG.fullmatch(tag):
        place = f"segment {number}, line {line}, column {column}"
        raise refused("edifact.tag", f"{tag[:20]!r} is no segment's tag", place)
    return Segment(tag, tuple(elements[1:]), number, line, column)


class _Interchange:
    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments
        self._reasons: list[Reason] = []
        self._whole: list[Message] = []
        self._sender, self._sent_on, self._reference, self._is_test = "", "", "", False

    def messages(self) -> tuple[list[Message], list[Reason]]:
        opened: list[Segment] | None = None
        count, is_ended, header = 0, False, None
        for segment in self._segments:
            if is_ended and segment.tag != "UNB":
                self._wrong("edifact.after_end", "there is something after the end of the interchange", segment)
                break
            if segment.tag == "UNH":
                if opened is not None:
                    self._wrong("edifact.unt_missing", "the message before has no UNT", opened[0])
                opened = [segment]
                count += 1
            elif segment.tag == "UNT":
                if opened is None:
                    self._wrong("edifact.unh_missing", "UNT without UNH", segment)
                else:
                    self._close([*opened, segment])
                opened = None
            elif segment.tag == "UNB":
                header, is_ended, count = segment, False, 0
                self._open(segment)
            elif segment.tag == "UNZ":
                is_ended = True
                self._end(segment, count)
            elif segment.tag in ("UNG", "UNE"):
                continue
            elif opened is None:
                self._wrong("edifact.outside", f"{segment.tag} stands outside of a message", segment)
            else:
                opened.append(segment)
        if opened is not None:
            self._wrong("edifact.unt_missing", "the message has no UNT: it was cut off", opened[0])
        warnings = () if is_ended or header is None else ("edifact.unz_missing: the interchange has no UNZ",)
        whole = [
            Message(one.kind, one.version, one.reference, one.segments, one.sender, one.sent_on, one.is_test, warnings)
            for one in self._whole
        ]
        if not whole and not self._reasons:
            raise RefusedDocument([Reason("edifact.no_message", "there is no message in it", "segment 1")])
        return whole, self._reasons

    def _open(self, segment: Segment) -> None:
        self._sender, self._reference = segment[2], segment[5]
        self._sent_on, self._is_test = segment[4], segment[11] == "1"
        if not self._sender:
            self._wrong("edifact.unb", "the interchange has no sender", segment)

    def _close(self, segments: list[Segment]) -> None:
        head, tail = segments[0], segments[-1]
        if tail[1] != str(len(segments)):
            self._wrong("edifact.unt_count", f"UNT counts {tail[1]} segments; there are {len(segments)}", tail)
        elif tail[2] != head[1]:
            self._wrong("edifact.unt_reference", f"UNT names message {tail[2]!r}, UNH {head[1]!r}", tail)
        else:
            kind, version = head[2, 1], f"{head[2, 2]}.{head[2, 3]}"
            found = Message(kind, version, head[1], tuple(segments), self._sender, self._sent_on, self._is_test)
            self._whole.append(found)

    def _end(self, segment: Segment, count: int) -> None:
        if segment[1] != str(count):
            self._wrong("edifact.unz_count", f"UNZ counts {segment[1]} messages; there are {count}", segment)
        if segment[2] != self._reference:
            self._wrong(
                "edifact.unz_reference", f"UNZ names interchange {segment[2]!r}, UNB {self._reference!r}", segment
            )

    def _wrong(self, rule: str, message: str, segment: Segment) -> None:
        self._reasons.append(Reason(rule, message, segment.place))
