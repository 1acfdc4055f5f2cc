"""An order from text with its places: what kind it is, its fields, lines and totals, and how sure each is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from producers.documents.numbers import decimal_mark_of, number_of, numbers_in
from producers.documents.order import Evidence, Kind, ReadLine, ReadOrder, ReadParty
from producers.documents.reasons import refused
from producers.documents.text import labels, proofs
from producers.documents.text.cells import code_of, money_of, quantity_of, recognised_money_of
from producers.documents.text.columns import columns_of, names_of
from producers.documents.text.dates import Order, dates_in, order_of
from producers.documents.text.goods import Goods, GoodsLine, table_of
from producers.documents.text.headers import (
    FoundText,
    agreed,
    block_below,
    date_in,
    day_of,
    id_in,
    labelled,
    tax_ids,
)
from producers.documents.text.shapes import says_other_day, shaped_number, words_at
from producers.documents.text.words import Row, Segment, plain, rows_of
from producers.documents.units import unit_of_word
from schemas.currencies import is_currency

_MARKS = {"en": ".", "de": ",", "fr": ",", "es": ","}
_SYMBOLS = {"€": "EUR", "£": "GBP", "¥": "JPY", "$": "USD"}
_CODES = re.compile(
    r"(?<![A-Za-z])(EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|JPY|CAD|AUD|MXN|HUF|RON|INR|CNY|BRL)(?![A-Za-z])"
)
_CONFUSED = re.compile(r"[OoIl|]\d|\d[OoIl|SBZ](?:\d|$)|[A-Za-z]0|^0|[a-z]")
"""Recognition takes O and 0, I, l and 1 for each other, at the change from letters to digits above all. Of 1,428
numbers on worn pages no leading B, S or Z was taken for 8, 5 or 2, or the other way."""
_NAMES = 120
_TITLE_ROWS = 30
_TOP_ROWS = 10
_COLUMNS = 3
_LARGE = 1.15
_UNSURE = 0.5
_SLACK = Decimal("0.02")
_ZERO = Decimal(0)


def read(segments: Sequence[Segment], form: str, told: Order | None) -> ReadOrder:
    """The order of a document that people can read.

    Raises:
        RefusedDocument: it is no order, or it has no table of goods.
    """
    return _Reading(rows_of(segments), form, told).read()


class _Reading:
    def __init__(self, rows: list[Row], form: str, told: Order | None) -> None:
        self._rows = rows
        texts = [segment.text for row in rows for segment in row.segments]
        self._texts = texts
        self._language = labels.language_of(texts)
        self._dates = order_of(texts, self._language, told)
        self._mark = self._decimal_mark()
        self._order = ReadOrder(Kind.ORDER, form, is_certain=False)
        self._is_scan = any(segment.recognition < 1 for row in rows for segment in row.segments)

    def read(self) -> ReadOrder:
        order = self._order
        order.kind = self._kind()
        goods = table_of(self._rows, self._mark)
        if goods is None or not goods.lines:
            told = "there is no table with titles for product and quantity"
            raise refused("document.no_lines", told, "document")
        before, behind = self._rows[: goods.header], self._rows[goods.end :]
        self._header(before, behind)
        self._lines(goods)
        self._totals(behind)
        proofs.settle(order)
        if self._is_scan:
            proofs.weigh(order)
        return order

    def _decimal_mark(self) -> str:
        """As the numbers of the document show; where they do not, as its language writes."""
        money = [text for one in self._texts for text in numbers_in(one) if not dates_in(one, "DMY")]
        found = decimal_mark_of([text for text in money if re.search(r"[.,]\d{2}$", text)])
        return found or _MARKS.get(self._language or "", ".")

    def _kind(self) -> Kind:
        kinds: dict[str, Segment] = {}
        heights = sorted(segment.height for row in self._rows for segment in row.segments)
        usual = heights[len(heights) // 2]
        for place, row in enumerate(self._rows[:_TITLE_ROWS]):
            for segment in row.segments:
                text = plain(re.sub(r"\d{4,}\S*|\S*\d{3,}\S*", "", segment.text)).removesuffix(" nr").strip()
                if place >= _TOP_ROWS and segment.height < _LARGE * usual:
                    # Ordinary text further down: a word of a sentence, no title.
                    continue
                if len(names_of(columns_of(row))) >= _COLUMNS and labels.meanings_of("columns", text):
                    # `Tarif` above a column of prices is no price list.
                    continue
                for name, _ in labels.meanings_of("titles", text):
                    kinds.setdefault(name, segment)
        for name in ("other", "cancellation", "change"):
            if name in kinds and name == "other":
                told = f"it says that it is {kinds[name].text!r}: nothing is ordered by it"
                raise refused("document.not_an_order", told, kinds[name].place)
            if name in kinds:
                return Kind.CANCELLATION if name == "cancellation" else Kind.CHANGE
        title = kinds.get("order")
        is_numbered = bool(labelled(self._rows[:_TITLE_ROWS], "number", id_in))
        if title is None and not is_numbered:
            raise refused("document.no_order", "nothing says that it is an order", "document")
        if title is None:
            self._note("kind", FoundText(self._rows[0].segments[0], 0.8), 1.0)
        return Kind.ORDER

    def _note(self, name: str, found: FoundText, validator: float) -> None:
        segment = found.segment
        self._order.evidence[name] = Evidence(
            found.text, segment.place, segment.recognition, found.anchor, validator, segment.box
        )

    def _header(self, before: Sequence[Row], behind: Sequence[Row]) -> None:
        order, rows = self._order, [*before, *behind]
        number = agreed(labelled(before, "number", id_in) or labelled(behind, "number", id_in))
        number = number or shaped_number([*before, *behind])
        if number is not None:
            order.number = order.document_number = number.text
            is_doubtful = number.segment.recognition < 1 and _CONFUSED.search(number.text)
            self._note("number", number, _UNSURE if is_doubtful else 1.0)
        order.delivery_date = self._day(rows, "delivery_date")
        issued = self._day(before, "issue_date") or self._day(behind, "issue_date")
        issued = issued or self._lone_day(before, order.delivery_date)
        if issued is not None:
            order.issue_date = issued
        customer = agreed(labelled(rows, "customer", id_in))
        self._parties(before, behind, customer)
        self._currency()
        terms = agreed(labelled(rows, "payment_terms", lambda text: text[:100] or None))
        order.payment_terms = None if terms is None else terms.text

    def _day(self, rows: Sequence[Row], name: str) -> date | None:
        found = agreed(labelled(rows, name, date_in(self._dates)))
        if found is None:
            return None
        written = day_of(found, self._dates)
        self._note(name, found, 1.0 if written is not None and written.day is not None else _UNSURE)
        return None if written is None else written.day

    def _lone_day(self, before: Sequence[Row], delivery: date | None) -> date | None:
        """A date without a known label, as letters have one: only if it is the only one beside the day of delivery."""
        if "issue_date" in self._order.evidence:
            return None
        found = [
            (segment, one)
            for at, row in enumerate(before)
            for place, segment in enumerate(row.segments)
            for one in dates_in(segment.text, self._dates)
            if labels.longest(plain(segment.text), labels.fields()) is None
            and (delivery is None or one.day != delivery)
            and not says_other_day(words_at(before, at, place))
        ]
        if len(found) != 1:
            return None
        segment, written = found[0]
        if delivery is not None and (written.day is None or written.day > delivery):
            # Nothing is wanted before it is ordered: one of the two days is another one.
            return None
        self._note("issue_date", FoundText(segment.part(written.text), 0.92), 1.0 if written.day else _UNSURE)
        return written.day

    def _parties(self, before: Sequence[Row], behind: Sequence[Row], customer: FoundText | None) -> None:
        order, rows = self._order, [*before, *behind]
        buyer, seller = block_below(rows, "buyer"), block_below(before, "seller")
        receiver = block_below(rows, "delivery")
        if customer is not None:
            order.buyer.codes.append(customer.text)
            self._note("buyer", customer, 1.0)
        order.buyer.codes += [code for code in dict.fromkeys(tax_ids(rows)) if code not in order.buyer.codes]
        if buyer:
            order.buyer.name = buyer[0].text
            self._note("buyer", FoundText(buyer[0], 0.95), 1.0)
        others = {id(one) for one in (*seller, *receiver)}
        top = [segment for row in before for segment in row.segments if id(segment) not in others]
        # Names of customers stand in senders' lines and under signatures too.
        texts = [one.text for one in [*top, *(segment for row in behind for segment in row.segments)]]
        parts = [part.strip() for text in texts for part in (text, *re.split(r"\s[·•|–—-]\s|,\s", text))]
        order.buyer.names = [one for one in dict.fromkeys(parts) if any(mark.isalpha() for mark in one)][:_NAMES]
        order.seller.name = seller[0].text if seller else None
        if receiver:
            order.delivery = _address(receiver)

    def _currency(self) -> None:
        codes = {code for text in self._texts for code in _CODES.findall(text)}
        signs = {_SYMBOLS[mark] for text in self._texts for mark in text if mark in _SYMBOLS}
        stated = {code for code in codes if is_currency(code)} or signs
        if len(stated) == 1:
            self._order.currency = stated.pop()
        elif stated:
            named = agreed(labelled(self._rows, "currency", lambda text: text[:3] if is_currency(text[:3]) else None))
            self._order.currency = None if named is None else named.text
            if named is None:
                place = self._rows[0].segments[0]
                self._note("currency", FoundText(place.part(" ".join(sorted(stated))), _UNSURE), 1.0)

    def _lines(self, goods: Goods) -> None:
        for number, line in enumerate(goods.lines, 1):
            read = self._line(line, number)
            self._order.lines.append(read)
        if goods.stray:
            row = goods.stray[0]
            self._note(f"lines.{len(goods.lines)}.row", FoundText(row.segments[0].part(row.text), _UNSURE), 1.0)

    def _line(self, line: GoodsLine, number: int) -> ReadLine:
        place = f"lines.{number - 1}"
        found = quantity_of(line.text("quantity") or "", self._mark)
        read = ReadLine(str(number), line.row.segments[0].place)
        if found is not None:
            read.quantity, read.unit_code = found
        unit = line.text("unit")
        if unit is not None and read.unit_code is None:
            read.unit_code = unit_of_word(re.sub(r"^1\s+|^(?:per|pro|par|por)\s+", "", unit.strip()))
            self._cell(f"{place}.unit", line, "unit", 1.0 if read.unit_code else _UNSURE)
        self._goods_of(read, line)
        for name in ("price", "amount", "discount", "tax"):
            text = line.text(name)
            if text is None:
                continue
            value = self._money(text)
            self._cell(f"{place}.{name}", line, name, 1.0 if value is not None else _UNSURE)
            self._set(read, name, value, "%" in text)
        is_whole = read.quantity is not None and read.quantity > 0
        if " " in (line.text("quantity") or "") and read.quantity is not None and read.quantity >= 1000:
            # Two numbers that stand together look like one of thousands: only the amount proves that it is one.
            is_whole = proofs.is_proved(read)
        self._cell(f"{place}.quantity", line, "quantity", 1.0 if is_whole else _UNSURE)
        due = dates_in(line.text("delivery_date") or "", self._dates)
        read.delivery_date = due[0].day if due else None
        return read

    def _money(self, text: str) -> Decimal | None:
        return recognised_money_of(text, self._mark) if self._is_scan else money_of(text, self._mark)

    def _goods_of(self, read: ReadLine, line: GoodsLine) -> None:
        code, name = line.text("code"), line.text("name")
        if name is None and code is not None and code_of(code) is None:
            # A column of articles that holds their names.
            code, name = None, code
        elif name is None and line.text("code continued"):
            # Under its code stands what it is called.
            name = line.text("code continued")
        if code is not None and code_of(code) is None:
            # A code and the beginning of a description that stand together.
            first, _, rest = code.partition(" ")
            if code_of(first) is not None:
                code, name = first, f"{rest} {name or ''}".strip()
        if name is not None and code is None:
            first, _, rest = name.partition(" ")
            inner = re.search(r"[\[(]\s*([A-Za-z0-9][\w.\-/]*\d[\w.\-/]*)\s*[\])]", name)
            if inner is not None:
                code, name = inner[1], (name[: inner.start()] + name[inner.end() :]).strip()
            elif re.fullmatch(r"(?=\S*\d)(?=\S*[A-Z-])[A-Z0-9][A-Z0-9._/\-]{2,}", first) and rest:
                read.buyer_code = first
                name = f"{first} {rest}"
        read.seller_code, read.name = code, name
        read.buyer_code = read.buyer_code or code_of(line.text("other code") or "")
        more = line.text("name continued")
        read.more_name = more
        for one in (more, line.text("code continued")):
            inner = (
                None
                if one is None
                else re.search(
                    r"(?:art(?:\.|icle|ikel)?|item|ref|sku|code|cod|nr|no)\W{0,3}(?:nr|no|code)?\W{0,3}((?=\S*\d)\S+)",
                    one,
                    re.IGNORECASE,
                )
            )
            if inner is not None and read.seller_code is None:
                read.seller_code = inner[1].rstrip(".,)")
        cell = "code" if line.text("code") else "name"
        self._cell(f"lines.{int(read.line_id) - 1}.product", line, cell, 1.0)

    def _set(self, read: ReadLine, name: str, value: Decimal | None, is_percent: bool) -> None:
        if value is None:
            return
        if name == "price":
            read.price = value
        elif name == "amount":
            read.amount = value
        elif name == "tax" and value <= 100:
            read.tax_percent = value
        elif name == "discount" and read.price is not None and read.quantity is not None:
            gross = read.price * read.quantity
            # Which of the two it is, the amount of the line tells.
            shares = [gross * value / 100, value] if is_percent or value <= 100 else [value]
            exact = [one for one in shares if read.amount is not None and abs(gross - one - read.amount) <= _SLACK]
            read.allowance = (exact or shares)[0]

    def _cell(self, name: str, line: GoodsLine, column: str, validator: float) -> None:
        cell = line.cells.get(column)
        if cell is None or not cell.segments:
            return
        segment = cell.segments[0]
        self._order.evidence[name] = Evidence(cell.text, segment.place, cell.recognition, 1.0, validator, segment.box)

    def _totals(self, behind: Sequence[Row]) -> None:
        order = self._order
        found: dict[str, list[tuple[Decimal, Segment]]] = {}
        for row in behind:
            for name, amount, segment in self._amounts(row):
                found.setdefault(name, []).append((amount, segment))
        for name, values in found.items():
            if name == "tax":
                amount, segment = sum((one for one, _ in values), _ZERO), values[0][1]
            else:
                amount, segment = values[-1] if name == "gross" else values[0]
            setattr(order, _ATTRIBUTES[name], abs(amount) if name == "allowance" else amount)
            self._note(f"totals.{name}", FoundText(segment, 1.0), 1.0)
        if "net" in found and "gross" not in found and order.net_total is not None:
            order.payable = None

    def _amounts(self, row: Row) -> Iterator[tuple[str, Decimal, Segment]]:
        for place, segment in enumerate(row.segments):
            text = re.sub(r"\(?\d[\d.,]*\s*%\)?", " ", segment.text)
            said = plain(re.sub(r"\d[\d.,'’ ]*", " ", text))
            label = labels.longest(said, labels.totals())
            meanings = labels.meanings_of("totals", said) or (label[1] if label is not None else [])
            if not meanings:
                continue
            behind = [one for one in row.segments[place + 1 :] if self._money(one.text) is not None]
            if behind:
                amount = self._money(behind[-1].text)
                where = behind[-1]
            else:
                inner = numbers_in(text)
                amount = number_of(inner[-1], self._mark) if inner else None
                where = segment
            if amount is not None:
                yield self._meaning(meanings), amount, where
            return

    def _meaning(self, meanings: list[tuple[str, str]]) -> str:
        own = [name for name, language in meanings if language == self._language]
        return (own or [meanings[0][0]])[0]


_ATTRIBUTES = {
    "lines": "line_total",
    "net": "net_total",
    "tax": "tax_total",
    "gross": "payable",
    "charge": "charge",
    "allowance": "allowance",
}


def _address(lines: Sequence[Segment]) -> ReadParty:
    """Name, street, postal code and city, as far as their forms tell them."""
    party = ReadParty(name=lines[0].text)
    for line in lines[1:]:
        found = re.match(r"(?:([A-Z]{1,2})-)?(\d{4,5})\s+([^\d,]+)", line.text)
        if found is not None:
            party.postal_zone, party.city_name = found[2], found[3].strip()
        elif party.street_name is None and any(mark.isdigit() for mark in line.text):
            party.street_name = line.text
    return party
