"""What a person corrects of an order that waits: `field=value`, as `ordersync review accept --set` takes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from producers.documents.order import Kind, ReadLine, ReadOrder
from schemas.errors import ConfigurationError

_OF_LINE = re.compile(r"lines\.(\d+)\.(product|quantity|unit|price|amount|allowance|delivery_date|name)")
_NAMING = (".product", ".name", ".delivery_date")
_ORDER_FIELDS: dict[str, tuple[str, type]] = {
    "number": ("number", str),
    "customer": ("customer_id", str),
    "currency": ("currency", str),
    "issue_date": ("issue_date", date),
    "delivery_date": ("delivery_date", date),
    "note": ("note", str),
    "charge": ("charge", Decimal),
    "allowance": ("allowance", Decimal),
    "tax": ("tax_total", Decimal),
    "total": ("payable", Decimal),
    "net": ("net_total", Decimal),
}
_LINE_FIELDS: dict[str, tuple[str, type]] = {
    "product": ("product_id", str),
    "quantity": ("quantity", Decimal),
    "unit": ("unit_code", str),
    "price": ("price", Decimal),
    "amount": ("amount", Decimal),
    "allowance": ("allowance", Decimal),
    "delivery_date": ("delivery_date", date),
    "name": ("name", str),
}


def corrected(read: ReadOrder, corrections: Mapping[str, str]) -> ReadOrder:
    """The order as a person says that it is; after that its fields are certain.

    A quantity or price that is corrected makes the amount of its line that of the two. An empty value takes a field
    away; `lines.N=` takes a line away, `kind=replacement` makes an order the new form of the one that is known.

    Raises:
        ConfigurationError: there is no such field or line, or the value is none for it.
    """
    made = deepcopy(read)
    gone: set[int] = set()
    for name, text in corrections.items():
        found = _OF_LINE.fullmatch(name)
        if found is not None:
            line = _line(made, int(found[1]), name)
            attribute, kind = _LINE_FIELDS[found[2]]
            setattr(line, attribute, _value(text, kind, name))
            if found[2] in ("quantity", "price") and f"lines.{found[1]}.amount" not in corrections:
                line.amount = None
        elif re.fullmatch(r"lines\.\d+", name) and not text:
            _line(made, int(name.partition(".")[2]), name)
            gone.add(int(name.partition(".")[2]))
        elif name == "kind" and text in {kind.value for kind in Kind}:
            made.kind = Kind(text)
        elif name in _ORDER_FIELDS:
            attribute, kind = _ORDER_FIELDS[name]
            setattr(made, attribute, _value(text, kind, name))
        else:
            known = [*_ORDER_FIELDS, "kind", "lines.N", *(f"lines.N.{field}" for field in _LINE_FIELDS)]
            raise ConfigurationError(f"{name!r} cannot be set; there are {', '.join(known)}")
    made.lines = [line for place, line in enumerate(made.lines) if place not in gone]
    if any(name.startswith("lines.") and not name.endswith(_NAMING) for name in corrections):
        # Totals that were read of something else prove nothing of what a person says.
        made.line_total = made.net_total = made.payable = None
        if "tax" not in corrections:
            made.tax_total = None
    made.is_certain = True
    # Who accepts has seen them.
    made.questions = []
    return made


def _line(read: ReadOrder, place: int, name: str) -> ReadLine:
    if place == len(read.lines):
        read.lines.append(ReadLine(str(place + 1), "added by a person"))
    if place > len(read.lines) - 1:
        raise ConfigurationError(f"{name}: the order has lines 0 to {len(read.lines) - 1}; {len(read.lines)} adds one")
    return read.lines[place]


def _value(text: str, kind: type, name: str) -> Any:
    if not text:
        if kind is Decimal and name.rpartition(".")[2] in ("charge", "allowance"):
            return Decimal(0)
        return None
    try:
        if kind is Decimal:
            number = Decimal(text)
            if not number.is_finite():
                raise ValueError("not finite")
            return number
        return date.fromisoformat(text) if kind is date else text
    except (ValueError, InvalidOperation) as exc:
        told = "a number such as 12.5" if kind is Decimal else "a date such as 2026-11-21"
        raise ConfigurationError(f"{name}={text!r} is not {told}") from exc
