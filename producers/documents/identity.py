"""The identity of an order that a document brings: the same as by API or database."""

from __future__ import annotations

import re
from typing import Literal

from schemas.attributes import OrderId

Identity = Literal["number", "buyer-number"]
_KEPT = re.compile(r"[A-Za-z0-9._-]")
_LONGEST = 64


def native_id(number: str) -> str | None:
    """An order number as the native part of an order's id; None where it is too long for one.

    What an id cannot hold is written as `~` and its hexadecimal bytes, so two numbers never become one id.
    """
    made = "".join(
        mark if _KEPT.fullmatch(mark) else "".join(f"~{byte:02X}" for byte in mark.encode()) for mark in number.strip()
    )
    if made and not made[0].isalnum():
        made = f"0~{made}"
    return made if 0 < len(made) <= _LONGEST else None


def order_id_of(system: str, number: str, identity: Identity, customer_id: str | None) -> OrderId | None:
    """`system:number`, or with the customer in front where numbers of several buyers may meet."""
    if identity == "buyer-number":
        if customer_id is None:
            return None
        number = f"{customer_id.partition(':')[2] or customer_id}-{number}"
    native = native_id(number)
    return None if native is None else OrderId(f"{system}:{native}")
