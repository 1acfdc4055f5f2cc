"""Makes of what was read an order as the API takes it, and names every doubt that a person has to settle first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from pydantic import ValidationError

from producers.api.documents import AddressDraft, NewOrder
from producers.documents.doubts import Case, Doubt
from producers.documents.identification import Alias, Identification
from producers.documents.identity import order_id_of
from producers.documents.lines import DraftedLine, LineDrafting, line_draft
from producers.documents.masters import KnownCustomer, Masters
from producers.documents.order import Kind, LineAction, ReadOrder
from producers.documents.source import Source
from producers.documents.totals import Totals
from producers.documents.writing import sound_text, written
from schemas.attributes import OrderId
from schemas.currencies import is_currency

_CRITICAL = ("number", "issue_date", "currency", "buyer")


@dataclass(slots=True)
class Draft:
    """An order to be taken; it flows by itself only without doubts."""

    order_id: OrderId | None
    customer_id: str | None
    order: NewOrder | None
    doubts: list[Doubt]


class Drafting:
    """For one order of a document."""

    def __init__(self, read: ReadOrder, source: Source, masters: Masters, alias: Alias) -> None:
        self._case = Case(read, source)
        self._read = read
        self._source = source
        self._doubts = self._case.doubts
        self._identification = Identification(self._case, masters, alias)

    def draft(self) -> Draft:
        """The draft, or none where too much is missing; never raises for what a document says."""
        read = self._read
        for question in read.questions:
            self._doubts.add(question.rule, question.message, question.place)
        for place, line in enumerate(read.lines):
            if read.kind is Kind.ORDER and line.action is LineAction.DELETE:
                told = f"line {line.line_id} of a new order is marked as cancelled"
                self._doubts.add("line.cancelled", told, f"lines.{place}")
        customer = self._identification.customer()
        customer_id = None if customer is None else customer.id
        order_id = None
        if read.number is None:
            self._doubts.add("number.missing", "the document names no order number", "number")
        else:
            order_id = order_id_of(self._source.system, read.number, self._source.identity, customer_id)
            if order_id is None:
                self._doubts.add("number.unusable", f"{read.number!r} cannot be an order's id", "number")
        if read.issue_date is None:
            self._doubts.add("date.missing", "the document names no date", "issue_date")
        currency = self._currency(customer)
        self._confidence()
        drafting = LineDrafting(self._case, self._identification, customer_id, currency)
        lines = [drafting.line(line, place) for place, line in enumerate(read.lines)]
        if not lines:
            self._doubts.add("lines.missing", "no line was found", "lines")
        order = None
        known = [line for line in lines if line is not None]
        if order_id and customer_id and currency and read.issue_date and known and len(known) == len(lines):
            order = self._calculated(order_id, customer_id, currency, known)
        return Draft(order_id, customer_id, order, list(self._doubts))

    def _calculated(
        self, order_id: OrderId, customer_id: str, currency: str, lines: list[DraftedLine]
    ) -> NewOrder | None:
        assert self._read.issue_date is not None
        try:
            return self._order(order_id, customer_id, currency, self._read.issue_date, lines)
        except (ArithmeticError, ValueError) as exc:
            self._doubts.add("order.amounts", f"the amounts cannot be calculated: {exc}", "order")
            return None

    def _currency(self, customer: KnownCustomer | None) -> str | None:
        stated = self._read.currency or (None if customer is None else customer.currency)
        if stated is None:
            self._doubts.add(
                "currency.missing", "the document names no currency, and the customer has none", "currency"
            )
        elif not is_currency(stated):
            self._doubts.add("currency.unknown", f"{stated!r} is no currency (ISO 4217)", "currency")
            return None
        return stated

    def _confidence(self) -> None:
        if self._read.is_certain:
            return
        least = self._source.least_confidence
        for name, evidence in self._read.evidence.items():
            is_critical = name in _CRITICAL or name.startswith(("lines.", "totals."))
            if is_critical and evidence.confidence < least:
                told = f"{evidence.text!r} was read with a confidence of {evidence.confidence:.2f}"
                self._doubts.add("confidence.low", told, name)

    def _order(
        self, order_id: OrderId, customer_id: str, currency: str, issued: date, lines: list[DraftedLine]
    ) -> NewOrder | None:
        read = self._read
        totals = Totals(self._case, lines, currency)
        try:
            return NewOrder(
                id=order_id.partition(":")[2],
                system=self._source.system,
                customer_reference=read.number,
                issue_date=issued,
                requested_delivery_date=read.delivery_date,
                document_currency_code=currency,
                buyer_customer_party_id=customer_id,
                delivery_name=self._delivery_name(),
                delivery_address=self._address(),
                sales_channel=self._source.sales_channel,
                payment_terms_code=sound_text(read.payment_terms),
                note=None if read.note is None else read.note.replace("\x00", "")[:4000],
                charge_total_amount=written(totals.charge, 4),
                tax_amount=written(totals.tax, 4),
                order_lines=[line_draft(line, place) for place, line in enumerate(lines, 1)],
            )
        except ValidationError as exc:
            for error in exc.errors():
                where = ".".join(map(str, error["loc"]))
                self._doubts.add("order.shape", f"{where}: {error['msg']}", where)
            return None

    def _delivery_name(self) -> str | None:
        """The receiver; where only a number says the place (a GLN), that number too, so that it is not lost."""
        party = self._read.delivery
        if party is None:
            return None
        codes = [code for code in party.codes if code not in self._read.buyer.codes]
        words = [party.name, *([f"({codes[0]})"] if codes and self._address() is None else [])]
        return sound_text(" ".join(word for word in words if word))

    def _address(self) -> AddressDraft | None:
        party = self._read.delivery
        if party is None or not any((party.street_name, party.city_name, party.postal_zone, party.country_code)):
            return None
        code = (party.country_code or "").upper()
        return AddressDraft(
            street_name=sound_text(party.street_name),
            city_name=sound_text(party.city_name),
            postal_zone=sound_text(party.postal_zone),
            country_subentity=sound_text(party.country_subentity),
            country_code=code if re.fullmatch("[A-Z]{2}", code) else None,
        )
