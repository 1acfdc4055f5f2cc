"""UBL 2.1 to 2.4 OrderResponse, DespatchAdvice and InventoryReport. Source: OASIS UBL 2.1, Peppol BIS Ordering 3."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from producers.documents.answers import AnswerKind, ReadAnswer, ReadAnswerLine, moment_of
from producers.documents.limits import Limits
from producers.documents.reasons import Findings
from producers.documents.ubl import NAMESPACE
from producers.documents.xml_tree import Node

KINDS = {
    "OrderResponse": AnswerKind.CONFIRMATION,
    "DespatchAdvice": AnswerKind.DESPATCH,
    "InventoryReport": AnswerKind.STOCK,
}
_SENDERS = {
    "OrderResponse": "SellerSupplierParty",
    "DespatchAdvice": "DespatchSupplierParty",
    "InventoryReport": "InventoryReportingParty",
}
# UNCL 4343, as Peppol's order response uses it; AB only says that the order came.
_RESPONSES = {"AP": "accepted", "CA": None, "RE": "rejected", "AB": None}
# UNCL 1229, as Peppol's order response uses it, and the words of UBL's own code list of line statuses.
_LINE_STATUSES = {
    "1": "accepted",
    "3": "changed",
    "5": "accepted",
    "7": "rejected",
    "Added": "accepted",
    "NoStatus": None,
    "Revised": "changed",
    "Cancelled": "rejected",
    "Disputed": "rejected",
}


def is_answer(root: Node) -> bool:
    """Whether it is one of the three."""
    return root.name in KINDS and root.namespace == f"{NAMESPACE}{root.name}-2"


def read(root: Node, limits: Limits) -> ReadAnswer:
    """The message of a document. Raises RefusedDocument with everything that is wrong."""
    return _Reading(root, limits).read()


class _Reading:
    def __init__(self, root: Node, limits: Limits) -> None:
        self._root = root
        self._limits = limits
        self._findings = Findings()

    def read(self) -> ReadAnswer:
        root = self._root
        answer = ReadAnswer(KINDS[root.name], "ubl", root.place)
        answer.senders = self._senders()
        answer.message_id = self._wanted("ID")
        self._wanted("IssueDate")
        answer.issued_at = self._moment(root, "IssueDate", "IssueTime")
        answer.reason = root.value("Note")
        if answer.kind is AnswerKind.STOCK:
            self._lines(answer, "InventoryReportLine", "Quantity", "")
        else:
            answer.order_number = root.value("OrderReference/ID")
            if answer.kind is AnswerKind.CONFIRMATION:
                self._confirmation(answer)
            else:
                self._despatch(answer)
        self._findings.check()
        return answer

    def _senders(self) -> list[str]:
        role = _SENDERS[self._root.name]
        party = self._root.first(role)
        if party is None:
            self._findings.add("ubl.mandatory", f"{role} is missing", self._root.place)
            return []
        inner = party.first("Party") or party
        paths = ("EndpointID", "PartyIdentification/ID", "PartyLegalEntity/CompanyID")
        found = [node.stripped for path in paths for node in inner.all(path) if node.stripped]
        own = party.value("CustomerAssignedAccountID")
        codes = list(dict.fromkeys([*found, *([own] if own else [])]))
        if not codes:
            self._findings.add("ubl.mandatory", f"{role} has no identification", party.place)
        return codes

    def _confirmation(self, answer: ReadAnswer) -> None:
        code = self._root.first("OrderResponseCode")
        said = None if code is None else code.stripped
        if code is None:
            self._findings.add("ubl.mandatory", "OrderResponseCode is missing", self._root.place)
        elif said not in _RESPONSES:
            self._findings.add("ubl.response_code", f"{said!r} is no answer to an order (UNCL 4343)", code.place)
        else:
            answer.status, answer.is_mere_receipt = _RESPONSES[said], said == "AB"
        if answer.order_number is None:
            self._findings.add("ubl.mandatory", "OrderReference/ID is missing", self._root.place)
        for line in self._counted("OrderLine"):
            item = line.first("LineItem")
            if item is None:
                self._findings.add("ubl.mandatory", "an OrderLine without LineItem", line.place)
            else:
                answer.lines.append(self._line(item, "Quantity", _line_id(line, item)))
        if said == "CA" and not answer.lines:
            self._findings.add("ubl.lines", "the answer is conditional (CA) and no line says how", self._root.place)

    def _despatch(self, answer: ReadAnswer) -> None:
        root = self._root
        answer.despatch_id = answer.message_id
        answer.is_withdrawn = root.value("DocumentStatusCode") in ("Cancelled", "1")
        delivery = "Shipment/Delivery"
        for path in (f"{delivery}/Despatch", "Shipment/ShipmentStage", "Shipment/Consignment"):
            node = root.first(path)
            if node is not None and answer.shipped_at is None:
                answer.shipped_at = self._moment(node, "ActualDespatchDate", "ActualDespatchTime")
        answer.shipped_at = answer.shipped_at or answer.issued_at
        answer.tracking_id = root.value(f"{delivery}/TrackingID") or root.value("Shipment/Consignment/ID")
        for path in (
            f"{delivery}/CarrierParty",
            "Shipment/ShipmentStage/CarrierParty",
            "Shipment/Consignment/CarrierParty",
        ):
            party = root.first(path)
            if party is not None and answer.carrier is None:
                answer.carrier = party.value("PartyIdentification/ID") or party.value("PartyName/Name")
        self._lines(answer, "DespatchLine", "DeliveredQuantity", "OrderLineReference/LineID")
        for line in answer.lines:
            if answer.order_number is None and line.order_number is None:
                self._findings.add("ubl.mandatory", "neither document nor line names the order", line.place)

    def _lines(self, answer: ReadAnswer, name: str, quantity: str, line_id: str) -> None:
        for node in self._counted(name):
            line = self._line(node, quantity, node.value(line_id) if line_id else None)
            line.order_number = node.value("OrderLineReference/OrderReference/ID")
            answer.lines.append(line)
        if not answer.lines and not answer.is_withdrawn:
            self._findings.add("ubl.mandatory", f"there is no {name}", self._root.place)

    def _counted(self, name: str) -> list[Node]:
        found = list(self._root.all(name))
        if len(found) > self._limits.lines:
            self._findings.add(
                "order.lines", f"more than {self._limits.lines:,} lines", found[self._limits.lines].place
            )
        count = self._root.first("LineCountNumeric")
        if count is not None and found and (count.stripped or "").lstrip("0") != str(len(found)):
            self._findings.add(
                "ubl.line_count", f"{count.stripped!r} lines are announced; there are {len(found)}", count.place
            )
        return found[: self._limits.lines]

    def _line(self, node: Node, quantity: str, line_id: str | None) -> ReadAnswerLine:
        amount = node.first(quantity)
        line = ReadAnswerLine(node.place, line_id)
        if amount is not None:
            line.quantity = self._number(amount)
            line.unit_code = amount.attributes.get("unitCode")
            if line.quantity is None and not amount.stripped:
                self._findings.add("ubl.number", f"{quantity} is empty", amount.place)
        code = node.first("LineStatusCode")
        if code is not None and code.stripped not in _LINE_STATUSES:
            self._findings.add("ubl.line_status", f"line status {code.stripped!r} says nothing known", code.place)
        elif code is not None:
            line.status = _LINE_STATUSES[code.stripped or ""]
        line.reason = node.value("Note") or node.value("OutstandingReason")
        line.promised_date = self._promised(node)
        goods = node.first("Item")
        if goods is not None:
            line.buyer_code = goods.value("BuyersItemIdentification/ID")
            line.vendor_code = goods.value("SellersItemIdentification/ID")
        return line

    def _promised(self, node: Node) -> date | None:
        for path in ("PromisedDeliveryPeriod", "RequestedDeliveryPeriod"):
            for end in ("EndDate", "StartDate"):
                found = node.first(f"Delivery/{path}/{end}")
                if found is not None:
                    return self._findings.day(found.text, "ubl.date", found.place)
        return None

    def _number(self, node: Node) -> Decimal | None:
        return self._findings.decimal(node.text, "ubl.number", node.place)

    def _moment(self, node: Node, day: str, clock: str) -> datetime | None:
        found = node.first(day)
        if found is None:
            return None
        said = self._findings.day(found.text, "ubl.date", found.place)
        return moment_of(said, node.value(clock), self._findings, "ubl.date", found.place)

    def _wanted(self, name: str) -> str | None:
        found = self._root.value(name)
        if found is None:
            self._findings.add("ubl.mandatory", f"{name} is missing", self._root.place)
        return found


def _line_id(line: Node, item: Node) -> str | None:
    """Peppol's response has the number of the order line apart from its own."""
    return line.value("OrderLineReference/LineID") or item.value("OrderLineReference/LineID") or item.value("ID")
