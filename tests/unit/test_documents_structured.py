"""Orders in UBL, Order-X, EDIFACT, X12 and tables: all say the same, and what is broken is named with its place."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from producers.documents.drafting import Drafting
from producers.documents.identification import no_alias
from producers.documents.limits import Limits
from producers.documents.order import Kind, LineAction, ReadOrder
from producers.documents.reading import Reader, Readings, media_of
from producers.documents.reasons import RefusedDocument
from producers.documents.source import Source
from tests.unit import document_samples as samples

_REAL = Path(__file__).parents[2].parent / "shared" / "data" / "documents"
LIMITS = Limits()


def reader(tmp_path: Path, limits: Limits = LIMITS) -> Reader:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(samples.CSV_MAPPING)
    return Reader(source(mapping=mapping), limits)


def source(**changes: object) -> Source:
    told: dict[str, object] = {"name": "edi", "kind": "folder", "path": "/nowhere", "system": "shop"}
    return Source.model_validate(told | changes)


def read(content: bytes | str, tmp_path: Path, limits: Limits = LIMITS) -> Readings:
    return reader(tmp_path, limits).read(content.encode() if isinstance(content, str) else content)


def one(content: bytes | str, tmp_path: Path) -> ReadOrder:
    readings = read(content, tmp_path)
    assert not readings.problems, readings.problems
    [order] = readings.orders
    return order


def lines_of(order: ReadOrder) -> list[tuple[str, str, str, str]]:
    draft = Drafting(order, source(), samples.masters(), no_alias).draft()
    assert draft.order is not None and not draft.doubts, draft.doubts
    return [(line.product_id, line.quantity, line.unit_code, line.price_amount) for line in draft.order.order_lines]


TWO_LINES = [("shop:P1", "12", "C62", "18"), ("shop:P2", "2", "C62", "21.5")]


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (samples.ubl_order().encode(), "xml"),
        (samples.ubl_order().replace("UTF-8", "UTF-16").encode("utf-16"), "xml"),
        (samples.edifact_order(), "edifact"),
        (b"\xef\xbb\xbf" + samples.edifact_order(), "edifact"),
        (samples.edifact_order(newlines=False), "edifact"),
        (samples.edifact_order(una="UNA:+,? '", separators=":+,?'"), "edifact"),
        (samples.edifact_order(una="UNA#|.! ~", separators="#|.!~", newlines=False), "edifact"),
        (samples.edifact_order(una="UNA\x1f\x1d.? \x1c", separators="\x1f\x1d.?\x1c", newlines=False), "edifact"),
        (samples.x12_order(), "x12"),
        (samples.x12_order("|"), "x12"),
        (samples.x12_order("^", "'", newlines=False), "x12"),
        (samples.x12_order("*", "\n", newlines=False), "x12"),
        (samples.x12_order("\x1d", "\x1c", newlines=False), "x12"),
    ],
)
def test_each_form_says_the_same_order(content: bytes, media: str, tmp_path: Path) -> None:
    assert media_of(content) == media
    order = one(content, tmp_path)
    assert (order.kind, order.currency, str(order.issue_date)) == (Kind.ORDER, "EUR", "2026-11-20")
    assert (str(order.delivery_date), order.delivery is None or order.delivery.postal_zone) in (
        ("2026-12-03", "68306"),
        ("2026-12-03", True),
    )
    assert lines_of(order) == TWO_LINES


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.4"])
def test_every_version_of_ubl_is_read(version: str, tmp_path: Path) -> None:
    told = f"<cbc:UBLVersionID>{version}</cbc:UBLVersionID><cbc:CustomizationID>"
    assert one(samples.ubl_order().replace("<cbc:CustomizationID>", told, 1), tmp_path).number == "PO-4711"


def test_totals_discounts_and_charges_of_a_ubl_order_reach_the_order(tmp_path: Path) -> None:
    draft = Drafting(one(samples.ubl_order(), tmp_path), source(), samples.masters(), no_alias).draft()
    assert draft.order is not None and draft.order_id is not None
    order = draft.order.as_order(draft.order_id, "placed")
    assert (order.order_id, order.customer_reference, order.buyer_customer_party_id) == (
        "shop:PO-4711",
        "PO-4711",
        "shop:C1",
    )
    assert (order.line_extension_amount, order.charge_total_amount) == (Decimal("249.00"), Decimal("5.00"))
    assert (order.tax_amount, order.payable_amount) == (Decimal("48.26"), Decimal("302.26"))
    assert sum(line.allowance_total_amount for line in order.order_lines) == Decimal("10.00")


@pytest.mark.parametrize("content", [samples.ubl_change(), samples.edifact_change(), samples.x12_change()])
def test_each_form_says_the_same_change(content: bytes | str, tmp_path: Path) -> None:
    order = one(content, tmp_path)
    assert order.kind is Kind.CHANGE and order.number is not None and order.number.startswith("PO-471")
    assert [(line.line_id, line.action) for line in order.lines] == [
        ("1", LineAction.CHANGE),
        ("2", LineAction.DELETE),
        ("3", LineAction.ADD),
    ]
    assert (order.lines[0].quantity, order.lines[2].quantity) == (10, 5)


def test_a_cancellation_names_its_order(tmp_path: Path) -> None:
    order = one(samples.ubl_cancellation(), tmp_path)
    assert (order.kind, order.number, order.note) == (Kind.CANCELLATION, "PO-4711", "Closed")
    edifact = samples.edifact_order().replace(b"+PO-4712+9'", b"+PO-4712+1'")
    assert one(edifact, tmp_path).kind is Kind.CANCELLATION
    assert one(samples.x12_order().replace(b"BEG*00", b"BEG*01"), tmp_path).kind is Kind.CANCELLATION


def test_rows_of_one_number_are_one_order(tmp_path: Path) -> None:
    first, second = read(samples.CSV_ORDER, tmp_path).orders
    assert lines_of(first) == TWO_LINES
    assert lines_of(second) == [("shop:P3", "1000", "C62", "2.4")]


@pytest.mark.skipif(not _REAL.exists(), reason="the real documents are not there")
def test_real_documents_are_read(tmp_path: Path) -> None:
    found = {
        path.name: read(path.read_bytes(), tmp_path) for path in _REAL.iterdir() if path.suffix in (".edi", ".xml")
    }
    edifact, x12 = found["edifact-orders.edi"], found["x12-850.edi"]
    assert [line.standard_code for line in edifact.orders[0].lines] == ["5020436373085", "5020436373108"]
    assert [(order.number, len(order.lines), order.is_test) for order in x12.orders] == [
        ("740150", 10, True),
        ("740151", 11, True),
    ]
    assert x12.orders[0].lines[0].quantity == 13200 and x12.orders[0].lines[0].unit_code == "FTK"
    [order] = found["order-x-comfort.xml"].orders
    assert (order.number, order.payable, len(order.lines)) == ("PO123456789", Decimal("360.00"), 3)
    assert not any(reading.problems for reading in found.values())


@pytest.mark.skipif(not _REAL.exists(), reason="the real documents are not there")
def test_the_order_inside_a_pdf_comes_first(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    readings = read((_REAL / "order-x-comfort.pdf").read_bytes(), tmp_path)
    assert (readings.media, readings.orders[0].number) == ("pdf/order-x", "PO123456789")


_UBL = samples.ubl_order()
_LINE = samples.ubl_line("1", "12", "18.00", "216.00", "P1", "Chai")
_AMOUNT = '<cbc:Amount currencyID="EUR">10.00</cbc:Amount>'
# Each row: what is replaced in a sound document, by what, and the rule that has to be named.
_BROKEN_UBL: list[tuple[str, str, str]] = [
    ("bis:order_only:3", "bis:billing:3", "PEPPOL-T01-R031"),
    ("trns:order:3", "trns:order_response:3", "PEPPOL-T01-R034"),
    ('<cbc:TaxAmount currencyID="EUR">', '<cbc:TaxAmount currencyID="USD">', "PEPPOL-T01-R003"),
    ('<cbc:PayableAmount currencyID="EUR">', '<cbc:PayableAmount currencyID="SEK">', "PEPPOL-T01-R003"),
    (">302.26</cbc:PayableAmount>", ">302.261</cbc:PayableAmount>", "PEPPOL-T01-R028"),
    (">302.26</cbc:PayableAmount>", ">-302.26</cbc:PayableAmount>", "PEPPOL-T01-R006"),
    (">259.00</cbc:LineExtensionAmount>", ">-259.00</cbc:LineExtensionAmount>", "PEPPOL-T01-R007"),
    (">259.00</cbc:LineExtensionAmount>", ">260.00</cbc:LineExtensionAmount>", "PEPPOL-T01-R008"),
    (">10.00</cbc:AllowanceTotalAmount>", ">11.00</cbc:AllowanceTotalAmount>", "PEPPOL-T01-R009"),
    (">5.00</cbc:ChargeTotalAmount>", ">6.00</cbc:ChargeTotalAmount>", "PEPPOL-T01-R010"),
    (">254.00</cbc:TaxExclusiveAmount>", ">255.00</cbc:TaxExclusiveAmount>", "PEPPOL-T01-R011"),
    (">302.26</cbc:PayableAmount>", ">302.27</cbc:PayableAmount>", "PEPPOL-T01-R016"),
    (">48.26</cbc:TaxAmount>", ">48.00</cbc:TaxAmount>", "PEPPOL-T01-R017"),
    (_AMOUNT, f"<cbc:MultiplierFactorNumeric>5</cbc:MultiplierFactorNumeric>{_AMOUNT}", "PEPPOL-T01-R020"),
    (_AMOUNT, f"{_AMOUNT}<cbc:BaseAmount>200</cbc:BaseAmount>", "PEPPOL-T01-R021"),
    (
        _AMOUNT,
        f"<cbc:MultiplierFactorNumeric>4</cbc:MultiplierFactorNumeric>{_AMOUNT}<cbc:BaseAmount>200</cbc:BaseAmount>",
        "PEPPOL-T01-R022",
    ),
    ("<cbc:AllowanceChargeReason>Loyal</cbc:AllowanceChargeReason>", "", "PEPPOL-T01-R023"),
    (_AMOUNT, _AMOUNT.replace("10.00", "-10.00"), "PEPPOL-T01-R032"),
    ("<cbc:Percent>19</cbc:Percent>", "", "PEPPOL-T01-R029"),
    ("<cbc:Percent>19</cbc:Percent>", "<cbc:Percent>0</cbc:Percent>", "PEPPOL-T01-R030"),
    (">216.00</cbc:LineExtensionAmount>", ">216.03</cbc:LineExtensionAmount>", "PEPPOL-T01-R024"),
    ("</cbc:PriceAmount>", "</cbc:PriceAmount><cbc:BaseQuantity>0</cbc:BaseQuantity>", "PEPPOL-T01-R025"),
    ("<cbc:ID>2</cbc:ID>", "<cbc:ID>1</cbc:ID>", "PEPPOL-T01-R001"),
    ('unitCode="C62">12<', 'unitCode="C62">-12<', "PEPPOL-T01-R004"),
    (">18.00</cbc:PriceAmount>", ">-18.00</cbc:PriceAmount>", "PEPPOL-T01-R005"),
    (
        "</cbc:PriceAmount>",
        "</cbc:PriceAmount><cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator><cbc:Amount>1</cbc:Amount>"
        "<cbc:BaseAmount>18</cbc:BaseAmount></cac:AllowanceCharge>",
        "PEPPOL-T01-R019",
    ),
    (
        "</cbc:PriceAmount>",
        "</cbc:PriceAmount><cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator><cbc:Amount>-36</cbc:Amount>"
        "<cbc:BaseAmount>-18</cbc:BaseAmount></cac:AllowanceCharge>",
        "PEPPOL-T01-R027",
    ),
    (
        "</cbc:PriceAmount>",
        "</cbc:PriceAmount><cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator><cbc:Amount>-1</cbc:Amount>"
        "</cac:AllowanceCharge>",
        "PEPPOL-T01-R033",
    ),
    (
        "<cac:SellerSupplierParty>",
        "<cac:OriginatorCustomerParty><cac:Party/></cac:OriginatorCustomerParty><cac:SellerSupplierParty>",
        "PEPPOL-T01-R014",
    ),
    ("<cbc:IssueDate>2026-11-20", "<cbc:IssueDate>20.11.2026", "PEPPOL-COMMON-R030"),
    ("<cbc:IssueDate>2026-11-20", "<cbc:IssueDate>2026-02-30", "PEPPOL-COMMON-R030"),
    ("<cbc:EndDate>2026-12-31", "<cbc:EndDate>2026-12", "PEPPOL-COMMON-R030"),
    ("4006381333931", "4006381333932", "PEPPOL-COMMON-R040"),
    ("<cbc:ID>PO-4711</cbc:ID>", "", "ubl.mandatory"),
    ("<cbc:IssueDate>2026-11-20</cbc:IssueDate>", "", "ubl.mandatory"),
    (f"{_LINE}", "<cac:OrderLine/>", "ubl.mandatory"),
    ('<cbc:Quantity unitCode="C62">12</cbc:Quantity>', "", "ubl.mandatory"),
    ('<cbc:Quantity unitCode="C62">12<', "<cbc:Quantity>12<", "ubl.unit_code"),
    (">12</cbc:Quantity>", ">a dozen</cbc:Quantity>", "ubl.number"),
    (">12</cbc:Quantity>", ">12,5</cbc:Quantity>", "ubl.number"),
    (">12</cbc:Quantity>", ">١٢</cbc:Quantity>", "ubl.number"),
    (">18.00</cbc:PriceAmount>", ">1e2</cbc:PriceAmount>", "ubl.number"),
    (">18.00</cbc:PriceAmount>", ">NaN</cbc:PriceAmount>", "ubl.number"),
    (">220</cbc:OrderTypeCode>", ">380</cbc:OrderTypeCode>", "ubl.order_type"),
    ("<cbc:ChargeIndicator>false<", "<cbc:ChargeIndicator>no<", "ubl.indicator"),
    ("<cbc:CustomizationID>", "<cbc:UBLVersionID>1.0</cbc:UBLVersionID><cbc:CustomizationID>", "ubl.version"),
    ("schema:xsd:Order-2", "schema:xsd:Invoice-2", "ubl.document_type"),
    ("</Order>", "</Ordre>", "xml.well_formed"),
    ("<cbc:Note>", "<cbc:Note>&order;", "xml.well_formed"),
    ('<?xml version="1.0" encoding="UTF-8"?>', '<?xml version="1.0" encoding="KOI9"?>', "xml.encoding"),
    ('encoding="UTF-8"?>', 'encoding="UTF-8"?><!DOCTYPE Order>', "xml.doctype"),
    (
        'encoding="UTF-8"?>',
        'encoding="UTF-8"?><!DOCTYPE Order [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;">]>',
        "xml.doctype",
    ),
    ('encoding="UTF-8"?>', 'encoding="UTF-8"?><!DOCTYPE Order SYSTEM "http://127.0.0.1/x.dtd">', "xml.doctype"),
]


def refusals(content: bytes | str, tmp_path: Path, limits: Limits = LIMITS) -> RefusedDocument:
    """The one refusal of a document of which nothing may be taken."""
    try:
        readings = read(content, tmp_path, limits)
    except RefusedDocument as exc:
        return exc
    assert not readings.orders, f"taken: {readings.orders}"
    return RefusedDocument([reason for problem in readings.problems for reason in problem.reasons])


@pytest.mark.parametrize(("old", "new", "rule"), _BROKEN_UBL)
def test_a_broken_ubl_order_is_refused_by_name_and_place(old: str, new: str, rule: str, tmp_path: Path) -> None:
    assert old in _UBL
    refusal = refusals(_UBL.replace(old, new, 1), tmp_path)
    found = {reason.rule: reason.place for reason in refusal.reasons}
    assert rule in found
    assert re.match(r"line \d+, column \d+", found[rule])


_EDIFACT = samples.edifact_order().decode("latin-1")
_BROKEN_EDIFACT: list[tuple[str, str, str]] = [
    ("ORDERS:D", "INVOIC:D", "edifact.message_type"),
    ("UNT+22+1'", "UNT+21+1'", "edifact.unt_count"),
    ("UNT+22+1'", "UNT+22+2'", "edifact.unt_reference"),
    ("UNZ+1+77'", "UNZ+2+77'", "edifact.unz_count"),
    ("UNZ+1+77'", "UNZ+1+78'", "edifact.unz_reference"),
    ("UNZ+1+77'", "UNZ+1+77", "edifact.terminator"),
    ("BGM+220", "BGM+380", "edifact.document_code"),
    ("PO-4712+9'", "PO-4712+7'", "edifact.purpose"),
    ("PO-4712+9'", "PO-4712+31'", "edifact.purpose"),
    ("BGM+220+PO-4712", "BGM+220+", "edifact.number"),
    ("DTM+137:20261120:102'", "DTM+137:20261320:102'", "edifact.date"),
    ("DTM+137:20261120:102'", "DTM+137:2026:602'", "edifact.date"),
    ("DTM+137:20261120:102'", "DTM+9:20261120:102'", "edifact.date"),
    ("DTM+2:20261203:102'", "DTM+2:morgen:102'", "edifact.date"),
    ("QTY+21:12:PCE'", "QTY+21:zwölf:PCE'", "edifact.number"),
    ("QTY+21:12:PCE'", "QTY+21:0:PCE'", "edifact.quantity"),
    ("QTY+21:12:PCE'", "QTY+21:-1:PCE'", "edifact.quantity"),
    ("QTY+21:12:PCE'", "QTY+99:12:PCE'", "edifact.quantity"),
    ("QTY+21:12:PCE'", "QTY+21:12:PIECES'", "edifact.unit"),
    ("PRI+AAA:18.00'", "PRI+AAA:-18.00'", "edifact.price"),
    ("PRI+AAA:18.00'", "PRI+AAA:18.00.1'", "edifact.number"),
    ("LIN+1++P1:SA'\nIMD+F++:::Chai'", "LIN+1'\nIMD+F'", "edifact.item"),
    ("LIN+2++P2:SA'", "LIN+1++P2:SA'", "edifact.line_id"),
    ("LIN+2++P2:SA'", "LIN+2+99+P2:SA'", "edifact.action"),
    ("MOA+79:259'", "MOA+79:260'", "edifact.line_total"),
    ("CNT+2:2'", "CNT+2:3'", "edifact.cnt_lines"),
    ("CNT+2:2'", "CNT+1:15'", "edifact.cnt_quantity"),
    ("CUX+2:EUR:9'", "QUX+2:EUR:9'", "edifact.segment"),
    ("CUX+2:EUR:9'", "cux+2:EUR:9'", "edifact.tag"),
    ("UNB+UNOC:3+4006381333931:14+", "UNB+UNOC:3++", "edifact.unb"),
    ("UNS+S'", "UNS+S'\nALC+X'", "edifact.unt_count"),
]


@pytest.mark.parametrize(("old", "new", "rule"), _BROKEN_EDIFACT)
def test_a_broken_interchange_is_refused_by_name_and_place(old: str, new: str, rule: str, tmp_path: Path) -> None:
    assert old in _EDIFACT
    content = _EDIFACT.replace(old, new, 1).encode("latin-1")
    try:
        problems = read(content, tmp_path).problems
    except RefusedDocument as exc:
        problems = [exc]
    found = {reason.rule: reason.place for problem in problems for reason in problem.reasons}
    assert rule in found
    assert re.search(r"segment \d+|line \d+", found[rule])


_X12 = samples.x12_order().decode()
_BROKEN_X12: list[tuple[str, str, str]] = [
    ("ST*850*", "ST*810*", "x12.transaction_set"),
    ("SE*14*0001", "SE*13*0001", "x12.se_count"),
    ("SE*14*0001", "SE*14*0002", "x12.se_reference"),
    ("GE*1*1", "GE*2*1", "x12.ge_count"),
    ("GE*1*1", "GE*1*2", "x12.ge_reference"),
    ("IEA*1*", "IEA*2*", "x12.iea_count"),
    ("IEA*1*000000905", "IEA*1*000000906", "x12.iea_reference"),
    ("IEA*1*000000905~", "IEA*1*000000905", "x12.terminator"),
    ("BEG*00*", "BEG*07*", "x12.purpose"),
    ("BEG*00*SA*", "BEG*00*RQ*", "x12.order_type"),
    ("PO-4713", "", "x12.number"),
    ("**20261120~", "**20261320~", "x12.date"),
    ("**20261120~", "**~", "x12.date"),
    ("DTM*002*20261203", "DTM*002*soon", "x12.date"),
    ("PO1*1*12*EA", "PO1*1*twelve*EA", "x12.number"),
    ("PO1*1*12*EA", "PO1*1*0*EA", "x12.quantity"),
    ("PO1*1*12*EA", "PO1*1**EA", "x12.quantity"),
    ("PO1*1*12*EA", "PO1*1*12*EACHES", "x12.unit"),
    ("PO1*1*12*EA", "PO1*1*12*", "x12.unit"),
    ("18.00*PE", "-18.00*PE", "x12.price"),
    ("18.00*PE", "18.00*ZZ", "x12.price_basis"),
    ("*VP*P1~\nPID*F****Chai~", "~\nPID*F~", "x12.item"),
    ("PO1*2*2*EA", "PO1*1*2*EA", "x12.line_id"),
    ("CTT*2*14", "CTT*3*14", "x12.ctt_lines"),
    ("CTT*2*14", "CTT*2*15", "x12.ctt_hash"),
    ("CUR*BY*EUR", "cur*BY*EUR", "x12.tag"),
    ("ISA*00*", "ISA*", "x12.isa"),
    ("BEG*00*SA*PO-4713**20261120~\nCUR*BY*EUR", "CUR*BY*EUR~\nBEG*00*SA*PO-4713**20261120", "x12.begin"),
]


@pytest.mark.parametrize(("old", "new", "rule"), _BROKEN_X12)
def test_a_broken_transaction_set_is_refused_by_name_and_place(old: str, new: str, rule: str, tmp_path: Path) -> None:
    assert old in _X12
    try:
        problems = read(_X12.replace(old, new, 1), tmp_path).problems
    except RefusedDocument as exc:
        problems = [exc]
    found = {reason.rule: reason.place for problem in problems for reason in problem.reasons}
    assert rule in found
    assert re.search(r"segment \d+|line \d+", found[rule])


_BROKEN_CSV: list[tuple[str, str, str]] = [
    ("Bestellnummer;", "Nummer;", "csv.columns"),
    ("Bezeichnung;", "Artikel;", "csv.columns"),
    ("PO-4714;20.11.2026;C1;P1", ";20.11.2026;C1;P1", "csv.number"),
    ("20.11.2026;C1;P1", "11/20/2026;C1;P1", "csv.date"),
    ("20.11.2026;C1;P1", "31.11.2026;C1;P1", "csv.date"),
    ("20.11.2026;C1;P1", ";C1;P1", "csv.date"),
    ("20.11.2026;C1;P2", "21.11.2026;C1;P2", "csv.rows_differ"),
    ("20.11.2026;C1;P2", "20.11.2026;C2;P2", "csv.rows_differ"),
    (";12;Stück", ";zwölf;Stück", "csv.number"),
    (";12;Stück", ";0;Stück", "csv.quantity"),
    (";12;Stück", ";;Stück", "csv.quantity"),
    (";12;Stück", ";12;Trommel voll", "csv.unit"),
    ("18,00;216,00", "18.00;216,00", "csv.number"),
    ("18,00;216,00", "-18,00;216,00", "csv.price"),
    ("1.000;Stk", "1.00;Stk", "csv.number"),
    ("P1;Chai;", ";;", "csv.item"),
    ("216,00\n", "216,00;more\n", "csv.fields"),
    ("Chai;", '"Chai;', "csv.syntax"),
]


@pytest.mark.parametrize(("old", "new", "rule"), _BROKEN_CSV)
def test_a_broken_table_is_refused_by_name_and_place(old: str, new: str, rule: str, tmp_path: Path) -> None:
    assert old in samples.CSV_ORDER
    refusal = refusals(samples.CSV_ORDER.replace(old, new, 1), tmp_path)
    found = {reason.rule: reason.place for reason in refusal.reasons}
    assert rule in found
    assert found[rule].startswith("row ")


@pytest.mark.parametrize("at", range(1, 20))
def test_a_document_that_was_cut_off_is_refused(at: int, tmp_path: Path) -> None:
    """Each form, cut at 19 places: 57 broken documents."""
    for content in (_UBL.encode(), samples.edifact_order(), samples.x12_order()):
        refusal = refusals(content[: len(content) * at // 21], tmp_path)
        assert all(reason.rule and reason.place for reason in refusal.reasons)


@pytest.mark.parametrize("at", range(1, 17))
def test_a_message_that_lacks_a_segment_is_refused(at: int, tmp_path: Path) -> None:
    """Each segment between header and trailer left out: 32 broken documents."""
    for content in (samples.edifact_order(), samples.x12_order()):
        segments = content.decode("latin-1").splitlines(keepends=True)
        left = "".join([*segments[:at], *segments[at + 1 :]]).encode("latin-1")
        problems = [reason for problem in _problems(left, tmp_path) for reason in problem.reasons]
        assert problems and all("segment" in reason.place for reason in problems)


def _problems(content: bytes, tmp_path: Path) -> list[RefusedDocument]:
    try:
        return read(content, tmp_path).problems
    except RefusedDocument as exc:
        return [exc]


def test_one_broken_message_does_not_keep_another_from_being_read(tmp_path: Path) -> None:
    text = _EDIFACT.replace("UNZ+1+77'\n", "").replace("\n", "")
    message = text[text.index("UNH") :]
    broken = (
        message.replace("QTY+21:12:PCE", "QTY+21:x:PCE").replace("UNH+1+", "UNH+2+").replace("UNT+22+1", "UNT+22+2")
    )
    readings = read(f"{text}{broken}UNZ+2+77'", tmp_path)
    assert [order.number for order in readings.orders] == ["PO-4712"]
    [problem] = readings.problems
    assert [reason.rule for reason in problem.reasons] == ["edifact.number", "edifact.quantity"]


@pytest.mark.parametrize(
    ("content", "limits", "rule"),
    [
        (b"", {}, "document.empty"),
        (b"x" * 101, {"document_bytes": 100}, "document.size"),
        (b"<a>" * 30 + b"</a>" * 30, {"depth": 20}, "xml.depth"),
        (b"<a>" + b"<b/>" * 30 + b"</a>", {"elements": 20}, "xml.elements"),
        (_UBL.encode(), {"lines": 1}, "order.lines"),
        (samples.edifact_order(), {"lines": 1}, "order.lines"),
        (samples.x12_order(), {"lines": 1}, "order.lines"),
        (samples.edifact_order(), {"elements": 10}, "edifact.segments"),
        (samples.x12_order(), {"elements": 10}, "x12.segments"),
        (b"\x00\x01\x02", {}, "document.type"),
        (b"PK\x03\x04rest", {}, "document.type"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", {}, "document.type"),
        (b"<html><body>order</body></html>", {}, "document.type"),
        (b"<order/>", {}, "xml.document_type"),
        (b"<r:CrossIndustryInvoice xmlns:r='urn:x'/>", {}, "xml.document_type"),
    ],
)
def test_what_is_too_much_or_something_else_is_refused(
    content: bytes, limits: dict[str, int], rule: str, tmp_path: Path
) -> None:
    refusal = refusals(content, tmp_path, Limits(**limits))
    assert rule in [reason.rule for reason in refusal.reasons]
