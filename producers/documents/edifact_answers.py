"""ORDRSP and DESADV of UN/EDIFACT, D.93A to D.23A and the EANCOM subset, as vendors' messages."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from producers.documents.answers import AnswerKind, ReadAnswer, ReadAnswerLine, moment_of
from producers.documents.edi import Message, Segment
from producers.documents.edifact import Service
from producers.documents.limits import Limits
from producers.documents.reasons import Findings

KINDS = {"ORDRSP": AnswerKind.CONFIRMATION, "DESADV": AnswerKind.DESPATCH}
# 1225, message function.
_FUNCTIONS = {"29": "accepted", "27": "rejected", "1": "rejected", "4": None, "9": None, "5": None, "44": "accepted"}
_RECEIPTS = frozenset({"12", "11"})
# 1229, action of a line.
_ACTIONS = {
    "1": "accepted",
    "2": "rejected",
    "3": "changed",
    "4": None,
    "5": "accepted",
    "6": "changed",
    "7": "rejected",
    "10": "rejected",
    "24": "changed",
    "": None,
}
_QUANTITIES = {"21": 1, "12": 2, "113": 3}
"""6063: ordered, dispatched, to be delivered; the last of them that stands there counts."""
_DAYS = {"2": 1, "17": 2, "67": 3, "69": 4}
"""2005: requested, estimated, scheduled, promised."""
_FORMS = {"102": 8, "203": 12, "204": 14}


def read(message: Message, service: Service, limits: Limits) -> ReadAnswer:
    """One message. Raises RefusedDocument with everything that is wrong."""
    return _Reading(message, service, limits).read()


class _Reading:
    def __init__(self, message: Message, service: Service, limits: Limits) -> None:
        self._message = message
        self._decimal = service.decimal
        self._limits = limits
        self._findings = Findings()
        head = message.segments[0]
        self._answer = ReadAnswer(
            KINDS[message.kind], "edifact", head.place, [message.sender] if message.sender else []
        )
        self._answer.is_test, self._answer.warnings = message.is_test, list(message.warnings)
        self._line: ReadAnswerLine | None = None
        self._quantity_rank = self._day_rank = 0
        self._counts: list[tuple[Segment, str, Decimal]] = []

    def read(self) -> ReadAnswer:
        answer, findings, head = self._answer, self._findings, self._message.segments[0]
        for segment in self._message.segments[1:-1]:
            handler = getattr(self, f"_{segment.tag.lower()}", None)
            if handler is not None:
                handler(segment)
        if answer.message_id is None:
            findings.add("edifact.number", "the message has no number (BGM 1004)", head.place)
        if answer.issued_at is None and not findings.reasons:
            findings.add("edifact.date", "the date of the message (DTM+137) is missing", head.place)
        if answer.kind is AnswerKind.DESPATCH:
            answer.despatch_id = answer.message_id
            answer.shipped_at = answer.shipped_at or answer.issued_at
            if not answer.lines and not answer.is_withdrawn:
                findings.add("edifact.lines", "there is no line (LIN)", head.place)
        unnamed = [line for line in answer.lines if line.order_number is None]
        if answer.order_number is None and (unnamed or not answer.lines):
            findings.add("edifact.order", "the message names no order (RFF+ON)", head.place)
        self._check_counts()
        findings.check()
        return answer

    def _check_counts(self) -> None:
        lines = self._answer.lines
        for segment, code, stated in self._counts:
            if code == "2" and stated != len(lines):
                told = f"{stated} lines are announced; there are {len(lines)}"
                self._findings.add("edifact.cnt_lines", told, segment.at(1, 2))

    def _bgm(self, segment: Segment) -> None:
        answer, function = self._answer, segment[3] or "9"
        answer.message_id = segment[2] or None
        if answer.kind is AnswerKind.DESPATCH:
            answer.is_withdrawn = function == "1"
            if function not in ("9", "1", "4", "5"):
                self._findings.add(
                    "edifact.purpose", f"function {function!r} (1225) of DESADV is unknown", segment.at(3)
                )
        elif function in _RECEIPTS:
            answer.is_mere_receipt = True
        elif function not in _FUNCTIONS:
            self._findings.add("edifact.purpose", f"function {function!r} (1225) of ORDRSP is unknown", segment.at(3))
        else:
            answer.status = _FUNCTIONS[function]

    def _dtm(self, segment: Segment) -> None:
        code = segment[1, 1]
        if code not in ("137", "11", *_DAYS):
            return
        at = self._moment(segment)
        if at is None:
            return
        if code == "137" and self._line is None:
            self._answer.issued_at = at
        elif code == "11" and self._line is None:
            self._answer.shipped_at = at
        elif code in _DAYS and self._line is not None and _DAYS[code] > self._day_rank:
            self._day_rank, self._line.promised_date = _DAYS[code], at.date()

    def _moment(self, segment: Segment) -> datetime | None:
        text, form = segment[1, 2], segment[1, 3] or "102"
        length = _FORMS.get(form)
        if length is None or len(text) != length:
            self._findings.add("edifact.date", f"{text[:40]!r} is no date of format {form!r} (2379)", segment.at(1, 2))
            return None
        day: date | None = self._findings.day(text[:8], "edifact.date", segment.at(1, 2), "YYYYMMDD")
        return moment_of(day, text[8:], self._findings, "edifact.date", segment.at(1, 2))

    def _rff(self, segment: Segment) -> None:
        code, value = segment[1, 1], segment[1, 2] or None
        if self._line is None:
            if code == "ON":
                self._answer.order_number = value
            elif code in ("CN", "AAS", "BM"):
                self._answer.tracking_id = self._answer.tracking_id or value
        elif code == "ON":
            self._line.order_number = value
            self._line.line_id = segment[1, 3] or self._line.line_id
        elif code == "LI":
            self._line.line_id = value

    def _tdt(self, segment: Segment) -> None:
        if self._line is None:
            self._answer.carrier = segment[5, 4] or segment[5, 1] or self._answer.carrier

    def _lin(self, segment: Segment) -> None:
        if len(self._answer.lines) == self._limits.lines:
            self._findings.add("order.lines", f"more than {self._limits.lines:,} lines", segment.place)
            return
        action = segment[2]
        if action not in _ACTIONS:
            self._findings.add("edifact.line_action", f"action {action!r} (1229) says nothing known", segment.at(2))
        self._line = ReadAnswerLine(segment.place, status=_ACTIONS.get(action))
        self._quantity_rank = self._day_rank = 0
        self._product(segment[3, 1], segment[3, 2])
        self._answer.lines.append(self._line)

    def _pia(self, segment: Segment) -> None:
        for element in range(2, len(segment.elements) + 1):
            self._product(segment[element, 1], segment[element, 2])

    def _product(self, code: str, kind: str) -> None:
        if self._line is None or not code:
            return
        if kind in ("BP", "IN"):
            self._line.buyer_code = code
        elif kind == "SA":
            self._line.vendor_code = code

    def _qty(self, segment: Segment) -> None:
        rank = _QUANTITIES.get(segment[1, 1], 0)
        if self._line is None or rank <= self._quantity_rank:
            return
        text = segment[1, 2].replace(self._decimal, ".").replace(",", ".")
        self._quantity_rank = rank
        self._line.quantity = self._findings.decimal(text, "edifact.number", segment.at(1, 2))
        self._line.unit_code = segment[1, 3] or self._line.unit_code
        if not text:
            self._findings.add("edifact.number", "QTY says no quantity", segment.at(1, 2))

    def _ftx(self, segment: Segment) -> None:
        text = " ".join(part for part in segment.elements[3] if part) if len(segment.elements) > 3 else ""
        if text and self._line is not None:
            self._line.reason = text[:255]
        elif text:
            self._answer.reason = text[:255]

    def _cnt(self, segment: Segment) -> None:
        stated = self._findings.decimal(segment[1, 2], "edifact.number", segment.at(1, 2))
        if stated is not None:
            self._counts.append((segment, segment[1, 1], stated))
