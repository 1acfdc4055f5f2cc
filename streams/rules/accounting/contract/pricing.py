"""Allocates the transaction price to performance obligations. Source: IFRS 15.73-86."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from schemas.errors import InvalidValue
from streams.rules.accounting.contract.terms import Bundle, Obligation, Terms
from streams.rules.accounting.contract.time import growth

_SUBSTANTIALLY_THE_SAME = Fraction(5, 100)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Each obligation's share of the price, and how it was found."""

    weights: Mapping[str, Fraction]
    reasons: tuple[str, ...]


def largest_remainder(amount: Decimal, weights: Sequence[Fraction], unit: Decimal) -> list[Decimal]:
    """`amount` split by `weights` (which add up to 1) into multiples of `unit` that add up to it.

    What is left after rounding down goes to the largest remainders, to the first of equals.
    """
    total = int((amount / unit).to_integral_value(ROUND_HALF_UP))
    exact = [total * weight for weight in weights]
    parts = [int(value // 1) for value in exact]
    left = total - sum(parts)
    order = sorted(range(len(parts)), key=lambda index: parts[index] - exact[index])
    for index in order[:left]:
        parts[index] += 1
    return [part * unit for part in parts]


def rounded_to(value: Fraction, unit: Decimal) -> Decimal:
    """`value` as a multiple of `unit`, half away from zero."""
    scaled = abs(value) / Fraction(unit)
    whole = int(scaled // 1) + (1 if scaled % 1 >= Fraction(1, 2) else 0)
    return (whole if value >= 0 else -whole) * unit


def allocate_price(price: Decimal, obligations: Sequence[Obligation], bundles: Sequence[Bundle]) -> Allocation:
    """Shares of `price` by relative stand-alone selling price, discounts and residuals where their evidence is given.

    Raises:
        InvalidValue: a stand-alone selling price is missing.
    """
    if len(obligations) == 1:
        return Allocation({obligations[0].name: Fraction(1)}, ("one obligation: the whole price (IFRS 15.75)",))
    known = [obligation for obligation in obligations if not obligation.residual]
    uncertain = [obligation for obligation in obligations if obligation.residual]
    exact, reasons = _with_discounts(price, known, bundles, has_residual=bool(uncertain))
    if uncertain:
        left = Fraction(price) - sum(exact.values(), Fraction(0))
        if not _is_faithful(left, uncertain):
            reasons = [
                f"the residual of {_text(left)} would not depict what is usually charged (IFRS 15.81): relative "
                "stand-alone prices (IFRS 15.80)"
            ]
            exact = _relative(Fraction(price), obligations)
        else:
            reasons.append(f"residual {_text(left)} to {_names(uncertain)} (IFRS 15.79(c))")
            exact |= _relative(left, uncertain) if len(uncertain) > 1 else {uncertain[0].name: left}
    weights = _as_weights(exact, price, obligations)
    return Allocation({obligation.name: weights[obligation.name] for obligation in obligations}, tuple(reasons))


def _as_weights(exact: dict[str, Fraction], price: Decimal, obligations: Sequence[Obligation]) -> dict[str, Fraction]:
    if price:
        return {name: amount / Fraction(price) for name, amount in exact.items()}
    return _relative(Fraction(1), obligations)


def _with_discounts(
    price: Decimal, obligations: Sequence[Obligation], bundles: Sequence[Bundle], *, has_residual: bool
) -> tuple[dict[str, Fraction], list[str]]:
    """Amounts of the obligations with known stand-alone prices, the discount where it belongs."""
    prices = {obligation.name: stand_alone_price(obligation) for obligation in obligations}
    total = sum(prices.values(), Fraction(0))
    discount = total - Fraction(price)
    found = {bundle: sum((prices[name] for name in bundle.obligations), Fraction(0)) for bundle in bundles}
    explained = sum((whole - Fraction(bundle.price) for bundle, whole in found.items()), Fraction(0))
    is_the_same = abs(discount - explained) <= abs(discount) * _SUBSTANTIALLY_THE_SAME
    is_evident = bool(bundles) and (has_residual or is_the_same)
    if not is_evident:
        text = f"the bundles' discount of {_text(explained)} is not the contract's {_text(discount)}"
        reasons = [text] if bundles else []
        if has_residual:
            return prices, [*reasons, "observable stand-alone prices first (IFRS 15.79(c))"]
        reasons.append(
            f"relative stand-alone prices {_sum(prices.values())} = {_text(total)} share {_text(Fraction(price))} "
            "(IFRS 15.76)"
        )
        return _relative(Fraction(price), obligations), reasons
    exact, reasons = {}, []
    for bundle, whole in found.items():
        exact.update({name: Fraction(bundle.price) * prices[name] / whole for name in bundle.obligations})
        reasons.append(
            f"discount {_text(whole - Fraction(bundle.price))} belongs to {', '.join(bundle.obligations)}, "
            f"regularly sold together for {bundle.price} (IFRS 15.82)"
        )
    others = [obligation for obligation in obligations if obligation.name not in exact]
    if has_residual or not others:
        return exact | {one.name: prices[one.name] for one in others}, reasons
    return exact | _relative(Fraction(price) - sum(exact.values(), Fraction(0)), others), reasons


def _is_faithful(left: Fraction, uncertain: Sequence[Obligation]) -> bool:
    ranges = [obligation.stand_alone_range for obligation in uncertain]
    if left <= 0 or None in ranges:
        return left > 0
    lowest = sum((Fraction(bounds[0]) for bounds in ranges if bounds), Fraction(0))
    highest = sum((Fraction(bounds[1]) for bounds in ranges if bounds), Fraction(0))
    return lowest <= left <= highest


def _relative(amount: Fraction, obligations: Sequence[Obligation]) -> dict[str, Fraction]:
    prices = {obligation.name: stand_alone_price(obligation) for obligation in obligations}
    return relative_shares(amount, prices)


def relative_shares(amount: Fraction, prices: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """`amount` in proportion to `prices`; equally where all are zero."""
    total = sum(prices.values(), Fraction(0))
    if not total:
        return {name: amount / len(prices) for name in prices}
    return {name: amount * price / total for name, price in prices.items()}


def stand_alone_price(obligation: Obligation) -> Fraction:
    """Stand-alone selling price of all units.

    Raises:
        InvalidValue: it is missing.
    """
    price = obligation.unit_stand_alone_price
    if price is None:
        raise InvalidValue(
            f"obligation {obligation.name!r} has no stand-alone price, and the price has to be allocated: give "
            "stand_alone_price, unit_price or option, or say residual = true",
            rule="stand_alone_price",
        )
    return Fraction(price) * Fraction(obligation.quantity)


def fixed_price(terms: Terms, unit: Decimal) -> tuple[Decimal, str]:
    """The fixed consideration, and how it was found: given, discounted from instalments, or units times prices.

    Raises:
        InvalidValue: neither is there.
    """
    financing = terms.financing
    if terms.price is None and financing is not None and financing.instalments:
        values = [one.amount / growth(financing, terms.signed_on, one.on) for one in financing.instalments]
        value = sum(values, Decimal(0))
        return rounded_to(Fraction(value), unit), f"instalments discounted at {financing.annual_percent} % (IFRS 15.61)"
    if terms.price is not None:
        return terms.price, "as agreed"
    priced = [obligation for obligation in terms.obligations if not obligation.is_priced_by_volume]
    if any(obligation.unit_price is None for obligation in priced):
        raise InvalidValue(f"contract {terms.contract!r} has no price, and not every obligation has a unit_price")
    total = sum((obligation.quantity * (obligation.unit_price or Decimal(0)) for obligation in priced), Decimal(0))
    return total, "quantity x unit price"


def _text(value: Fraction) -> str:
    return f"{Decimal(value.numerator) / Decimal(value.denominator):.2f}"


def _sum(values: Iterable[Fraction]) -> str:
    return " + ".join(_text(value) for value in values)


def _names(obligations: Sequence[Obligation]) -> str:
    return ", ".join(obligation.name for obligation in obligations)
