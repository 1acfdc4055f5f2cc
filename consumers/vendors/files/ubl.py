"""UBL 2.1: OrderResponse, OrderChange, OrderCancellation and DespatchAdvice, one document a file.

Elements stand in the sequence of the schemas (OASIS UBL 2.1, prd 2013). We are the customer of the vendor's lines, so
that BuyerCustomerParty is who sends, SellerSupplierParty who receives.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from xml.etree import ElementTree as xml

from consumers.vendors.files.documents import Partners, Rendered, line_of, quantity, shipment_of
from consumers.vendors.views import ADDED, CANCELLATION, CANCELLED, CHANGE, CHANGED, CONFIRMATION, SHIPMENT
from schemas.errors import InvalidValue
from schemas.models import Address, Shipment, VendorLine, VendorUpdate

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
_AGGREGATE = f"{_UBL}CommonAggregateComponents-2"
_BASIC = f"{_UBL}CommonBasicComponents-2"
_LINE_STATUS = {ADDED: "Added", CHANGED: "Revised", CANCELLED: "Cancelled"}
_DIGITS = 19
_ACCEPTED, _REPLACED, _ORIGINAL = "AP", "Revised", "NoStatus"


def rendered(update: VendorUpdate, partners: Partners, made_at: datetime) -> Rendered:
    """The document of one update.

    Raises:
        InvalidValue: a value has no place in XML or in its element.
    """
    kind, fill = _DOCUMENTS[update.update_type]
    root = xml.Element(f"{{{_UBL}{kind}-2}}{kind}")
    fill(_Part(root, partners), update, partners, made_at)
    _require_xml(root)
    for prefix, space in (("", f"{_UBL}{kind}-2"), ("cac", _AGGREGATE), ("cbc", _BASIC)):
        xml.register_namespace(prefix, space)
    return Rendered(kind, "xml", xml.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


class _Part:
    """An element that is being filled, in the order of its schema."""

    def __init__(self, element: xml.Element, partners: Partners) -> None:
        self._element = element
        self.partners = partners

    def text(self, name: str, value: object | None, **attributes: str) -> _Part:
        """A basic component; nothing where there is no value."""
        if value is not None:
            child = xml.SubElement(self._element, f"{{{_BASIC}}}{name}", attributes)
            child.text = value.isoformat() if isinstance(value, date) else str(value)
        return self

    def part(self, name: str) -> _Part:
        """An aggregate component, to be filled next."""
        return _Part(xml.SubElement(self._element, f"{{{_AGGREGATE}}}{name}"), self.partners)


def _head(root: _Part, update: VendorUpdate) -> None:
    root.text("UBLVersionID", "2.1").text("ID", f"{update.order_id}-{update.sequence}")
    root.text("UUID", update.update_id)


def _issued(root: _Part, made_at: datetime) -> None:
    root.text("IssueDate", made_at.date()).text("IssueTime", made_at.strftime("%H:%M:%SZ"))


def _order_response(root: _Part, update: VendorUpdate, partners: Partners, made_at: datetime) -> None:
    _head(root, update)
    _issued(root, made_at)
    root.text("OrderResponseCode", _ACCEPTED).text("LineCountNumeric", len(update.lines))
    _order_reference(root, update)
    _seller(root, partners)
    _buyer(root, partners)
    _delivery(root, update)
    for line in update.lines:
        _order_line(root, line, None)


def _order_change(root: _Part, update: VendorUpdate, partners: Partners, made_at: datetime) -> None:
    _head(root, update)
    _issued(root, made_at)
    root.text("SequenceNumberID", update.sequence).text("LineCountNumeric", len(update.lines))
    _order_reference(root, update)
    _buyer(root, partners)
    _seller(root, partners)
    _delivery(root, update)
    for line in update.lines:
        _order_line(root, line, _LINE_STATUS.get(line.line_status, "NoStatus"))


def _order_cancellation(root: _Part, update: VendorUpdate, partners: Partners, made_at: datetime) -> None:
    _head(root, update)
    _issued(root, made_at)
    lines = ", ".join(line.line_id for line in update.lines)
    root.text("CancellationNote", f"The order is {update.order_status}; lines {lines} are not wanted any more")
    _order_reference(root, update)
    _buyer(root, partners)
    _seller(root, partners)


def _despatch_advice(root: _Part, update: VendorUpdate, partners: Partners, made_at: datetime) -> None:
    shipment = shipment_of(update)
    root.text("UBLVersionID", "2.1").text("ID", shipment.shipment_id).text("UUID", update.update_id)
    _issued(root, made_at)
    root.text("DocumentStatusCode", _REPLACED if update.replaces_shipment else _ORIGINAL)
    root.text("LineCountNumeric", len(shipment.lines))
    _order_reference(root, update)
    _party(root.part("DespatchSupplierParty"), partners.files.receiver, partners.vendor_name)
    receiver = root.part("DeliveryCustomerParty")
    if update.delivery_name:
        receiver.part("Party").part("PartyName").text("Name", update.delivery_name)
    else:
        _party(receiver, partners.files.sender, None)
    _shipment(root.part("Shipment"), shipment, update.delivery_address)
    for number, handled in enumerate(shipment.lines, 1):
        line = line_of(update, handled.line_id)
        unit = _unit(line, root.partners)
        part = root.part("DespatchLine").text("ID", number)
        part.text("DeliveredQuantity", quantity(handled.quantity, "ubl.DeliveredQuantity", _DIGITS), **unit)
        part.part("OrderLineReference").text("LineID", handled.line_id)
        _item(part.part("Item"), line)


def _order_reference(root: _Part, update: VendorUpdate) -> None:
    root.part("OrderReference").text("ID", update.order_id).text("IssueDate", update.issue_date)


def _buyer(root: _Part, partners: Partners) -> None:
    _party(root.part("BuyerCustomerParty"), partners.files.sender, None)


def _seller(root: _Part, partners: Partners) -> None:
    _party(root.part("SellerSupplierParty"), partners.files.receiver, partners.vendor_name)


def _party(role: _Part, identification: str, name: str | None) -> None:
    party = role.part("Party")
    party.part("PartyIdentification").text("ID", identification)
    if name:
        party.part("PartyName").text("Name", name)


def _delivery(root: _Part, update: VendorUpdate) -> None:
    if update.delivery_address is None and update.requested_delivery_date is None:
        return
    delivery = root.part("Delivery")
    _address(delivery, update.delivery_address)
    if update.requested_delivery_date is not None:
        delivery.part("RequestedDeliveryPeriod").text("EndDate", update.requested_delivery_date)
    if update.delivery_name:
        delivery.part("DeliveryParty").part("PartyName").text("Name", update.delivery_name)


def _address(delivery: _Part, address: Address | None) -> None:
    if address is None:
        return
    part = delivery.part("DeliveryAddress").text("StreetName", address.street_name)
    part.text("CityName", address.city_name).text("PostalZone", address.postal_zone)
    part.text("CountrySubentity", address.country_subentity)
    if address.country_code:
        part.part("Country").text("IdentificationCode", address.country_code)


def _order_line(root: _Part, line: VendorLine, status: str | None) -> None:
    item = root.part("OrderLine").part("LineItem").text("ID", line.line_id).text("LineStatusCode", status)
    item.text("Quantity", quantity(line.quantity, "ubl.Quantity", _DIGITS), **_unit(line, root.partners))
    if line.requested_delivery_date is not None:
        delivery = item.part("Delivery")
        delivery.part("RequestedDeliveryPeriod").text("EndDate", line.requested_delivery_date)
    _item(item.part("Item"), line)


def _shipment(part: _Part, shipment: Shipment, address: Address | None) -> None:
    part.text("ID", shipment.shipment_id)
    delivery = part.part("Delivery")
    if shipment.delivered_at is not None:
        delivery.text("ActualDeliveryDate", shipment.delivered_at.date())
    delivery.text("TrackingID", shipment.tracking_id)
    _address(delivery, address)
    if shipment.carrier_party_id:
        carrier = delivery.part("CarrierParty")
        carrier.part("PartyIdentification").text("ID", shipment.carrier_party_id)
    delivery.part("Despatch").text("ActualDespatchDate", shipment.shipped_at.date())


def _item(item: _Part, line: VendorLine | None) -> None:
    if line is None:
        return
    item.text("Name", line.item_name)
    item.part("BuyersItemIdentification").text("ID", line.product_id)
    own = item.partners.item(line.product_id)
    if own is not None:
        item.part("SellersItemIdentification").text("ID", own)


def _unit(line: VendorLine | None, partners: Partners) -> dict[str, str]:
    return {} if line is None else {"unitCode": partners.files.units.get(line.unit_code, line.unit_code)}


def _require_xml(root: xml.Element) -> None:
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        text = element.text
        if text is None and not len(element) and name != "Item":
            raise InvalidValue(f"{name} is empty", rule=f"ubl.{name}", field=name)
        if text is not None and (not text or any(not _is_xml(letter) for letter in text)):
            raise InvalidValue(f"{name} {text!r} cannot stand in XML 1.0", rule=f"ubl.{name}", field=name)


def _is_xml(letter: str) -> bool:
    code = ord(letter)
    return code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


_Filling = Callable[[_Part, VendorUpdate, Partners, datetime], None]
_DOCUMENTS: dict[str, tuple[str, _Filling]] = {
    CONFIRMATION: ("OrderResponse", _order_response),
    CHANGE: ("OrderChange", _order_change),
    CANCELLATION: ("OrderCancellation", _order_cancellation),
    SHIPMENT: ("DespatchAdvice", _despatch_advice),
}
