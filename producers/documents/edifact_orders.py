"""ORDERS and ORDCHG of UN/EDIFACT, D.93A to D.23A and the EANCOM subset, as orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from producers.documents import edifact_answers
from producers.documents.answers import ReadAnswer
from producers.documents.edi import Message, Segment
from producers.documents.edifact import Service, messages
from producers.documents.limits import Limits
from producers.documents.order import Kind, LineAction, ReadLine, ReadOrder, ReadParty
from producers.documents.reasons import Findings, Reason, RefusedDocument
from producers.documents.units import unit_of_code

_ORDER_CODES = frozenset({"105", "220", "221", "224", "226", "227", "228", "22E", "402", "120", "258"})
_CHANGE_CODES = frozenset({"230", "22C"})
_CANCEL, _REPLACE = frozenset({"1", "3"}), frozenset({"5", "20"})
_ACTIONS = {
    "1": LineAction.ADD,
    "2": LineAction.DELETE,
    "3": LineAction.CHANGE,
    "4": LineAction.KEEP,
    "5": LineAction.KEEP,
    "6": LineAction.CHANGE,
    "7": LineAction.DELETE,
}
# Of the directories' ORDERS; what else comes is told, because a wrong tag is mostly a damaged segment.
_TAGS = frozenset(
    """UNH BGM DTM PAI ALI IMD FTX GIR RFF NAD LOC FII DOC CTA COM TAX MOA CUX PCD PAT PYT EQD HAN SCC QTY ALC RNG RTE
    APR TDT TOD PAC MEA PCI GIN RCS DGS LIN PIA QVR PRI ASI UNS CNT UNT TRU RJL EFI STG FCA DLM GDS CED CCD IND NAT SEL
    GIS EQN BII CAV CCI INP QRS""".split()  # noqa: SIM905 - a table of words
)
_FORMS = {"102": 8, "203": 8, "204": 8, "303": 8, "718": 8, "101": 6, "201": 6, "202": 6}
_ZERO = Decimal(0)


def read(
    content: bytes, limits: Limits, answers: list[ReadAnswer] | None = None
) -> tuple[list[ReadOrder], list[RefusedDocument]]:
    """The orders of an interchange, and why others of it are none; messages of vendors are put into `answers`.

    Raises:
        RefusedDocument: the interchange as a whole cannot be read.
    """
    whole, reasons, service = messages(content, limits)
    orders: list[ReadOrder] = []
    problems = [RefusedDocument([reason]) for reason in reasons]
    for message in whole[: limits.orders]:
        try:
            if answers is not None and message.kind in edifact_answers.KINDS:
                answers.append(edifact_answers.read(message, service, limits))
            else:
                orders.append(_Reading(message, service, limits).read())
        except RefusedDocument as exc:
            problems.append(exc)
    if len(whole) > limits.orders:
        place = whole[limits.orders].segments[0].place
        problems.append(RefusedDocument([Reason("document.orders", f"more than {limits.orders:,} messages", place)]))
    return orders, problems


@dataclass(slots=True)
class _Allowance:
    is_charge: bool
    amount: Decimal | None = None
    percent: Decimal | None = None


class _Reading:
    """One message; header, lines and summary follow each other."""

    def __init__(self, message: Message, service: Service, limits: Limits) -> None:
        self._message = message
        self._decimal = service.decimal
        self._limits = limits
        self._findings = Findings()
        self._order = ReadOrder(Kind.ORDER, "edifact", warnings=list(message.warnings), is_test=message.is_test)
        self._line: ReadLine | None = None
        self._section = "header"
        self._party: ReadParty | None = None
        self._allowance: _Allowance | None = None
        self._price_basis = Decimal(1)
        self._controls: list[tuple[Segment, str, Decimal]] = []

    def read(self) -> ReadOrder:
        head = self._message.segments[0]
        if self._message.kind not in ("ORDERS", "ORDCHG"):
            told = f"{self._message.kind} is neither ORDERS nor ORDCHG; nothing is ordered by it"
            raise RefusedDocument([Reason("edifact.message_type", told, head.at(2, 1))])
        for segment in self._message.segments[1:-1]:
            if segment.tag not in _TAGS:
                self._findings.add("edifact.segment", f"{segment.tag} is no segment of ORDERS", segment.place)
            handler = getattr(self, f"_{segment.tag.lower()}", None)
            if handler is not None:
                handler(segment)
        self._end_line()
        self._finish(head)
        self._findings.check()
        return self._order

    def _finish(self, head: Segment) -> None:
        order, findings = self._order, self._findings
        if not any(segment.tag == "BGM" for segment in self._message.segments):
            findings.add("edifact.bgm", "BGM is missing", head.place)
        elif order.number is None:
            findings.add("edifact.number", "the message names no order (BGM 1004, RFF+ON)", head.place)
        if order.issue_date is None:
            findings.add("edifact.date", "the date of the message (DTM+137) is missing", head.place)
        if order.buyer == ReadParty() and self._message.sender:
            order.buyer.codes.append(self._message.sender)
        if order.buyer == ReadParty():
            findings.add("edifact.buyer", "there is no buyer (NAD+BY)", head.place)
        if order.kind is not Kind.CANCELLATION and not order.lines:
            findings.add("edifact.lines", "there is no line (LIN)", head.place)
        self._check_controls()

    def _check_controls(self) -> None:
        order = self._order
        for segment, code, stated in self._controls:
            if code == "2" and stated != len(order.lines):
                told = f"{stated} lines are announced; there are {len(order.lines)}"
                self._findings.add("edifact.cnt_lines", told, segment.at(1, 2))
            total = sum((line.quantity or _ZERO for line in order.lines), _ZERO)
            if code == "1" and stated != total:
                self._findings.add(
                    "edifact.cnt_quantity", f"the quantities add up to {total}, not {stated}", segment.at(1, 2)
                )
        if order.line_total is not None and all(line.amount is not None for line in order.lines):
            total = sum((line.amount or _ZERO for line in order.lines), _ZERO)
            if abs(total - order.line_total) > Decimal("0.02"):
                told = f"the lines add up to {total}, and MOA+79 says {order.line_total}"
                self._findings.add("edifact.line_total", told, self._message.segments[-1].place)
        seen: set[str] = set()
        for line in order.lines:
            if line.line_id in seen:
                self._findings.add("edifact.line_id", f"two lines are numbered {line.line_id!r}", line.place)
            seen.add(line.line_id)

    def _number(self, segment: Segment, element: int, component: int) -> Decimal | None:
        text = segment[element, component]
        if self._decimal != ".":
            text = text.replace(self._decimal, ".")
        return self._findings.decimal(text.replace(",", "."), "edifact.number", segment.at(element, component))

    def _bgm(self, segment: Segment) -> None:
        code, purpose = segment[1, 1], segment[3] or "9"
        self._order.document_number = segment[2] or None
        self._order.number = self._order.number or self._order.document_number
        known = _ORDER_CODES | _CHANGE_CODES
        if code not in known and not (not code and self._message.kind == "ORDCHG"):
            self._findings.add("edifact.document_code", f"{code!r} (UNCL 1001) is no order", segment.at(1, 1))
        is_change = self._message.kind == "ORDCHG" or code in _CHANGE_CODES
        if purpose in _CANCEL:
            self._order.kind = Kind.CANCELLATION
        elif purpose in _REPLACE:
            self._order.kind = Kind.REPLACEMENT
        elif is_change or purpose == "4":
            self._order.kind = Kind.CHANGE
        elif purpose not in ("9", "6", "16", "42", "46", "47", "2"):
            told = {"7": "a duplicate", "31": "a copy"}.get(purpose, f"unknown (UNCL 1225: {purpose})")
            self._findings.add("edifact.purpose", f"the purpose of the message is {told}", segment.at(3))

    def _dtm(self, segment: Segment) -> None:
        code, text, form = segment[1, 1], segment[1, 2], segment[1, 3] or "102"
        if code not in ("137", "4", "2", "63", "64", "69"):
            return
        length = _FORMS.get(form)
        if length is None:
            self._findings.add("edifact.date", f"format {form!r} (UNCL 2379) is no date", segment.at(1, 3))
            return
        # Of a period the end is what is asked for at the latest.
        text = text[-8:] if form == "718" else text[:length]
        day = self._findings.day(text, "edifact.date", segment.at(1, 2), "YYYYMMDD" if length == 8 else "YYMMDD")
        self._set_day(code, day)

    def _set_day(self, code: str, day: date | None) -> None:
        if code == "137" or (code == "4" and self._order.issue_date is None):
            if self._section == "header":
                self._order.issue_date = day
        elif self._line is not None:
            self._line.delivery_date = self._line.delivery_date or day
        elif code == "2" or self._order.delivery_date is None:
            self._order.delivery_date = day

    def _rff(self, segment: Segment) -> None:
        if segment[1, 1] == "ON" and self._section == "header" and segment[1, 2]:
            if self._order.kind is not Kind.ORDER or self._message.kind == "ORDCHG":
                self._order.number = segment[1, 2]
        elif segment[1, 1] in ("VA", "XA", "AHP") and self._party is not None and segment[1, 2]:
            self._party.codes.append(segment[1, 2])

    def _ftx(self, segment: Segment) -> None:
        text = " ".join(part for part in segment.elements[3] if part) if len(segment.elements) > 3 else ""
        if text and self._section == "header":
            self._order.note = f"{self._order.note}\n{text}" if self._order.note else text

    def _nad(self, segment: Segment) -> None:
        role = segment[1]
        party = ReadParty([segment[2, 1]] if segment[2, 1] else [])
        name = (
            segment.elements[3]
            if len(segment.elements) > 3
            else segment.elements[2]
            if len(segment.elements) > 2
            else ()
        )
        party.name = " ".join(part.strip() for part in name if part.strip()) or None
        street = segment.elements[4] if len(segment.elements) > 4 else ()
        party.street_name = " ".join(part.strip() for part in street if part.strip()) or None
        party.city_name, party.country_subentity = segment[6] or None, segment[7] or None
        party.postal_zone, party.country_code = segment[8] or None, segment[9] or None
        self._party = party
        if self._section != "header":
            return
        if role in ("BY", "OB"):
            self._order.buyer = party
        elif role in ("SU", "SE"):
            self._order.seller = party
        elif role in ("DP", "ST", "CN") and self._order.delivery is None:
            self._order.delivery = party

    def _cux(self, segment: Segment) -> None:
        if segment[1, 2] and self._section == "header" and segment[1, 1] in ("2", "1", ""):
            self._order.currency = segment[1, 2]

    def _lin(self, segment: Segment) -> None:
        self._end_line()
        self._section = "lines"
        if len(self._order.lines) >= self._limits.lines:
            self._findings.add("order.lines", f"more than {self._limits.lines:,} lines", segment.place)
        number = segment[1] or str(len(self._order.lines) + 1)
        line = self._line = ReadLine(number, segment.place)
        if segment[2]:
            action = _ACTIONS.get(segment[2])
            if action is None:
                self._findings.add("edifact.action", f"action {segment[2]!r} (UNCL 1229) is not known", segment.at(2))
            line.action = action or LineAction.KEEP
        elif self._order.kind is Kind.CHANGE:
            line.action = LineAction.CHANGE
        self._code(line, segment[3, 1], segment[3, 2])
        self._order.lines.append(line)
        self._price_basis = Decimal(1)

    def _pia(self, segment: Segment) -> None:
        if self._line is not None and segment[1] in ("1", "5", ""):
            for place in range(2, len(segment.elements) + 1):
                self._code(self._line, segment[place, 1], segment[place, 2])

    def _code(self, line: ReadLine, code: str, kind: str) -> None:
        if not code:
            return
        if kind in ("SA", "VN", "MF", "MP", "VP"):
            line.seller_code = line.seller_code or code
        elif kind in ("IN", "BP", "PI"):
            line.buyer_code = line.buyer_code or code
        elif kind in ("EN", "SRV", "UP", "EAN", "GTIN", "SRS", "EU"):
            line.standard_code = line.standard_code or code
        elif not line.codes:
            line.seller_code = code

    def _imd(self, segment: Segment) -> None:
        if self._line is not None and self._line.name is None:
            parts = [segment[3, 4], segment[3, 5]]
            self._line.name = "".join(part for part in parts if part) or None

    def _qty(self, segment: Segment) -> None:
        line = self._line
        if line is None or segment[1, 1] not in ("21", "1", "12", "113", ""):
            return
        line.quantity = self._number(segment, 1, 2)
        unit = segment[1, 3] or "PCE"
        line.unit_code = unit_of_code(unit)
        if line.unit_code is None:
            self._findings.add("edifact.unit", f"{unit!r} is no unit (UNCL 6411)", segment.at(1, 3))
        if line.quantity is not None and line.quantity <= 0 and line.action is not LineAction.DELETE:
            self._findings.add("edifact.quantity", f"a quantity of {line.quantity}", segment.at(1, 2))

    def _pri(self, segment: Segment) -> None:
        line, kind = self._line, segment[1, 1]
        if line is None or kind not in ("AAA", "AAB", "AAE", "AAF", "CAL", "INV", "NTP", ""):
            return
        if line.price is not None and kind != "AAA":
            return
        price, basis = self._number(segment, 1, 2), Decimal(1)
        if segment[1, 5]:
            basis = self._number(segment, 1, 5) or Decimal(1)
        if price is not None and (price < 0 or basis <= 0):
            self._findings.add("edifact.price", f"a price of {price} for {basis}", segment.at(1, 2))
        elif price is not None:
            line.price = price / basis

    def _tax(self, segment: Segment) -> None:
        if self._line is not None and segment[1] == "7":
            self._line.tax_percent = self._number(segment, 5, 4)
            self._line.tax_category_code = segment[6] or None

    def _alc(self, segment: Segment) -> None:
        self._take_allowance()
        if segment[1] not in ("A", "C"):
            self._findings.add("edifact.allowance", f"{segment[1]!r} is neither allowance nor charge", segment.at(1))
        self._allowance = _Allowance(segment[1] == "C")

    def _pcd(self, segment: Segment) -> None:
        if self._allowance is not None and segment[1, 1] in ("1", "2", "3", "12"):
            self._allowance.percent = self._number(segment, 1, 2)

    def _moa(self, segment: Segment) -> None:
        code, amount = segment[1, 1], self._number(segment, 1, 2)
        if amount is None:
            return
        if segment[1, 3] and self._order.currency is None:
            self._order.currency = segment[1, 3]
        if code in ("8", "23", "204") and self._allowance is not None:
            self._allowance.amount = amount
        elif code in ("203", "66") and self._line is not None:
            self._line.amount = amount
        elif code == "124" and self._section == "summary":
            self._order.tax_total = amount
        elif code == "79" and self._section == "summary":
            self._order.line_total = amount
        elif code == "125" and self._section == "summary":
            self._order.net_total = amount
        elif code in ("9", "39", "77", "86", "128", "139") and self._section == "summary":
            self._order.payable = amount

    def _uns(self, segment: Segment) -> None:
        self._end_line()
        self._section = "summary"

    def _cnt(self, segment: Segment) -> None:
        stated = self._number(segment, 1, 2)
        if stated is not None:
            self._controls.append((segment, segment[1, 1], stated))

    def _take_allowance(self) -> None:
        found, self._allowance = self._allowance, None
        if found is None:
            return
        target: ReadLine | ReadOrder = self._order if self._line is None else self._line
        amount = found.amount
        if amount is None and found.percent is not None and self._line is not None:
            gross = (self._line.quantity or _ZERO) * (self._line.price or _ZERO)
            amount = gross * found.percent / 100
        if amount is None:
            return
        if found.is_charge:
            target.charge += amount
        else:
            target.allowance += amount

    def _end_line(self) -> None:
        self._take_allowance()
        line, self._line = self._line, None
        if line is None or line.action in (LineAction.DELETE, LineAction.KEEP):
            return
        if line.quantity is None and line.action is LineAction.ADD:
            self._findings.add("edifact.quantity", f"line {line.line_id} has no quantity (QTY+21)", line.place)
        if not line.codes and not line.name:
            self._findings.add("edifact.item", f"line {line.line_id} names no product", line.place)
