"""UBL 2.1 to 2.4 Order, OrderChange and OrderCancellation. Source: OASIS UBL 2.1, Peppol BIS Ordering 3."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from producers.documents.limits import Limits
from producers.documents.order import ACTIONS, Kind, LineAction, ReadLine, ReadOrder, ReadParty
from producers.documents.parts import Part, settle
from producers.documents.peppol import PeppolRules
from producers.documents.reasons import Findings, refused
from producers.documents.xml_tree import Node

NAMESPACE = "urn:oasis:names:specification:ubl:schema:xsd:"
_KINDS = {"Order": Kind.ORDER, "OrderChange": Kind.REPLACEMENT, "OrderCancellation": Kind.CANCELLATION}
# UNCL 1229, as Peppol has it, and the list of OASIS.
_ACTIONS = ACTIONS | {
    "Added": LineAction.ADD,
    "Cancelled": LineAction.DELETE,
    "Revised": LineAction.CHANGE,
    "NoStatus": LineAction.KEEP,
}
_VERSIONS = ("2.0", "2.1", "2.2", "2.3", "2.4")
_TYPES = frozenset({"105", "220", "221", "224", "226", "227", "402", "348", "349", "245", "22E", "230"})
_ZERO = Decimal(0)


def read(root: Node, limits: Limits) -> list[ReadOrder]:
    """The order of a UBL document.

    Raises:
        RefusedDocument: it is none of the three, or it violates rules; all of them are named.
    """
    kind = _KINDS.get(root.name)
    if kind is None or root.namespace != f"{NAMESPACE}{root.name}-2":
        told = f"{root.name} is no UBL Order, OrderChange or OrderCancellation; nothing is ordered by it"
        raise refused("ubl.document_type", told, root.place)
    return [_Reading(root, kind, limits).read()]


class _Reading:
    def __init__(self, root: Node, kind: Kind, limits: Limits) -> None:
        self._root = root
        self._kind = kind
        self._limits = limits
        self._findings = Findings()

    def read(self) -> ReadOrder:
        root, findings = self._root, self._findings
        version = root.value("UBLVersionID")
        if version is not None and version not in _VERSIONS:
            findings.add("ubl.version", f"version {version} of UBL is not known", root.place)
        PeppolRules(root, findings).judge()
        reference = root.value("OrderReference/ID")
        order = ReadOrder(
            kind=self._kind,
            format="ubl",
            number=root.value("ID") if self._kind is Kind.ORDER else reference,
            document_number=root.value("ID"),
            issue_date=self._day("IssueDate"),
            currency=root.value("DocumentCurrencyCode") or _currency_of(root),
            buyer=_party(root.first("BuyerCustomerParty/Party")),
            seller=_party(root.first("SellerSupplierParty/Party")),
            payment_terms=root.value("PaymentTerms/Note"),
        )
        for note in (*root.all("Note"), *root.all("CancellationNote")):
            if note.stripped:
                order.add_note(note.stripped)
        for code in ("BuyerCustomerParty/SupplierAssignedAccountID", "BuyerCustomerParty/CustomerAssignedAccountID"):
            account = root.value(code)
            if account is not None and account not in order.buyer.codes:
                order.buyer.codes.append(account)
        self._mandatory(order)
        if self._kind is not Kind.CANCELLATION:
            self._commercial(order)
        findings.check()
        order.warnings = findings.warnings
        return order

    def _mandatory(self, order: ReadOrder) -> None:
        name = "ID" if self._kind is Kind.ORDER else "OrderReference/ID"
        if order.number is None:
            self._findings.add("ubl.mandatory", f"{name} is missing", self._root.place)
        if order.issue_date is None and self._root.first("IssueDate") is None:
            self._findings.add("ubl.mandatory", "IssueDate is missing", self._root.place)
        code = self._root.first("OrderTypeCode")
        if code is not None and (code.stripped or "") not in _TYPES:
            self._findings.add("ubl.order_type", f"{code.stripped!r} is no type of order (UNCL 1001)", code.place)
        if self._kind is Kind.CANCELLATION:
            return
        if order.buyer == ReadParty():
            self._findings.add("ubl.mandatory", "BuyerCustomerParty is missing", self._root.place)
        if self._root.first("OrderLine") is None:
            self._findings.add("ubl.mandatory", "there is no OrderLine", self._root.place)

    def _commercial(self, order: ReadOrder) -> None:
        root = self._root
        for delivery in root.all("Delivery"):
            receiver, day = _receiver(delivery), self._delivery_day(delivery)
            if order.delivery is None:
                order.delivery, order.delivery_date = receiver, day
            elif (receiver, day) != (order.delivery, order.delivery_date):
                order.ask("ubl.parts", "the order is to be delivered to several places or days", delivery.place)
        order.allowance, order.charge = self._allowances(root)
        totals = root.first("AnticipatedMonetaryTotal")
        if totals is not None:
            order.line_total = self._number(totals, "LineExtensionAmount")
            order.net_total = self._number(totals, "TaxExclusiveAmount")
            order.payable = self._number(totals, "PayableAmount")
            order.prepaid = self._number(totals, "PrepaidAmount") or _ZERO
            order.rounding = self._number(totals, "PayableRoundingAmount") or _ZERO
        order.tax_total = self._number(root, "TaxTotal/TaxAmount")
        for line in root.all("OrderLine"):
            if len(order.lines) == self._limits.lines:
                self._findings.add("order.lines", f"more than {self._limits.lines:,} lines", line.place)
                break
            item = line.first("LineItem")
            if item is None:
                self._findings.add("ubl.mandatory", "an OrderLine without LineItem", line.place)
            else:
                order.lines.append(self._line(item))
                self._beside(order, order.lines[-1], line, item)
        if self._kind is Kind.REPLACEMENT and any(line.action is not LineAction.ADD for line in order.lines):
            # Lines that say what becomes of them are told apart from those that are not mentioned.
            order.kind = Kind.CHANGE

    def _line(self, item: Node) -> ReadLine:
        quantity, goods = item.first("Quantity"), item.first("Item")
        if quantity is None:
            self._findings.add("ubl.mandatory", "a line without Quantity cannot be delivered", item.place)
        unit = None if quantity is None else quantity.attributes.get("unitCode")
        if quantity is not None and not unit:
            self._findings.add("ubl.unit_code", "Quantity without unitCode", quantity.place)
        line = ReadLine(
            item.value("ID") or "",
            item.place,
            quantity=self._number(item, "Quantity"),
            unit_code=unit,
            amount=self._number(item, "LineExtensionAmount"),
            action=self._action(item),
        )
        base = self._number(item, "Price/BaseQuantity")
        price = self._number(item, "Price/PriceAmount")
        line.price = price if price is None or not base else price / base
        line.allowance, line.charge = self._allowances(item)
        if goods is not None:
            line.name = goods.value("Name") or goods.value("Description")
            line.seller_code = goods.value("SellersItemIdentification/ID")
            line.buyer_code = goods.value("BuyersItemIdentification/ID")
            line.standard_code = goods.value("StandardItemIdentification/ID")
            line.tax_category_code = goods.value("ClassifiedTaxCategory/ID")
            line.tax_percent = self._number(goods, "ClassifiedTaxCategory/Percent")
        if not line.codes and not line.name:
            self._findings.add("ubl.item", "a line without any name or identifier of the product", item.place)
        return line

    def _beside(self, order: ReadOrder, line: ReadLine, outer: Node, item: Node) -> None:
        """What an order line here cannot say becomes a note or a question."""
        for note in (*outer.all("Note"), *item.all("Note")):
            if note.stripped:
                order.add_note(note.stripped, f"line {line.line_id}")
        parts = [self._part(delivery) for delivery in item.all("Delivery")]
        known = order.delivery or ReadParty()
        question = settle(line, parts, [*known.codes, known.name or "", _words(known)], "ubl.parts")
        if question is not None:
            order.questions.append(question)
        if item.first("SubLineItem") is not None:
            order.ask("ubl.sub_line", f"line {line.line_id} is made of parts", item.place)
        base = item.first("Price/BaseQuantity")
        if base is not None:
            order.ask_of_price_unit(line, base.attributes.get("unitCode"), "ubl.price_unit", base.place)

    def _part(self, delivery: Node) -> Part:
        party = _receiver(delivery)
        told = next(iter(party.codes), None) or party.name or _words(party) or None
        return Part(delivery.place, self._number(delivery, "Quantity"), self._delivery_day(delivery), told)

    def _action(self, item: Node) -> LineAction:
        code = item.first("LineStatusCode")
        if code is None:
            return LineAction.ADD
        action = _ACTIONS.get(code.stripped or "")
        if action is None:
            self._findings.add("ubl.line_status", f"line status {code.stripped!r} asks for nothing known", code.place)
            return LineAction.KEEP
        return action

    def _allowances(self, node: Node) -> tuple[Decimal, Decimal]:
        allowance = charge = _ZERO
        for one in node.all("AllowanceCharge"):
            amount = self._number(one, "Amount") or _ZERO
            if one.value("ChargeIndicator") in ("true", "1"):
                charge += amount
            else:
                allowance += amount
        return allowance, charge

    def _number(self, node: Node, path: str) -> Decimal | None:
        found = node.first(path)
        return None if found is None else self._findings.decimal(found.text, "ubl.number", found.place)

    def _day(self, path: str) -> date | None:
        found = self._root.first(path)
        return None if found is None else self._findings.day(found.text, "PEPPOL-COMMON-R030", found.place)

    def _delivery_day(self, delivery: Node) -> date | None:
        for path in ("RequestedDeliveryPeriod/EndDate", "RequestedDeliveryPeriod/StartDate", "LatestDeliveryDate"):
            found = delivery.first(path)
            if found is not None:
                return self._findings.day(found.text, "PEPPOL-COMMON-R030", found.place)
        return None


def _currency_of(root: Node) -> str | None:
    for node in root.walk():
        if "currencyID" in node.attributes:
            return node.attributes["currencyID"]
    return None


def _party(node: Node | None) -> ReadParty:
    if node is None:
        return ReadParty()
    paths = ("PartyIdentification/ID", "EndpointID", "PartyTaxScheme/CompanyID", "PartyLegalEntity/CompanyID")
    codes = [found.stripped for path in paths for found in node.all(path) if found.stripped]
    name = node.value("PartyName/Name") or node.value("PartyLegalEntity/RegistrationName")
    party = ReadParty(list(dict.fromkeys(codes)), name, email=node.value("Contact/ElectronicMail"))
    _place(party, node.first("PostalAddress"))
    return party


def _receiver(delivery: Node) -> ReadParty:
    paths = ("DeliveryLocation/ID", "DeliveryParty/PartyIdentification/ID", "DeliveryLocation/Address/ID")
    codes = [delivery.value(path) for path in paths]
    name = delivery.value("DeliveryParty/PartyName/Name") or delivery.value("DeliveryLocation/Name")
    party = ReadParty([code for code in codes if code], name)
    for path in ("DeliveryLocation/Address", "DeliveryAddress", "DeliveryParty/PostalAddress"):
        found = delivery.first(path)
        if found is not None:
            _place(party, found)
            break
    return party


def _words(party: ReadParty) -> str:
    """An address as one text, to be compared with another."""
    return ", ".join(part for part in (party.street_name, party.postal_zone, party.city_name) if part)


def _place(party: ReadParty, address: Node | None) -> None:
    if address is None:
        return
    names = ("StreetName", "BuildingNumber", "BuildingName", "AdditionalStreetName", "Department", "AddressLine/Line")
    street = [found.stripped for name in names for found in address.all(name)]
    box = address.value("Postbox")
    party.street_name = " ".join([*(part for part in street if part), *([f"PO box {box}"] if box else [])]) or None
    party.city_name = address.value("CityName")
    party.postal_zone = address.value("PostalZone")
    party.country_subentity = address.value("CountrySubentity")
    party.country_code = address.value("Country/IdentificationCode")
