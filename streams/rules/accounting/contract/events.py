"""What happens to a contract, one model for each kind of event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from streams.rules.accounting.contract.terms import NotNegative, Obligation, Outcome, Part, Positive, Share, Terms


class Happening(Part):
    """What every event has."""

    on: date
    id: str | None = None
    """To refer to from a correction; the event's number where missing."""


class Transfer(Happening):
    """Control of goods passed, or a right was exercised; all that is left where no quantity is given."""

    type: Literal["transfer"] = "transfer"
    obligation: str
    quantity: Positive | None = None


class Shipment(Transfer):
    """Goods left; control passes now unless the delivery term says: at delivery."""

    type: Literal["shipment"] = "shipment"  # type: ignore[assignment]


class Delivery(Transfer):
    """Goods arrived; control passes now if the delivery term says so."""

    type: Literal["delivery"] = "delivery"  # type: ignore[assignment]


class BillAndHold(Transfer):
    """Goods stay here at the customer's wish; control passes only if all four criteria hold."""

    type: Literal["bill_and_hold"] = "bill_and_hold"  # type: ignore[assignment]
    reason_is_substantive: bool
    identified_separately: bool
    ready_for_transfer: bool
    cannot_be_redirected: bool


class Consignment(Transfer):
    """Goods were sent to a dealer on consignment; `transfer` follows when the dealer sells them."""

    type: Literal["consignment"] = "consignment"  # type: ignore[assignment]


class Progress(Happening):
    """Work on an obligation over time; all figures are cumulative."""

    type: Literal["progress"] = "progress"
    obligation: str
    fraction: Share | None = None
    quantity: NotNegative | None = None
    costs: NotNegative | None = None
    uninstalled_costs: NotNegative | None = None
    expected_costs: NotNegative | None = None


class PeriodEnd(Happening):
    """A balance-sheet date: time passes, interest accrues, monetary items take the closing rate."""

    type: Literal["period_end"] = "period_end"


class Invoice(Happening):
    """An amount, with tax, became due; a cancellable one is a right only as far as goods were transferred."""

    type: Literal["invoice", "amount_due"]
    amount: Positive
    cancellable: bool = False


class Payment(Happening):
    """Consideration received; not in cash at its fair value."""

    type: Literal["payment"] = "payment"
    amount: Positive
    noncash: bool = False


class Refund(Happening):
    """Consideration given back."""

    type: Literal["refund"] = "refund"
    amount: Positive


class PaymentToCustomer(Happening):
    """What `payable_to_customer` promised was paid."""

    type: Literal["payment_to_customer"] = "payment_to_customer"
    amount: Positive


class Return(Happening):
    """Units came back and were accepted."""

    type: Literal["return"] = "return"
    obligation: str
    quantity: Positive


class ReturnsLapsed(Happening):
    """The right of return ended: nothing more is expected back."""

    type: Literal["returns_lapsed"] = "returns_lapsed"
    obligation: str


class Estimate(Happening):
    """Something was estimated anew; what is not named stays."""

    type: Literal["estimate"] = "estimate"
    variable: str | None = None
    amount: Decimal | None = None
    outcomes: tuple[Outcome, ...] = ()
    obligation: str | None = None
    expected_returns: NotNegative | None = None
    expected_quantity: Positive | None = None
    expected_costs: NotNegative | None = None


class Resolution(Happening):
    """Variable consideration became certain, and due or credited."""

    type: Literal["resolution"] = "resolution"
    variable: str
    amount: Decimal


class Royalty(Happening):
    """A sale or usage that a royalty is owed for occurred."""

    type: Literal["royalty"] = "royalty"
    amount: Positive
    obligations: tuple[str, ...] = ()


class QuantityChange(Part):
    """More (or, negative, fewer) units of what is promised."""

    obligation: str
    quantity: Decimal


class Modification(Happening):
    """A change of scope or price that both approved. Source: IFRS 15.18-21."""

    type: Literal["modification"] = "modification"
    treatment: Literal["auto", "separate", "prospective", "catch_up"] = "auto"
    """auto follows paragraphs 20 and 21 from the two answers below."""
    price_change: Decimal = Decimal(0)
    add: tuple[Obligation, ...] = ()
    change: tuple[QuantityChange, ...] = ()
    stand_alone_prices: Mapping[str, NotNegative] = Field(default_factory=dict)
    """New stand-alone prices of what remains, of all remaining units together."""
    expected_costs: Mapping[str, NotNegative] = Field(default_factory=dict)
    reflects_stand_alone_prices: bool | None = None
    """Whether the added price is that of the additions; where missing it is compared."""
    remaining_is_distinct: bool = True


class Cancellation(Happening):
    """What was not transferred is cancelled; a part of what was paid may be kept."""

    type: Literal["cancellation"] = "cancellation"
    obligations: tuple[str, ...] = ()
    kept: NotNegative = Decimal(0)


class Concession(Happening):
    """A part of the price is waived: for what was transferred, or for the obligations named."""

    type: Literal["concession"] = "concession"
    amount: Positive
    obligations: tuple[str, ...] = ()
    for_transferred: bool = True


class CreditNote(Happening):
    """An amount due, with tax, was lowered; the price stays."""

    type: Literal["credit_note"] = "credit_note"
    amount: Positive


class CreditLoss(Happening):
    """Lifetime expected credit losses of the receivable, in all."""

    type: Literal["expected_credit_loss"] = "expected_credit_loss"
    amount: NotNegative


class WriteOff(Happening):
    """A receivable that cannot be recovered."""

    type: Literal["write_off"] = "write_off"
    amount: Positive


class ContractCost(Happening):
    """Costs of obtaining or fulfilling the contract that are recovered over a time."""

    type: Literal["contract_cost"] = "contract_cost"
    amount: Positive
    starts_on: date
    ends_on: date


class WarrantyClaim(Happening):
    """What a claim under the assurance-type warranty cost."""

    type: Literal["warranty_claim"] = "warranty_claim"
    amount: Positive


class Repurchased(Happening):
    """The entity bought the goods back for the price of `repurchase`."""

    type: Literal["repurchase"] = "repurchase"


class RepurchaseLapsed(Happening):
    """The goods can no longer be bought back."""

    type: Literal["repurchase_lapsed"] = "repurchase_lapsed"


class ClosePeriod(Happening):
    """A period is closed: what is about it afterwards goes to the first open day."""

    type: Literal["close_period"] = "close_period"
    period: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class Correction(Happening):
    """An earlier event was wrong: its entries are reversed; `by` is what was true, or it never happened."""

    type: Literal["correction"] = "correction"
    corrects: str
    by: Event | None = None


Event = Annotated[
    Transfer
    | Shipment
    | Delivery
    | BillAndHold
    | Consignment
    | Progress
    | PeriodEnd
    | Invoice
    | Payment
    | Refund
    | PaymentToCustomer
    | Return
    | ReturnsLapsed
    | Estimate
    | Resolution
    | Royalty
    | Modification
    | Cancellation
    | Concession
    | CreditNote
    | CreditLoss
    | WriteOff
    | ContractCost
    | WarrantyClaim
    | Repurchased
    | RepurchaseLapsed
    | ClosePeriod
    | Correction,
    Field(discriminator="type"),
]


class ContractFile(Terms):
    """A contract's terms and everything that happened to it, in the order of its becoming known."""

    events: tuple[Event, ...] = ()

    @property
    def is_billed_by_invoice(self) -> bool:
        """Whether amounts are due by invoice rather than at transfer."""
        if self.billing is not None:
            return self.billing == "by_invoice"
        return any(isinstance(event, Invoice) for event in self.events)


Correction.model_rebuild()
ContractFile.model_rebuild()
