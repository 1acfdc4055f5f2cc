"""Where amounts are posted, and what moves between two sets of balances."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

_ZERO = Decimal(0)


class Post(NamedTuple):
    """An account, and the order line or obligation that the amount on it is about, where it is about one."""

    account: str
    obligation: str = ""


Balances = Mapping[Post, Decimal]
"""Debit is positive; they add up to zero."""


def difference(before: Balances, after: Balances) -> dict[Post, Decimal]:
    """What moved from `before` to `after`; nothing where nothing did."""
    moved = {post: after.get(post, _ZERO) - before.get(post, _ZERO) for post in {**before, **after}}
    return {post: amount for post, amount in moved.items() if amount}
