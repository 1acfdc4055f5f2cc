"""Every rule of Peppol BIS Ordering 3 is broken by exactly that rule: the tables are tried row by row."""

from __future__ import annotations

import re

import pytest

from producers.documents.limits import Limits
from producers.documents.peppol import RULES, PeppolRules
from producers.documents.peppol_schemes import SCHEMES
from producers.documents.peppol_structure import StructureRule, code_lists, structure_rules, violations
from producers.documents.reasons import Findings
from producers.documents.xml_tree import Node, parse
from tests.unit import document_samples as samples

_TRANSACTIONS = {
    "T01": "Order",
    "T114": "OrderChange",
    "T115": "OrderCancellation",
    "T76": "OrderResponse",
    "T16": "DespatchAdvice",
}
_ROWS = [(name, rule) for name in _TRANSACTIONS for rules in structure_rules(name).values() for rule in rules]


def whole(transaction: str) -> Node:
    """A document with every element and attribute that the structure of a transaction knows."""
    return _element(_TRANSACTIONS[transaction], "", transaction)


def _element(name: str, above: str, transaction: str) -> Node:
    path = f"{above}/{name}" if above else name
    node = Node("", name, {}, 1, 1, path, "1")
    for rule in structure_rules(transaction).get(path, ()):
        word = rule.words[0]
        if rule.kind == "only":
            node.text = ""
            node.children = [_element(child, path, transaction) for child in rule.words]
        elif rule.kind == "child" and node.first(word) is None:
            node.text = ""
            node.children.append(_element(word, path, transaction))
        elif rule.kind == "attribute":
            node.attributes.setdefault(word, "1")
        elif rule.kind == "attribute_code":
            node.attributes[word] = min(code_lists()[rule.words[1]])
        elif rule.kind == "code":
            node.text = min(code_lists()[word])
        elif rule.kind == "value":
            node.text = word
    return node


def _at(root: Node, path: str) -> Node:
    _, _, rest = path.partition("/")
    found = root.first(rest) if rest else root
    assert found is not None, path
    return found


def _break(root: Node, rule: StructureRule) -> None:
    node, word = _at(root, rule.element), rule.words[0]
    if rule.kind == "child":
        node.children = [child for child in node.children if child.name != word]
        # An element without anything breaks another rule too.
        node.text = "" if node.children else "1"
    elif rule.kind == "only":
        node.children.append(Node("", "Unheard", {}, 1, 1, f"{node.path}/Unheard", "1"))
    elif rule.kind == "attribute":
        del node.attributes[word]
    elif rule.kind == "no_attribute":
        node.attributes[word] = "x.xsd"
    elif rule.kind == "attribute_code":
        node.attributes[word] = "no such code"
    else:
        node.text = "no such code"


@pytest.mark.parametrize("transaction", _TRANSACTIONS)
def test_a_document_of_everything_keeps_the_structure(transaction: str) -> None:
    assert [reason for _, reason in violations(whole(transaction), transaction)] == []


@pytest.mark.parametrize(("transaction", "rule"), _ROWS, ids=[rule.id for _, rule in _ROWS])
def test_each_rule_of_structure_is_broken_alone(transaction: str, rule: StructureRule) -> None:
    root = whole(transaction)
    _break(root, rule)
    found = [reason for _, reason in violations(root, transaction)]
    assert [reason.rule for reason in found] == [rule.id]
    assert rule.element in found[0].place


def test_an_empty_element_is_named() -> None:
    root = whole("T01")
    _at(root, "Order/ID").text = " "
    assert [reason.rule for _, reason in violations(root, "T01")] == ["PEPPOL-COMMON-R001"]


def judged(text: str) -> tuple[list[str], list[str]]:
    """The rules that refuse, and those that only warn."""
    root, findings = parse(text.encode(), Limits()), Findings()
    PeppolRules(root, findings).judge()
    return [reason.rule for reason in findings.reasons], [told.partition(" at ")[0] for told in findings.warnings]


_ORDER, _CHANGE, _CANCEL = samples.ubl_order(), samples.ubl_change(), samples.ubl_cancellation()
_ENDPOINT = '<cbc:EndpointID schemeID="0088">4006381333931</cbc:EndpointID>'
# One sound and one broken identifier of each scheme that has a rule.
_IDENTIFIERS = {
    "0088": ("4006381333931", "4006381333932"),
    "0192": ("987654325", "987654326"),
    "0184": ("DK12345678", "DK1234567"),
    "0208": ("0403170701", "0403170702"),
    "0201": ("abc123", "abc-123"),
    "0210": ("RSSMRA85T10A562S", "RSSMRA85T10A562"),
    "9907": ("12345678901", "1234567890"),
    "0211": ("IT00743110157", "IT00743110158"),
    "0007": ("5541277710", "5541277711"),
    "0151": ("51824753556", "51824753557"),
    "0096": ("1234567890", "123456789"),
    "0198": ("DK12345678", "12345678"),
    "0106": ("12345678", "1234567"),
    "0190": ("12345678901234567890", "1234567890123456789"),
    "9944": ("NL123456789B12", "NL123456789B1"),
    "0217": ("123456789012", "12345678901"),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_identifiers_of_each_scheme_are_proved(scheme: str) -> None:
    sound, broken = _IDENTIFIERS[scheme]
    rule = f"PEPPOL-COMMON-{SCHEMES[scheme].id}"
    for number, expected in ((sound, []), (broken, [rule])):
        text = _ORDER.replace(_ENDPOINT, f'<cbc:EndpointID schemeID="{scheme}">{number}</cbc:EndpointID>')
        refused, warned = judged(text)
        # A scheme may be one of companies and none of electronic addresses: that is another rule.
        assert [one for one in refused + warned if "COMMON" in one] == expected
        assert (rule in refused) == (SCHEMES[scheme].is_fatal and bool(expected))


_LINE = samples.ubl_line("1", "12", "18.00", "216.00", "P1", "Chai")
_REASON = "<cbc:AllowanceChargeReason>Loyal</cbc:AllowanceChargeReason>"
_FREIGHT = "<cbc:AllowanceChargeReason>Freight</cbc:AllowanceChargeReason>"
# What the table of rules that refuse in test_documents_structured has not: edits, and the one rule that they break.
_BROKEN: list[tuple[str, str, str, str]] = [
    (_ORDER, "DE123456789", "XX123456789", "PEPPOL-T01-R026"),
    (_ORDER, _REASON, "<cbc:AllowanceChargeReasonCode>FC</cbc:AllowanceChargeReasonCode>", "PEPPOL-T01-CL001"),
    (_ORDER, _FREIGHT, "<cbc:AllowanceChargeReasonCode>95</cbc:AllowanceChargeReasonCode>", "PEPPOL-T01-CL002"),
    (
        _ORDER,
        "<cac:SellersItemIdentification>",
        "<cac:QuotationLineReference><cbc:LineID>1</cbc:LineID></cac:QuotationLineReference><cac:SellersItemIdentification>",
        "PEPPOL-T01-R035",
    ),
    (_CHANGE, "bis:advanced_ordering:3", "bis:ordering:3", "PEPPOL-T114-R031"),
    (_CHANGE, "trns:order_change:3", "trns:order:3", "PEPPOL-T114-R034"),
    (_CHANGE, ">180.00</cbc:LineExtensionAmount>", ">181.00</cbc:LineExtensionAmount>", "PEPPOL-T114-R024"),
    (_CANCEL, "bis:advanced_ordering:3", "bis:ordering:3", "PEPPOL-T115-R031"),
    (_CANCEL, "trns:order_cancellation:3", "trns:order:3", "PEPPOL-T115-R034"),
]


@pytest.mark.parametrize(("document", "old", "new", "rule"), _BROKEN, ids=[row[3] for row in _BROKEN])
def test_rules_of_meaning_are_named(document: str, old: str, new: str, rule: str) -> None:
    assert old in document
    refused, _ = judged(document.replace(old, new, 1))
    assert rule in refused
    # What else is named is the same in the words of the structure.
    assert {one for one in refused if "-B" not in one} == {rule}


_VALIDITY = "<cac:ValidityPeriod><cbc:EndDate>2026-12-31</cbc:EndDate></cac:ValidityPeriod>"


def test_what_is_only_a_warning_refuses_nothing() -> None:
    cases = [
        (_ORDER, _VALIDITY, "", "PEPPOL-T01-R002"),
        (_ORDER, "<Order ", '<Order xmlns:x="y" x:schemaLocation="z" ', "PEPPOL-COMMON-R003"),
        (_ORDER, "<Order ", '<Order xmlns:x="y" x:schemaLocation="z" ', "PEPPOL-T01-B00109"),
        (_ORDER, "DE123456789", "NL123", "PEPPOL-COMMON-R056-2"),
        (_ORDER, "trns:order:3<", "trns:order:3:extended:urn:x<", ""),
    ]  # fmt: skip
    for document, old, new, rule in cases:
        assert old in document
        refused, warned = judged(document.replace(old, new, 1))
        assert not refused and (rule in warned or not rule)


def test_documents_that_do_not_say_peppol_keep_arithmetic_only() -> None:
    plain = re.sub(r"<cbc:(CustomizationID|ProfileID)>[^<]*</cbc:\1>", "", _ORDER)
    bare = plain.replace(_REASON, "").replace("<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme>", "")
    assert judged(bare) == ([], [])
    assert judged(bare.replace(">216.00<", ">216.10<"))[0][0] == "PEPPOL-T01-R024"


def test_the_samples_break_nothing_and_the_table_names_what_is_judged() -> None:
    assert judged(_ORDER) == ([], [])
    assert judged(_CHANGE) == ([], ["PEPPOL-T114-R002"])
    assert judged(_CANCEL) == ([], [])
    assert len(RULES) == 34 and len(_ROWS) == 897
