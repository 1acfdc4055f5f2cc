"""What a contract promises: obligations, price, variable consideration, financing, exchange rates.

Every attribute may stand in a contract file (see `deploy/guide/ledger.md`); unknown ones are refused.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[Decimal, Field(ge=0, le=1)]
Positive = Annotated[Decimal, Field(gt=0)]
NotNegative = Annotated[Decimal, Field(ge=0)]


class Part(BaseModel):
    """Base of everything in a contract file: unchangeable, and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CustomerOption(Part):
    """An option for more goods at a discount; gives its stand-alone selling price. Source: IFRS 15.B42."""

    average_purchase: Positive
    incremental_discount: Share
    """Beyond what every customer of that kind gets."""
    likelihood: Share


class PriceTier(Part):
    """Price of one unit from a number of units on; it then holds for all units."""

    from_quantity: NotNegative
    unit_price: NotNegative


class Obligation(Part):
    """One performance obligation: a distinct good or service, or a series of them. Source: IFRS 15.22."""

    name: str
    description: str = ""
    quantity: Positive = Decimal(1)
    """Units promised; of a customer's rights (points, gift cards) the units expected to be exercised."""
    stand_alone_price: NotNegative | None = None
    """Of all units together. Source: IFRS 15.77."""
    unit_price: NotNegative | None = None
    """Price of one unit: the stand-alone price too, unless that is given."""
    stand_alone_range: tuple[Decimal, Decimal] | None = None
    """Within which a residual faithfully depicts the price."""
    residual: bool = False
    """Priced at what is left: the price is highly variable or uncertain. Source: IFRS 15.79(c)."""
    option: CustomerOption | None = None
    tiers: tuple[PriceTier, ...] = ()
    """A retrospective volume discount: units are priced by the tier of `expected_quantity`."""
    expected_quantity: NotNegative | None = None
    satisfied: Literal["at_point", "over_time"] = "at_point"
    measure: Literal["output", "costs", "time", "cost_recovery"] = "output"
    """Of progress over time; cost_recovery recognises revenue up to the costs. Source: IFRS 15.41, 15.45."""
    starts_on: date | None = None
    ends_on: date | None = None
    expected_costs: NotNegative | None = None
    uninstalled_costs: NotNegative = Decimal(0)
    """Costs of bought goods that do not depict progress: revenue equal to their cost. Source: IFRS 15.B19(b)."""
    progress_decimals: int | None = None
    """Digits that progress is rounded to, 3 for tenths of a percent; exact where missing."""
    unit_cost: NotNegative = Decimal(0)
    """Carrying amount of one unit, in the functional currency."""
    expected_returns: NotNegative = Decimal(0)
    """Units of `quantity` that are expected back. Source: IFRS 15.B20-B27."""
    warranty_cost: NotNegative = Decimal(0)
    """Expected cost of the assurance-type warranty of one unit, functional currency. Source: IFRS 15.B30, IAS 37.36."""
    recovery_cost: NotNegative = Decimal(0)
    """Cost of getting one unit back, and its expected loss of value. Source: IFRS 15.B25."""
    tax_percent: NotNegative = Decimal(0)
    commission_percent: Annotated[Decimal, Field(ge=0, le=100)] | None = None
    """The entity is an agent and keeps this part of the price. Source: IFRS 15.B36."""
    revenue_account: str | None = None

    @property
    def unit_stand_alone_price(self) -> Decimal | None:
        """Stand-alone selling price of one unit, if it is known."""
        if self.stand_alone_price is not None:
            return self.stand_alone_price / self.quantity
        if self.option is not None:
            option = self.option
            return option.average_purchase * option.incremental_discount * option.likelihood / self.quantity
        return self.unit_price

    @property
    def is_priced_by_volume(self) -> bool:
        """Whether its price depends on the volume and so is no part of the allocated price."""
        return bool(self.tiers)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (
            self.satisfied == "over_time"
            and self.measure == "time"
            and (self.starts_on is None or self.ends_on is None)
        ):
            raise ValueError(f"obligation {self.name!r}: measure 'time' needs starts_on and ends_on")
        if self.expected_returns > self.quantity:
            raise ValueError(f"obligation {self.name!r}: more returns are expected than units are promised")
        return self


class Outcome(Part):
    """One possible amount of variable consideration."""

    amount: Decimal
    probability: Share


class VariableConsideration(Part):
    """A bonus, penalty, rebate or concession; negative where it lowers the price. Source: IFRS 15.50-59."""

    name: str
    estimate: Decimal | None = None
    outcomes: tuple[Outcome, ...] = ()
    method: Literal["expected_value", "most_likely"] = "expected_value"
    constrained_to: Decimal | None = None
    """The part that is highly probable not to be reversed; the rest is left out. Source: IFRS 15.56."""
    obligations: tuple[str, ...] = ()
    """Those that it belongs to entirely; all where empty. Source: IFRS 15.85."""
    is_implicit: bool = False
    """A concession that is expected without being billed: what is due is already less. Source: IFRS 15.52(a)."""

    @property
    def included(self) -> Decimal:
        """What of it is in the transaction price."""
        if self.constrained_to is not None:
            return self.constrained_to
        if self.estimate is not None:
            return self.estimate
        if self.method == "most_likely":
            return max(self.outcomes, key=lambda outcome: outcome.probability).amount
        return sum((outcome.amount * outcome.probability for outcome in self.outcomes), Decimal(0))

    @model_validator(mode="after")
    def _estimated(self) -> Self:
        if self.estimate is None and not self.outcomes and self.constrained_to is None:
            raise ValueError(f"variable consideration {self.name!r} needs an estimate, outcomes or constrained_to")
        return self


class Bundle(Part):
    """Goods regularly sold together at a discount: evidence where a discount belongs. Source: IFRS 15.82."""

    obligations: tuple[str, ...]
    price: NotNegative


class Instalment(Part):
    """One promised payment."""

    on: date
    amount: Positive


class Financing(Part):
    """A significant financing component. Source: IFRS 15.60-65."""

    annual_percent: NotNegative
    """The rate of a separate financing transaction. Source: IFRS 15.64."""
    compounding: Literal["annual", "monthly"] = "annual"
    instalments: tuple[Instalment, ...] = ()
    """The promised payments; discounted to `signed_on` they are the price."""


class ExchangeRate(Part):
    """Functional currency for one unit of the contract's currency, from a day on."""

    on: date
    rate: Positive
    source: str = "given"


class Repurchase(Part):
    """The entity may or must buy the goods back, for not less than it got. Source: IFRS 15.B64-B69."""

    price: Positive
    on: date
    """Day until which it may."""


class Terms(Part):
    """The contract at its inception."""

    contract: str
    signed_on: date
    currency: str = "EUR"
    functional_currency: str | None = None
    exchange_rates: tuple[ExchangeRate, ...] = ()
    rounding_unit: Positive | None = None
    """Amounts are rounded to multiples of it; the smallest coin where missing."""
    price: NotNegative | None = None
    """Fixed consideration without tax; where missing, the sum of quantity x unit_price."""
    obligations: tuple[Obligation, ...] = Field(min_length=1)
    variable: tuple[VariableConsideration, ...] = ()
    payable_to_customer: NotNegative = Decimal(0)
    """Promised to the customer and no payment for a distinct good: lowers the price. Source: IFRS 15.70."""
    bundles: tuple[Bundle, ...] = ()
    financing: Financing | None = None
    billing: Literal["on_transfer", "by_invoice"] | None = None
    """When consideration is due. Where missing: by_invoice if any event is an invoice or amount_due."""
    repurchase: Repurchase | None = None
    delivery_term: str | None = None
    """Incoterms 2020: with DAP, DPU and DDP control passes at delivery, otherwise when the goods leave."""

    @property
    def functional(self) -> str:
        """Currency of the ledger."""
        return self.functional_currency or self.currency

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [obligation.name for obligation in self.obligations]
        if len(set(names)) != len(names):
            raise ValueError("two obligations have the same name")
        named = {name for variable in self.variable for name in variable.obligations}
        named |= {name for bundle in self.bundles for name in bundle.obligations}
        if unknown := sorted(named - set(names)):
            raise ValueError(f"no obligation is named {', '.join(unknown)}")
        return self
