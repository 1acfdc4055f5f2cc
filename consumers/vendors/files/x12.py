"""X12 004010: 855 Purchase Order Acknowledgment and 856 Ship Notice, one functional group in an interchange."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from consumers.vendors.files.documents import (
    Envelope,
    Partners,
    Rendered,
    checked,
    line_of,
    pieces,
    quantity,
    shipment_of,
    spelled,
)
from consumers.vendors.views import ADDED, CANCELLATION, CANCELLED, CHANGE, CHANGED, CONFIRMATION, SHIPMENT
from schemas.errors import InvalidValue
from schemas.models import Address, VendorLine, VendorUpdate

_ELEMENT, _COMPONENT, _SEGMENT = "*", ">", "~"
_LARGEST_CONTROL = 999_999_999
_MOST_SETS = 9_999
_GROUPS = {"855": "PR", "856": "SH"}
# BAK01 purpose: 00 original, 04 change, 01 cancellation; BAK02: AD no change, AC with change, RD reject with detail.
_PURPOSE = {CONFIRMATION: ("00", "AD"), CHANGE: ("04", "AC"), CANCELLATION: ("01", "RD")}
# ACK01: IA accepted, IC accepted with changes, ID deleted.
_LINE_STATUS = {CHANGED: "IC", ADDED: "IA", CANCELLED: "ID"}
UNITS = {
    "C62": "EA",
    "H87": "EA",
    "EA": "EA",
    "KGM": "KG",
    "GRM": "GR",
    "TNE": "MP",
    "LTR": "LT",
    "MTR": "MR",
    "XBX": "BX",
    "BX": "BX",
    "XCT": "CT",
    "XPK": "PK",
    "DZN": "DZ",
    "SET": "ST",
}
"""UN/ECE Rec 20 units as X12 has them in element 355; a profile adds others."""


def message(update: VendorUpdate, partners: Partners) -> list[Sequence[str]]:
    """The segments of one transaction set, without ST and SE.

    Raises:
        InvalidValue: a value does not fit its element; the rule names it.
    """
    segments = list(
        _ship_notice(update, partners) if update.update_type == SHIPMENT else _acknowledge(update, partners)
    )
    for segment in segments:
        _written(segment)
    return segments


def type_of(update: VendorUpdate) -> str:
    """855 or 856."""
    return "856" if update.update_type == SHIPMENT else "855"


def rendered(kind: str, sets: Sequence[list[Sequence[str]]], partners: Partners, envelope: Envelope) -> Rendered:
    """The interchange of transaction sets of one kind; group and interchange have the same number."""
    files, number = partners.files, envelope.control_number
    if not 0 < number <= _LARGEST_CONTROL or len(sets) > _MOST_SETS:
        raise InvalidValue(f"control number {number} does not fit", rule="x12.ISA13")
    sender = checked(files.sender, "x12.ISA06", "sender", 15)
    receiver = checked(files.receiver, "x12.ISA08", "receiver", 15)
    made = envelope.made_at
    usage = "T" if files.test else "P"
    header = [
        "ISA", "00", " " * 10, "00", " " * 10,
        checked(files.sender_qualifier or "ZZ", "x12.ISA05", "sender_qualifier", 2, shortest=2), sender.ljust(15),
        checked(files.receiver_qualifier or "ZZ", "x12.ISA07", "receiver_qualifier", 2, shortest=2),
        receiver.ljust(15), made.strftime("%y%m%d"), made.strftime("%H%M"), "U", "00401", f"{number:09d}", "0", usage,
    ]  # fmt: skip
    day, clock = made.strftime("%Y%m%d"), made.strftime("%H%M")
    segments: list[Sequence[str]] = [["GS", _GROUPS[kind], sender, receiver, day, clock, str(number), "X", "004010"]]
    for position, body in enumerate(sets, 1):
        segments.append(["ST", kind, f"{position:04d}"])
        segments += body
        segments.append(["SE", str(len(body) + 2), f"{position:04d}"])
    segments += [["GE", str(len(sets)), str(number)], ["IEA", "1", f"{number:09d}"]]
    first = _ELEMENT.join(header) + _ELEMENT + _COMPONENT + _SEGMENT
    for text in (sender, receiver):
        _require_plain(text, "ISA")
    lines = [first, *(_written(segment) + _SEGMENT for segment in segments)]
    return Rendered(kind, "x12", ("\n".join(lines) + "\n").encode("ascii"))


def _written(segment: Sequence[str]) -> str:
    elements = list(segment)
    while elements and not elements[-1]:
        elements.pop()
    for position, element in enumerate(elements[1:], 1):
        _require_plain(element, f"{elements[0]}{position:02d}")
    return _ELEMENT.join(elements)


def _require_plain(text: str, element: str) -> None:
    wrong = sorted({letter for letter in text if not letter.isascii() or letter in (_ELEMENT, _COMPONENT, _SEGMENT)})
    if wrong:
        raise InvalidValue(
            f"{text!r} has {' '.join(wrong)}, which X12 cannot carry in {element}", rule=f"x12.{element}", field=element
        )


def _acknowledge(update: VendorUpdate, partners: Partners) -> Iterator[Sequence[str]]:
    purpose, kind = _PURPOSE[update.update_type]
    order = checked(update.order_id, "x12.BAK03", "order_id", 22)
    reference = checked(f"{update.order_id}-{update.sequence}", "x12.BAK08", "order_id", 30)
    yield ["BAK", purpose, kind, order, _day(update.issue_date), "", "", "", reference, _day(update.committed_at)]
    if update.requested_delivery_date is not None:
        yield ["DTM", "002", _day(update.requested_delivery_date)]
    yield from _party("BY", "", partners.files.sender, None)
    yield from _party("SE", partners.vendor_name or "", partners.files.receiver, None)
    if update.delivery_name or update.delivery_address is not None:
        yield from _party("ST", update.delivery_name or "", None, update.delivery_address)
    for line in update.lines:
        ordered, unit = _measured(line.quantity, line, partners, "PO102")
        number = checked(line.line_id, "x12.PO101", "line_id", 20)
        yield ["PO1", number, ordered, unit, "", "", *_products(line, partners)]
        if line.item_name:
            yield ["PID", "F", "", "", "", *pieces(_words(line.item_name), 80, 1)]
        status = "IA" if update.update_type == CONFIRMATION else _LINE_STATUS.get(line.line_status, "IA")
        wanted = line.requested_delivery_date
        yield ["ACK", status, ordered, unit, *(["002", _day(wanted)] if wanted is not None else [])]
    yield ["CTT", str(len(update.lines))]


def _ship_notice(update: VendorUpdate, partners: Partners) -> Iterator[Sequence[str]]:
    shipment = shipment_of(update)
    number = checked(shipment.shipment_id, "x12.BSN02", "shipment_id", 30, shortest=2)
    told = update.committed_at
    yield ["BSN", "05" if update.replaces_shipment else "00", number, _day(told), told.strftime("%H%M%S"), "0004"]
    yield ["HL", "1", "", "S", "1"]
    if shipment.carrier_party_id:
        yield ["TD5", "O", "", "", "", checked(shipment.carrier_party_id, "x12.TD505", "carrier_party_id", 35)]
    if shipment.tracking_id:
        yield ["REF", "CN", checked(shipment.tracking_id, "x12.REF02", "tracking_id", 30)]
    yield ["DTM", "011", _day(shipment.shipped_at), shipment.shipped_at.strftime("%H%M")]
    if shipment.delivered_at is not None:
        yield ["DTM", "035", _day(shipment.delivered_at), shipment.delivered_at.strftime("%H%M")]
    yield from _party("SF", partners.vendor_name or "", partners.files.receiver, None)
    if update.delivery_name or update.delivery_address is not None:
        yield from _party("ST", update.delivery_name or "", None, update.delivery_address)
    yield ["HL", "2", "1", "O", "1"]
    yield ["PRF", checked(update.order_id, "x12.PRF01", "order_id", 22), "", "", _day(update.issue_date)]
    for position, handled in enumerate(shipment.lines, 3):
        line = line_of(update, handled.line_id)
        if line is None:
            raise InvalidValue(f"line {handled.line_id} of the shipment is not told any more", rule="x12.LIN")
        yield ["HL", str(position), "2", "I", "0"]
        yield ["LIN", checked(line.line_id, "x12.LIN01", "line_id", 20), *_products(line, partners)]
        yield ["SN1", "", *_measured(handled.quantity, line, partners, "SN102")]
    yield ["CTT", str(len(shipment.lines) + 2)]


def _party(role: str, name: str, identification: str | None, address: Address | None) -> Iterator[Sequence[str]]:
    own = (
        [] if identification is None else ["92", checked(identification, "x12.N104", "identification", 80, shortest=2)]
    )
    yield ["N1", role, checked(_words(name), "x12.N102", "name", 60, shortest=0), *own]
    if address is None:
        return
    if address.street_name:
        yield ["N3", *pieces(_words(address.street_name), 55, 2)]
    city = checked(_words(address.city_name or ""), "x12.N401", "city_name", 30, shortest=0)
    region = address.country_subentity or ""
    postal = checked(address.postal_zone or "", "x12.N403", "postal_zone", 15, shortest=0)
    country = checked(address.country_code or "", "x12.N404", "country_code", 3, shortest=0)
    if city or postal or country:
        # N402 takes codes of states and provinces only.
        yield ["N4", city, region if len(region) == 2 else "", postal, country]


def _products(line: VendorLine, partners: Partners) -> list[str]:
    own = partners.item(line.product_id)
    found = ["BP", checked(line.product_id, "x12.234", "product_id", 48)]
    return found if own is None else [*found, "VP", checked(own, "x12.234", "items", 48)]


def _measured(amount: Decimal, line: VendorLine, partners: Partners, element: str) -> tuple[str, str]:
    unit = partners.files.units.get(line.unit_code) or UNITS.get(line.unit_code, line.unit_code)
    return quantity(amount, f"x12.{element}", 10), checked(unit, "x12.355", "unit_code", 2, shortest=2)


def _day(day: date) -> str:
    return day.strftime("%Y%m%d")


def _words(text: str) -> str:
    return spelled(text, "ascii", _ELEMENT + _COMPONENT + _SEGMENT)
