"""Documents of every structured form that say the same small order, written from the standards."""

from __future__ import annotations

from decimal import Decimal
from textwrap import dedent

from producers.documents.masters import KnownCustomer, KnownProduct, Masters

CUSTOMER = KnownCustomer("shop:C1", "Blauer See Delikatessen", "DE", "DE123456789", "EUR")
OTHER = KnownCustomer("shop:C2", "Bon app'", "FR", None, "EUR")
CHAI = KnownProduct("shop:P1", "Chai", "C62", Decimal("18.00"), "EUR", "S", Decimal(19))
OIL = KnownProduct("shop:P2", "Olive Oil 5 l", "C62", Decimal("21.50"), "EUR", "S", Decimal(19))
SALT = KnownProduct("shop:P3", "Sea Salt 1 kg", "C62", Decimal("2.40"), "EUR", "S", Decimal(19))


def masters() -> Masters:
    """Two customers, three products."""
    return Masters([CUSTOMER, OTHER], [CHAI, OIL, SALT])


_UBL = "urn:oasis:names:specification:ubl:schema:xsd"
_SPACES = f'xmlns:cac="{_UBL}:CommonAggregateComponents-2" xmlns:cbc="{_UBL}:CommonBasicComponents-2"'


_SELLER = (
    '<cac:SellerSupplierParty><cac:Party><cbc:EndpointID schemeID="0088">4000001000005</cbc:EndpointID>'
    "<cac:PartyName><cbc:Name>Us</cbc:Name></cac:PartyName>"
    "<cac:PostalAddress><cac:Country><cbc:IdentificationCode>DE</cbc:IdentificationCode></cac:Country></cac:PostalAddress>"
    "<cac:PartyLegalEntity><cbc:RegistrationName>Us</cbc:RegistrationName></cac:PartyLegalEntity>"
    "</cac:Party></cac:SellerSupplierParty>"
)
_BUYER = (
    '<cac:BuyerCustomerParty><cac:Party><cbc:EndpointID schemeID="0088">4006381333931</cbc:EndpointID>'
    "<cac:PartyIdentification><cbc:ID>C1</cbc:ID></cac:PartyIdentification>"
    "<cac:PartyLegalEntity><cbc:RegistrationName>Blauer See Delikatessen</cbc:RegistrationName></cac:PartyLegalEntity>"
    "</cac:Party></cac:BuyerCustomerParty>"
)


def ubl_order() -> str:
    """A Peppol order of two lines, 12 chai and 2 oil, with a discount of 10.00 and freight of 5.00."""
    return dedent(f"""\
        <?xml version="1.0" encoding="UTF-8"?>
        <Order xmlns="{_UBL}:Order-2" {_SPACES}>
          <cbc:CustomizationID>urn:fdc:peppol.eu:poacc:trns:order:3</cbc:CustomizationID>
          <cbc:ProfileID>urn:fdc:peppol.eu:poacc:bis:order_only:3</cbc:ProfileID>
          <cbc:ID>PO-4711</cbc:ID>
          <cbc:IssueDate>2026-11-20</cbc:IssueDate>
          <cbc:OrderTypeCode>220</cbc:OrderTypeCode>
          <cbc:Note>Ring twice</cbc:Note>
          <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
          <cac:ValidityPeriod><cbc:EndDate>2026-12-31</cbc:EndDate></cac:ValidityPeriod>
          <cac:BuyerCustomerParty><cac:Party>
            <cbc:EndpointID schemeID="0088">4006381333931</cbc:EndpointID>
            <cac:PartyIdentification><cbc:ID>C1</cbc:ID></cac:PartyIdentification>
            <cac:PartyName><cbc:Name>Blauer See Delikatessen</cbc:Name></cac:PartyName>
            <cac:PartyTaxScheme><cbc:CompanyID>DE123456789</cbc:CompanyID>
              <cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>
            <cac:PartyLegalEntity><cbc:RegistrationName>Blauer See</cbc:RegistrationName></cac:PartyLegalEntity>
          </cac:Party></cac:BuyerCustomerParty>
          {_SELLER}
          <cac:Delivery>
            <cac:DeliveryLocation><cac:Address><cbc:StreetName>Forsterstr. 57</cbc:StreetName>
              <cbc:CityName>Mannheim</cbc:CityName>
              <cbc:PostalZone>68306</cbc:PostalZone><cac:Country><cbc:IdentificationCode>DE</cbc:IdentificationCode></cac:Country></cac:Address></cac:DeliveryLocation>
            <cac:RequestedDeliveryPeriod><cbc:StartDate>2026-12-01</cbc:StartDate><cbc:EndDate>2026-12-03</cbc:EndDate></cac:RequestedDeliveryPeriod>
          </cac:Delivery>
          <cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator>
            <cbc:AllowanceChargeReason>Loyal</cbc:AllowanceChargeReason>
            <cbc:Amount currencyID="EUR">10.00</cbc:Amount></cac:AllowanceCharge>
          <cac:AllowanceCharge><cbc:ChargeIndicator>true</cbc:ChargeIndicator>
            <cbc:AllowanceChargeReason>Freight</cbc:AllowanceChargeReason>
            <cbc:Amount currencyID="EUR">5.00</cbc:Amount></cac:AllowanceCharge>
          <cac:TaxTotal><cbc:TaxAmount currencyID="EUR">48.26</cbc:TaxAmount></cac:TaxTotal>
          <cac:AnticipatedMonetaryTotal>
            <cbc:LineExtensionAmount currencyID="EUR">259.00</cbc:LineExtensionAmount>
            <cbc:TaxExclusiveAmount currencyID="EUR">254.00</cbc:TaxExclusiveAmount>
            <cbc:TaxInclusiveAmount currencyID="EUR">302.26</cbc:TaxInclusiveAmount>
            <cbc:AllowanceTotalAmount currencyID="EUR">10.00</cbc:AllowanceTotalAmount>
            <cbc:ChargeTotalAmount currencyID="EUR">5.00</cbc:ChargeTotalAmount>
            <cbc:PayableAmount currencyID="EUR">302.26</cbc:PayableAmount>
          </cac:AnticipatedMonetaryTotal>
          {ubl_line("1", "12", "18.00", "216.00", "P1", "Chai")}
          {ubl_line("2", "2", "21.50", "43.00", "P2", "Olive Oil 5 l")}
        </Order>
        """)


def ubl_line(number: str, quantity: str, price: str, amount: str, code: str, name: str, status: str = "") -> str:
    """One line of a UBL order."""
    told = f"<cbc:LineStatusCode>{status}</cbc:LineStatusCode>" if status else ""
    return (
        f"<cac:OrderLine><cac:LineItem><cbc:ID>{number}</cbc:ID>{told}"
        f'<cbc:Quantity unitCode="C62">{quantity}</cbc:Quantity>'
        f'<cbc:LineExtensionAmount currencyID="EUR">{amount}</cbc:LineExtensionAmount>'
        f'<cac:Price><cbc:PriceAmount currencyID="EUR">{price}</cbc:PriceAmount></cac:Price>'
        f"<cac:Item><cbc:Name>{name}</cbc:Name><cac:SellersItemIdentification><cbc:ID>{code}</cbc:ID>"
        "</cac:SellersItemIdentification><cac:ClassifiedTaxCategory><cbc:ID>S</cbc:ID><cbc:Percent>19</cbc:Percent>"
        "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:ClassifiedTaxCategory></cac:Item></cac:LineItem></cac:OrderLine>"
    )


def ubl_change() -> str:
    """Line 1 becomes 10, line 2 goes, line 3 is new."""
    return dedent(f"""\
        <OrderChange xmlns="{_UBL}:OrderChange-2" {_SPACES}>
          <cbc:CustomizationID>urn:fdc:peppol.eu:poacc:trns:order_change:3</cbc:CustomizationID>
          <cbc:ProfileID>urn:fdc:peppol.eu:poacc:bis:advanced_ordering:3</cbc:ProfileID>
          <cbc:ID>PO-4711-1</cbc:ID><cbc:IssueDate>2026-11-21</cbc:IssueDate><cbc:SequenceNumberID>1</cbc:SequenceNumberID>
          <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
          <cac:OrderReference><cbc:ID>PO-4711</cbc:ID></cac:OrderReference>
          {_BUYER}
          {_SELLER}
          {ubl_line("1", "10", "18.00", "180.00", "P1", "Chai", "3")}
          {ubl_line("2", "2", "21.50", "43.00", "P2", "Olive Oil 5 l", "2")}
          {ubl_line("3", "5", "2.40", "12.00", "P3", "Sea Salt 1 kg", "1")}
        </OrderChange>
        """)


def ubl_cancellation() -> str:
    """The order is no longer wanted."""
    return dedent(f"""\
        <OrderCancellation xmlns="{_UBL}:OrderCancellation-2" {_SPACES}>
          <cbc:CustomizationID>urn:fdc:peppol.eu:poacc:trns:order_cancellation:3</cbc:CustomizationID>
          <cbc:ProfileID>urn:fdc:peppol.eu:poacc:bis:advanced_ordering:3</cbc:ProfileID>
          <cbc:ID>PO-4711-2</cbc:ID><cbc:IssueDate>2026-11-22</cbc:IssueDate><cbc:CancellationNote>Closed</cbc:CancellationNote>
          <cac:OrderReference><cbc:ID>PO-4711</cbc:ID></cac:OrderReference>
          {_BUYER}
          {_SELLER}
        </OrderCancellation>
        """)


_EDIFACT = """UNB+UNOC:3+4006381333931:14+4000001000005:14+261120:1015+77'
UNH+1+ORDERS:D:96A:UN:EAN008'
BGM+220+PO-4712+9'
DTM+137:20261120:102'
DTM+2:20261203:102'
FTX+DIN+++Ring twice?: it is a bell'
NAD+BY+C1::92++Blauer See Delikatessen+Forsterstr. 57+Mannheim++68306+DE'
NAD+SU+4000001000005::9'
CUX+2:EUR:9'
LIN+1++P1:SA'
IMD+F++:::Chai'
QTY+21:12:PCE'
MOA+203:216'
PRI+AAA:18.00'
TAX+7+VAT+++:::19+S'
LIN+2++P2:SA'
QTY+21:2:PCE'
MOA+203:43'
PRI+AAA:2150:::100'
UNS+S'
MOA+79:259'
CNT+2:2'
UNT+22+1'
UNZ+1+77'
"""


def edifact_order(*, una: str = "", separators: str = ":+.?'", newlines: bool = True) -> bytes:
    """The same order as an interchange, with any service characters."""
    component, element, point, release, terminator = separators
    places = {":": component, "+": element, ".": point, "'": terminator}
    marks = list(_EDIFACT if newlines else _EDIFACT.replace("\n", ""))
    text, at = "", 0
    while at < len(marks):
        mark = marks[at]
        if mark == "?":
            text += release + (marks[at + 1] if marks[at + 1] not in places else places[marks[at + 1]])
            at += 2
            continue
        # A full stop is a decimal mark between digits only.
        is_point = mark == "." and marks[at - 1].isdigit() and marks[at + 1].isdigit()
        text += mark if mark == "." and not is_point else places.get(mark, mark)
        at += 1
    return (una + text).encode("latin-1")


def edifact_change() -> bytes:
    """Line 1 becomes 10, line 2 goes, line 3 is new."""
    return (
        b"UNB+UNOC:3+4006381333931:14+X:14+261121:1015+78'UNH+1+ORDCHG:D:96A:UN'BGM+230+CH-1+4'DTM+137:20261121:102'"
        b"RFF+ON:PO-4712'NAD+BY+C1::92'LIN+1+3+P1:SA'QTY+21:10:PCE'LIN+2+2+P2:SA'LIN+3+1+P3:SA'QTY+21:5:PCE'PRI+AAA:2.4'"
        b"UNS+S'UNT+13+1'UNZ+1+78'"
    )


_X12 = """ISA*00*          *00*          *01*SENDER         *01*US             *261120*1134*U*00401*000000905*0*P*>~
GS*PO*SENDER*US*20261120*1134*1*X*004010~
ST*850*0001~
BEG*00*SA*PO-4713**20261120~
CUR*BY*EUR~
DTM*002*20261203~
N1*BY*Blauer See Delikatessen*92*C1~
N1*ST*Lager*92*L1~
N3*Forsterstr. 57~
N4*Mannheim**68306*DE~
PO1*1*12*EA*18.00*PE*VP*P1~
PID*F****Chai~
PO1*2*2*EA*2150*HP*VP*P2~
CTT*2*14~
AMT*TT*259.00~
SE*14*0001~
GE*1*1~
IEA*1*000000905~
"""


def x12_order(element: str = "*", terminator: str = "~", newlines: bool = True) -> bytes:
    """The same order as an interchange, with any separators."""
    text = _X12 if newlines else _X12.replace("\n", "")
    return text.replace("*", element).replace("~", terminator).encode()


def x12_change() -> bytes:
    """Line 1 becomes 10, line 2 goes, line 3 is new."""
    segments = [
        "ISA*00*          *00*          *01*SENDER         *01*US             *261121*1134*U*00401*000000906*0*P*>",
        "GS*PC*SENDER*US*20261121*1134*2*X*004010", "ST*860*0001", "BCH*04*SA*PO-4713***20261120", "N1*BY**92*C1",
        "POC*1*QD*10*0*EA*18.00*PE*VP*P1", "POC*2*DI****", "POC*3*AI*5*0*EA*2.4*PE*VP*P3", "CTT*3", "SE*8*0001",
        "GE*1*2", "IEA*1*000000906", "",
    ]  # fmt: skip
    return "~".join(segments).encode()


CSV_MAPPING = """\
decimal = ","
date = "DD.MM.YYYY"
[columns]
number = "Bestellnummer"
issue_date = "Datum"
buyer_code = "Kunde"
seller_code = "Artikel"
item_name = "Bezeichnung"
quantity = "Menge"
unit = "Einheit"
price = "Preis"
amount = "Betrag"
[constants]
currency = "EUR"
"""

CSV_ORDER = """\
Bestellnummer;Datum;Kunde;Artikel;Bezeichnung;Menge;Einheit;Preis;Betrag
PO-4714;20.11.2026;C1;P1;Chai;12;Stück;18,00;216,00
PO-4714;20.11.2026;C1;P2;Olive Oil 5 l;2;Stk.;21,50;43,00
PO-4715;20.11.2026;C2;P3;Sea Salt 1 kg;1.000;Stk;2,40;2.400,00
"""
