"""Hands orders in where the API does: the same intake, the same identity, the same log."""

from __future__ import annotations

from producers.api.documents import ChangedOrder, NewOrder
from producers.api.intake import Asked, Intake, Unchanged
from producers.api.intake import Taken as Accepted
from producers.api.orders import Orders
from producers.api.problems import Problem
from producers.api.requests import request_id_of
from producers.documents.processing import KnownOrder, OrderExists, OrderRefused, Taken
from schemas.attributes import OrderId
from schemas.errors import Transient

CLIENT = "documents"


class ApiDesk:
    """An `OrderDesk` on the API's intake.

    Delivery: what it returns is durable in Kafka; under the same key it is written once.
    """

    def __init__(self, intake: Intake, orders: Orders) -> None:
        self._intake = intake
        self._orders = orders

    async def done(self, key: str) -> str | None:
        """Id of the request of that key, if it was accepted before. Raises Transient."""
        found = await self._orders.sought(request_id_of(CLIENT, key))
        return None if found is None else found.request_id

    async def known(self, order_id: OrderId) -> KnownOrder | None:
        """The order as it is now. Raises Transient."""
        state = await self._orders.order_at_least(order_id, 1)
        if state is None or state.order is None:
            return None
        return KnownOrder(state.order, str(state.version))

    async def create(self, key: str, order: NewOrder) -> Taken:
        """Raises OrderExists, OrderRefused, Transient."""
        assert order.system is not None
        try:
            return _taken(await self._intake.create(_asked(key), order, order.system))
        except Problem as exc:
            raise _explained(exc) from exc

    async def change(self, key: str, order_id: OrderId, order: ChangedOrder, version: str) -> Taken:
        """Raises OrderRefused, Transient where the order has changed meanwhile."""
        try:
            return _taken(await self._intake.change(_asked(key), order_id, order, version))
        except Problem as exc:
            raise _explained(exc) from exc

    async def cancel(self, key: str, order_id: OrderId, version: str) -> Taken:
        """Raises OrderRefused, Transient where the order has changed meanwhile."""
        try:
            return _taken(await self._intake.cancel(_asked(key), order_id, version))
        except Problem as exc:
            raise _explained(exc) from exc


def _asked(key: str) -> Asked:
    # The key follows from the document's content, so it says all that tells two requests apart.
    return Asked(CLIENT, key, key.encode())


def _taken(answer: Accepted | Unchanged) -> Taken:
    return Taken(None if isinstance(answer, Unchanged) else answer.request.request_id)


def _explained(problem: Problem) -> Exception:
    if problem.code == "order.exists":
        return OrderExists(problem.detail)
    if problem.status == 412:
        return Transient(problem.detail)
    return OrderRefused("; ".join([problem.detail, *(error.message for error in problem.errors)]))
