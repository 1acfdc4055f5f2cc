"""855 (purchase order acknowledgment) and 856 (ship notice) of ASC X12, 003040 to 008030, as vendors' messages."""

from __future__ import annotations

from datetime import datetime

from producers.documents.answers import AnswerKind, ReadAnswer, ReadAnswerLine, moment_of
from producers.documents.edi import Message, Segment
from producers.documents.limits import Limits
from producers.documents.reasons import Findings

KINDS = {"855": AnswerKind.CONFIRMATION, "856": AnswerKind.DESPATCH}
# Element 587, of BAK02.
_TYPES = {
    "AC": None,
    "AD": "accepted",
    "AE": None,
    "AH": None,
    "AP": "accepted",
    "AT": "accepted",
    "RD": "rejected",
    "RF": "rejected",
    "RJ": "rejected",
    "RO": None,
}
_RECEIPT = "AK"
# Element 668, of ACK01.
_STATUSES = {
    "AA": "accepted", "AC": "accepted", "AR": "accepted", "BP": "changed", "DR": "changed", "IA": "accepted",
    "IB": "changed", "IC": "changed", "ID": "rejected", "IE": "accepted", "IF": "changed", "IP": "accepted",
    "IQ": "changed", "IR": "rejected", "IS": "changed", "IW": "changed", "SP": "accepted", "R1": "rejected",
    "R2": "rejected", "R3": "rejected", "R4": "rejected", "R5": "rejected", "R6": "rejected", "R7": "rejected",
}  # fmt: skip
_PURPOSES = frozenset({"00", "01", "02", "03", "04", "05", "06"})
_CANCEL = frozenset({"01", "03"})
_PROMISED = ("017", "067", "068", "069", "002", "010", "037")


def read(message: Message, limits: Limits) -> ReadAnswer:
    """One transaction set. Raises RefusedDocument with everything that is wrong."""
    return _Reading(message, limits).read()


class _Reading:
    def __init__(self, message: Message, limits: Limits) -> None:
        self._message = message
        self._limits = limits
        self._findings = Findings()
        head = message.segments[0]
        self._answer = ReadAnswer(KINDS[message.kind], "x12", head.place, [message.sender] if message.sender else [])
        self._answer.is_test, self._answer.warnings = message.is_test, list(message.warnings)
        self._line: ReadAnswerLine | None = None
        self._order: str | None = None
        self._level = ""
        self._levels = 0
        self._totals: Segment | None = None

    def read(self) -> ReadAnswer:
        answer, findings = self._answer, self._findings
        begin = self._message.segments[1]
        expected = "BAK" if answer.kind is AnswerKind.CONFIRMATION else "BSN"
        if begin.tag != expected:
            findings.add("x12.begin", f"{expected} does not follow ST", begin.place)
        for segment in self._message.segments[1:-1]:
            handler = getattr(self, f"_{segment.tag.lower()}", None)
            if handler is not None:
                handler(segment)
        if answer.kind is AnswerKind.DESPATCH:
            answer.shipped_at = answer.shipped_at or answer.issued_at
            if not answer.lines and not answer.is_withdrawn:
                findings.add("x12.lines", "there is no line (LIN)", begin.place)
            for line in answer.lines:
                if line.order_number is None:
                    findings.add("x12.order", "no PRF names the order of the line", line.place)
                if line.quantity is None:
                    findings.add("x12.number", "the line has no SN1 with a quantity", line.place)
        self._check_totals()
        findings.check()
        return answer

    def _check_totals(self) -> None:
        """CTT01 counts lines in an 855; in an 856 the levels (HL)."""
        if self._totals is None or not self._totals[1]:
            return
        found = len(self._answer.lines) if self._answer.kind is AnswerKind.CONFIRMATION else self._levels
        if self._totals[1].lstrip("0") != str(found) and int(found) != 0:
            what = "lines" if self._answer.kind is AnswerKind.CONFIRMATION else "levels"
            told = f"{self._totals[1]} {what} are announced; there are {found}"
            self._findings.add("x12.ctt_lines", told, self._totals.at(1))

    def _bak(self, segment: Segment) -> None:
        answer, kind = self._answer, segment[2]
        if segment[1] not in _PURPOSES:
            self._findings.add("x12.purpose", f"purpose {segment[1]!r} (353) is unknown", segment.at(1))
        if kind == _RECEIPT:
            answer.is_mere_receipt = True
        elif kind not in _TYPES:
            self._findings.add("x12.acknowledgment", f"{kind!r} (587) is no answer to an order", segment.at(2))
        else:
            answer.status = "rejected" if segment[1] in _CANCEL else _TYPES[kind]
        answer.order_number = segment[3] or None
        if answer.order_number is None:
            self._findings.add("x12.number", "the message names no order (BAK03)", segment.at(3))
        at = 9 if segment[9] else 4
        answer.message_id = segment[8] or f"{segment[3]}/{segment[at]}/{self._message.reference}"
        answer.issued_at = self._moment(segment, at, "")
        if answer.issued_at is None and not segment[at]:
            self._findings.add("x12.date", "the message has no date (BAK09, BAK04)", segment.at(at))

    def _bsn(self, segment: Segment) -> None:
        answer = self._answer
        if segment[1] not in _PURPOSES:
            self._findings.add("x12.purpose", f"purpose {segment[1]!r} (353) is unknown", segment.at(1))
        answer.is_withdrawn = segment[1] in _CANCEL
        answer.despatch_id = segment[2] or None
        if answer.despatch_id is None:
            self._findings.add("x12.number", "the shipment has no number (BSN02)", segment.at(2))
        answer.message_id = f"{segment[2]}/{segment[1]}/{self._message.reference}"
        answer.issued_at = self._moment(segment, 3, segment[4])
        if not segment[3]:
            self._findings.add("x12.date", "the message has no date (BSN03)", segment.at(3))

    def _moment(self, segment: Segment, element: int, clock: str) -> datetime | None:
        text = segment[element]
        form = "YYYYMMDD" if len(text) == 8 else "YYMMDD"
        day = self._findings.day(text, "x12.date", segment.at(element), form)
        return moment_of(day, clock, self._findings, "x12.date", segment.at(element))

    def _hl(self, segment: Segment) -> None:
        self._level, self._line = segment[3], None
        self._levels += 1

    def _prf(self, segment: Segment) -> None:
        self._order = segment[1] or None
        self._answer.order_number = self._answer.order_number or self._order

    def _dtm(self, segment: Segment) -> None:
        if segment[1] == "011" and self._line is None:
            self._answer.shipped_at = self._moment(segment, 2, segment[3])
        elif segment[1] in _PROMISED and self._line is not None and self._answer.kind is AnswerKind.CONFIRMATION:
            self._promise(segment, 2)

    def _promise(self, segment: Segment, element: int) -> None:
        at = self._moment(segment, element, "")
        if at is not None and self._line is not None:
            self._line.promised_date = at.date()

    def _td5(self, segment: Segment) -> None:
        self._answer.carrier = segment[5] or segment[3] or self._answer.carrier

    def _ref(self, segment: Segment) -> None:
        if segment[1] in ("CN", "BM", "2I") and self._line is None:
            self._answer.tracking_id = self._answer.tracking_id or segment[2] or None

    def _po1(self, segment: Segment) -> None:
        if self._begin_line(segment, 6):
            self._measure(segment, 2)

    def _lin(self, segment: Segment) -> None:
        self._begin_line(segment, 2)

    def _begin_line(self, segment: Segment, products: int) -> bool:
        if len(self._answer.lines) == self._limits.lines:
            self._findings.add("order.lines", f"more than {self._limits.lines:,} lines", segment.place)
            return False
        line = self._line = ReadAnswerLine(segment.place, segment[1] or None, self._order)
        for element in range(products, len(segment.elements), 2):
            kind, code = segment[element], segment[element + 1]
            if kind in ("BP", "IN"):
                line.buyer_code = code or None
            elif kind in ("VP", "VN"):
                line.vendor_code = code or None
        self._answer.lines.append(line)
        return True

    def _ack(self, segment: Segment) -> None:
        if self._line is None:
            self._findings.add("x12.ack", "ACK stands before any line (PO1)", segment.place)
            return
        if segment[1] not in _STATUSES:
            self._findings.add("x12.line_status", f"line status {segment[1]!r} (668) says nothing known", segment.at(1))
        status = _STATUSES.get(segment[1])
        # Parts of one line: what of it comes is the sum of what is not rejected.
        if self._line.status is not None and status is not None:
            self._findings.add("x12.ack_repeated", "one line with two ACK: send one line for each part", segment.place)
        self._line.status = status
        if segment[2]:
            self._measure(segment, 2)
        if segment[5]:
            self._promise(segment, 5)

    def _sn1(self, segment: Segment) -> None:
        if self._line is not None:
            self._measure(segment, 2)

    def _measure(self, segment: Segment, element: int) -> None:
        assert self._line is not None
        quantity = self._findings.decimal(segment[element], "x12.number", segment.at(element))
        if quantity is not None:
            self._line.quantity, self._line.unit_code = quantity, segment[element + 1] or None

    def _ctt(self, segment: Segment) -> None:
        self._totals = segment
