"""Files of UBL, EDIFACT and X12: whole, counted, numbered without gaps, and refused where a value has no place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest
from pydifact.segmentcollection import Interchange as ParsedInterchange

from consumers.vendors.files.batches import FiledBatch, Queued, file_batch, require_workable
from consumers.vendors.files.documents import Partners
from consumers.vendors.files.worker import is_due, write_file
from consumers.vendors.profiles import Files
from schemas.errors import ConfigurationError
from schemas.models import Address, VendorUpdate
from tests.unit.vendor_lives import ACME, line, shipment, told_of, version

NOW = datetime(2026, 11, 21, 15, 4, tzinfo=UTC)
LIFE = told_of(
    version(1, [line(1), line(2)]),
    version(2, [line(1, ACME, 7)], [shipment(1, (1, 3), tracking_id="TR 1", delivered_at=NOW)]),
    version(3, [line(1, ACME, 7)], [shipment(1, (1, 4))]),
    version(4, [line(1)], [shipment(1, (1, 4))], status="cancelled"),
)


def partners(form: str, **more: Any) -> Partners:
    values = {"format": form, "directory": Path("/nowhere"), "sender": "4012345000009", "receiver": "ACME"}
    return Partners(Files.model_validate(values | more), ACME, "Acme & Söhne GmbH")


def filed(form: str, updates: Sequence[VendorUpdate] = LIFE, last: int = 0, **more: Any) -> FiledBatch:
    return file_batch([Queued(number, one) for number, one in enumerate(updates)], partners(form, **more), last, NOW)


def refusal(form: str, update: VendorUpdate, **more: Any) -> str:
    batch = filed(form, [update], **more)
    assert batch.interchanges == [] and batch.filed == []
    ((delivery_id, problem),) = batch.refused
    assert delivery_id == 0
    return problem.rule


def changed(update: VendorUpdate = LIFE[0], **values: Any) -> VendorUpdate:
    return update.model_copy(update=values)


def with_line(**values: Any) -> VendorUpdate:
    return changed(lines=[LIFE[0].lines[0].model_copy(update=values)])


def with_shipment(**values: Any) -> VendorUpdate:
    return changed(LIFE[2], shipments=[LIFE[2].shipments[0].model_copy(update=values)], **_subject(values))


def _subject(values: dict[str, Any]) -> dict[str, Any]:
    return {"shipment_id": values["shipment_id"]} if "shipment_id" in values else {}


# The sequence of the elements in the schemas of UBL 2.1, of those that are written here, and how often they stand.
UBL: dict[str, list[tuple[str, str]]] = {
    "OrderResponse": [
        ("UBLVersionID", "?"), ("ID", "1"), ("UUID", "?"), ("IssueDate", "1"), ("IssueTime", "?"),
        ("OrderResponseCode", "?"), ("LineCountNumeric", "?"), ("OrderReference", "+"), ("SellerSupplierParty", "1"),
        ("BuyerCustomerParty", "1"), ("Delivery", "*"), ("OrderLine", "*"),
    ],
    "OrderChange": [
        ("UBLVersionID", "?"), ("ID", "1"), ("UUID", "?"), ("IssueDate", "1"), ("IssueTime", "?"),
        ("SequenceNumberID", "1"), ("LineCountNumeric", "?"), ("OrderReference", "1"), ("BuyerCustomerParty", "1"),
        ("SellerSupplierParty", "1"), ("Delivery", "*"), ("OrderLine", "+"),
    ],
    "OrderCancellation": [
        ("UBLVersionID", "?"), ("ID", "1"), ("UUID", "?"), ("IssueDate", "1"), ("IssueTime", "?"),
        ("CancellationNote", "+"), ("OrderReference", "+"), ("BuyerCustomerParty", "1"), ("SellerSupplierParty", "1"),
    ],
    "DespatchAdvice": [
        ("UBLVersionID", "?"), ("ID", "1"), ("UUID", "?"), ("IssueDate", "1"), ("IssueTime", "?"),
        ("DocumentStatusCode", "?"), ("LineCountNumeric", "?"), ("OrderReference", "*"),
        ("DespatchSupplierParty", "1"), ("DeliveryCustomerParty", "1"), ("Shipment", "?"), ("DespatchLine", "+"),
    ],
    "OrderReference": [("ID", "1"), ("IssueDate", "?")],
    "SellerSupplierParty": [("Party", "?")],
    "BuyerCustomerParty": [("Party", "?")],
    "DespatchSupplierParty": [("Party", "?")],
    "DeliveryCustomerParty": [("Party", "?")],
    "Party": [("PartyIdentification", "*"), ("PartyName", "*")],
    "DeliveryParty": [("PartyIdentification", "*"), ("PartyName", "*")],
    "CarrierParty": [("PartyIdentification", "*"), ("PartyName", "*")],
    "PartyIdentification": [("ID", "1")],
    "PartyName": [("Name", "1")],
    "Delivery": [
        ("ActualDeliveryDate", "?"), ("TrackingID", "?"), ("DeliveryAddress", "?"), ("RequestedDeliveryPeriod", "?"),
        ("CarrierParty", "?"), ("DeliveryParty", "?"), ("Despatch", "?"),
    ],
    "DeliveryAddress": [
        ("StreetName", "?"), ("CityName", "?"), ("PostalZone", "?"), ("CountrySubentity", "?"), ("Country", "?"),
    ],
    "Country": [("IdentificationCode", "?")],
    "RequestedDeliveryPeriod": [("EndDate", "?")],
    "Despatch": [("ActualDespatchDate", "?")],
    "OrderLine": [("LineItem", "1")],
    "LineItem": [("ID", "1"), ("LineStatusCode", "?"), ("Quantity", "?"), ("Delivery", "*"), ("Item", "1")],
    "Item": [("Name", "?"), ("BuyersItemIdentification", "?"), ("SellersItemIdentification", "?")],
    "BuyersItemIdentification": [("ID", "1")],
    "SellersItemIdentification": [("ID", "1")],
    "Shipment": [("ID", "1"), ("Delivery", "?")],
    "DespatchLine": [("ID", "1"), ("DeliveredQuantity", "?"), ("OrderLineReference", "+"), ("Item", "1")],
    "OrderLineReference": [("LineID", "1")],
}  # fmt: skip
LEAST = {"1": 1, "+": 1, "?": 0, "*": 0}
MOST = {"1": 1, "?": 1, "+": 999, "*": 999}


def local(element: xml.Element) -> str:
    return element.tag.rpartition("}")[2]


def require_ubl(element: xml.Element) -> None:
    """Every element stands in the sequence and as often as its schema wants."""
    names = [local(child) for child in element]
    if local(element) not in UBL:
        assert not names and element.text, local(element)
        return
    declared = UBL[local(element)]
    order = [name for name, _ in declared]
    assert names == sorted(names, key=order.index), f"{local(element)}: {names}"
    for name, often in declared:
        assert LEAST[often] <= names.count(name) <= MOST[often], f"{local(element)}/{name}"
    for child in element:
        require_ubl(child)


def test_ubl_documents_are_what_their_schemas_want() -> None:
    batch = filed("ubl", items={"P-00008": "AC-8"}, units={"C62": "H87"})
    roots = [xml.fromstring(one.file.content) for one in batch.interchanges]
    kinds = ["OrderResponse", "OrderChange", "DespatchAdvice", "DespatchAdvice", "OrderCancellation"]
    assert [local(root) for root in roots] == kinds
    for root in roots:
        require_ubl(root)
    found = [(local(one), one.text) for one in roots[1].iter() if local(one) in ("LineStatusCode", "Quantity")]
    assert found == [
        ("LineStatusCode", "Revised"), ("Quantity", "7"), ("LineStatusCode", "Cancelled"), ("Quantity", "5"),
    ]  # fmt: skip
    assert [root.findtext("{*}DocumentStatusCode") for root in roots[2:4]] == ["NoStatus", "Revised"]
    assert all(one.get("unitCode") == "H87" for root in roots for one in root.iter() if "Quantity" in local(one))
    names = [one.file_name for one in batch.interchanges]
    assert names[:2] == ["000000001-OrderResponse.xml", "000000002-OrderChange.xml"]


@pytest.mark.filterwarnings("ignore::pydifact.exceptions.MissingImplementationWarning")
@pytest.mark.parametrize("directory", ["D.96A", "D.01B"])
def test_edifact_is_read_back_by_another_reader(directory: str) -> None:
    odd = changed(lines=[LIFE[0].lines[0].model_copy(update={"item_name": "5' + 3: what? Ĺódź, Œuvre"})])
    batch = filed("edifact", [odd, *LIFE[1:]], 41, edifact_directory=directory, sender_qualifier="14", test=True)
    (one,) = batch.interchanges
    assert one.file_name == "000000042-EDIFACT.edi"
    read = ParsedInterchange.from_str(one.file.content.decode("iso-8859-1"))
    assert (read.control_reference, read.sender) == ("42", ["4012345000009", "14"])
    messages = list(read.get_messages())
    version, release = directory.split(".")
    assert [message.identifier[:3] for message in messages] == [
        [kind, version, release] for kind in ("ORDRSP", "ORDRSP", "DESADV", "DESADV", "ORDRSP")
    ]
    functions = [segment.elements[2] for message in messages for segment in message.get_segments("BGM")]
    assert functions == ["29", "4", "9", "5", "1"]
    names = [segment.elements[2][3] for segment in messages[0].get_segments("IMD")]
    assert names == ["5' + 3: what? Lódz, OEuvre"]
    actions = [segment.elements[1] for message in messages for segment in message.get_segments("LIN")]
    assert actions == ["5", "3", "2", "", "", "2"]


def test_edifact_counts_its_segments_and_messages() -> None:
    (one,) = filed("edifact").interchanges
    lines = one.file.content.decode("iso-8859-1").splitlines()
    assert lines[0] == "UNA:+.? '"
    starts = [number for number, text in enumerate(lines) if text.startswith("UNH")]
    ends = [number for number, text in enumerate(lines) if text.startswith("UNT")]
    told = [lines[end] for end in ends]
    assert told == [f"UNT+{end - start + 1}+{n}'" for n, (start, end) in enumerate(zip(starts, ends, strict=True), 1)]
    assert lines[-1] == "UNZ+5+1'"


def x12_segments(content: bytes) -> list[list[str]]:
    """As a receiver does it: the separators are where ISA has them."""
    text = content.decode("ascii")
    element, end = text[3], text[105]
    return [part.strip().split(element) for part in text.split(end) if part.strip()]


def test_x12_is_counted_and_numbered_as_its_envelope_says() -> None:
    batch = filed("x12", last=7, items={"P-00008": "AC-8"})
    assert [one.file_name for one in batch.interchanges] == [
        "000000008-855.x12",
        "000000009-856.x12",
        "000000010-855.x12",
    ]
    for one in batch.interchanges:
        segments = x12_segments(one.file.content)
        assert len(one.file.content.split(b"~")[0]) == 105
        isa, group = segments[0], segments[1]
        assert isa[13] == f"{one.control_number:09d}" and int(group[6]) == one.control_number
        starts = [number for number, segment in enumerate(segments) if segment[0] == "ST"]
        ends = [number for number, segment in enumerate(segments) if segment[0] == "SE"]
        for start, end in zip(starts, ends, strict=True):
            assert segments[end][1:] == [str(end - start + 1), segments[start][2]]
        assert segments[-2] == ["GE", str(len(starts)), group[6]] and segments[-1] == ["IEA", "1", isa[13]]
        assert group[1] == {"855": "PR", "856": "SH"}[one.file.kind]


def test_x12_ship_notices_have_a_tree_of_levels() -> None:
    parcel = told_of(version(1, [line(1), line(2)], [shipment(1, (1, 1), (2, 2))]))[1:]
    segments = x12_segments(filed("x12", parcel).interchanges[0].file.content)
    assert [segment[1:4] for segment in segments if segment[0] == "HL"] == [
        ["1", "", "S"], ["2", "1", "O"], ["3", "2", "I"], ["4", "2", "I"],
    ]  # fmt: skip
    assert ["SN1", "", "2", "EA"] in segments and ["CTT", "4"] in segments


def test_x12_says_what_became_of_each_line() -> None:
    segments = [x12_segments(one.file.content) for one in filed("x12").interchanges]
    states = [[segment[1] for segment in found if segment[0] == "ACK"] for found in segments]
    assert states == [["IA", "IA", "IC", "ID"], [], ["ID"]]
    purposes = [segment[1:3] for found in segments for segment in found if segment[0] == "BAK"]
    assert purposes == [["00", "AD"], ["04", "AC"], ["01", "RD"]]


LONG = "x" * 50
REFUSED = [
    ("edifact", changed(order_id=LONG), "edifact.1004"),
    ("edifact", changed(order_id="crm:数"), "edifact.UNOC"),
    ("edifact", with_line(product_id=LONG), "edifact.7140"),
    ("edifact", with_line(unit_code="PIECE"), "edifact.6411"),
    ("edifact", with_line(item_name="数据"), "edifact.UNOC"),
    ("edifact", with_line(line_id=LONG), "edifact.1154"),
    ("edifact", with_line(quantity=Decimal("1234567890.1234567")), "edifact.6060"),
    ("edifact", with_line(line_id="1\n2"), "edifact.1154"),
    ("edifact", changed(delivery_address=Address(city_name=LONG)), "edifact.3164"),
    ("edifact", changed(delivery_address=Address(postal_zone="1234567890")), "edifact.3251"),
    ("edifact", with_shipment(shipment_id=LONG), "edifact.1004"),
    ("edifact", with_shipment(tracking_id=LONG), "edifact.1154"),
    ("edifact", with_shipment(carrier_party_id=LONG), "edifact.3127"),
    ("edifact", changed(LIFE[2], shipment_id="S9"), "invalid_message"),
    ("x12", changed(order_id=LONG), "x12.BAK03"),
    ("x12", changed(order_id="crm:a*b"), "x12.BAK03"),
    ("x12", changed(order_id="crm:é"), "x12.BAK03"),
    ("x12", with_line(product_id=LONG), "x12.234"),
    ("x12", with_line(product_id="A~B"), "x12.PO107"),
    ("x12", with_line(unit_code="KWH"), "x12.355"),
    ("x12", with_line(line_id="1" * 21), "x12.PO101"),
    ("x12", with_line(quantity=Decimal("12345678901")), "x12.PO102"),
    ("x12", with_line(item_name="数据"), "x12.PID05"),
    ("x12", changed(delivery_address=Address(city_name=LONG)), "x12.N401"),
    ("x12", with_shipment(shipment_id="S"), "x12.BSN02"),
    ("x12", with_shipment(tracking_id=LONG), "x12.REF02"),
    ("x12", with_shipment(carrier_party_id=LONG), "x12.TD505"),
    ("x12", changed(LIFE[2], lines=[]), "x12.LIN"),
    ("ubl", with_line(product_id="a\x00b"), "ubl.ID"),
    ("ubl", with_line(item_name="\ufffe"), "ubl.Name"),
    ("ubl", with_line(quantity=Decimal("1" * 20)), "ubl.Quantity"),
    ("ubl", changed(order_id=""), "ubl.ID"),
    ("ubl", changed(LIFE[2], shipment_id=None), "invalid_message"),
]


@pytest.mark.parametrize(("form", "update", "rule"), REFUSED)
def test_what_has_no_place_is_refused_by_its_rule(form: str, update: VendorUpdate, rule: str) -> None:
    assert refusal(form, update).startswith(rule)


@pytest.mark.parametrize("form", ["ubl", "edifact", "x12"])
def test_one_that_is_refused_leaves_no_gap_and_stops_nobody(form: str) -> None:
    bad = changed(order_id="crm:\x00")
    batch = filed(form, [bad, LIFE[0], bad, LIFE[2], bad], 5)
    assert [delivery_id for delivery_id, _ in batch.refused] == [0, 2, 4]
    assert batch.filed == [1, 3]
    numbers = [one.control_number for one in batch.interchanges]
    assert numbers == list(range(6, 6 + len(numbers))) and numbers
    assert filed(form, [bad]).interchanges == []


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("x12", {"sender": "1234567890123456"}),
        ("x12", {"receiver": "ÄCME"}),
        ("x12", {"sender_qualifier": "14A"}),
        ("edifact", {"receiver": "数"}),
    ],
)
def test_partners_whose_names_do_not_fit_are_refused_at_the_start(form: str, values: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"vendors\.V-ACME\.files"):
        require_workable(partners(form, **values), NOW)


def test_files_are_due_at_their_times_of_day() -> None:
    twice = partners("ubl", at=(time(6), time(18))).files
    for filed_hour, hour, due in ((5, 5, False), (5, 6, True), (6, 17, False), (6, 18, True), (19, 23, False)):
        assert is_due(twice, NOW.replace(hour=filed_hour), NOW.replace(hour=hour)) is due
    assert is_due(twice, NOW.replace(hour=17), NOW.replace(hour=1) + timedelta(days=1))
    assert is_due(partners("ubl").files, NOW, NOW)


def test_a_file_appears_whole_and_a_second_time_the_same(tmp_path: Path) -> None:
    path = tmp_path / "000000001-855.x12"
    (tmp_path / ".000000001-855.x12.part").write_bytes(b"left by one that was killed, and longer")
    for _ in range(2):
        write_file(path, b"content")
        assert path.read_bytes() == b"content"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
