"""What a document says about an order, in the words of UBL, before anything of it is looked up or computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum

from producers.documents.reasons import Reason


class Kind(Enum):
    """What a document asks for."""

    ORDER = "order"
    CHANGE = "change"
    """Some lines or facts of an order are to be different."""
    REPLACEMENT = "replacement"
    """The whole order as it is to be from now on."""
    CANCELLATION = "cancellation"


class LineAction(Enum):
    """What a change does to a line."""

    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"
    KEEP = "keep"


ACTIONS = {
    "1": LineAction.ADD,
    "2": LineAction.DELETE,
    "3": LineAction.CHANGE,
    "4": LineAction.KEEP,
    "5": LineAction.KEEP,
}
"""By the codes of UNCL 1229 that UBL and EDIFACT share."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in points from the upper left corner; pages count from 1."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a field was read and how sure that is; each part between 0 and 1."""

    text: str
    place: str
    recognition: float = 1.0
    """Of the characters: 1 where the document holds them as text."""
    anchor: float = 1.0
    """That this text is this field: its label, its column."""
    validator: float = 1.0
    """That the value is a sound one: a date that exists, a known product."""
    box: Box | None = None

    @property
    def confidence(self) -> float:
        """That of the weakest part."""
        return min(self.recognition, self.anchor, self.validator)


@dataclass(slots=True)
class ReadParty:
    """A buyer, seller or receiver."""

    codes: list[str] = field(default_factory=list)
    """Every identifier that the document gives: its own numbers, GLN, tax number."""
    name: str | None = None
    street_name: str | None = None
    city_name: str | None = None
    postal_zone: str | None = None
    country_subentity: str | None = None
    country_code: str | None = None
    email: str | None = None
    names: list[str] = field(default_factory=list)
    """Texts of which one may be its name: known customers among them are sought."""


@dataclass(slots=True)
class ReadLine:
    """One line."""

    line_id: str
    place: str
    action: LineAction = LineAction.ADD
    seller_code: str | None = None
    buyer_code: str | None = None
    standard_code: str | None = None
    name: str | None = None
    more_name: str | None = None
    """What stands below the name: more of it, or a remark."""
    quantity: Decimal | None = None
    unit_code: str | None = None
    price: Decimal | None = None
    """For one unit."""
    allowance: Decimal = Decimal(0)
    charge: Decimal = Decimal(0)
    amount: Decimal | None = None
    """Without tax, after discount."""
    tax_category_code: str | None = None
    tax_percent: Decimal | None = None
    delivery_date: date | None = None
    product_id: str | None = None
    """Where a person has said which product it is."""

    @property
    def codes(self) -> list[str]:
        """Every code of the product, the seller's own first."""
        return [code for code in (self.seller_code, self.standard_code, self.buyer_code) if code]


@dataclass(slots=True)
class ReadOrder:
    """One order, change or cancellation of a document."""

    kind: Kind
    format: str
    number: str | None = None
    """The buyer's number of the order; for a change or cancellation, of the order that it is about."""
    document_number: str | None = None
    issue_date: date | None = None
    delivery_date: date | None = None
    currency: str | None = None
    buyer: ReadParty = field(default_factory=ReadParty)
    seller: ReadParty = field(default_factory=ReadParty)
    delivery: ReadParty | None = None
    payment_terms: str | None = None
    note: str | None = None
    lines: list[ReadLine] = field(default_factory=list)
    allowance: Decimal = Decimal(0)
    charge: Decimal = Decimal(0)
    line_total: Decimal | None = None
    net_total: Decimal | None = None
    """Without tax, after discounts and charges."""
    tax_total: Decimal | None = None
    payable: Decimal | None = None
    prepaid: Decimal = Decimal(0)
    rounding: Decimal = Decimal(0)
    customer_id: str | None = None
    """Where a person has said which customer it is."""
    is_certain: bool = True
    """Whether the format itself says what each value is."""
    is_test: bool = False
    """Whether the document says that it is only a test."""
    evidence: dict[str, Evidence] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    questions: list[Reason] = field(default_factory=list)
    """What it asks for that an order here cannot say; it waits until a person has looked at it."""

    def ask(self, rule: str, message: str, place: str) -> None:
        """Note a question."""
        self.questions.append(Reason(rule, message, place))

    def ask_of_price_unit(self, line: ReadLine, unit_code: str | None, rule: str, place: str) -> None:
        """Without a line's amount nothing proves what a price per another unit than the ordered one comes to."""
        if line.amount is None and unit_code not in (None, line.unit_code):
            self.ask(rule, f"line {line.line_id} is ordered in {line.unit_code} and priced per {unit_code}", place)

    def add_note(self, text: str, subject: str = "") -> None:
        """Add a text to the note; `subject` names what of the order it is about."""
        told = f"{subject}: {text}" if subject else text
        self.note = f"{self.note}\n{told}" if self.note else told
