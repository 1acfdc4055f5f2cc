"""What vendors send as UBL, EDIFACT and X12: our own files are read back, and broken ones refused by their rule."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from producers.api.store import Changes
from producers.documents.answers import AnswerKind, ReadAnswer
from producers.documents.limits import Limits
from producers.documents.reading import Reader
from producers.documents.source import Source
from schemas.attributes import OrderId, ProductId, VendorId
from schemas.codec import TopicCodec
from schemas.models import VendorAnswered, VendorStock
from schemas.topics import VENDOR_ANSWERS, VENDOR_STOCK
from tests.unit.document_desk import DocumentDesk
from tests.unit.order_samples import order_state
from tests.unit.test_api_intake import SCHEMAS, STATES
from tests.unit.test_vendor_files import LIFE, NOW, filed

VENDORS = {"4012345000009": {"vendor": "V-ACME", "items": {"A-1": "shop:P1"}}, "ACME": {"vendor": "V-ACME"}}
SOURCE = Source.model_validate(
    {"name": "edi", "kind": "folder", "path": "/nowhere", "system": "shop", "vendors": VENDORS}
)
ORDER = OrderId("shop:4711")
_UBL = "urn:oasis:names:specification:ubl:schema:xsd"
_SPACES = f'xmlns:cac="{_UBL}:CommonAggregateComponents-2" xmlns:cbc="{_UBL}:CommonBasicComponents-2"'
_SELLER = (
    "<cac:SellerSupplierParty><cac:Party><cbc:EndpointID>ACME</cbc:EndpointID></cac:Party></cac:SellerSupplierParty>"
)


def ubl_response(code: str = "CA", lines: str = "", order: str = "4711") -> str:
    """As Peppol BIS Ordering 3 has it."""
    body = lines or (
        "<cac:OrderLine><cac:LineItem><cbc:ID>1</cbc:ID><cbc:Note>one pallet is late</cbc:Note>"
        "<cbc:LineStatusCode>3</cbc:LineStatusCode><cbc:Quantity unitCode='C62'>4</cbc:Quantity><cac:Delivery>"
        "<cac:PromisedDeliveryPeriod><cbc:StartDate>2026-12-01</cbc:StartDate></cac:PromisedDeliveryPeriod>"
        "</cac:Delivery><cac:Item><cbc:Name>Chai</cbc:Name></cac:Item></cac:LineItem></cac:OrderLine>"
        "<cac:OrderLine><cac:LineItem><cbc:ID>2</cbc:ID><cbc:LineStatusCode>7</cbc:LineStatusCode>"
        "<cac:Item/></cac:LineItem></cac:OrderLine>"
    )
    return (
        f'<OrderResponse xmlns="{_UBL}:OrderResponse-2" {_SPACES}><cbc:ID>OR-1</cbc:ID>'
        "<cbc:IssueDate>2026-11-21</cbc:IssueDate><cbc:IssueTime>09:30:00+01:00</cbc:IssueTime>"
        f"<cbc:OrderResponseCode>{code}</cbc:OrderResponseCode><cac:OrderReference><cbc:ID>{order}</cbc:ID>"
        f"</cac:OrderReference>{_SELLER}{body}</OrderResponse>"
    )


def ubl_despatch(lines: str = "", status: str = "") -> str:
    """A dispatch advice; `status` may take it back."""
    body = lines or (
        "<cac:DespatchLine><cbc:ID>1</cbc:ID><cbc:DeliveredQuantity unitCode='EA'>3</cbc:DeliveredQuantity>"
        "<cac:OrderLineReference><cbc:LineID>1</cbc:LineID></cac:OrderLineReference><cac:Item/></cac:DespatchLine>"
    )
    party = "<cac:DespatchSupplierParty><cac:Party><cac:PartyIdentification><cbc:ID>ACME</cbc:ID>"
    return (
        f'<DespatchAdvice xmlns="{_UBL}:DespatchAdvice-2" {_SPACES}><cbc:ID>DA-1</cbc:ID>'
        f"<cbc:IssueDate>2026-11-21</cbc:IssueDate><cbc:IssueTime>17:05:00Z</cbc:IssueTime>{status}"
        "<cac:OrderReference><cbc:ID>4711</cbc:ID></cac:OrderReference>"
        f"{party}</cac:PartyIdentification></cac:Party></cac:DespatchSupplierParty>"
        "<cac:Shipment><cbc:ID>S</cbc:ID><cac:Delivery><cbc:TrackingID>TR1</cbc:TrackingID><cac:Despatch>"
        "<cbc:ActualDespatchDate>2026-11-21</cbc:ActualDespatchDate></cac:Despatch></cac:Delivery></cac:Shipment>"
        f"{body}</DespatchAdvice>"
    )


def ubl_inventory(quantity: str = "120", code: str = "A-1", unit: str = "C62") -> str:
    """A stock report with the vendor's own number of the product."""
    party = "<cac:InventoryReportingParty><cac:PartyIdentification><cbc:ID>4012345000009</cbc:ID>"
    return (
        f'<InventoryReport xmlns="{_UBL}:InventoryReport-2" {_SPACES}><cbc:ID>IR-1</cbc:ID>'
        f"<cbc:IssueDate>2026-11-21</cbc:IssueDate>{party}</cac:PartyIdentification></cac:InventoryReportingParty>"
        f"<cac:InventoryReportLine><cbc:ID>1</cbc:ID><cbc:Quantity unitCode='{unit}'>{quantity}</cbc:Quantity>"
        f"<cac:Item><cac:SellersItemIdentification><cbc:ID>{code}</cbc:ID></cac:SellersItemIdentification></cac:Item>"
        "</cac:InventoryReportLine></InventoryReport>"
    )


ORDRSP = (
    "UNB+UNOC:3+ACME:14+4012345000009:14+261121:0930+55'UNH+1+ORDRSP:D:96A:UN'BGM+231+OR-1+4'"
    "DTM+137:202611210930:203'RFF+ON:4711'NAD+SU+ACME::92'LIN+1+3'PIA+5+P-1:SA'QTY+21:5'QTY+113:4:PCE'"
    "DTM+69:20261201:102'FTX+AAI+++late'RFF+LI:1'LIN+2+7'QTY+21:5'RFF+LI:2'UNS+S'CNT+2:2'UNT+18+1'UNZ+1+55'"
)
DESADV = (
    "UNB+UNOC:3+ACME:14+4012345000009:14+261121:1705+56'UNH+1+DESADV:D:96A:UN'BGM+351+DA-1+9'"
    "DTM+137:202611211705:203'DTM+11:20261121:102'RFF+ON:4711'RFF+CN:TR1'TDT+20++++DHL'CPS+1'LIN+1'"
    "QTY+12:3:PCE'RFF+ON:4711:1'CNT+2:1'UNT+13+1'UNZ+1+56'"
)
_ISA = "ISA*00*          *00*          *ZZ*ACME           *14*4012345000009  *261121*0930*U*00401*000000055*0*P*>~"
X855 = (
    f"{_ISA}GS*PR*ACME*US*20261121*0930*55*X*004010~ST*855*0001~BAK*00*AC*4711*20261120****OR-1*20261121~"
    "PO1*1*5*EA***BP*shop:P1~ACK*IQ*4*EA*067*20261201~PO1*2*5*EA***BP*shop:P2~ACK*IR~CTT*2~SE*8*0001~"
    "GE*1*55~IEA*1*000000055~"
)
X856 = (
    f"{_ISA}GS*SH*ACME*US*20261121*0930*55*X*004010~ST*856*0001~BSN*00*DA-1*20261121*1705*0004~HL*1**S*1~"
    "TD5*O****DHL~REF*CN*TR1~DTM*011*20261121*1700~HL*2*1*O*1~PRF*4711***20261120~HL*3*2*I*0~LIN*1*BP*shop:P1~"
    "SN1**3*EA~CTT*3~SE*13*0001~GE*1*55~IEA*1*000000055~"
)


def read(content: str | bytes) -> list[ReadAnswer]:
    raw = content.encode() if isinstance(content, str) else content
    readings = Reader(SOURCE, Limits()).read_any(raw)
    assert readings.problems == [] and readings.orders == []
    return readings.answers


@pytest.mark.parametrize("content", [ubl_response(), ORDRSP, X855], ids=["ubl", "edifact", "x12"])
def test_a_confirmation_says_the_same_in_every_form(content: str) -> None:
    [answer] = read(content)
    assert (answer.kind, answer.order_number, answer.message_id) == (AnswerKind.CONFIRMATION, "4711", "OR-1")
    first, second = answer.lines
    assert (first.line_id, first.status, first.quantity) == ("1", "changed", Decimal(4))
    assert str(first.promised_date) == "2026-12-01"
    assert (second.line_id, second.status) == ("2", "rejected")
    assert answer.issued_at is not None and answer.issued_at.date().isoformat() == "2026-11-21"


@pytest.mark.parametrize("content", [ubl_despatch(), DESADV, X856], ids=["ubl", "edifact", "x12"])
def test_a_dispatch_advice_says_the_same_in_every_form(content: str) -> None:
    [answer] = read(content)
    assert (answer.kind, answer.despatch_id, answer.tracking_id) == (AnswerKind.DESPATCH, "DA-1", "TR1")
    [line] = answer.lines
    assert (line.line_id, line.quantity, line.order_number or answer.order_number) == ("1", Decimal(3), "4711")
    assert answer.shipped_at is not None and answer.shipped_at.date().isoformat() == "2026-11-21"


@pytest.mark.parametrize("form", ["ubl", "edifact", "x12"])
def test_what_our_own_files_say_is_read_back(form: str) -> None:
    confirmation = LIFE[0]
    shipments = [one for one in LIFE if one.update_type == "shipment"]
    for update in [confirmation, *shipments]:
        [interchange] = filed(form, [update]).interchanges
        [answer] = read(interchange.file.content)
        numbers = {line.order_number or answer.order_number for line in answer.lines}
        assert numbers == {update.order_id}
        if update is confirmation:
            assert {line.line_id: line.quantity for line in answer.lines} == {
                line.line_id: line.quantity for line in update.lines
            }
            assert {line.status or answer.status for line in answer.lines} == {"accepted"}
            continue
        [told] = [one for one in update.shipments if one.shipment_id == update.shipment_id]
        assert (answer.despatch_id, answer.carrier, answer.tracking_id) == (
            told.shipment_id,
            told.carrier_party_id,
            told.tracking_id,
        )
        assert [(line.line_id, line.quantity) for line in answer.lines] == [
            (line.line_id, line.quantity) for line in told.lines
        ]
        assert answer.shipped_at is not None and answer.shipped_at.date() == told.shipped_at.date()
    assert NOW.year == 2026


BROKEN: list[tuple[str, str, str]] = [
    ("no number", ubl_response().replace("<cbc:ID>OR-1</cbc:ID>", ""), "ubl.mandatory"),
    ("no order", ubl_response(order=""), "ubl.mandatory"),
    ("no date", ubl_response().replace("<cbc:IssueDate>2026-11-21</cbc:IssueDate>", ""), "ubl.mandatory"),
    ("no such day", ubl_response().replace("2026-11-21", "2026-02-30"), "ubl.date"),
    ("no such time", ubl_response().replace("09:30:00+01:00", "25:00:00"), "ubl.date"),
    ("of another age", ubl_response().replace("2026-11-21", "1999-01-01"), "ubl.date"),
    ("unknown code", ubl_response("XX"), "ubl.response_code"),
    ("unknown line status", ubl_response().replace(">3<", ">99<"), "ubl.line_status"),
    ("no quantity in it", ubl_response().replace(">4<", "><"), "ubl.number"),
    ("no number at all", ubl_response().replace(">4<", ">four<"), "ubl.number"),
    ("an exponent", ubl_response().replace(">4<", ">4e9<"), "ubl.number"),
    ("nobody sends it", ubl_response().replace("<cbc:EndpointID>ACME</cbc:EndpointID>", ""), "ubl.mandatory"),
    ("no line of it", ubl_despatch("<cac:Note/>"), "ubl.mandatory"),
    ("conditional without lines", ubl_response(lines="<cac:Note/>"), "ubl.lines"),
    ("a document type", "<!DOCTYPE a [<!ENTITY b 'c'>]>" + ubl_response(), "xml.doctype"),
    ("cut off", ubl_response()[:-20], "xml.well_formed"),
    (
        "counted wrongly",
        ubl_despatch().replace("<cac:Shipment>", "<cbc:LineCountNumeric>2</cbc:LineCountNumeric><cac:Shipment>"),
        "ubl.line_count",
    ),
    ("unknown function", ORDRSP.replace("OR-1+4'", "OR-1+99'"), "edifact.purpose"),
    ("unknown action", ORDRSP.replace("LIN+2+7", "LIN+2+88"), "edifact.line_action"),
    ("no order in it", ORDRSP.replace("RFF+ON:4711'", "").replace("UNT+18", "UNT+17"), "edifact.order"),
    ("no date in it", ORDRSP.replace("DTM+137:202611210930:203'", "").replace("UNT+18", "UNT+17"), "edifact.date"),
    ("another format", ORDRSP.replace(":203'", ":715'"), "edifact.date"),
    ("lines counted wrongly", ORDRSP.replace("CNT+2:2", "CNT+2:3"), "edifact.cnt_lines"),
    ("segments counted wrongly", ORDRSP.replace("UNT+18", "UNT+17"), "edifact.unt_count"),
    ("a quantity of nothing", DESADV.replace("QTY+12:3:PCE", "QTY+12::PCE"), "edifact.number"),
    ("no number of a dispatch", DESADV.replace("DA-1", ""), "edifact.number"),
    ("a purpose of nobody", DESADV.replace("DA-1+9", "DA-1+77"), "edifact.purpose"),
    ("no lines", DESADV.replace("LIN+1'QTY+12:3:PCE'RFF+ON:4711:1'CNT+2:1'UNT+13", "UNT+9"), "edifact.lines"),
    ("unknown type", X855.replace("BAK*00*AC", "BAK*00*ZZ"), "x12.acknowledgment"),
    ("unknown purpose", X855.replace("BAK*00*AC", "BAK*77*AC"), "x12.purpose"),
    ("no order number", X855.replace("*4711*", "**"), "x12.number"),
    ("unknown status", X855.replace("ACK*IR", "ACK*QQ"), "x12.line_status"),
    ("two words about one line", X855.replace("ACK*IR~", "ACK*IR~ACK*IA~").replace("SE*8", "SE*9"), "x12.ack_repeated"),
    ("no such day in it", X855.replace("*OR-1*20261121", "*OR-1*20261341"), "x12.date"),
    ("lines announced", X855.replace("CTT*2", "CTT*7"), "x12.ctt_lines"),
    ("a line before the order", X856.replace("PRF*4711***20261120~", "").replace("SE*13", "SE*12"), "x12.order"),
    ("no quantity", X856.replace("SN1**3*EA~", "").replace("SE*13", "SE*12"), "x12.number"),
    ("no shipment number", X856.replace("BSN*00*DA-1", "BSN*00*"), "x12.number"),
    ("levels announced", X856.replace("CTT*3", "CTT*9"), "x12.ctt_lines"),
    ("a wrong beginning", X856.replace("BSN*00*DA-1*20261121*1705*0004~", "").replace("SE*13", "SE*12"), "x12.begin"),
    ("an hour of nobody", X856.replace("*1705*0004", "*9905*0004"), "x12.date"),
]


@pytest.mark.parametrize(("content", "rule"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_what_is_broken_is_refused_by_its_rule(content: str, rule: str) -> None:
    readings = Reader(SOURCE, Limits()).read_any(content.encode())
    assert readings.answers == [] and readings.orders == []
    reasons = [reason for problem in readings.problems for reason in problem.reasons]
    assert rule in {reason.rule for reason in reasons}
    assert all(reason.place and reason.message for reason in reasons)


def test_without_vendors_a_source_takes_no_answers() -> None:
    source = SOURCE.model_copy(update={"vendors": {}})
    for content in (ubl_response(), ORDRSP, X855):
        readings = Reader(source, Limits()).read_any(content.encode())
        assert readings.answers == [] and len(readings.problems) == 1


class AnswerDesk(DocumentDesk):
    """Knows an order of which the vendor supplies lines 1 and 2 of three."""

    def knows_order(self) -> None:
        state = order_state(3)
        assert state.order is not None and state.enrichment is not None
        lines, enriched = [], []
        for number, (line, more) in enumerate(zip(state.order.order_lines, state.enrichment.lines, strict=True), 1):
            goods = {"product_id": ProductId(f"shop:P{number}"), "unit_code": "C62", "quantity": Decimal(5)}
            lines.append(line.model_copy(update={"line_id": str(number)} | goods))
            vendor = VendorId("V-ACME" if number < 3 else "V-BOLT")
            enriched.append(more.model_copy(update={"line_id": str(number), "vendor_id": vendor}))
        order = state.order.model_copy(update={"order_id": ORDER, "order_lines": lines})
        enrichment = state.enrichment.model_copy(update={"lines": enriched})
        changes = Changes()
        known = {"order_id": ORDER, "order": order, "enrichment": enrichment}
        changes.state(ORDER, STATES.encode(state.model_copy(update=known)))
        self.store.write(changes)

    def answers(self) -> list[VendorAnswered]:
        codec = TopicCodec(VENDOR_ANSWERS, VendorAnswered, SCHEMAS)
        return [codec.decode(value) for topic, _, value in self.log.records if topic == VENDOR_ANSWERS]

    def refused(self, content: str) -> list[str]:
        outcome = self.outcome(content)
        assert outcome.outcome == "refused" and outcome.reasons
        return [reason.partition(" ")[0] for reason in outcome.reasons]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[AnswerDesk]:
    made = AnswerDesk(tmp_path, vendors=VENDORS)
    made.knows_order()
    yield made
    made.close()


@pytest.mark.parametrize("content", [ubl_response(), ORDRSP, X855], ids=["ubl", "edifact", "x12"])
def test_a_confirmation_becomes_one_event_of_the_order(desk: AnswerDesk, content: str) -> None:
    assert desk.outcome(content).outcome == "accepted"
    [event] = desk.answers()
    assert (event.order_id, event.source.system) == (ORDER, "vendor.V-ACME")
    assert event.answer is not None
    assert [(line.line_id, line.line_status, line.quantity) for line in event.answer.lines] == [
        ("1", "changed", Decimal(4)),
        ("2", "rejected", None),
    ]
    desk.take(content, "again")
    assert len(desk.answers()) == 1, "the same document is one message"


@pytest.mark.parametrize("content", [ubl_despatch(), DESADV, X856], ids=["ubl", "edifact", "x12"])
def test_a_dispatch_becomes_one_event_of_the_order(desk: AnswerDesk, content: str) -> None:
    assert desk.outcome(content).outcome == "accepted"
    [event] = desk.answers()
    assert event.answer is not None and event.answer.despatch is not None
    assert [(line.line_id, line.quantity) for line in event.answer.despatch.lines] == [("1", Decimal(3))]


def test_parts_of_one_line_in_several_packages_are_added_up(desk: AnswerDesk) -> None:
    line = "LIN+1'QTY+12:3:PCE'RFF+ON:4711:1'"
    content = DESADV.replace(line, line + line.replace("12:3", "12:1")).replace("CNT+2:1'UNT+13", "CNT+2:2'UNT+16")
    assert desk.outcome(content).outcome == "accepted"
    [event] = desk.answers()
    assert event.answer is not None and event.answer.despatch is not None
    assert [(line.line_id, line.quantity) for line in event.answer.despatch.lines] == [("1", Decimal(4))]


def test_a_word_about_the_whole_order_is_said_of_the_vendors_own_lines(desk: AnswerDesk) -> None:
    assert desk.outcome(ubl_response("AP", lines="<cac:Note/>")).outcome == "accepted"
    [event] = desk.answers()
    assert event.answer is not None
    assert [(line.line_id, line.line_status) for line in event.answer.lines] == [("1", "accepted"), ("2", "accepted")]


def test_a_receipt_answers_nothing(desk: AnswerDesk) -> None:
    assert desk.outcome(ubl_response("AB")).outcome == "unchanged"
    assert desk.answers() == []


def test_a_dispatch_is_taken_back(desk: AnswerDesk) -> None:
    content = ubl_despatch(status="<cbc:DocumentStatusCode>Cancelled</cbc:DocumentStatusCode>")
    assert desk.outcome(content).outcome == "accepted"
    [event] = desk.answers()
    assert event.answer is not None and event.answer.despatch is not None and event.answer.despatch.is_withdrawn


def test_stock_is_told_by_the_vendors_own_number_of_the_product(desk: AnswerDesk) -> None:
    assert desk.outcome(ubl_inventory()).outcome == "accepted"
    [(topic, key, value)] = desk.log.records
    assert (topic, key) == (VENDOR_STOCK, b"V-ACME:shop:P1")
    assert TopicCodec(VENDOR_STOCK, VendorStock, SCHEMAS).decode(value).available_quantity == 120


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (ubl_response().replace(">ACME<", ">NOBODY<"), "answer.sender"),
        (ORDRSP.replace("+ACME:14+", "+NOBODY:14+"), "answer.sender"),
        (X855.replace("*ACME  ", "*EVE   "), "answer.sender"),
        (ubl_response(order="9999"), "order.unknown"),
        (ubl_response(order="crm:4711"), "order.unknown"),
        (ORDRSP.replace("RFF+LI:2'", "RFF+LI:3'"), "answer.vendor_lines"),
        (DESADV.replace("4711:1'", "4711:3'"), "answer.vendor_lines"),
        (X856.replace("LIN*1*", "LIN*77*"), "answer.vendor_lines"),
        (X856.replace("LIN*1*BP*shop:P1", "LIN*1*BP*shop:P2"), "answer.product"),
        (X856.replace("3*EA", "3*CA"), "answer.unit"),
        (DESADV.replace("QTY+12:3", "QTY+12:0"), "answer.quantity"),
        (DESADV.replace("QTY+12:3", "QTY+12:-3"), "answer.quantity"),
        (ubl_despatch().replace("DA-1", "D" * 100_000), "answer.identity"),
        (ORDRSP.replace("RFF+LI:2'", "RFF+LI:1'"), "answer.line_ids_unique"),
        (ubl_inventory(code="A-99"), "answer.product"),
        (ubl_inventory(quantity="-1"), "answer.quantity"),
        (ubl_inventory(unit="??"), "answer.unit"),
        (ubl_inventory(quantity="9" * 17), "decimal"),
        (X855.replace("*0*P*>", "*0*T*>"), "document.test"),
    ],
)
def test_what_may_not_be_taken_is_refused_and_nothing_is_written(desk: AnswerDesk, content: str, rule: str) -> None:
    assert desk.refused(content) == [rule]
    assert desk.log.records == []
