"""What UBL and Order-X orders say besides plain lines: nothing is lost, and what cannot be said is asked."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from producers.documents.changes import whole_order
from producers.documents.drafting import Drafting
from producers.documents.identification import no_alias
from producers.documents.order import Kind, LineAction
from tests.unit import document_samples as samples
from tests.unit.test_documents_structured import one, source

# Without Peppol's word for it any element of UBL may come.
_PLAIN = samples.ubl_order().replace("urn:fdc:peppol.eu:poacc:trns:order:3", "urn:example:our-own")
_AT = '<cbc:LineExtensionAmount currencyID="EUR">216.00</cbc:LineExtensionAmount>'


def _delivery(inner: str) -> str:
    return f"{_AT}<cac:Delivery>{inner}</cac:Delivery>"


def _period(day: str) -> str:
    return f"<cac:RequestedDeliveryPeriod><cbc:EndDate>{day}</cbc:EndDate></cac:RequestedDeliveryPeriod>"


_QUANTITY = '<cbc:Quantity unitCode="C62">{}</cbc:Quantity>'
_ELSEWHERE = "<cac:DeliveryLocation><cac:Address><cbc:CityName>Ulm</cbc:CityName></cac:Address></cac:DeliveryLocation>"
_PARTS = _delivery(_QUANTITY.format(5) + _period("2026-12-01")).replace(_AT, "") + _delivery(
    _QUANTITY.format(7) + _period("2026-12-08")
).replace(_AT, "")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (_AT, _AT + _PARTS, "ubl.parts"),
        (_AT, _delivery(_ELSEWHERE), "ubl.parts"),
        (_AT, f"{_AT}<cac:SubLineItem><cbc:ID>1.1</cbc:ID></cac:SubLineItem>", "ubl.sub_line"),
        (
            "18.00</cbc:PriceAmount>",
            '18.00</cbc:PriceAmount><cbc:BaseQuantity unitCode="KGM">1</cbc:BaseQuantity>',
            "ubl.price_unit",
        ),
        ("</cac:Delivery>", f"</cac:Delivery><cac:Delivery>{_ELSEWHERE}</cac:Delivery>", "ubl.parts"),
    ],
)
def test_what_a_ubl_order_cannot_say_here_waits_for_a_person(old: str, new: str, rule: str, tmp_path: Path) -> None:
    text = _PLAIN
    if rule == "ubl.price_unit":
        # Only the amount of the line could prove how price and unit go together.
        text = text.replace(_AT, "").replace(">259.00<", ">43.00<").replace(">254.00<", ">38.00<")
        text = text.replace(">302.26<", ">86.26<")
    assert old in text
    order = one(text.replace(old, new, 1), tmp_path)
    assert [question.rule for question in order.questions] == [rule]


@pytest.mark.parametrize(
    ("word", "action"),
    [("Added", "add"), ("Cancelled", "delete"), ("Revised", "change"), ("NoStatus", "keep"), ("4", "keep")],
)
def test_line_statuses_of_oasis_and_of_peppol_are_known(word: str, action: str, tmp_path: Path) -> None:
    change = samples.ubl_change().replace("trns:order_change:3", "x").replace("urn:fdc:peppol", "urn:x")
    order = one(change.replace("<cbc:LineStatusCode>3<", f"<cbc:LineStatusCode>{word}<"), tmp_path)
    assert order.lines[0].action.value == action


def test_a_new_order_with_a_cancelled_line_waits(tmp_path: Path) -> None:
    for word, doubts in (("NoStatus", []), ("Added", []), ("Cancelled", ["line.cancelled"])):
        text = _PLAIN.replace(
            "<cbc:ID>1</cbc:ID>", f"<cbc:ID>1</cbc:ID><cbc:LineStatusCode>{word}</cbc:LineStatusCode>", 1
        )
        draft = Drafting(one(text, tmp_path), source(), samples.masters(), no_alias).draft()
        assert [doubt.rule for doubt in draft.doubts] == doubts


def test_a_new_form_of_an_order_has_no_line_that_it_takes_away(tmp_path: Path) -> None:
    known = Drafting(one(samples.edifact_order(), tmp_path), source(), samples.masters(), no_alias).draft()
    assert known.order is not None and known.order_id is not None
    text = samples.edifact_order().replace(b"+PO-4712+9'", b"+PO-4712+5'").replace(b"LIN+2++P2", b"LIN+2+2+P2")
    replacement = one(text, tmp_path)
    made, doubts = whole_order(replacement, known.order.as_order(known.order_id, "placed"))
    assert replacement.kind is Kind.REPLACEMENT and not doubts
    assert [line.line_id for line in made.lines] == ["1"]


def test_notes_address_lines_and_account_numbers_of_ubl_are_kept(tmp_path: Path) -> None:
    text = _PLAIN.replace(
        "<cbc:Note>Ring twice</cbc:Note>", "<cbc:Note>Ring twice</cbc:Note><cbc:Note>Gate 3</cbc:Note>"
    )
    text = text.replace("<cac:OrderLine>", "<cac:OrderLine><cbc:Note>Ripe only</cbc:Note>", 1)
    text = text.replace(
        "<cbc:PostalZone>68306</cbc:PostalZone>",
        "<cbc:PostalZone>68306</cbc:PostalZone><cac:AddressLine><cbc:Line>Yard 2</cbc:Line></cac:AddressLine>"
        "<cbc:Postbox>12</cbc:Postbox><cbc:BuildingName>Tower</cbc:BuildingName>",
    )
    text = text.replace(
        "<cac:BuyerCustomerParty>",
        "<cac:BuyerCustomerParty><cbc:SupplierAssignedAccountID>A-7</cbc:SupplierAssignedAccountID>",
    )
    text = text.replace(_AT, _delivery(_period("2026-12-09")))
    order = one(text, tmp_path)
    assert order.note == "Ring twice\nGate 3\nline 1: Ripe only"
    assert order.delivery is not None and order.delivery.street_name == "Forsterstr. 57 Tower Yard 2 PO box 12"
    assert "A-7" in order.buyer.codes
    assert order.lines[0].delivery_date == date(2026, 12, 9) and not order.questions


_CII = """<rsm:SCRDMCCBDACIOMessageStructure xmlns:rsm="urn:rsm" xmlns:ram="urn:ram" xmlns:udt="urn:udt">
<rsm:ExchangedDocument><ram:ID>PO-1</ram:ID><ram:TypeCode>{type}</ram:TypeCode>
<ram:IssueDateTime><udt:DateTimeString format="102">20261120</udt:DateTimeString></ram:IssueDateTime>
<ram:IncludedNote><ram:Content>Ring</ram:Content></ram:IncludedNote>
<ram:IncludedNote><ram:Content>Twice</ram:Content></ram:IncludedNote></rsm:ExchangedDocument>
<rsm:SupplyChainTradeTransaction>{lines}
<ram:ApplicableHeaderTradeAgreement><ram:BuyerTradeParty><ram:ID>C1</ram:ID></ram:BuyerTradeParty>
</ram:ApplicableHeaderTradeAgreement>
<ram:ApplicableHeaderTradeSettlement><ram:OrderCurrencyCode>EUR</ram:OrderCurrencyCode>
</ram:ApplicableHeaderTradeSettlement></rsm:SupplyChainTradeTransaction></rsm:SCRDMCCBDACIOMessageStructure>"""
_CII_LINE = """<ram:IncludedSupplyChainTradeLineItem>
<ram:AssociatedDocumentLineDocument><ram:LineID>{number}</ram:LineID>
{status}</ram:AssociatedDocumentLineDocument>
<ram:SpecifiedTradeProduct><ram:SellerAssignedID>P1</ram:SellerAssignedID>
</ram:SpecifiedTradeProduct><ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice>
<ram:ChargeAmount>18</ram:ChargeAmount>{basis}</ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement>
<ram:SpecifiedLineTradeDelivery><ram:RequestedQuantity unitCode="C62">12</ram:RequestedQuantity>{delivery}
</ram:SpecifiedLineTradeDelivery></ram:IncludedSupplyChainTradeLineItem>"""


def _cii(kind: str = "220", status: str = "", basis: str = "", delivery: str = "") -> str:
    told = f"<ram:LineStatusCode>{status}</ram:LineStatusCode>" if status else ""
    line = _CII_LINE.format(number="1", status=told, basis=basis, delivery=delivery)
    more = _CII_LINE.format(number="2", status="", basis="", delivery="")
    return _CII.format(type=kind, lines=line + more)


def test_every_note_of_an_order_x_is_kept(tmp_path: Path) -> None:
    order = one(_cii(), tmp_path)
    assert (order.note, order.questions, order.lines[0].price) == ("Ring\nTwice", [], 18)


def test_a_line_that_an_order_x_takes_away_is_not_ordered_again(tmp_path: Path) -> None:
    order = one(_cii("230", "2"), tmp_path)
    assert (order.kind, order.lines[0].action) == (Kind.CHANGE, LineAction.DELETE)
    assert one(_cii("230"), tmp_path).kind is Kind.REPLACEMENT


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"basis": '<ram:BasisQuantity unitCode="KGM">1</ram:BasisQuantity>'}, "cii.price_unit"),
        ({"delivery": "<ram:ShipToTradeParty><ram:ID>S9</ram:ID></ram:ShipToTradeParty>"}, "cii.line_delivery"),
        ({"delivery": "<ram:RequestedDeliverySupplyChainEvent/>" * 2}, "cii.parts"),
    ],
)
def test_what_an_order_x_cannot_say_here_waits_for_a_person(changes: dict[str, str], rule: str, tmp_path: Path) -> None:
    assert [question.rule for question in one(_cii(**changes), tmp_path).questions] == [rule]
