"""One line (LIN and what follows it) of ORDERS and ORDCHG."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from producers.documents.edi import Segment
from producers.documents.edi_units import edifact_unit
from producers.documents.edifact_allowances import Allowances
from producers.documents.edifact_values import Values
from producers.documents.order import ACTIONS, Kind, LineAction, ReadLine, ReadOrder
from producers.documents.parts import Part, settle
from producers.documents.product_codes import ProductCodes, owners

# Of UNCL 1229, what only EDIFACT uses.
_ACTIONS = ACTIONS | {"6": LineAction.CHANGE, "7": LineAction.DELETE}
DELIVERY_DAYS = ("2", "63", "358", "76", "69", "64", "17", "10", "38", "37", "11", "200")
"""UNCL 2005 of when goods are wanted; what stands first says most about it."""
RECEIVERS = ("DP", "ST", "CN", "UC")
# UNCL 7143; classes, lots, serial numbers and lines of other documents are no product numbers.
_OWNERS = owners(
    seller="SA VN VP",
    buyer="IN BP PI",
    standard="EN SRV UP EAN GTIN SRS EU UA IB",
    maker="MF MP MN",
    none="AB AC AD AN BB BO CC CG CL CV DR EC GB GN GS HS LI NB ON PO PV RC RN SN SS ST VS",
)
_ORDERED = ("21", "1", "12", "113", "")
_PRICES = ("AAA", "AAB", "AAE", "AAF", "CAL", "INV", "NTP", "")
_SLACK = Decimal("0.02")
_ZERO = Decimal(0)


class LineReading:
    """One line; `take` its segments, then `end` it."""

    def __init__(self, order: ReadOrder, values: Values, segment: Segment) -> None:
        self._order = order
        self._values = values
        self._findings = values.findings
        self.line = line = ReadLine(segment[1] or str(len(order.lines) + 1), segment.place)
        self._trigger = "LIN"
        self._allowances = Allowances(order, values)
        self._parts: list[Part] = []
        self._days: dict[str, date | None] = {}
        self._ordered: tuple[str, Decimal | None] | None = None
        self._codes = ProductCodes(line, _OWNERS)
        self._price: tuple[str, Segment] | None = None
        self._quantity_unit = ""
        line.action = self._action(segment)
        if segment[4, 1] or segment[4, 2]:
            told = f"line {line.line_id} is a part of line {segment[4, 2] or '?'}"
            order.ask("edifact.sub_line", told, segment.at(4))
        self._codes.take(segment[3, 1], segment[3, 2])

    def _action(self, segment: Segment) -> LineAction:
        if not segment[2]:
            return LineAction.CHANGE if self._order.kind is Kind.CHANGE else LineAction.ADD
        action = _ACTIONS.get(segment[2])
        if action is None:
            self._findings.add("edifact.action", f"action {segment[2]!r} (UNCL 1229) is not known", segment.at(2))
        return action or LineAction.KEEP

    def take(self, segment: Segment, trigger: str) -> None:
        """A segment of it; `trigger` is the tag that opened its group."""
        self._trigger = trigger
        handler = getattr(self, f"_{segment.tag.lower()}", None)
        if handler is not None:
            handler(segment)

    def _pia(self, segment: Segment) -> None:
        if segment[1] in ("1", "5", ""):
            for place in range(2, len(segment.elements) + 1):
                self._codes.take(segment[place, 1], segment[place, 2])

    def _imd(self, segment: Segment) -> None:
        parts = [segment[3, 4], segment[3, 5]]
        text = "".join(part for part in parts if part)
        # 7081 of booksellers: 050 is the title, 009 the author.
        if text and (self.line.name is None or segment[2] == "050"):
            self.line.name = text

    def _qty(self, segment: Segment) -> None:
        kind = segment[1, 1]
        if self._trigger == "ALC":
            self._allowances.quantity(segment)
        elif self._trigger in ("LOC", "SCC"):
            if self._parts:
                self._parts[-1].quantity = self._values.number(segment, 1, 2)
        elif kind == "192":
            self._order.ask("edifact.free_goods", f"line {self.line.line_id} has goods free of charge", segment.place)
        elif kind in _ORDERED and self._trigger not in ("PAC", "EQD", "TDT"):
            self._set_quantity(segment, kind)

    def _set_quantity(self, segment: Segment, kind: str) -> None:
        line, quantity = self.line, self._values.number(segment, 1, 2)
        if self._ordered is not None:
            known, before = self._ordered
            if known == kind and quantity != before:
                told = f"line {line.line_id} has two quantities: {before} and {quantity}"
                self._findings.add("edifact.quantity", told, segment.at(1, 2))
            if _ORDERED.index(known) <= _ORDERED.index(kind):
                return
        self._ordered = kind, quantity
        line.quantity = quantity
        self._quantity_unit = segment[1, 3]
        line.unit_code, question = edifact_unit(segment[1, 3] or "PCE")
        if line.unit_code is None:
            self._findings.add("edifact.unit", f"{segment[1, 3]!r} is no unit (UNCL 6411)", segment.at(1, 3))
        elif question is not None:
            self._order.ask(
                "edifact.unit", f"unit {segment[1, 3]} of line {line.line_id}: {question}", segment.at(1, 3)
            )
        if quantity is not None and quantity <= 0 and line.action is not LineAction.DELETE:
            self._findings.add("edifact.quantity", f"a quantity of {quantity}", segment.at(1, 2))

    def _pri(self, segment: Segment) -> None:
        kind = segment[1, 1]
        if kind not in _PRICES:
            return
        if self._price is not None and _PRICES.index(self._price[0]) <= _PRICES.index(kind):
            return
        price, basis = self._values.number(segment, 1, 2), Decimal(1)
        if segment[1, 5]:
            basis = self._values.number(segment, 1, 5) or _ZERO
        if price is not None and (price < 0 or basis <= 0):
            self._findings.add("edifact.price", f"a price of {price} for {basis}", segment.at(1, 2))
        elif price is not None:
            self.line.price = price / basis
            self._price = kind, segment

    def _cux(self, segment: Segment) -> None:
        if segment[1, 2] and self._order.currency not in (None, segment[1, 2]):
            told = f"line {self.line.line_id} is in {segment[1, 2]}, the order in {self._order.currency}"
            self._findings.add("edifact.currency", told, segment.at(1, 2))

    def _tax(self, segment: Segment) -> None:
        if segment[1] == "7" and self._trigger != "ALC":
            self.line.tax_percent = self._values.number(segment, 5, 4)
            self.line.tax_category_code = segment[6] or None

    def _ftx(self, segment: Segment) -> None:
        text = text_of(segment)
        if text:
            self._order.add_note(text, f"line {self.line.line_id}")

    def _loc(self, segment: Segment) -> None:
        if self._trigger == "LOC" and segment[1] in ("7", "11", ""):
            self._parts.append(Part(segment.place, receiver=segment[2, 1] or None))

    def _scc(self, segment: Segment) -> None:
        self._parts.append(Part(segment.place))

    def _nad(self, segment: Segment) -> None:
        known = [] if self._order.delivery is None else self._order.delivery.codes
        if segment[1] in RECEIVERS and segment[2, 1] not in known:
            told = f"line {self.line.line_id} goes to a place of its own: {segment[2, 1] or segment[4, 1]}"
            self._order.ask("edifact.line_delivery", told, segment.place)

    def _dtm(self, segment: Segment) -> None:
        if segment[1, 1] not in DELIVERY_DAYS:
            return
        if not self._values.is_day(segment):
            ask_of_time(self._order, segment)
            return
        day = self._values.day(segment)
        if self._trigger in ("LOC", "SCC") and self._parts:
            self._parts[-1].day = day
        else:
            self._days.setdefault(segment[1, 1], day)

    def _alc(self, segment: Segment) -> None:
        self._allowances.begin(segment)

    def _pcd(self, segment: Segment) -> None:
        if self._trigger == "ALC":
            self._allowances.percent(segment)

    def _moa(self, segment: Segment) -> None:
        if self._trigger == "ALC":
            self._allowances.amount(segment)
        elif segment[1, 1] in ("203", "66", "38") and (self.line.amount is None or segment[1, 1] == "203"):
            self.line.amount = self._values.number(segment, 1, 2)

    def end(self) -> None:
        """Settle what only the whole line tells."""
        line = self.line
        self._codes.end()
        days = [self._days[kind] for kind in DELIVERY_DAYS if kind in self._days]
        line.delivery_date = days[0] if days else None
        codes = [] if self._order.delivery is None else self._order.delivery.codes
        question = settle(line, self._parts, codes, "edifact.parts")
        if question is not None:
            self._order.questions.append(question)
        self._settle_price()
        if line.action in (LineAction.DELETE, LineAction.KEEP):
            return
        if line.quantity is None and line.action is LineAction.ADD:
            self._findings.add("edifact.quantity", f"line {line.line_id} has no quantity (QTY+21)", line.place)
        if not line.codes and not line.name:
            self._findings.add("edifact.item", f"line {line.line_id} names no product", line.place)

    def _settle_price(self) -> None:
        line = self.line
        gross = (line.quantity or _ZERO) * (line.price or _ZERO)
        line.allowance, line.charge = self._allowances.totals(gross)
        if self._price is None:
            return
        kind, segment = self._price
        if line.amount is None:
            self._ask_of_price(kind, segment)
        elif self._allowances and kind in ("AAA", "NTP") and abs(gross - line.amount) <= _SLACK:
            # EANCOM: a net price has its allowances and charges in it already.
            line.allowance = line.charge = _ZERO

    def _ask_of_price(self, kind: str, segment: Segment) -> None:
        """Without the line's amount nothing proves how price, unit and allowances go together."""
        line, unit = self.line, segment[1, 6]
        if self._allowances and kind in ("AAA", "NTP"):
            told = f"line {line.line_id}: whether the net price has the allowances and charges in it cannot be told"
            self._order.ask("edifact.net_price", told, segment.place)
        if unit and self._quantity_unit and edifact_unit(unit)[0] != line.unit_code:
            told = f"line {line.line_id} is ordered in {self._quantity_unit} and priced in {unit}"
            self._order.ask("edifact.price_unit", told, segment.at(1, 6))


def ask_of_time(order: ReadOrder, segment: Segment) -> None:
    """A time of day is a note; a week or month as day of delivery is for a person."""
    text, form = segment[1, 2], segment[1, 3]
    if form in ("401", "402", "404"):
        order.add_note(text, "time of delivery")
    else:
        told = f"delivery is asked for at {text!r}, which is no day (UNCL 2379: {form})"
        order.ask("edifact.delivery_date", told, segment.at(1, 3))


def text_of(segment: Segment) -> str:
    """What an FTX says, or the code that stands for it."""
    parts = segment.elements[3] if len(segment.elements) > 3 else ()
    text = " ".join(part.strip() for part in parts if part.strip())
    return text or (f"{segment[1]} {segment[3]}" if segment[3] else "")
