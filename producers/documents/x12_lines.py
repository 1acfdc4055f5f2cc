"""One line (PO1 or POC and what follows it) of an 850 or 860."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from producers.documents.edi import Segment
from producers.documents.edi_units import x12_unit
from producers.documents.order import LineAction, ReadLine, ReadOrder
from producers.documents.parts import Part, settle
from producers.documents.product_codes import ProductCodes, owners
from producers.documents.reasons import Findings

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
# Element 639: for how many units the price is. Prices per weight or length are refused: the line's unit is another.
_BASIS = {
    "": 1, "PE": 1, "UM": 1, "NT": 1, "CT": 1, "TE": 1, "EA": 1, "QE": 1, "WE": 1, "CA": 1, "LE": 1, "ST": 1, "FX": 1,
    "PN": 10, "HP": 100, "PH": 100, "TP": 1000,
}  # fmt: skip
# Element 235; colours, sizes, texts, lots and other documents are no product numbers.
_OWNERS = owners(
    seller="VP VN VC SK VA VS",
    buyer="BP PI IN CB PN",
    standard="UP UK EN UI UA EO GTIN UD UG IB",
    maker="MG MF MN",
    none="BO BL CL CH CR DV DR EC HC HD IZ IT LT ON OT PD PO PR PU RN SM SN SZ VE VI VM",
)
# Element 236: prices that are paid; others (retail, resale) tell what somebody else pays.
_PAID = frozenset({"", "CON", "UCP", "NET", "INV", "CAT", "STA", "WHL", "PRO", "CUP", "ICL", "ACT", "PUR"})
_HUNDRED = Decimal(100)


class X12Line:
    """One line; `take` its segments, then `end` it."""

    def __init__(self, order: ReadOrder, findings: Findings, segment: Segment) -> None:
        self._order = order
        self._findings = findings
        number = segment[1] or str(len(order.lines) + 1)
        self.line = ReadLine(number, segment.place)
        self._parts: list[Part] = []
        self._codes = ProductCodes(self.line, _OWNERS)
        self._takers: dict[str, Callable[[Segment], None]] = {
            "PID": self._pid, "CTP": self._ctp, "SCH": self._sch, "SDQ": self._sdq, "SLN": self._sln, "AMT": self._amt,
            "MSG": self._msg, "NTE": self._nte, "TXI": self._txi,
        }  # fmt: skip
        if segment.tag == "PO1":
            self._goods(segment, 2, 6)
            return
        action = _ACTIONS.get(segment[2])
        if action is None:
            findings.add("x12.change_code", f"{segment[2]!r} (element 670) is no change", segment.at(2))
        self.line.action = action or LineAction.KEEP
        # Element 4 is what is left to receive.
        self._goods(segment, 3, 8, skipped=1)

    def take(self, segment: Segment) -> bool:
        """Read a segment, if it is one that says something of a line alone."""
        taker = self._takers.get(segment.tag)
        if taker is not None:
            taker(segment)
        return taker is not None

    def end(self) -> None:
        """Settle what only the whole line tells."""
        self._codes.end()
        codes = [] if self._order.delivery is None else self._order.delivery.codes
        question = settle(self.line, self._parts, codes, "x12.parts")
        if question is not None:
            self._order.questions.append(question)

    def _number(self, segment: Segment, element: int) -> Decimal | None:
        return self._findings.decimal(segment[element], "x12.number", segment.at(element))

    def _goods(self, segment: Segment, quantity_at: int, codes_from: int, skipped: int = 0) -> None:
        line, unit_at = self.line, quantity_at + 1 + skipped
        line.quantity = self._number(segment, quantity_at)
        if line.quantity is not None and line.quantity <= 0 and line.action is not LineAction.DELETE:
            self._findings.add("x12.quantity", f"a quantity of {line.quantity}", segment.at(quantity_at))
        self._unit(segment, unit_at)
        price, basis = self._number(segment, unit_at + 1), segment[unit_at + 2]
        if price is not None and price < 0:
            self._findings.add("x12.price", f"a price of {price}", segment.at(unit_at + 1))
        elif price is not None and basis not in _BASIS:
            self._findings.add("x12.price_basis", f"{basis!r} (element 639) is not known", segment.at(unit_at + 2))
        elif price is not None:
            line.price = price / _BASIS[basis]
        for place in range(codes_from, len(segment.elements), 2):
            self._codes.take(segment[place + 1], segment[place])

    def _unit(self, segment: Segment, unit_at: int) -> None:
        line, code = self.line, segment[unit_at]
        if not code:
            if line.quantity is not None and line.action is LineAction.ADD:
                self._findings.add("x12.unit", "a quantity without unit (element 355)", segment.at(unit_at))
            return
        line.unit_code, question = x12_unit(code)
        if line.unit_code is None:
            self._findings.add("x12.unit", f"{code!r} is no unit (element 355)", segment.at(unit_at))
        elif question is not None:
            self._order.ask("x12.unit", f"unit {code} of line {line.line_id}: {question}", segment.at(unit_at))

    def _pid(self, segment: Segment) -> None:
        if segment[5] and self.line.name is None:
            self.line.name = segment[5]

    def _ctp(self, segment: Segment) -> None:
        price = self._number(segment, 3)
        if price is None or segment[2] not in _PAID or price == self.line.price:
            return
        if self.line.price is None and not segment[6]:
            self.line.price = price
        else:
            told = f"line {self.line.line_id} has a second price of {price} (CTP {segment[2]} {segment[6]})"
            self._order.ask("x12.second_price", told, segment.place)

    def _sch(self, segment: Segment) -> None:
        form = "YYYYMMDD" if len(segment[6]) == 8 else "YYMMDD"
        day = self._findings.day(segment[6], "x12.date", segment.at(6), form)
        self._parts.append(Part(segment.place, self._number(segment, 1), day, segment[4] or None))

    def _sdq(self, segment: Segment) -> None:
        for place in range(3, len(segment.elements), 2):
            if segment[place]:
                quantity = self._number(segment, place + 1)
                self._parts.append(Part(segment.place, quantity, self.line.delivery_date, segment[place]))

    def _sln(self, segment: Segment) -> None:
        told = f"line {self.line.line_id} is made of parts (SLN {segment[1]})"
        self._order.ask("x12.sub_line", told, segment.place)

    def _amt(self, segment: Segment) -> None:
        if segment[1] == "1":
            self.line.amount = self._number(segment, 2)

    def _msg(self, segment: Segment) -> None:
        if segment[1]:
            self._order.add_note(segment[1], f"line {self.line.line_id}")

    def _nte(self, segment: Segment) -> None:
        if segment[2]:
            self._order.add_note(segment[2], f"line {self.line.line_id}")

    def _txi(self, segment: Segment) -> None:
        percent = self._number(segment, 3)
        if percent is not None:
            self.line.tax_percent = (self.line.tax_percent or Decimal(0)) + percent


def take_allowance(segment: Segment, target: ReadLine | ReadOrder, order: ReadOrder, findings: Findings) -> None:
    """SAC: add its amount to its line or order, or ask where it has none or is settled otherwise."""
    if segment[1] in ("N", "S", ""):
        return
    # Element 610 has two implied decimals.
    amount = findings.decimal(segment[5], "x12.number", segment.at(5))
    if segment[1] not in ("A", "C") or segment[12] not in ("", "02", "04", "06"):
        told = f"an allowance or charge that is asked for, or settled otherwise than on the invoice ({segment[1]}, "
        order.ask("x12.settlement", f"{told}element 331: {segment[12]})", segment.place)
        return
    if amount is None:
        told = "an allowance or charge without amount (SAC05): its percentage or rate is of an amount that is not said"
        order.ask("x12.allowance_amount", told, segment.place)
        return
    amount = amount / _HUNDRED if "." not in segment[5] else amount
    if segment[1] == "C":
        target.charge += amount
    else:
        target.allowance += amount
