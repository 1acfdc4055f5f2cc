"""The rules of Peppol BIS Ordering 3 that a UBL order, change or cancellation has to keep, each with its own id.

Those of arithmetic and signs hold for every UBL document; those about profile, codes and structure only for one that
says that it follows Peppol. `RULES` names them; those of structure and identifiers are in `peppol_structure` and
`peppol_schemes`. Source: Peppol BIS Ordering 3, edition 2026-05, transactions T01, T114 and T115.
"""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

from producers.documents.peppol_schemes import DUTCH_VAT, SCHEMES
from producers.documents.peppol_structure import code_lists, violations
from producers.documents.reasons import Findings
from producers.documents.xml_tree import Node

_PREFIX = "urn:fdc:peppol.eu:poacc:"
_TRANSACTIONS = {"Order": "T01", "OrderChange": "T114", "OrderCancellation": "T115"}
_SPECIFICATIONS = {"T01": "trns:order:3", "T114": "trns:order_change:3", "T115": "trns:order_cancellation:3"}
_PROFILES = {
    "T01": ("bis:order_only:3", "bis:ordering:3", "bis:advanced_ordering:3"),
    "T114": ("bis:advanced_ordering:3",),
    "T115": ("bis:advanced_ordering:3",),
}
# By its number: what the rule says, and whether it holds for documents too that do not say that they follow Peppol.
RULES: dict[str, tuple[str, bool]] = {
    "R001": ("each line has a number of its own", True),
    "R002": ("an end of validity is given (warning)", False),
    "R003": ("one currency", True),
    "R004": ("no negative quantity", True),
    "R005": ("no negative price", True),
    "R006": ("the payable amount is not negative", True),
    "R007": ("the sum of lines is not negative", True),
    "R008": ("the sum of lines is that of the lines (a warning for changes)", True),
    "R009": ("the sum of allowances is that of the allowances", True),
    "R010": ("the sum of charges is that of the charges", True),
    "R011": ("amount without tax = lines - allowances + charges", True),
    "R013": ("each line has a quantity (warning)", True),
    "R014": ("the originator has a name or identifier", False),
    "R016": ("payable = amount with tax - prepaid + rounding", True),
    "R017": ("amount with tax = amount without tax + tax", True),
    "R019": ("net price = gross price - allowance", True),
    "R020": ("a percentage has its base", False),
    "R021": ("a base has its percentage", False),
    "R022": ("amount = base x percentage", True),
    "R023": ("an allowance or charge has a reason", False),
    "R024": ("line amount = quantity x price / base quantity + charges - allowances", True),
    "R025": ("the base quantity is above zero", True),
    "R026": ("a VAT number begins with a country", False),
    "R027": ("no negative gross price", True),
    "R028": ("amounts have at most two decimals", False),
    "R029": ("a tax category has a rate, except O", False),
    "R030": ("the standard rate is above zero", False),
    "R031": ("the profile is one of the transaction's", False),
    "R032": ("no negative allowance or charge", True),
    "R033": ("no negative allowance of a price", True),
    "R034": ("the specification is that of the transaction", False),
    "R035": ("a line of a quotation needs the quotation (T01)", False),
    "CL001": ("reasons of allowances are of UNCL 5189", False),
    "CL002": ("reasons of charges are of UNCL 7161", False),
}
_AMOUNTS = frozenset({"Amount", "TaxAmount", "LineExtensionAmount", "PriceAmount", "BaseAmount"})
_DAYS = frozenset({"IssueDate", "DueDate", "TaxPointDate", "StartDate", "EndDate", "ActualDeliveryDate"})
_SLACK = Decimal("0.02")
_CENT = Decimal("0.01")
_ZERO = Decimal(0)


class PeppolRules:
    """Judges one document."""

    def __init__(self, root: Node, findings: Findings) -> None:
        self._root = root
        self._findings = findings
        self._name = _TRANSACTIONS[root.name]
        self._specification = root.value("CustomizationID") or ""
        self._is_peppol = self._specification.startswith(_PREFIX)

    def judge(self) -> None:
        """Note every violation."""
        if self._is_peppol:
            self._profile()
            self._structure()
        for node in self._root.walk():
            self._element(node)
        if self._name == "T115":
            return
        if self._root.first("ValidityPeriod/EndDate") is None and self._is_peppol:
            self._findings.warn(self._rule("R002"), "no end of validity is given", self._root.place)
        self._lines()
        totals = self._root.first("AnticipatedMonetaryTotal")
        if totals is not None:
            self._totals(totals)

    def _rule(self, number: str) -> str:
        return f"PEPPOL-{self._name}-{number}"

    def _wrong(self, number: str, message: str, node: Node) -> None:
        if not self._is_peppol and not RULES[number][1]:
            return
        if number == "R008" and self._name == "T114":
            self._findings.warn(self._rule(number), message, node.place)
        else:
            self._findings.add(self._rule(number), message, node.place)

    def _structure(self) -> None:
        """An extension may have more elements; where a schema lies, or its version, changes nothing."""
        is_extended = self._specification != _PREFIX + _SPECIFICATIONS[self._name]
        for rule, reason in violations(self._root, self._name):
            is_more = rule is not None and rule.kind == "only" and (is_extended or "UBLVersionID" in reason.message)
            if is_more or (rule is not None and rule.kind == "no_attribute"):
                self._findings.warn(reason.rule, reason.message, reason.place)
            else:
                self._findings.add(reason.rule, reason.message, reason.place)
        if "schemaLocation" in self._root.attributes:
            self._findings.warn("PEPPOL-COMMON-R003", "the document names a schema location", self._root.place)

    def _number(self, node: Node | None) -> Decimal:
        if node is None:
            return _ZERO
        return self._findings.decimal(node.text, "ubl.number", node.place) or _ZERO

    def _value(self, node: Node, path: str) -> Decimal:
        return self._number(node.first(path))

    def _profile(self) -> None:
        node = self._root.first("ProfileID")
        allowed = [_PREFIX + profile for profile in _PROFILES[self._name]]
        if node is None or node.stripped not in allowed:
            told = f"the profile is {None if node is None else node.stripped!r}, not {' or '.join(allowed)}"
            self._wrong("R031", told, node or self._root)
        node = self._root.first("CustomizationID")
        if node is not None and not (node.stripped or "").startswith(_PREFIX + _SPECIFICATIONS[self._name]):
            self._wrong("R034", f"the specification is not {_PREFIX}{_SPECIFICATIONS[self._name]}", node)

    def _element(self, node: Node) -> None:
        name = node.name
        if name in _AMOUNTS or node.path.startswith(f"{self._root.name}/AnticipatedMonetaryTotal/"):
            self._amount(node)
        elif name in _DAYS:
            if self._findings.day(node.text, "PEPPOL-COMMON-R030", node.place) is None and not node.stripped:
                self._findings.add("PEPPOL-COMMON-R030", "a date is empty", node.place)
        elif name == "AllowanceCharge":
            self._allowance(node)
        elif name == "Price":
            self._price(node)
        elif name in ("TaxCategory", "ClassifiedTaxCategory"):
            self._tax_category(node)
        elif name in ("EndpointID", "CompanyID") or node.path.endswith("/PartyIdentification/ID"):
            self._identifier(node)
        elif name == "PartyTaxScheme":
            self._tax_number(node)
        elif node.path.endswith("/QuotationLineReference/LineID"):
            if self._name == "T01" and self._root.first("QuotationDocumentReference/ID") is None:
                self._wrong("R035", "a line of a quotation, and no quotation is named", node)
        elif name == "OriginatorCustomerParty" and not _is_named(node):
            self._wrong("R014", "the originator has neither name nor identifier", node)
        if name == "AllowanceCharge":
            self._reasons_of(node)

    def _identifier(self, node: Node) -> None:
        scheme = node.attributes.get("schemeID", "")
        rule, text = SCHEMES.get(scheme), node.stripped or ""
        if rule is None or (rule.endpoint_only and node.name != "EndpointID") or rule.is_sound(text):
            return
        if not self._is_peppol and scheme != "0088":
            return
        note = self._findings.add if rule.is_fatal else self._findings.warn
        note(f"PEPPOL-COMMON-{rule.id}", f"{text!r} is no {rule.words}", node.place)

    def _tax_number(self, node: Node) -> None:
        if node.value("TaxScheme/ID") != "VAT":
            return
        number = node.value("CompanyID") or ""
        if number[:2] not in code_lists()["ISO3166"] | {"EL"}:
            self._wrong("R026", f"{number!r} does not begin with a country", node)
        if self._is_peppol and number.startswith("NL") and not DUTCH_VAT(number):
            self._findings.warn("PEPPOL-COMMON-R056-2", f"{number!r} is no Dutch VAT number", node.place)

    def _reasons_of(self, node: Node) -> None:
        is_charge, code = node.value("ChargeIndicator") == "true", node.first("AllowanceChargeReasonCode")
        number, name = ("CL002", "UNCL7161") if is_charge else ("CL001", "UNCL5189")
        if code is not None and (code.stripped or "") not in code_lists()[name]:
            self._wrong(number, f"reason {code.stripped!r} is not in the code list {name}", code)

    def _amount(self, node: Node) -> None:
        currency = self._root.value("DocumentCurrencyCode")
        stated = node.attributes.get("currencyID")
        if stated is not None and currency is not None and stated != currency:
            self._wrong("R003", f"an amount in {stated} in an order in {currency}", node)
        if "/Price/" not in node.path and len((node.stripped or "").partition(".")[2]) > 2:
            told = f"the amount {node.stripped} has more than two decimals"
            if self._is_peppol:
                # The rules of T114 name it so too.
                self._findings.add("PEPPOL-T01-R028", told, node.place)

    def _allowance(self, node: Node) -> None:
        at_price = node.path.endswith("/Price/AllowanceCharge")
        percent, base = node.first("MultiplierFactorNumeric"), node.first("BaseAmount")
        amount = self._value(node, "Amount")
        if at_price:
            return
        if percent is not None and base is None:
            self._wrong("R020", "a percentage without the amount that it is of", node)
        if percent is None and base is not None:
            self._wrong("R021", "a base amount without the percentage", node)
        if percent is not None and base is not None:
            expected = self._number(base) * self._number(percent) / 100
            if abs(expected - amount) > _SLACK:
                self._wrong("R022", f"{amount} is not {percent.stripped} % of {base.stripped}", node)
        if node.first("AllowanceChargeReason") is None and node.first("AllowanceChargeReasonCode") is None:
            self._wrong("R023", "an allowance or charge without reason", node)
        if amount < 0:
            self._wrong("R032", f"an allowance or charge of {amount}", node)
        if (node.value("ChargeIndicator") or "") not in ("true", "false", "1", "0"):
            self._findings.add("ubl.indicator", "ChargeIndicator is neither true nor false", node.place)

    def _price(self, node: Node) -> None:
        price, allowance = self._value(node, "PriceAmount"), node.first("AllowanceCharge")
        if price < 0:
            self._wrong("R005", f"a price of {price}", node)
        if allowance is None:
            return
        base, amount = allowance.first("BaseAmount"), self._value(allowance, "Amount")
        if base is not None and self._number(base) < 0:
            self._wrong("R027", f"a gross price of {base.stripped}", base)
        if amount < 0:
            self._wrong("R033", f"an allowance of {amount}", allowance)
        if base is not None and self._number(base) - amount != price:
            self._wrong("R019", f"{base.stripped} - {amount} is not {price}", node)

    def _tax_category(self, node: Node) -> None:
        code, percent = node.value("ID"), node.first("Percent")
        if percent is None and code != "O":
            self._wrong("R029", f"tax category {code} without a rate", node)
        elif code == "S" and self._number(percent) <= 0:
            self._wrong("R030", "standard rated with a rate that is not above zero", node)

    def _lines(self) -> None:
        items = list(self._root.all("OrderLine/LineItem"))
        counted = Counter(item.value("ID") for item in items)
        for item in items:
            number = item.value("ID")
            if number is None or counted[number] > 1:
                self._wrong("R001", f"line {number} is not the only one of that number", item)
            self._line(item)

    def _line(self, item: Node) -> None:
        quantity_node, base_node = item.first("Quantity"), item.first("Price/BaseQuantity")
        quantity = Decimal(1) if quantity_node is None else self._number(quantity_node)
        base = Decimal(1) if base_node is None else self._number(base_node)
        if quantity_node is None:
            self._findings.warn(self._rule("R013"), "a line without quantity", item.place)
        if quantity < 0:
            self._wrong("R004", f"a quantity of {quantity}", quantity_node or item)
        if base <= 0:
            self._wrong("R025", f"a base quantity of {base}", base_node or item)
            return
        stated = item.first("LineExtensionAmount")
        # The rule takes a missing amount for nothing, which would refuse each order without prices.
        if stated is None:
            return
        allowed, charged = _sums(item)
        expected = quantity * self._value(item, "Price/PriceAmount") / base + charged - allowed
        if abs(expected - self._number(stated)) > _SLACK:
            made = expected.quantize(_CENT)
            told = f"{quantity} x price / {base} + {charged} - {allowed} is {made}, not {stated.stripped}"
            self._wrong("R024", told, stated)

    def _totals(self, totals: Node) -> None:
        amounts = [item.first("LineExtensionAmount") for item in self._root.all("OrderLine/LineItem")]
        lines = sum((self._number(amount) for amount in amounts), _ZERO)
        allowed, charged = _sums(self._root)
        net, payable = self._value(totals, "LineExtensionAmount"), self._value(totals, "PayableAmount")
        if payable < 0:
            self._wrong("R006", f"a payable amount of {payable}", totals)
        if totals.first("LineExtensionAmount") is not None:
            if net < 0:
                self._wrong("R007", f"a line total of {net}", totals)
            if net != lines.quantize(_CENT, ROUND_HALF_UP):
                self._wrong("R008", f"the line total is {net}, and the lines add up to {lines}", totals)
        stated_allowance, stated_charge = (
            self._value(totals, "AllowanceTotalAmount"),
            self._value(totals, "ChargeTotalAmount"),
        )
        if stated_allowance != allowed:
            self._wrong("R009", f"the allowances are {stated_allowance}, and they add up to {allowed}", totals)
        if stated_charge != charged:
            self._wrong("R010", f"the charges are {stated_charge}, and they add up to {charged}", totals)
        self._payable(totals, net - stated_allowance + stated_charge, payable)

    def _payable(self, totals: Node, expected: Decimal, payable: Decimal) -> None:
        exclusive_node, inclusive_node = totals.first("TaxExclusiveAmount"), totals.first("TaxInclusiveAmount")
        exclusive = expected if exclusive_node is None else self._number(exclusive_node)
        if exclusive != expected:
            self._wrong("R011", f"without tax it is {exclusive}, and lines - allowances + charges {expected}", totals)
        if inclusive_node is None:
            return
        inclusive = self._number(inclusive_node)
        due = inclusive - self._value(totals, "PrepaidAmount") + self._value(totals, "PayableRoundingAmount")
        if payable != due:
            self._wrong("R016", f"payable is {payable}, and with tax - prepaid + rounding {due}", totals)
        tax = self._root.first("TaxTotal/TaxAmount")
        if tax is not None and inclusive != exclusive + self._number(tax):
            self._wrong("R017", f"with tax it is {inclusive}, and {exclusive} + {tax.stripped} is not", totals)


def _sums(node: Node) -> tuple[Decimal, Decimal]:
    """Allowances and charges directly below."""
    sums = {False: _ZERO, True: _ZERO}
    # Their numbers are judged where the elements are walked through; here they only have to add up.
    silent = Findings()
    for one in node.all("AllowanceCharge"):
        is_charge = one.value("ChargeIndicator") in ("true", "1")
        sums[is_charge] += silent.decimal(one.value("Amount"), "", "") or _ZERO
    return sums[False], sums[True]


def _is_named(node: Node) -> bool:
    return bool(node.value("Party/PartyName/Name") or node.value("Party/PartyIdentification/ID"))
