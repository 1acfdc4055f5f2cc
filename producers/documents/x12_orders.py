"""850 (purchase order) and 860 (purchase order change) of ASC X12, 003040 to 008030, as orders."""

from __future__ import annotations

from decimal import Decimal

from producers.documents import x12_answers
from producers.documents.answers import ReadAnswer
from producers.documents.edi import Message, Segment
from producers.documents.limits import Limits
from producers.documents.order import Kind, LineAction, ReadOrder, ReadParty
from producers.documents.reasons import Findings, Reason, RefusedDocument
from producers.documents.x12 import messages
from producers.documents.x12_lines import X12Line, take_allowance

# Element 353.
_PURPOSES = {
    "00": Kind.ORDER,
    "06": Kind.ORDER,
    "01": Kind.CANCELLATION,
    "03": Kind.CANCELLATION,
    "04": Kind.CHANGE,
    "05": Kind.REPLACEMENT,
}
# Element 374 of when goods are wanted; what stands first says most about it.
_DELIVERY = ("002", "074", "106", "071", "063", "064", "067", "069", "017", "010", "038", "037", "068", "118", "018")
_LATEST = {"001": "cancel after", "061": "cancel if not delivered by", "175": "cancel if not shipped by"}
_ZERO, _HUNDRED = Decimal(0), Decimal(100)


def read(
    content: bytes, limits: Limits, answers: list[ReadAnswer] | None = None
) -> tuple[list[ReadOrder], list[RefusedDocument]]:
    """The orders of an interchange, and why others of it are none; messages of vendors are put into `answers`.

    Raises:
        RefusedDocument: the interchange as a whole cannot be read.
    """
    whole, reasons = messages(content, limits)
    orders: list[ReadOrder] = []
    problems = [RefusedDocument([reason]) for reason in reasons]
    for message in whole[: limits.orders]:
        try:
            if answers is not None and message.kind in x12_answers.KINDS:
                answers.append(x12_answers.read(message, limits))
            else:
                orders.append(_Reading(message, limits).read())
        except RefusedDocument as exc:
            problems.append(exc)
    if len(whole) > limits.orders:
        place = whole[limits.orders].segments[0].place
        problems.append(RefusedDocument([Reason("document.orders", f"more than {limits.orders:,} sets", place)]))
    return orders, problems


class _Reading:
    """One transaction set."""

    def __init__(self, message: Message, limits: Limits) -> None:
        self._message = message
        self._limits = limits
        self._findings = Findings()
        self._order = ReadOrder(Kind.ORDER, "x12", warnings=list(message.warnings), is_test=message.is_test)
        self._line: X12Line | None = None
        self._party: ReadParty | None = None
        self._days: dict[str, str] = {}
        self._is_summary = False
        self._currencies: set[str] = set()

    def read(self) -> ReadOrder:
        head = self._message.segments[0]
        if self._message.kind not in ("850", "860"):
            told = f"{self._message.kind} is neither 850 nor 860; nothing is ordered by it"
            raise RefusedDocument([Reason("x12.transaction_set", told, head.at(1))])
        for segment in self._message.segments[1:-1]:
            self._take(segment)
        self._end_line()
        self._finish(head)
        self._findings.check()
        return self._order

    def _take(self, segment: Segment) -> None:
        if segment.tag in ("PO1", "POC", "CTT"):
            self._end_line()
        if segment.tag in ("PO1", "POC"):
            self._begin_line(segment)
        elif self._line is None or not self._line.take(segment):
            handler = getattr(self, f"_{segment.tag.lower()}", None)
            if handler is not None:
                handler(segment)

    def _begin_line(self, segment: Segment) -> None:
        if len(self._order.lines) >= self._limits.lines:
            self._findings.add("order.lines", f"more than {self._limits.lines:,} lines", segment.place)
        self._line = X12Line(self._order, self._findings, segment)
        self._order.lines.append(self._line.line)
        self._party = None

    def _end_line(self) -> None:
        if self._line is not None:
            self._line.end()
        self._line = None

    def _finish(self, head: Segment) -> None:
        order, findings = self._order, self._findings
        expected = "BEG" if self._message.kind == "850" else "BCH"
        if self._message.segments[1].tag != expected:
            findings.add("x12.begin", f"{expected} does not follow ST", self._message.segments[1].place)
        elif order.number is None:
            findings.add("x12.number", "the order has no number", self._message.segments[1].at(3))
        if order.currency is None and len(self._currencies) == 1:
            order.currency = self._currencies.pop()
        elif self._currencies - {order.currency}:
            told = f"lines in {', '.join(sorted(self._currencies))} in one order"
            findings.add("x12.currency", told, head.place)
        if order.buyer == ReadParty() and self._message.sender:
            order.buyer.codes.append(self._message.sender)
        if order.kind is not Kind.CANCELLATION and not order.lines:
            findings.add("x12.lines", "there is no line (PO1, POC)", head.place)
        self._check_lines()

    def _check_lines(self) -> None:
        seen: set[str] = set()
        for line in self._order.lines:
            if line.line_id in seen:
                self._findings.add("x12.line_id", f"two lines are numbered {line.line_id!r}", line.place)
            seen.add(line.line_id)
            if line.action in (LineAction.DELETE, LineAction.KEEP):
                continue
            if line.quantity is None and line.action is LineAction.ADD:
                self._findings.add("x12.quantity", f"line {line.line_id} has no quantity", line.place)
            if not line.codes and not line.name:
                self._findings.add("x12.item", f"line {line.line_id} names no product", line.place)

    def _number(self, segment: Segment, element: int) -> Decimal | None:
        return self._findings.decimal(segment[element], "x12.number", segment.at(element))

    def _beg(self, segment: Segment) -> None:
        self._begin(segment, _numbered(segment), segment[5], 5)
        if segment[2] in ("RQ", "CN", "IN"):
            self._findings.add("x12.order_type", f"type {segment[2]} (element 92) is no order", segment.at(2))

    def _bch(self, segment: Segment) -> None:
        self._begin(segment, _numbered(segment), segment[6], 6)
        if self._order.kind is Kind.ORDER:
            self._order.kind = Kind.CHANGE

    def _begin(self, segment: Segment, number: str, day: str, element: int) -> None:
        kind = _PURPOSES.get(segment[1])
        if kind is None:
            told = {"07": "a duplicate", "18": "a reissue"}.get(
                segment[1], f"{segment[1]!r}, which asks for nothing known"
            )
            self._findings.add("x12.purpose", f"the purpose (element 353) is {told}", segment.at(1))
        self._order.kind = kind or Kind.ORDER
        self._order.number = self._order.document_number = number or None
        form = "YYYYMMDD" if len(day) == 8 else "YYMMDD"
        self._order.issue_date = self._findings.day(day, "x12.date", segment.at(element), form)
        if not day:
            self._findings.add("x12.date", "the date of the order is missing", segment.at(element))

    def _cur(self, segment: Segment) -> None:
        if self._line is None:
            self._order.currency = segment[2] or None
        elif segment[2]:
            self._currencies.add(segment[2])

    def _dtm(self, segment: Segment) -> None:
        if segment[1] in _LATEST:
            about = "" if self._line is None else f"line {self._line.line.line_id}: "
            self._order.add_note(segment[2], f"{about}{_LATEST[segment[1]]}")
        if segment[1] not in _DELIVERY or not segment[2]:
            return
        form = "YYYYMMDD" if len(segment[2]) == 8 else "YYMMDD"
        day = self._findings.day(segment[2], "x12.date", segment.at(2), form)
        key = "" if self._line is None else self._line.line.line_id
        # What stands first in the list says most about when it is wanted.
        if key in self._days and _DELIVERY.index(self._days[key]) <= _DELIVERY.index(segment[1]):
            return
        self._days[key] = segment[1]
        if self._line is None:
            self._order.delivery_date = day
        else:
            self._line.line.delivery_date = day

    def _n1(self, segment: Segment) -> None:
        party = self._party = ReadParty([segment[4]] if segment[4] else [], segment[2] or None)
        if self._line is not None:
            known = [] if self._order.delivery is None else self._order.delivery.codes
            if segment[1] in ("ST", "DA", "CN") and segment[4] not in known:
                told = f"line {self._line.line.line_id} goes to a place of its own: {segment[2] or segment[4]}"
                self._order.ask("x12.line_delivery", told, segment.place)
            return
        if segment[1] in ("BY", "BT", "OB") and (segment[1] == "BY" or self._order.buyer == ReadParty()):
            self._order.buyer = party
        elif segment[1] in ("SE", "VN", "SU"):
            self._order.seller = party
        elif segment[1] in ("ST", "SF", "DA", "CN") and self._order.delivery is None and segment[1] != "SF":
            self._order.delivery = party

    def _n2(self, segment: Segment) -> None:
        if self._party is not None:
            more = [self._party.name, segment[1], segment[2]]
            self._party.name = " ".join(part for part in more if part) or None

    def _n3(self, segment: Segment) -> None:
        if self._party is not None:
            more = [self._party.street_name, segment[1], segment[2]]
            self._party.street_name = ", ".join(part for part in more if part) or None

    def _n4(self, segment: Segment) -> None:
        if self._party is not None:
            self._party.city_name, self._party.country_subentity = segment[1] or None, segment[2] or None
            self._party.postal_zone, self._party.country_code = segment[3] or None, _country(segment[4])

    def _msg(self, segment: Segment) -> None:
        if segment[1]:
            self._order.add_note(segment[1])

    def _nte(self, segment: Segment) -> None:
        if segment[2]:
            self._order.add_note(segment[2])

    def _sac(self, segment: Segment) -> None:
        target = self._order if self._line is None else self._line.line
        take_allowance(segment, target, self._order, self._findings)

    def _ita(self, segment: Segment) -> None:
        self._order.ask("x12.allowance", "an allowance or charge of the form before 004010 (ITA)", segment.place)

    def _txi(self, segment: Segment) -> None:
        amount = self._number(segment, 2)
        if amount is not None and self._line is None:
            self._order.tax_total = (self._order.tax_total or _ZERO) + amount

    def _ctt(self, segment: Segment) -> None:
        self._is_summary = True
        stated = self._number(segment, 1)
        if stated is not None and stated != len(self._order.lines):
            told = f"{stated} lines are announced; there are {len(self._order.lines)}"
            self._findings.add("x12.ctt_lines", told, segment.at(1))
        hashed = self._number(segment, 2)
        total = sum((line.quantity or _ZERO for line in self._order.lines), _ZERO)
        if hashed is not None and hashed != total:
            self._findings.add("x12.ctt_hash", f"the quantities add up to {total}, not {hashed}", segment.at(2))

    def _amt(self, segment: Segment) -> None:
        if segment[1] in ("TT", "GV") and self._is_summary:
            self._order.net_total = self._number(segment, 2)

    def _tds(self, segment: Segment) -> None:
        amount = self._number(segment, 1)
        if amount is not None:
            self._order.net_total = amount / _HUNDRED


def _numbered(segment: Segment) -> str:
    """The number of the order; a release (BEG04, BCH04) of a blanket order is an order of its own."""
    release = segment[4].lstrip("0")
    return f"{segment[3]}-{segment[4]}" if segment[3] and release else segment[3]


def _country(code: str) -> str | None:
    return {"USA": "US", "CAN": "CA", "MEX": "MX"}.get(code, code or None)
