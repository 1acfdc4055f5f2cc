"""Order-X: the Cross Industry Order of UN/CEFACT (SCRDM), alone or inside a PDF. Source: Order-X 1.0."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal

from producers.documents.limits import Limits
from producers.documents.order import ACTIONS, Kind, LineAction, ReadLine, ReadOrder, ReadParty
from producers.documents.reasons import Findings, refused
from producers.documents.xml_tree import Node

ROOT = "SCRDMCCBDACIOMessageStructure"
INVOICE = "CrossIndustryInvoice"
_KINDS = {"220": Kind.ORDER, "230": Kind.REPLACEMENT}
# UNCL 1225: what the document is meant to do.
_ORIGINAL = frozenset({"9", "5", "47"})
_PURPOSES = {"1": Kind.CANCELLATION, "3": Kind.CANCELLATION, "4": Kind.REPLACEMENT}
_SLACK = Decimal("0.02")
_ZERO = Decimal(0)
_FORMS = {"102": "YYYYMMDD", "101": "YYMMDD"}


def read(root: Node, limits: Limits) -> list[ReadOrder]:
    """The order of a Cross Industry Order.

    Raises:
        RefusedDocument: an invoice or another document, or wrong in itself; everything that is wrong is named.
    """
    if root.name != ROOT:
        told = f"{root.name} is no Cross Industry Order; nothing is ordered by it"
        raise refused("cii.document_type", told, root.place)
    return [_Reading(root, limits).read()]


class _Reading:
    def __init__(self, root: Node, limits: Limits) -> None:
        self._root = root
        self._limits = limits
        self._findings = Findings()

    def read(self) -> ReadOrder:
        root, findings = self._root, self._findings
        head = root.first("ExchangedDocument")
        trade = root.first("SupplyChainTradeTransaction")
        if head is None or trade is None:
            raise refused("cii.mandatory", "ExchangedDocument or SupplyChainTradeTransaction is missing", root.place)
        if head.value("CopyIndicator/Indicator") == "true":
            findings.add("cii.copy", "the document says that it is a copy", head.place)
        agreement = trade.first("ApplicableHeaderTradeAgreement") or trade
        settlement = trade.first("ApplicableHeaderTradeSettlement") or trade
        order = ReadOrder(
            kind=self._kind(head),
            format="order-x",
            number=head.value("ID"),
            document_number=head.value("ID"),
            issue_date=self._day(head, "IssueDateTime/DateTimeString"),
            currency=settlement.value("OrderCurrencyCode") or settlement.value("InvoiceCurrencyCode"),
            buyer=_party(agreement.first("BuyerTradeParty")),
            seller=_party(agreement.first("SellerTradeParty")),
            payment_terms=settlement.value("SpecifiedTradePaymentTerms/Description"),
            is_test=root.value("ExchangedDocumentContext/TestIndicator/Indicator") == "true",
        )
        for note in head.all("IncludedNote/Content"):
            if note.stripped:
                order.add_note(note.stripped)
        reference = agreement.value("BuyerOrderReferencedDocument/IssuerAssignedID")
        if order.kind is not Kind.ORDER and reference is not None:
            order.number = reference
        self._mandatory(order, head)
        if order.kind is not Kind.CANCELLATION:
            self._commercial(order, trade, settlement)
        findings.check()
        order.warnings = findings.warnings
        return order

    def _kind(self, head: Node) -> Kind:
        code, purpose = head.value("TypeCode"), head.value("PurposeCode") or "9"
        kind = _KINDS.get(code or "")
        if kind is None:
            self._findings.add(
                "cii.type_code", f"type {code!r} is neither order (220) nor order change (230)", head.place
            )
            return Kind.ORDER
        if purpose in _PURPOSES:
            return _PURPOSES[purpose]
        if purpose not in _ORIGINAL:
            self._findings.add(
                "cii.purpose_code", f"purpose {purpose!r} (UNCL 1225) asks for nothing known", head.place
            )
        return kind

    def _mandatory(self, order: ReadOrder, head: Node) -> None:
        missing = [
            (order.number is None, "ExchangedDocument/ID"),
            (order.issue_date is None and not self._findings.reasons, "ExchangedDocument/IssueDateTime"),
            (order.buyer == ReadParty(), "BuyerTradeParty"),
        ]
        for is_missing, name in missing:
            if is_missing:
                self._findings.add("cii.mandatory", f"{name} is missing", head.place)

    def _commercial(self, order: ReadOrder, trade: Node, settlement: Node) -> None:
        delivery = trade.first("ApplicableHeaderTradeDelivery")
        if delivery is not None:
            order.delivery = _party(delivery.first("ShipToTradeParty"))
            order.delivery_date = self._delivery_day(delivery)
        order.allowance, order.charge = self._allowances(settlement)
        totals = settlement.first("SpecifiedTradeSettlementHeaderMonetarySummation")
        if totals is not None:
            order.line_total = self._number(totals, "LineTotalAmount")
            order.net_total = self._number(totals, "TaxBasisTotalAmount")
            order.tax_total = self._number(totals, "TaxTotalAmount")
            order.payable = self._number(totals, "GrandTotalAmount")
        for node in trade.all("IncludedSupplyChainTradeLineItem"):
            if len(order.lines) == self._limits.lines:
                self._findings.add("order.lines", f"more than {self._limits.lines:,} lines", node.place)
                break
            order.lines.append(self._line(node))
            self._beside(order, order.lines[-1], node)
        if order.kind is Kind.REPLACEMENT and any(line.action is not LineAction.ADD for line in order.lines):
            # Lines that say what becomes of them are told apart from those that are not mentioned.
            order.kind = Kind.CHANGE
        if not order.lines:
            self._findings.add("cii.mandatory", "there is no IncludedSupplyChainTradeLineItem", trade.place)
        for number, count in Counter(line.line_id for line in order.lines).items():
            if count > 1 or not number:
                self._findings.add("cii.line_id", f"{count} lines are numbered {number!r}", trade.place)
        self._check_totals(order, totals)

    def _line(self, node: Node) -> ReadLine:
        goods = node.first("SpecifiedTradeProduct") or node
        agreement = node.first("SpecifiedLineTradeAgreement") or node
        settlement = node.first("SpecifiedLineTradeSettlement") or node
        quantity = node.first("SpecifiedLineTradeDelivery/RequestedQuantity")
        line = ReadLine(
            node.value("AssociatedDocumentLineDocument/LineID") or "",
            node.place,
            seller_code=goods.value("SellerAssignedID"),
            buyer_code=goods.value("BuyerAssignedID"),
            standard_code=goods.value("GlobalID"),
            name=goods.value("Name"),
            amount=self._number(settlement, "SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount"),
            tax_category_code=settlement.value("ApplicableTradeTax/CategoryCode"),
            tax_percent=self._number(settlement, "ApplicableTradeTax/RateApplicablePercent"),
        )
        if quantity is None or not quantity.attributes.get("unitCode"):
            self._findings.add("cii.quantity", "a line without RequestedQuantity or its unitCode", node.place)
        else:
            line.quantity = self._findings.decimal(quantity.text, "cii.number", quantity.place)
            line.unit_code = quantity.attributes["unitCode"]
        price = self._number(agreement, "NetPriceProductTradePrice/ChargeAmount")
        base = self._number(agreement, "NetPriceProductTradePrice/BasisQuantity") or Decimal(1)
        line.price = None if price is None else price / base
        line.allowance, line.charge = self._allowances(settlement)
        delivery = node.first("SpecifiedLineTradeDelivery")
        line.delivery_date = None if delivery is None else self._delivery_day(delivery)
        action = node.value("AssociatedDocumentLineDocument/LineStatusCode")
        line.action = LineAction.ADD if action is None else ACTIONS.get(action, LineAction.KEEP)
        if action is not None and action not in ACTIONS:
            self._findings.add("cii.line_status", f"line status {action!r} (UNCL 1229) is not known", node.place)
        if not line.codes and not line.name:
            self._findings.add("cii.item", "a line without any name or identifier of the product", node.place)
        self._check_line(line, node)
        return line

    def _beside(self, order: ReadOrder, line: ReadLine, node: Node) -> None:
        """What an order line here cannot say becomes a note or a question."""
        for note in node.all("AssociatedDocumentLineDocument/IncludedNote/Content"):
            if note.stripped:
                order.add_note(note.stripped, f"line {line.line_id}")
        party = _party(node.first("SpecifiedLineTradeDelivery/ShipToTradeParty"))
        known = order.delivery or ReadParty()
        if party != ReadParty() and (party.codes, party.name) != (known.codes, known.name):
            told = f"line {line.line_id} goes to a place of its own: {party.name or party.codes}"
            order.ask("cii.line_delivery", told, node.place)
        if len(list(node.all("SpecifiedLineTradeDelivery/RequestedDeliverySupplyChainEvent"))) > 1:
            order.ask("cii.parts", f"line {line.line_id} is to be delivered in parts", node.place)
        base = node.first("SpecifiedLineTradeAgreement/NetPriceProductTradePrice/BasisQuantity")
        if base is not None:
            order.ask_of_price_unit(line, base.attributes.get("unitCode"), "cii.price_unit", base.place)

    def _check_line(self, line: ReadLine, node: Node) -> None:
        if line.quantity is not None and line.quantity <= 0:
            self._findings.add("cii.quantity", f"line {line.line_id}: a quantity of {line.quantity}", node.place)
        if line.price is not None and line.price < 0:
            self._findings.add("cii.price", f"line {line.line_id}: a price of {line.price}", node.place)
        if line.quantity is None or line.price is None or line.amount is None:
            return
        expected = line.quantity * line.price + line.charge - line.allowance
        if abs(expected - line.amount) > _SLACK:
            told = f"line {line.line_id}: {line.quantity} x {line.price} + charges - allowances is not {line.amount}"
            self._findings.add("cii.line_total", told, node.place)

    def _check_totals(self, order: ReadOrder, totals: Node | None) -> None:
        if totals is None:
            return
        lines = sum((line.amount or _ZERO for line in order.lines), _ZERO)
        stated = [
            ("cii.sum_of_lines", order.line_total, lines),
            ("cii.allowance_total", self._number(totals, "AllowanceTotalAmount"), order.allowance),
            ("cii.charge_total", self._number(totals, "ChargeTotalAmount"), order.charge),
            ("cii.tax_basis", order.net_total, (order.line_total or lines) - order.allowance + order.charge),
        ]
        if order.net_total is not None and order.tax_total is not None:
            stated.append(("cii.grand_total", order.payable, order.net_total + order.tax_total))
        for rule, amount, expected in stated:
            if amount is not None and abs(amount - expected) > _SLACK:
                self._findings.add(rule, f"{amount} is stated, and the parts make {expected}", totals.place)

    def _allowances(self, node: Node) -> tuple[Decimal, Decimal]:
        allowance = charge = _ZERO
        for one in node.all("SpecifiedTradeAllowanceCharge"):
            amount = self._number(one, "ActualAmount") or _ZERO
            if one.value("ChargeIndicator/Indicator") == "true":
                charge += amount
            else:
                allowance += amount
        for one in node.all("SpecifiedLogisticsServiceCharge"):
            charge += self._number(one, "AppliedAmount") or _ZERO
        return allowance, charge

    def _number(self, node: Node, path: str) -> Decimal | None:
        found = node.first(path)
        return None if found is None else self._findings.decimal(found.text, "cii.number", found.place)

    def _day(self, node: Node, path: str) -> date | None:
        found = node.first(path)
        if found is None:
            return None
        form = _FORMS.get(found.attributes.get("format", "102"))
        if form is None:
            text = (found.stripped or "")[:8]
            return self._findings.day(text, "cii.date", found.place, "YYYYMMDD")
        return self._findings.day(found.text, "cii.date", found.place, form)

    def _delivery_day(self, delivery: Node) -> date | None:
        event = delivery.first("RequestedDeliverySupplyChainEvent")
        if event is None:
            return None
        paths = (
            "OccurrenceDateTime",
            "OccurrenceSpecifiedPeriod/EndDateTime",
            "OccurrenceSpecifiedPeriod/StartDateTime",
        )
        for path in paths:
            if event.first(path) is not None:
                return self._day(event, f"{path}/DateTimeString")
        return None


def _party(node: Node | None) -> ReadParty:
    if node is None:
        return ReadParty()
    paths = ("ID", "GlobalID", "SpecifiedTaxRegistration/ID", "SpecifiedLegalOrganization/ID")
    codes = [found.stripped for path in paths for found in node.all(path) if found.stripped]
    address = node.first("PostalTradeAddress")
    party = ReadParty(list(dict.fromkeys(codes)), node.value("Name"))
    if address is not None:
        street = [address.value("LineOne"), address.value("LineTwo"), address.value("LineThree")]
        party.street_name = ", ".join(part for part in street if part) or None
        party.city_name = address.value("CityName")
        party.postal_zone = address.value("PostcodeCode")
        party.country_subentity = address.value("CountrySubDivisionName")
        party.country_code = address.value("CountryID")
    return party
