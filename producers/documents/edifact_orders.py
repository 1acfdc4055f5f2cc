"""ORDERS and ORDCHG of UN/EDIFACT, D.93A to D.23A and the EANCOM subset, as orders."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from producers.documents import edifact_answers
from producers.documents.answers import ReadAnswer
from producers.documents.edi import Message, Segment
from producers.documents.edifact import Service, messages
from producers.documents.edifact_allowances import Allowances
from producers.documents.edifact_lines import DELIVERY_DAYS, RECEIVERS, LineReading, ask_of_time, text_of
from producers.documents.edifact_values import Values
from producers.documents.limits import Limits
from producers.documents.order import Kind, ReadOrder, ReadParty
from producers.documents.reasons import Findings, Reason, RefusedDocument

_ORDER_CODES = frozenset({"105", "220", "221", "224", "226", "227", "228", "22E", "402", "120", "258"})
_CHANGE_CODES = frozenset({"230", "22C"})
_CANCEL, _REPLACE = frozenset({"1", "3"}), frozenset({"5", "20"})
# Of the directories' ORDERS; what else comes is told, because a wrong tag is mostly a damaged segment.
_TAGS = frozenset(
    """UNH BGM DTM PAI ALI IMD FTX GIR RFF NAD LOC FII DOC CTA COM TAX MOA CUX PCD PAT PYT EQD HAN SCC QTY ALC RNG RTE
    APR TDT TOD PAC MEA PCI GIN RCS DGS LIN PIA QVR PRI ASI UNS CNT UNT TRU RJL EFI STG FCA DLM GDS CED CCD IND NAT SEL
    GIS EQN BII CAV CCI INP QRS""".split()  # noqa: SIM905 - a table of words
)
# Segments that open a group, and within which groups they do not: what follows then still belongs to the outer one.
_GROUPS: dict[str, tuple[str, ...]] = {
    "RFF": ("SCC", "NAD", "ALC"), "NAD": (), "DOC": ("NAD",), "TAX": ("ALC",), "CUX": ("PRI",), "PAT": (), "TDT": (),
    "LOC": ("NAD", "TDT", "TOD", "TAX"), "TOD": (), "PAC": (), "EQD": (), "SCC": (), "APR": (), "ALC": (), "RCS": (),
    "DGS": (), "PRI": (), "CCI": (), "LIN": (), "UNS": (),
}  # fmt: skip
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


class _Reading:
    """One message; header, lines and summary follow each other."""

    def __init__(self, message: Message, service: Service, limits: Limits) -> None:
        self._message = message
        self._limits = limits
        self._findings = Findings()
        self._values = Values(service.decimal, self._findings)
        self._order = ReadOrder(Kind.ORDER, "edifact", warnings=list(message.warnings), is_test=message.is_test)
        self._line: LineReading | None = None
        self._trigger = ""
        self._is_summary = False
        self._party: ReadParty | None = None
        self._allowances = Allowances(self._order, self._values)
        self._days: dict[str, date | None] = {}
        self._tax_of_all: tuple[Decimal | None, str | None] = (None, None)
        self._controls: list[tuple[Segment, str, Decimal]] = []

    def read(self) -> ReadOrder:
        head = self._message.segments[0]
        if self._message.kind not in ("ORDERS", "ORDCHG"):
            told = f"{self._message.kind} is neither ORDERS nor ORDCHG; nothing is ordered by it"
            raise RefusedDocument([Reason("edifact.message_type", told, head.at(2, 1))])
        for segment in self._message.segments[1:-1]:
            if segment.tag not in _TAGS:
                self._findings.add("edifact.segment", f"{segment.tag} is no segment of ORDERS", segment.place)
            self._take(segment)
        self._end_line()
        self._finish(head)
        self._findings.check()
        return self._order

    def _take(self, segment: Segment) -> None:
        if segment.tag in _GROUPS and self._trigger not in _GROUPS[segment.tag]:
            self._trigger = segment.tag
        if segment.tag in ("LIN", "UNS"):
            self._end_line()
        if segment.tag == "LIN":
            self._begin_line(segment)
        elif self._line is not None:
            self._line.take(segment, self._trigger)
        else:
            handler = getattr(self, f"_{segment.tag.lower()}", None)
            if handler is not None:
                handler(segment)

    def _begin_line(self, segment: Segment) -> None:
        if len(self._order.lines) >= self._limits.lines:
            self._findings.add("order.lines", f"more than {self._limits.lines:,} lines", segment.place)
        self._line = LineReading(self._order, self._values, segment)
        self._order.lines.append(self._line.line)

    def _end_line(self) -> None:
        if self._line is not None:
            self._line.end()
        self._line = None

    def _finish(self, head: Segment) -> None:
        order, findings = self._order, self._findings
        self._settle()
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

    def _settle(self) -> None:
        """What is said of the whole order, once its lines are known."""
        order = self._order
        days = [self._days[kind] for kind in DELIVERY_DAYS if kind in self._days]
        order.delivery_date = days[0] if days else None
        nets = [
            (line.quantity or _ZERO) * (line.price or _ZERO) + line.charge - line.allowance
            if line.amount is None
            else line.amount
            for line in order.lines
        ]
        order.allowance, order.charge = self._allowances.totals(sum(nets, _ZERO))
        for line in order.lines:
            if line.tax_percent is None and line.tax_category_code is None:
                line.tax_percent, line.tax_category_code = self._tax_of_all

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
        elif purpose in ("16", "46"):
            self._order.ask("edifact.purpose", "the order is only proposed or provisional", segment.at(3))
        elif purpose not in ("9", "6", "42", "47", "2"):
            told = {"7": "a duplicate", "31": "a copy"}.get(purpose, f"unknown (UNCL 1225: {purpose})")
            self._findings.add("edifact.purpose", f"the purpose of the message is {told}", segment.at(3))

    def _dtm(self, segment: Segment) -> None:
        code = segment[1, 1]
        if code in ("137", "4"):
            if self._order.issue_date is None or (code == "137" and "137" not in self._days):
                self._order.issue_date = self._values.day(segment)
            if code == "137":
                self._days["137"] = self._order.issue_date
        elif code in DELIVERY_DAYS and not self._values.is_day(segment):
            ask_of_time(self._order, segment)
        elif code in DELIVERY_DAYS and not self._is_summary:
            day = self._values.day(segment)
            if self._days.setdefault(code, day) != day:
                told = f"two days of delivery: {self._days[code]} and {day}"
                self._order.ask("edifact.two_dates", told, segment.place)
        elif code == "61":
            self._order.add_note(segment[1, 2], "cancel if not delivered by")

    def _rff(self, segment: Segment) -> None:
        if segment[1, 1] == "ON" and segment[1, 2] and not self._is_summary:
            if self._order.kind is not Kind.ORDER or self._message.kind == "ORDCHG":
                self._order.number = segment[1, 2]
        elif segment[1, 1] in ("VA", "XA", "AHP") and self._party is not None and segment[1, 2]:
            self._party.codes.append(segment[1, 2])

    def _ftx(self, segment: Segment) -> None:
        text = text_of(segment)
        if text and not self._is_summary:
            self._order.add_note(text)

    def _nad(self, segment: Segment) -> None:
        role, party = segment[1], _party(segment)
        self._party = party
        if self._is_summary:
            return
        if role in ("BY", "OB"):
            self._order.buyer = party
        elif role in ("SU", "SE"):
            self._order.seller = party
        elif role in RECEIVERS and self._order.delivery is None:
            self._order.delivery = party

    def _loc(self, segment: Segment) -> None:
        if segment[1] == "7" and segment[2, 1] and self._order.delivery is None:
            self._order.delivery = ReadParty([segment[2, 1]], segment[2, 4] or None)

    def _cux(self, segment: Segment) -> None:
        if segment[1, 2] and segment[1, 1] in ("2", "1", "") and not self._is_summary:
            self._order.currency = segment[1, 2]

    def _tax(self, segment: Segment) -> None:
        if segment[1] == "7" and self._trigger != "ALC" and not self._is_summary:
            self._tax_of_all = self._values.number(segment, 5, 4), segment[6] or None

    def _alc(self, segment: Segment) -> None:
        # In the summary stand sums of what was said before.
        if not self._is_summary:
            self._allowances.begin(segment)

    def _pcd(self, segment: Segment) -> None:
        if self._trigger == "ALC" and not self._is_summary:
            self._allowances.percent(segment)

    def _qty(self, segment: Segment) -> None:
        if self._trigger == "ALC":
            self._allowances.quantity(segment)

    def _moa(self, segment: Segment) -> None:
        order, code, amount = self._order, segment[1, 1], self._values.number(segment, 1, 2)
        if segment[1, 3] and order.currency is None:
            order.currency = segment[1, 3]
        if self._trigger == "ALC" and not self._is_summary:
            self._allowances.amount(segment)
        elif not self._is_summary or self._trigger == "ALC" or amount is None:
            return
        elif code in ("124", "176"):
            order.tax_total = amount
        elif code == "79":
            order.line_total = amount
        elif code == "125":
            order.net_total = amount
        elif code in ("9", "39", "77", "86", "128", "139"):
            order.payable = amount

    def _uns(self, _: Segment) -> None:
        self._is_summary = True

    def _cnt(self, segment: Segment) -> None:
        stated = self._values.number(segment, 1, 2)
        if stated is not None:
            self._controls.append((segment, segment[1, 1], stated))


def _party(segment: Segment) -> ReadParty:
    """Name and address of a NAD; the structured parts first, the free text of older senders where they are empty."""
    code = segment[2, 1]
    party = ReadParty([code] if code else [])
    free = _joined(segment, 3)
    party.name = _joined(segment, 4) or free
    party.street_name = _joined(segment, 5) or (free if party.name != free else None)
    party.city_name = segment[6] or None
    party.country_subentity = segment[7, 4] or segment[7, 1] or None
    party.postal_zone, party.country_code = segment[8] or None, segment[9] or None
    return party


def _joined(segment: Segment, element: int) -> str | None:
    parts = segment.elements[element - 1] if len(segment.elements) >= element else ()
    return " ".join(part.strip() for part in parts if part.strip()) or None
