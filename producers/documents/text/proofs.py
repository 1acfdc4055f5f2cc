"""What the numbers of an order prove about each other."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from producers.documents.order import ReadLine, ReadOrder

_PROVED, _UNSURE = 0.95, 0.5
_SLACK = Decimal("0.02")
_RATES = [Decimal(rate) / 10 for rate in (50, 55, 60, 70, 77, 80, 81, 90, 95, 100, 120, 130, 135, 140, 160, 190, 200)]
_RATES += [Decimal(rate) / 10 for rate in (210, 220, 230, 240, 250, 255, 270)]
"""Of value-added tax in Europe."""
_ZERO = Decimal(0)


def settle(order: ReadOrder) -> None:
    """What a subtotal includes, and when all lines are due, the numbers tell better than the words."""
    lines = _sum(order)
    if order.charge and order.line_total is None and order.net_total == lines:
        order.line_total, order.net_total = order.net_total, None
    elif order.charge and order.net_total is None and order.line_total == lines + order.charge - order.allowance:
        order.line_total, order.net_total = None, order.line_total
    due = {line.delivery_date for line in order.lines}
    if order.delivery_date is None and len(due) == 1:
        order.delivery_date = due.pop()


def weigh(order: ReadOrder) -> None:
    """Of a scan: numbers that prove each other are sure, however badly they are printed, and no others."""
    is_total = _is_total(order)
    for place, line in enumerate(order.lines):
        sure = is_proved(line) and is_total
        for name in ("quantity", "price", "amount", "discount"):
            _weigh(order, f"lines.{place}.{name}", sure=sure, least=None if name == "discount" else _UNSURE)
    for key in [key for key in order.evidence if key.startswith("totals.")]:
        _weigh(order, key, sure=is_total, least=None)


def _weigh(order: ReadOrder, key: str, *, sure: bool, least: float | None) -> None:
    evidence = order.evidence.get(key)
    if evidence is not None and sure:
        order.evidence[key] = replace(evidence, recognition=max(evidence.recognition, _PROVED))
    elif evidence is not None and least is not None:
        order.evidence[key] = replace(evidence, validator=least)


def is_proved(line: ReadLine) -> bool:
    """Whether quantity, price and amount of a line say the same."""
    if line.quantity is None or line.price is None or line.amount is None:
        return False
    return abs(line.quantity * line.price - line.allowance - line.amount) <= _SLACK


def _is_total(order: ReadOrder) -> bool:
    """Whether the lines make one of the totals, with tax at a usual rate where only the gross total is told."""
    lines = _sum(order)
    whole = lines + order.charge - order.allowance
    stated = [order.line_total, order.net_total, order.payable]
    if order.payable is not None and order.tax_total is not None:
        stated.append(order.payable - order.tax_total)
    if any(one is not None and abs(one - other) <= _SLACK for one in stated for other in (lines, whole)):
        return True
    if order.payable is None or order.tax_total is not None:
        return False
    return any(abs(whole * (100 + rate) / 100 - order.payable) <= _SLACK for rate in _RATES)


def _sum(order: ReadOrder) -> Decimal:
    return sum((line.amount or _ZERO for line in order.lines), _ZERO)
