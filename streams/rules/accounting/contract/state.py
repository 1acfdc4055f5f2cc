"""What is known of a contract after some of its events: parts of obligations, price components, money moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from schemas.allocation import smallest_coin
from schemas.errors import InvalidValue
from streams.rules.accounting.contract.events import ContractFile
from streams.rules.accounting.contract.pricing import allocate_price, fixed_price, rounded_to, stand_alone_price
from streams.rules.accounting.contract.terms import Obligation

ZERO = Decimal(0)


class Nature(Enum):
    """What kind of consideration a component is."""

    FIXED = "fixed"
    """Due when it is earned; also variable consideration once it is certain."""
    VARIABLE = "variable"
    """Estimated: due only when it is certain; what lowers the price is owed back."""
    IMPLICIT = "implicit"
    """Estimated like variable consideration, but nobody bills it: what is due is already less."""
    INTEREST = "interest"
    """Interest on consideration received in advance; never due."""
    PAYABLE = "payable"
    """Promised to the customer: owed until it is paid."""


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the transaction price, and the shares of it that belong to each part of an obligation."""

    name: str
    amount: Decimal
    weights: Mapping[str, Fraction]
    """By key of the obligation part; they add up to 1, or to 0 for nothing."""
    nature: Nature = Nature.FIXED


@dataclass(frozen=True, slots=True)
class ObligationPart:
    """An obligation, or what was left of it at a prospective modification, and how far it is satisfied."""

    key: str
    terms: Obligation
    quantity: Fraction
    stand_alone_price: Fraction
    transferred: Fraction = Fraction(0)
    """Units, or for obligations over time the progress from 0 to 1."""
    returned: Fraction = Fraction(0)
    return_rate: Fraction = Fraction(0)
    """Units expected back of each unit transferred."""
    costs: Decimal = ZERO
    expected_costs: Decimal = ZERO
    uninstalled_costs: Decimal = ZERO
    expected_volume: Decimal = ZERO
    is_closed: bool = False
    """Ended by a modification or cancellation: what was transferred is all of it."""

    @property
    def is_over_time(self) -> bool:
        """Whether progress is measured rather than units counted."""
        return self.terms.satisfied == "over_time"

    @property
    def expected_back(self) -> Fraction:
        """Units with the customer that are expected to come back."""
        return max(self.transferred * self.return_rate - self.returned, Fraction(0))

    @property
    def kept(self) -> Fraction:
        """Units that went and did not come back."""
        return self.transferred - self.returned

    @property
    def gross_share(self) -> Fraction:
        """How much of it the customer has."""
        return self._share(self.kept)

    @property
    def earned_share(self) -> Fraction:
        """How much of it is revenue: what the customer has, less what is expected back."""
        return self._share(self.kept - self.expected_back)

    @property
    def left(self) -> Fraction:
        """Units, or progress, still to be transferred."""
        if self.is_closed:
            return Fraction(0)
        return (Fraction(1) if self.is_over_time else self.quantity) - self.transferred

    def _share(self, units: Fraction) -> Fraction:
        if self.is_over_time:
            return Fraction(1) if self.is_closed else units
        whole = self.transferred if self.is_closed else self.quantity
        return units / whole if whole else Fraction(0)


@dataclass(frozen=True, slots=True)
class CapitalisedCost:
    """A cost of the contract that is amortised evenly."""

    amount: Decimal
    starts_on: date
    ends_on: date
    amortised: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Financed:
    """What came for goods that may be bought back, and what became of it."""

    since: date
    amount: Decimal = ZERO
    interest: Decimal = ZERO
    repaid: Decimal = ZERO


@dataclass(frozen=True, eq=False)
class ContractState:
    """Everything cumulative about a contract; the balances are a function of it alone.

    Equal only to itself, so that what follows from it is reckoned once.
    """

    contract: ContractFile
    unit: Decimal
    parts: Mapping[str, ObligationPart]
    components: Mapping[str, Component]
    invoiced: Decimal = ZERO
    """Firm amounts due by documents."""
    credit_notes: Decimal = ZERO
    invoiced_cancellable: Decimal = ZERO
    credited: Decimal = ZERO
    """All that lowered the amount due."""
    received: Decimal = ZERO
    received_noncash: Decimal = ZERO
    refunded: Decimal = ZERO
    paid_to_customer: Decimal = ZERO
    interest_income: Decimal = ZERO
    interest_due: Decimal = ZERO
    """What of the interest income has become due with the receivable that it arose on."""
    interest_expense: Decimal = ZERO
    credit_loss: Decimal = ZERO
    written_off: Decimal = ZERO
    consigned: Mapping[str, Fraction] = field(default_factory=dict)
    warranty_claims: Decimal = ZERO
    contract_costs: tuple[CapitalisedCost, ...] = ()
    accrued_on: date | None = None
    financed: Financed | None = None
    repurchase_has_ended: bool = False

    def part(self, name: str) -> ObligationPart:
        """The open part of the obligation of that name, else its newest.

        Raises:
            InvalidValue: there is none.
        """
        candidates = [part for part in self.parts.values() if part.terms.name == name]
        if not candidates:
            known = ", ".join(dict.fromkeys(part.terms.name for part in self.parts.values()))
            raise InvalidValue(f"no obligation {name!r} in contract {self.contract.contract!r}; it has {known}")
        return next((part for part in candidates if not part.is_closed), candidates[-1])

    def with_part(self, part: ObligationPart) -> ContractState:
        """With one part replaced or added."""
        return replace(self, parts={**self.parts, part.key: part})

    def with_component(self, component: Component) -> ContractState:
        """With one price component replaced or added."""
        return replace(self, components={**self.components, component.name: component})

    def weights_of(self, names: tuple[str, ...]) -> Mapping[str, Fraction]:
        """Shares by which consideration is divided among the named obligations, or as the price is."""
        price = self.components["price"].weights
        if not names:
            return price
        chosen = {key: weight for key, weight in price.items() if self.parts[key].terms.name in names}
        if not chosen:
            keys = [part.key for part in self.parts.values() if part.terms.name in names]
            return {key: Fraction(1, len(keys)) for key in keys}
        total = sum(chosen.values(), Fraction(0))
        if not total:
            return {key: Fraction(1, len(chosen)) for key in chosen}
        return {key: weight / total for key, weight in chosen.items()}


def at_inception(contract: ContractFile) -> tuple[ContractState, list[str]]:
    """The state before any event, and how the price was allocated.

    Raises:
        InvalidValue: a price is missing.
    """
    unit = contract.rounding_unit or smallest_coin(contract.currency)
    pooled = [one for one in contract.obligations if not one.is_priced_by_volume]
    price, reason = fixed_price(contract, unit)
    allocation = allocate_price(price, pooled, contract.bundles) if pooled else None
    weights = dict(allocation.weights) if allocation else {}
    parts = {one.name: new_part(one, one.name) for one in contract.obligations}
    state = ContractState(contract, unit, parts, {"price": Component("price", price, weights)})
    if contract.payable_to_customer:
        state = state.with_component(
            Component("payable to customer", -contract.payable_to_customer, weights, Nature.PAYABLE)
        )
    for one in contract.variable:
        amount = rounded_to(Fraction(one.included), unit)
        nature = Nature.IMPLICIT if one.is_implicit else Nature.VARIABLE
        component = Component(one.name, amount, state.weights_of(one.obligations), nature)
        state = state.with_component(component)
    reasons = [f"price {price} {contract.currency}: {reason} (IFRS 15.47)"] if pooled else []
    return state, reasons + (list(allocation.reasons) if allocation else [])


def new_part(terms: Obligation, key: str, quantity: Fraction | None = None) -> ObligationPart:
    """An obligation of which nothing is transferred yet."""
    whole = Fraction(terms.quantity) if quantity is None else quantity
    price = terms.unit_stand_alone_price
    return ObligationPart(
        key=key,
        terms=terms,
        quantity=whole,
        stand_alone_price=stand_alone_price(terms) * whole / Fraction(terms.quantity) if price is not None else whole,
        return_rate=Fraction(terms.expected_returns) / Fraction(terms.quantity),
        expected_costs=terms.expected_costs or ZERO,
        expected_volume=terms.expected_quantity or ZERO,
    )
