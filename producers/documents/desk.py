"""Hands orders in where the API does: the same intake, the same identity, the same log."""

from __future__ import annotations

from collections.abc import Sequence

from producers.api.answering import AnswerIntake
from producers.api.documents import ChangedOrder, NewOrder
from producers.api.intake import Asked, Intake, Unchanged
from producers.api.intake import Taken as Accepted
from producers.api.orders import Orders
from producers.api.problems import Problem
from producers.api.requests import request_id_of
from producers.documents.processing import KnownOrder, OrderExists, OrderRefused, Taken
from producers.documents.reasons import Reason, RefusedDocument
from schemas.attributes import OrderId, VendorId
from schemas.errors import Transient
from schemas.models import OrderState, VendorAnswer, VendorStock

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


class ApiVendorDesk:
    """A `VendorDesk` on the API's intake.

    Delivery: what it returns is durable in Kafka; under the same key it is written once.
    """

    def __init__(self, intake: AnswerIntake) -> None:
        self._intake = intake

    async def order(self, order_id: OrderId, vendor_id: VendorId) -> OrderState | None:
        """The order, if the vendor supplies any of its lines. Raises Transient."""
        try:
            return await self._intake.order_of(order_id, vendor_id)
        except Problem:
            return None

    async def answer(self, key: str, order_id: OrderId, answer: VendorAnswer) -> str:
        """Raises RefusedDocument, Transient."""
        try:
            return (await self._intake.answer(_asked(key), order_id, answer)).request.request_id
        except Problem as exc:
            raise _refused(exc) from exc

    async def stock(self, reports: Sequence[VendorStock]) -> None:
        """Raises RefusedDocument, Transient."""
        try:
            await self._intake.stock(reports)
        except Problem as exc:
            raise _refused(exc) from exc


def _refused(problem: Problem) -> RefusedDocument:
    found = [Reason(one.rule, one.message, one.field or "message") for one in problem.errors]
    return RefusedDocument(found or [Reason(problem.code, problem.detail, "message")])


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
