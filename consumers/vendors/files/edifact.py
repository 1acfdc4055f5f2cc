"""EDIFACT: ORDRSP and DESADV of D.96A or D.01B in one interchange (ISO 9735, syntax version 3, character set UNOC)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
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
from schemas.models import VendorLine, VendorUpdate

Segment = Sequence[str | Sequence[str]]
"""Tag, then elements; a composite element is a sequence of components."""

_CHARACTER_SET = "iso-8859-1"
_ADVICE = "UNA:+.? '"
_SPECIAL = str.maketrans({letter: f"?{letter}" for letter in "?+:'"})
_MOST_MESSAGES = 999_999
_LARGEST_CONTROL = 99_999_999_999_999
# 1225 message function: 29 accepted without amendment, 4 change, 1 cancellation, 9 original, 5 replace.
_FUNCTION = {CONFIRMATION: "29", CHANGE: "4", CANCELLATION: "1"}
# 1229 action: 1 added, 2 deleted, 3 changed, 5 accepted without amendment.
_ACTION = {ADDED: "1", CHANGED: "3", CANCELLED: "2"}
_ACCEPTED = "5"


def message(update: VendorUpdate, partners: Partners) -> list[Segment]:
    """The segments of one message, without UNH and UNT; its type is `type_of`.

    Raises:
        InvalidValue: a value does not fit its element, or is outside the character set; the rule names the element.
    """
    segments = list(_desadv(update, partners) if update.update_type == SHIPMENT else _ordrsp(update, partners))
    for segment in segments:
        written(segment)
    return segments


def type_of(update: VendorUpdate) -> str:
    """ORDRSP or DESADV."""
    return "DESADV" if update.update_type == SHIPMENT else "ORDRSP"


def rendered(messages: Sequence[tuple[str, list[Segment]]], partners: Partners, envelope: Envelope) -> Rendered:
    """The interchange of messages (type and segments), numbered and counted."""
    files = partners.files
    if not 0 < envelope.control_number <= _LARGEST_CONTROL or len(messages) > _MOST_MESSAGES:
        raise InvalidValue(f"control number {envelope.control_number} does not fit", rule="edifact.0020")
    reference = str(envelope.control_number)
    segments: list[Segment] = [
        [
            "UNB",
            ["UNOC", "3"],
            _identified(files.sender, files.sender_qualifier, "sender"),
            _identified(files.receiver, files.receiver_qualifier, "receiver"),
            [envelope.made_at.strftime("%y%m%d"), envelope.made_at.strftime("%H%M")],
            reference,
            *(["", "", "", "", "", "1"] if files.test else []),
        ]
    ]
    version, release = files.edifact_directory.split(".")
    for number, (kind, body) in enumerate(messages, 1):
        segments.append(["UNH", str(number), [kind, version, release, "UN"]])
        segments += body
        segments.append(["UNT", str(len(body) + 2), str(number)])
    segments.append(["UNZ", str(len(messages)), reference])
    text = "\r\n".join([_ADVICE, *(written(segment) for segment in segments)]) + "\r\n"
    kinds = {kind for kind, _ in messages}
    return Rendered(kinds.pop() if len(kinds) == 1 else "EDIFACT", "edi", text.encode(_CHARACTER_SET))


def written(segment: Segment) -> str:
    """One segment with its separators; what is empty at the end is left out.

    Raises:
        InvalidValue: a letter is outside the character set.
    """
    elements = ["".join(_component(element)) for element in segment]
    while elements and not elements[-1]:
        elements.pop()
    return "+".join(elements) + "'"


def _component(element: str | Sequence[str]) -> str:
    parts = [element] if isinstance(element, str) else list(element)
    while parts and not parts[-1]:
        parts.pop()
    text = ":".join(part.translate(_SPECIAL) for part in parts)
    try:
        text.encode(_CHARACTER_SET)
    except UnicodeEncodeError as exc:
        raise InvalidValue(
            f"{text!r} has letters outside UNOC (ISO 8859-1): {text[exc.start : exc.end]!r}", rule="edifact.UNOC"
        ) from exc
    return text


def _ordrsp(update: VendorUpdate, partners: Partners) -> Iterator[Segment]:
    number = checked(f"{update.order_id}-{update.sequence}", "edifact.1004", "order_id", 35)
    yield ["BGM", "231", number, _FUNCTION[update.update_type], *(["AC"] if update.update_type != CANCELLATION else [])]
    yield _time("137", update.committed_at)
    if update.requested_delivery_date is not None:
        yield _day("2", update.requested_delivery_date)
    yield from _references(update)
    yield from _parties(update, partners)
    for position, line in enumerate(update.lines, 1):
        # After a confirmation every line is accepted as it was ordered.
        accepted = update.update_type == CONFIRMATION
        yield from _line(position, line, partners, _ACCEPTED if accepted else _ACTION.get(line.line_status, "4"))
        yield _quantity("21", line.quantity, line, partners)
        if line.requested_delivery_date is not None:
            yield _day("2", line.requested_delivery_date)
        yield ["RFF", ["LI", checked(line.line_id, "edifact.1154", "line_id", 35)]]
    yield ["UNS", "S"]
    yield ["CNT", ["2", str(len(update.lines))]]


def _desadv(update: VendorUpdate, partners: Partners) -> Iterator[Segment]:
    shipment = shipment_of(update)
    number = checked(shipment.shipment_id, "edifact.1004", "shipment_id", 35)
    yield ["BGM", "351", number, "5" if update.replaces_shipment else "9"]
    yield _time("137", update.committed_at)
    yield _time("11", shipment.shipped_at)
    if shipment.delivered_at is not None:
        yield _time("35", shipment.delivered_at)
    yield from _references(update)
    if shipment.tracking_id:
        yield ["RFF", ["CN", checked(shipment.tracking_id, "edifact.1154", "tracking_id", 35)]]
    yield from _parties(update, partners)
    if shipment.carrier_party_id:
        yield ["TDT", "20", "", "", "", [checked(shipment.carrier_party_id, "edifact.3127", "carrier_party_id", 17)]]
    yield ["CPS", "1"]
    for position, handled in enumerate(shipment.lines, 1):
        line = line_of(update, handled.line_id)
        if line is not None:
            yield from _line(position, line, partners, "")
        else:
            yield ["LIN", str(position)]
        yield _quantity("12", handled.quantity, line, partners)
        order = checked(update.order_id, "edifact.1154", "order_id", 35)
        yield ["RFF", ["ON", order, checked(handled.line_id, "edifact.1156", "line_id", 6)]]
    yield ["CNT", ["2", str(len(shipment.lines))]]


def _references(update: VendorUpdate) -> Iterator[Segment]:
    yield ["RFF", ["ON", checked(update.order_id, "edifact.1154", "order_id", 35)]]
    yield _day("171", update.issue_date)


def _parties(update: VendorUpdate, partners: Partners) -> Iterator[Segment]:
    files = partners.files
    yield ["NAD", "BY", [checked(files.sender, "edifact.3039", "sender", 35), "", "92"]]
    name = pieces(_composed(partners.vendor_name or ""), 35, 5)
    yield ["NAD", "SU", [checked(files.receiver, "edifact.3039", "receiver", 35), "", "92"], "", list(name)]
    address = update.delivery_address
    if address is not None or update.delivery_name:
        street, city, region, postal, country = (
            ("",) * 5
            if address is None
            else (
                address.street_name or "",
                address.city_name or "",
                address.country_subentity or "",
                address.postal_zone or "",
                address.country_code or "",
            )
        )
        yield [
            "NAD",
            "DP",
            "",
            "",
            list(pieces(_composed(update.delivery_name or ""), 35, 5)),
            list(pieces(_composed(street), 35, 4)),
            checked(_composed(city), "edifact.3164", "city_name", 35, shortest=0),
            checked(_composed(region), "edifact.3229", "country_subentity", 9, shortest=0) if len(region) <= 9 else "",
            checked(postal, "edifact.3251", "postal_zone", 9, shortest=0),
            checked(country, "edifact.3207", "country_code", 3, shortest=0),
        ]


def _line(position: int, line: VendorLine, partners: Partners, action: str) -> Iterator[Segment]:
    product = checked(line.product_id, "edifact.7140", "product_id", 35)
    own = partners.item(line.product_id)
    first = [product, "BP"] if own is None else [checked(own, "edifact.7140", "items", 35), "SA"]
    yield ["LIN", str(position), action, first]
    if own is not None:
        yield ["PIA", "1", [product, "BP"]]
    if line.item_name:
        yield ["IMD", "F", "", ["", "", "", *pieces(_composed(line.item_name), 35, 2)]]


def _quantity(qualifier: str, amount: Decimal, line: VendorLine | None, partners: Partners) -> Segment:
    unit = "" if line is None else partners.files.units.get(line.unit_code, line.unit_code)
    fitting = checked(unit, "edifact.6411", "unit_code", 3, shortest=0)
    return ["QTY", [qualifier, quantity(amount, "edifact.6060", 15), fitting]]


def _day(qualifier: str, day: date) -> Segment:
    return ["DTM", [qualifier, day.strftime("%Y%m%d"), "102"]]


def _time(qualifier: str, at: datetime) -> Segment:
    return ["DTM", [qualifier, at.strftime("%Y%m%d%H%M"), "203"]]


def _identified(identification: str, qualifier: str | None, field: str) -> Sequence[str]:
    return [checked(identification, "edifact.0004", field, 35), qualifier or ""]


def _composed(text: str) -> str:
    return spelled(text, _CHARACTER_SET)
