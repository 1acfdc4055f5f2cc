"""Which caller of the API may do what: by the scopes that its entry has, and the systems that it speaks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from deploy.security.cells import Cell

API: Final = "API"

WRITE: Final = "orders:write"
READ: Final = "orders:read"
SEND: Final = "documents:write"
FOLLOW: Final = "documents:read"
SIGNED: Final = "a shop's signature"
ANSWER: Final = "vendors:answer"
Scope = Literal[
    "orders:write", "orders:read", "documents:write", "documents:read", "a shop's signature", "vendors:answer"
]


class ApiCaller(NamedTuple):
    """A kind of caller; without scopes nobody whom the clients' file names."""

    role: str
    scopes: tuple[Scope, ...]
    speaks_for_it: bool = True
    """Whether the order is one of its own systems'."""


OPERATIONS: Final[dict[str, Scope]] = {
    "createOrder": WRITE,
    "createOrders": WRITE,
    "changeOrder": WRITE,
    "cancelOrder": WRITE,
    "readOrder": READ,
    "readTimeLine": READ,
    "readRequest": READ,
    "sendDocument": SEND,
    "readDocument": FOLLOW,
    "tellOrder": SIGNED,
    "confirmLines": ANSWER,
    "despatchLines": ANSWER,
    "reportStock": ANSWER,
}
"""Every operation of the API's description with the scope that it asks for."""

CALLERS: Final = (
    ApiCaller("no key", ()),
    ApiCaller("a client that may write", (WRITE,)),
    ApiCaller("a client that may read", (READ,)),
    ApiCaller("a client that may do both", (WRITE, READ)),
    ApiCaller("a client that may send documents", (SEND, FOLLOW)),
    ApiCaller("a client of another system", (WRITE, READ, FOLLOW), speaks_for_it=False),
    ApiCaller("a shop that signs its webhooks", (SIGNED,)),
    ApiCaller("a vendor of the order's lines", (ANSWER,)),
)


def api_cells() -> Iterator[Cell]:
    """What each caller may do with an order, as the API decides it."""
    for caller in CALLERS:
        for operation, scope in OPERATIONS.items():
            yield Cell(API, caller.role, operation, caller.speaks_for_it and scope in caller.scopes)
