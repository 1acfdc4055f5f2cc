"""Random legal lives of contracts, from a seed: what may happen next follows from what has happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

KINDS = ("goods", "service", "rights", "volume")


@dataclass
class ContractLife:
    """A life being written: terms, events, and as much of the facts as says what may come next."""

    random: Random
    day: date = date(2026, 1, 5)
    terms: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    """Units, or hundredths of progress, to be transferred."""
    gone: dict[str, int] = field(default_factory=dict)
    back: dict[str, int] = field(default_factory=dict)
    modifications: int = 0

    def happen(self, kind: str, **values: Any) -> None:
        """One more event, some days later."""
        self.day += timedelta(days=self.random.randint(0, 40))
        self.events.append({"type": kind, "on": self.day, **values})

    @property
    def document(self) -> dict[str, Any]:
        """The contract file."""
        return {**self.terms, "events": self.events}


def random_life(seed: int) -> ContractLife:
    """A life that ends somewhere; `complete` may bring it to its end."""
    life = ContractLife(Random(seed))
    life.terms = _terms(life)
    acts = (_transfer, _transfer, _transfer, _pay, _pay, _invoice, _return, _estimate, _period_end, _modify, _concede)
    for _ in range(life.random.randint(0, 9)):
        life.random.choice(acts)(life)
    if life.random.random() < 0.1:
        _correct(life)
    return life


def _terms(life: ContractLife) -> dict[str, Any]:
    random = life.random
    obligations = [_obligation(life, number) for number in range(random.randint(1, 4))]
    is_foreign = random.random() < 0.4
    currency = random.choice(("USD", "JPY", "KWD")) if is_foreign else "EUR"
    terms: dict[str, Any] = {
        "contract": f"life {random.random()}",
        "signed_on": life.day,
        "currency": currency,
        "functional_currency": "EUR",
        "price": random.choice((0, 1, 100, 997, 12345, 1000000)),
        "obligations": obligations,
        "billing": random.choice(("on_transfer", "by_invoice")),
        "variable": _variable(random),
        "payable_to_customer": 0,
    }
    if is_foreign:
        days = [life.day + timedelta(days=30 * number) for number in range(24)]
        terms["exchange_rates"] = [{"on": day, "rate": _decimal(random, 5000, 15000, 4)} for day in days]
    if random.random() < 0.2:
        terms["financing"] = {"annual_percent": random.choice((1, 6, 12)), "compounding": "annual"}
    return terms


def _obligation(life: ContractLife, number: int) -> dict[str, Any]:
    random = life.random
    name, kind = f"O{number}", random.choice(KINDS)
    quantity = random.choice((1, 3, 7, 100))
    found: dict[str, Any] = {
        "name": name,
        "quantity": quantity,
        "stand_alone_price": random.choice((0, 1, 33, 100, 9999)),
        "tax_percent": random.choice((0, 7, 19)),
        "unit_cost": random.choice((0, 5, _decimal(random, 1, 9999, 3))),
    }
    if kind == "service":
        found |= {"satisfied": "over_time", "unit_cost": 0}
        quantity = 100
    elif kind == "volume":
        found |= {"tiers": [{"from_quantity": 0, "unit_price": 10}, {"from_quantity": 50, "unit_price": 8}]}
        found |= {"expected_quantity": random.choice((0, 20, 80))}
    elif random.random() < 0.4:
        found |= {"expected_returns": random.randint(0, quantity), "recovery_cost": random.choice((0, 1))}
        found |= {"commission_percent": 10} if random.random() < 0.2 else {}
    life.left[name], life.gone[name], life.back[name] = quantity, 0, 0
    return found


def _variable(random: Random) -> list[dict[str, Any]]:
    if random.random() < 0.6:
        return []
    return [{"name": "bonus", "estimate": random.choice((-50, -1, 0, 20, 333))}]


def _transfer(life: ContractLife) -> None:
    open_names = [name for name, units in life.left.items() if units]
    if not open_names:
        return
    name = life.random.choice(open_names)
    units = life.random.randint(1, life.left[name])
    life.left[name] -= units
    life.gone[name] += units
    if _is_service(life, name):
        life.happen("progress", obligation=name, fraction=Decimal(life.gone[name]).scaleb(-2))
    else:
        life.happen("transfer", obligation=name, quantity=units)


def _pay(life: ContractLife) -> None:
    life.happen(life.random.choice(("payment", "payment", "refund")), amount=_decimal(life.random, 1, 20000, 0))


def _invoice(life: ContractLife) -> None:
    if life.terms["billing"] == "by_invoice":
        cancellable = life.random.random() < 0.3
        life.happen("invoice", amount=_decimal(life.random, 1, 20000, 0), cancellable=cancellable)


def _return(life: ContractLife) -> None:
    kept = {name: life.gone[name] - life.back[name] for name in life.gone if not _is_service(life, name)}
    names = [name for name, units in kept.items() if units > 0]
    if names:
        name = life.random.choice(names)
        units = life.random.randint(1, kept[name])
        life.back[name] += units
        life.happen("return", obligation=name, quantity=units)


def _estimate(life: ContractLife) -> None:
    if life.terms["variable"]:
        life.happen("estimate", variable="bonus", amount=life.random.choice((-80, 0, 10, 500)))


def _period_end(life: ContractLife) -> None:
    life.happen("period_end")


def _modify(life: ContractLife) -> None:
    if life.modifications or not any(life.left.values()) or any("/" in name for name in life.left):
        return
    if any(_is_service(life, name) and life.left[name] > 0 for name in life.left):
        return  # progress of what remains would begin anew, which the next event of this generator does not know
    life.modifications += 1
    life.left["extra"], life.gone["extra"], life.back["extra"] = 5, 0, 0
    extra = {"name": "extra", "quantity": 5, "stand_alone_price": 50, "tax_percent": 19}
    life.happen(
        "modification",
        treatment=life.random.choice(("separate", "prospective")),
        add=[extra],
        price_change=life.random.choice((0, 45, 50)),
    )


def _concede(life: ContractLife) -> None:
    if any(life.gone[name] > life.back[name] for name in life.gone if not _is_service(life, name)):
        life.happen("concession", amount=1)


def _correct(life: ContractLife) -> None:
    payments = [number for number, event in enumerate(life.events, 1) if event["type"] == "payment"]
    if payments:
        number = life.random.choice(payments)
        wrong = life.events[number - 1]
        life.happen("correction", corrects=str(number), by={**wrong, "amount": wrong["amount"] + 1})


def _is_service(life: ContractLife, name: str) -> bool:
    found = next((one for one in life.terms["obligations"] if one["name"] == name), {}) if life.terms else {}
    return found.get("satisfied") == "over_time"


def _decimal(random: Random, low: int, high: int, digits: int) -> Decimal:
    return Decimal(random.randint(low, high)).scaleb(-digits)
