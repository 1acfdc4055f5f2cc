"""What columns with unknown titles are, told by numbers: quantity x price = amount on every line, in one way only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import permutations

from producers.documents.text.cells import money_of, quantity_of
from producers.documents.text.columns import OTHER, Column

_ROLES = ("quantity", "price", "amount")
_SLACK = Decimal("0.02")
_CENTS = re.compile(r"[.,]\d{2}(?!\d)")

Numbers = tuple[Decimal, Decimal, Decimal]
"""Quantity, price and amount."""


def assignments(columns: Sequence[Column]) -> Iterator[list[Column]]:
    """The columns with each way to give the missing roles to those whose titles are unknown."""
    known = {column.name for column in columns}
    wanted = [role for role in _ROLES if role not in known]
    unknown = [place for place, column in enumerate(columns) if column.name.startswith(OTHER)]
    for places in permutations(unknown, len(wanted)):
        roles = dict(zip(places, wanted, strict=True))
        yield [replace(one, name=roles.get(place, one.name)) for place, one in enumerate(columns)]


def numbers_of(line: Mapping[str, str], mark: str) -> Numbers | None:
    """Of a line by the names of its columns; None where one of the three is missing."""
    quantity = quantity_of(line.get("quantity", ""), mark)
    price, amount = money_of(line.get("price", ""), mark), money_of(line.get("amount", ""), mark)
    return None if quantity is None or price is None or amount is None else (quantity[0], price, amount)


def is_proved(lines: Sequence[Mapping[str, str]], mark: str, told: set[str]) -> bool:
    """Whether the numbers of every line agree; `told` are the roles that nothing but the numbers tells.

    Quantity and price may be exchanged without a change of the amount: where both are told by numbers only,
    a price shows cents on every line, as the amount does, and a quantity on none.
    """
    if not lines or not all(_agree(numbers_of(line, mark)) for line in lines):
        return False
    if not {"quantity", "price"} <= told:
        return True
    has_cents = all(_CENTS.search(line["price"]) and _CENTS.search(line["amount"]) for line in lines)
    return has_cents and not any(re.search(r"[.,]", line["quantity"]) for line in lines)


def _agree(numbers: Numbers | None) -> bool:
    return numbers is not None and numbers[0] > 0 and abs(numbers[0] * numbers[1] - numbers[2]) <= _SLACK
