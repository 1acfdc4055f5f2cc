"""States of orders by the million: some made by the stream processor, the others differing from them in their key."""

from __future__ import annotations

from schemas.topics import CUSTOMERS, PRODUCTS
from tests.benchmarks.stream_load import CUSTOMER_COUNT, PRODUCT_COUNT, captured_order
from tests.unit.order_lives import customer, product
from tests.unit.processing_desk import Desk

_FIRST = 10_000_000
"""All numbers have as many digits, so that one order's bytes become another's by its key."""
_TEMPLATES = 1_000


def order_key(number: int) -> bytes:
    """The key of one order."""
    return b"crm:%d" % (_FIRST + number)


def templates() -> list[bytes]:
    """States as the stream processor makes them."""
    desk = Desk()
    for number in range(CUSTOMER_COUNT):
        desk.master.put(CUSTOMERS, customer(f"C-{number}"))
    for number in range(PRODUCT_COUNT):
        desk.master.put(PRODUCTS, product(f"P-{number}", cost="2.50"))
    desk.take(*(captured_order(_FIRST + number) for number in range(_TEMPLATES)))
    states = {key.encode(): message for key, message in desk.states.items()}
    return [states[order_key(number)] for number in range(_TEMPLATES)]


def state_of(number: int, known: list[bytes]) -> bytes:
    """The state of one order."""
    template = number % _TEMPLATES
    return known[template].replace(order_key(template), order_key(number))
