"""850 (purchase order) and 860 (purchase order change) of ASC X12, 003040 to 008030, as orders."""

from __future__ import annotations

from decimal import Decimal

from producers.documents import x12_answers
from producers.documents.answers import ReadAnswer
from producers.documents.edi import Message, Segment
from producers.documents.limits import Limits
from producers.documents.order import Kind, LineAction, ReadLine, ReadOrder, ReadParty
from producers.documents.reasons import Findings, Reason, RefusedDocument
from producers.documents.units import unit_of_code
from producers.documents.x12 import messages

# Element 353.
_PURPOSES = {
    "00": Kind.ORDER,
    "06": Kind.ORDER,
    "01": Kind.CANCELLATION,
    "03": Kind.CANCELLATION,
    "04": Kind.CHANGE,
    "05": Kind.REPLACEMENT,
}
# Element 670.
_ACTIONS = {
    "AI": LineAction.ADD,
    "DI": LineAction.DELETE,
    "CA": LineAction.CHANGE,
    "CB": LineAction.CHANGE,
    "CC": LineAction.CHANGE,
    "CT": LineAction.CHANGE,
    "PC": LineAction.CHANGE,
    "PQ": LineAction.CHANGE,
    "PR": LineAction.CHANGE,
    "QD": LineAction.CHANGE,
    "QI": LineAction.CHANGE,
    "RQ": LineAction.CHANGE,
    "RZ": LineAction.CHANGE,
    "MU": LineAction.CHANGE,
    "NC": LineAction.KEEP,
    "OA": LineAction.KEEP,
}
_BASIS = {
    "": 1,
    "PE": 1,
    "UM": 1,
    "NT": 1,
    "CT": 1,
    "TE": 1,
    "EA": 1,
    "QE": 1,
    "WE": 1,
    "HP": 100,
    "PH": 100,
    "TP": 1000,
}
_DELIVERY = ("002", "074", "106", "063", "010", "038", "037")
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
        self._line: ReadLine | None = None
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
            handler = getattr(self, f"_{segment.tag.lower()}", None)
            if handler is not None:
                handler(segment)
        self._finish(head)
        self._findings.check()
        return self._order

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
        self._begin(segment, segment[3], segment[5], 5)
        if segment[2] in ("RQ", "CN", "IN"):
            self._findings.add("x12.order_type", f"type {segment[2]} (element 92) is no order", segment.at(2))

    def _bch(self, segment: Segment) -> None:
        self._begin(segment, segment[3], segment[6], 6)
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
        if segment[1] not in _DELIVERY:
            return
        form = "YYYYMMDD" if len(segment[2]) == 8 else "YYMMDD"
        day = self._findings.day(segment[2], "x12.date", segment.at(2), form)
        key = "" if self._line is None else self._line.line_id
        # What stands first in the list says most about when it is wanted.
        if key in self._days and _DELIVERY.index(self._days[key]) <= _DELIVERY.index(segment[1]):
            return
        self._days[key] = segment[1]
        if self._line is None:
            self._order.delivery_date = day
        else:
            self._line.delivery_date = day

    def _n1(self, segment: Segment) -> None:
        party = self._party = ReadParty([segment[4]] if segment[4] else [], segment[2] or None)
        if self._line is not None:
            return
        if segment[1] in ("BY", "BT", "OB") and (segment[1] == "BY" or self._order.buyer == ReadParty()):
            self._order.buyer = party
        elif segment[1] in ("SE", "VN", "SU"):
            self._order.seller = party
        elif segment[1] in ("ST", "SF", "DA", "CN") and self._order.delivery is None and segment[1] != "SF":
            self._order.delivery = party

    def _n3(self, segment: Segment) -> None:
        if self._party is not None:
            self._party.street_name = ", ".join(part for part in (segment[1], segment[2]) if part) or None

    def _n4(self, segment: Segment) -> None:
        if self._party is not None:
            self._party.city_name, self._party.country_subentity = segment[1] or None, segment[2] or None
            self._party.postal_zone, self._party.country_code = segment[3] or None, _country(segment[4])

    def _msg(self, segment: Segment) -> None:
        if self._line is None and segment[1]:
            self._order.note = f"{self._order.note}\n{segment[1]}" if self._order.note else segment[1]

    def _po1(self, segment: Segment) -> None:
        self._begin_line(segment, segment[1], LineAction.ADD)
        self._goods(segment, 2, 6)

    def _poc(self, segment: Segment) -> None:
        action = _ACTIONS.get(segment[2])
        if action is None:
            self._findings.add("x12.change_code", f"{segment[2]!r} (element 670) is no change", segment.at(2))
        self._begin_line(segment, segment[1], action or LineAction.KEEP)
        # Element 4 is what is left to receive.
        self._goods(segment, 3, 8, skipped=1)

    def _begin_line(self, segment: Segment, number: str, action: LineAction) -> None:
        if len(self._order.lines) >= self._limits.lines:
            self._findings.add("order.lines", f"more than {self._limits.lines:,} lines", segment.place)
        self._line = ReadLine(number or str(len(self._order.lines) + 1), segment.place, action)
        self._order.lines.append(self._line)
        self._party = None

    def _goods(self, segment: Segment, quantity_at: int, codes_from: int, skipped: int = 0) -> None:
        line = self._line
        assert line is not None
        unit_at = quantity_at + 1 + skipped
        line.quantity = self._number(segment, quantity_at)
        if line.quantity is not None and line.quantity <= 0 and line.action is not LineAction.DELETE:
            self._findings.add("x12.quantity", f"a quantity of {line.quantity}", segment.at(quantity_at))
        if segment[unit_at]:
            line.unit_code = unit_of_code(segment[unit_at])
            if line.unit_code is None:
                self._findings.add("x12.unit", f"{segment[unit_at]!r} is no unit (element 355)", segment.at(unit_at))
        elif line.quantity is not None and line.action is LineAction.ADD:
            self._findings.add("x12.unit", "a quantity without unit (element 355)", segment.at(unit_at))
        price, basis = self._number(segment, unit_at + 1), segment[unit_at + 2]
        if price is not None and price < 0:
            self._findings.add("x12.price", f"a price of {price}", segment.at(unit_at + 1))
        elif price is not None and basis not in _BASIS:
            self._findings.add("x12.price_basis", f"{basis!r} (element 639) is not known", segment.at(unit_at + 2))
        elif price is not None:
            line.price = price / _BASIS[basis]
        for place in range(codes_from, len(segment.elements), 2):
            self._code(segment[place], segment[place + 1])

    def _code(self, kind: str, code: str) -> None:
        line = self._line
        assert line is not None
        if not code:
            return
        if kind in ("VP", "VN", "VC", "SK", "VA"):
            line.seller_code = line.seller_code or code
        elif kind in ("BP", "PI", "IN", "CB", "PN"):
            line.buyer_code = line.buyer_code or code
        elif kind in ("UP", "UK", "EN", "UI", "UA", "EO", "GTIN", "UD"):
            line.standard_code = line.standard_code or code
        elif not line.codes:
            line.seller_code = code

    def _pid(self, segment: Segment) -> None:
        if self._line is not None and segment[5] and self._line.name is None:
            self._line.name = segment[5]

    def _sac(self, segment: Segment) -> None:
        if segment[1] not in ("A", "C") or not segment[5]:
            return
        # Element 610 has two implied decimals.
        amount = self._number(segment, 5)
        if amount is None:
            return
        amount = amount / _HUNDRED if "." not in segment[5] else amount
        target: ReadLine | ReadOrder = self._order if self._line is None or self._is_summary else self._line
        if segment[1] == "C":
            target.charge += amount
        else:
            target.allowance += amount

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


def _country(code: str) -> str | None:
    return {"USA": "US", "CAN": "CA", "MEX": "MX"}.get(code, code or None)
