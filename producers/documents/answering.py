"""Turns what a vendor's document says into messages about the orders that it names, and hands them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

from producers.documents.answers import AnswerKind, ReadAnswer, ReadAnswerLine
from producers.documents.reasons import Findings, refused
from producers.documents.register import Outcome
from producers.documents.source import SendingVendor, Source
from producers.documents.units import unit_of_code
from schemas.attributes import OrderId, ProductId, VendorId
from schemas.fulfilment_parts import CONFIRMATION, DESPATCH, lines_of_vendor
from schemas.models import ConfirmedLine, Despatch, DespatchedLine, OrderLine, OrderState, VendorAnswer, VendorStock

_LONGEST_NUMBER = 255
_ONE = frozenset({"C62", "EA", "H87", "NAR", "PCE"})
"""Units that all mean one of what is counted."""


class VendorDesk(Protocol):
    """Where messages of vendors are handed in; `key` makes the same call twice one message."""

    async def order(self, order_id: OrderId, vendor_id: VendorId) -> OrderState | None:
        """The order, if the vendor supplies any of its lines. Raises Transient."""
        ...

    async def answer(self, key: str, order_id: OrderId, answer: VendorAnswer) -> str:
        """Id of the request. Raises RefusedDocument where it cannot be written, Transient."""
        ...

    async def stock(self, reports: Sequence[VendorStock]) -> None:
        """Raises RefusedDocument where it cannot be written, Transient."""
        ...


@dataclass(frozen=True, slots=True)
class _Told:
    """A message with the vendor that is bound to its sender."""

    read: ReadAnswer
    vendor: SendingVendor
    message_id: str
    issued_at: datetime

    @property
    def vendor_id(self) -> VendorId:
        return VendorId(self.vendor.vendor)


class Answering:
    """What vendors send to one source.

    Delivery: a message is durable in Kafka when `take` returns, and written once under its key. Raises RefusedDocument
    with every reason where it cannot be taken, Transient where something is away.
    """

    def __init__(self, source: Source, desk: VendorDesk) -> None:
        self._source = source
        self._desk = desk

    async def take(self, key: str, part: int, read: ReadAnswer) -> Outcome:
        """Hand in one message; one that tells of several orders becomes a message about each."""
        if read.is_test and not self._source.accept_tests:
            raise refused("document.test", "the document says that it is a test; see `accept_tests`", read.place)
        if read.message_id is None or read.issued_at is None:
            raise refused("answer.identity", "the message has no number or no date", read.place)
        if max(len(read.message_id), len(read.despatch_id or "")) > _LONGEST_NUMBER:
            raise refused("answer.identity", f"a number is longer than {_LONGEST_NUMBER} characters", read.place)
        told = _Told(read, self._vendor(read), read.message_id, read.issued_at)
        if read.is_mere_receipt:
            return Outcome(part, read.kind.value, "unchanged")
        if read.kind is AnswerKind.STOCK:
            await self._desk.stock(_stock(told))
            return Outcome(part, read.kind.value, "accepted")
        orders: dict[str, list[ReadAnswerLine]] = {}
        for line in read.lines:
            orders.setdefault(line.order_number or read.order_number or "", []).append(line)
        if not orders and read.order_number:
            orders[read.order_number] = []
        # All of them are looked at before the first is written.
        found = [await self._answer(told, number, lines) for number, lines in orders.items()]
        ids = [await self._desk.answer(f"{key}/{order_id}", order_id, answer) for order_id, answer in found]
        if not found:
            raise refused("answer.order", "the message names no order", read.place)
        return Outcome(part, read.kind.value, "accepted", found[0][0], ids[0])

    def _vendor(self, read: ReadAnswer) -> SendingVendor:
        """Who is bound to the identification of the sender."""
        found = {code: self._source.vendors[code] for code in read.senders if code in self._source.vendors}
        if len({one.vendor for one in found.values()}) == 1:
            return next(iter(found.values()))
        said = ", ".join(repr(code) for code in read.senders) or "nobody"
        told = "is bound to no vendor" if not found else "is bound to several vendors"
        raise refused("answer.sender", f"the sender {said} {told}; see `vendors` of the source", read.place)

    async def _answer(self, told: _Told, number: str, lines: Sequence[ReadAnswerLine]) -> tuple[OrderId, VendorAnswer]:
        order_id = OrderId(number if ":" in number else f"{self._source.system}:{number}")
        state = await self._desk.order(order_id, told.vendor_id)
        if state is None or state.order is None:
            place = lines[0].place if lines else told.read.place
            raise refused("order.unknown", f"{told.vendor_id} supplies no lines of an order {order_id}", place)
        findings, read = Findings(), told.read
        known = _Lines(state, told)
        pairs = [(line, found) for line in lines if (found := known.of(line, findings)) is not None]
        values = {
            "message_id": told.message_id,
            "vendor_id": told.vendor_id,
            "issued_at": told.issued_at,
            "reason": (read.reason or None) and read.reason[:255],
        }
        if read.kind is AnswerKind.DESPATCH:
            answer = VendorAnswer(**values, answer_type=DESPATCH, despatch=_despatch(read, pairs, findings))
        else:
            _check_once(pairs, findings)
            confirmed = [_confirmed(read, line, found) for line, found in pairs]
            confirmed = confirmed or ([] if lines else _all_lines(read, known, findings))
            answer = VendorAnswer(**values, answer_type=CONFIRMATION, lines=confirmed)
        findings.check()
        return order_id, answer


class _Lines:
    """The vendor's lines of one order, by number and by product."""

    def __init__(self, state: OrderState, told: _Told) -> None:
        own = lines_of_vendor(state, told.vendor_id)
        assert state.order is not None
        self.own = [line for line in state.order.order_lines if line.line_id in own]
        self._items = told.vendor.items
        self._order_id, self._vendor_id = state.order_id, told.vendor_id

    def of(self, line: ReadAnswerLine, findings: Findings) -> OrderLine | None:
        """The line that is meant; a reason is noted where none or several could be."""
        product = line.buyer_code or self._items.get(line.vendor_code or "")
        if line.line_id is not None:
            found = [one for one in self.own if one.line_id == line.line_id]
        else:
            found = [one for one in self.own if product is not None and one.product_id == product]
        if len(found) != 1:
            said = f"line {line.line_id}" if line.line_id is not None else f"product {product or line.vendor_code}"
            how = "several lines" if found else "none"
            told = f"{said} is {how} of {self._vendor_id}'s lines of {self._order_id}"
            findings.add("answer.vendor_lines", told, line.place)
            return None
        if product is not None and found[0].product_id != product:
            told = f"line {line.line_id} is {found[0].product_id}, and the message says {product}"
            findings.add("answer.product", told, line.place)
        if line.unit_code is not None and not _is_same_unit(line.unit_code, found[0].unit_code):
            told = f"line {found[0].line_id} is ordered in {found[0].unit_code}, not in {line.unit_code}"
            findings.add("answer.unit", told, line.place)
        return found[0]


def _confirmed(read: ReadAnswer, line: ReadAnswerLine, ordered: OrderLine) -> ConfirmedLine:
    status = line.status or read.status or "accepted"
    if status == "accepted" and line.quantity is not None and line.quantity != ordered.quantity:
        status = "changed"
    return ConfirmedLine(
        line_id=ordered.line_id,
        line_status=status,
        quantity=None if status == "rejected" else line.quantity,
        promised_date=None if status == "rejected" else line.promised_date,
        reason=(line.reason or None) and line.reason[:255],
    )


def _check_once(pairs: Sequence[tuple[ReadAnswerLine, OrderLine]], findings: Findings) -> None:
    seen: set[str] = set()
    for line, found in pairs:
        if found.line_id in seen:
            told = f"line {found.line_id} is there twice; say once what becomes of it"
            findings.add("answer.line_ids_unique", told, line.place)
        seen.add(found.line_id)


def _all_lines(read: ReadAnswer, known: _Lines, findings: Findings) -> list[ConfirmedLine]:
    """What is said of the whole order, said of each of the vendor's lines."""
    if read.status is None:
        findings.add("answer.lines", "neither the message nor a line says whether it is accepted", read.place)
        return []
    return [ConfirmedLine(line_id=line.line_id, line_status=read.status) for line in known.own]


def _despatch(read: ReadAnswer, pairs: Sequence[tuple[ReadAnswerLine, OrderLine]], findings: Findings) -> Despatch:
    # Packages may hold parts of one line.
    quantities: dict[str, Decimal] = {}
    for line, found in pairs:
        if line.quantity is None or line.quantity <= 0:
            findings.add("answer.quantity", "the line says no quantity of more than zero", line.place)
        quantities[found.line_id] = quantities.get(found.line_id, Decimal(0)) + (line.quantity or Decimal(0))
    assert read.despatch_id is not None and read.shipped_at is not None
    return Despatch(
        despatch_id=read.despatch_id,
        shipped_at=read.shipped_at,
        carrier_party_id=(read.carrier or None) and read.carrier[:255],
        tracking_id=(read.tracking_id or None) and read.tracking_id[:255],
        is_withdrawn=read.is_withdrawn,
        lines=[DespatchedLine(line_id=line_id, quantity=quantity) for line_id, quantity in quantities.items()],
    )


def _stock(told: _Told) -> list[VendorStock]:
    findings, reports = Findings(), []
    for line in told.read.lines:
        product = line.buyer_code or told.vendor.items.get(line.vendor_code or "")
        unit = None if line.unit_code is None else unit_of_code(line.unit_code)
        if product is None:
            findings.add("answer.product", f"{line.vendor_code!r} is no product of ours; see `items`", line.place)
        elif line.quantity is None or line.quantity < 0:
            findings.add("answer.quantity", "the line says no quantity of zero or more", line.place)
        elif unit is None:
            findings.add("answer.unit", f"{line.unit_code!r} is no unit (UN/ECE Recommendation 20)", line.place)
        else:
            reports.append(
                VendorStock(
                    vendor_id=told.vendor_id,
                    product_id=ProductId(product),
                    available_quantity=line.quantity,
                    unit_code=unit,
                    as_of=told.issued_at,
                    message_id=told.message_id,
                    received_at=datetime.now(UTC),
                )
            )
    findings.check()
    return reports


def _is_same_unit(said: str, ordered: str) -> bool:
    told, known = (unit_of_code(code) or code for code in (said, ordered))
    return told == known or {told, known} <= _ONE
