"""Turns what callers ask into captured events, each once however often it is asked under the same key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from producers.api.documents import ChangedOrder, NewOrder
from producers.api.orders import Orders
from producers.api.problems import FieldProblem, Problem
from producers.api.requests import AcceptedRequest, Kind, RequestId, fingerprint_of, request_id_of
from producers.api.shops import Told
from schemas.attributes import OrderId
from schemas.codec import TopicCodec
from schemas.errors import InvalidValue, Transient
from schemas.models import OrderCaptured, OrderState, SalesOrder
from schemas.topics import ORDERS_CAPTURED

ANY_VERSION = "*"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = (1 << 31) - 1
_CANCELLED = "cancelled"


class Log(Protocol):
    """Where events are made durable."""

    async def send(self, key: bytes, value: bytes, header: bytes) -> None:
        """Return when the event is durable. Raises Transient where it may be, or may not be."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, under which key, with which body."""

    client: str
    key: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """An answer to one request: its event is durable."""

    request: AcceptedRequest
    is_replay: bool = False
    """Whether the event was there before: the caller had asked already."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The order is already as it was asked to be; nothing was written."""

    state: OrderState


@dataclass(frozen=True, slots=True)
class _Fact:
    """What is to be written, and the place that it builds upon."""

    order: SalesOrder | None
    """None where its shop has deleted it."""
    position: int
    sequence: int


class Intake:
    """The write side of one worker.

    Delivery: what it returns is durable in Kafka. Asked again under the same key, before or after a crash and on any
    worker, it writes the same event at the same place or finds that it is there: streams take it once.
    """

    def __init__(self, log: Log, orders: Orders, codec: TopicCodec[OrderCaptured]) -> None:
        self._log = log
        self._orders = orders
        self._codec = codec
        self._in_hand: dict[RequestId, tuple[str, asyncio.Future[Taken | Unchanged]]] = {}

    async def create(self, asked: Asked, draft: NewOrder, system: str) -> Taken | Unchanged:
        """Accept a new order of `system`.

        Raises:
            Problem: 409 where the order exists, 422 where it cannot be computed or the key belongs to another request.
            Transient: the order may be durable or not; the same request again makes sure.
        """
        request_id = request_id_of(asked.client, asked.key)
        order_id = OrderId(f"{system}:{draft.id or request_id}")

        def fact() -> _Fact:
            if self._orders.order(order_id) is not None:
                raise Problem(409, "order.exists", f"{order_id} exists; change it with PUT /v1/orders/{order_id}")
            # Before everything that a database, whose positions are greater, or a later change says of the order.
            return _Fact(_order_of(draft, order_id, "placed"), 0, 1)

        return await self._once(asked, Kind.CREATE, order_id, request_id, fact)

    async def change(self, asked: Asked, order_id: OrderId, draft: ChangedOrder, version: str) -> Taken | Unchanged:
        """Accept what an order is to be from now on; `version` is the one that the caller knew, or `*`.

        Raises:
            Problem: 404 without such an order, 412 where it has changed meanwhile, 422 as `create`.
            Transient: as `create`.
        """

        await self._orders.order_at_least(order_id, _least(version))

        def fact() -> _Fact:
            state = self._known(order_id, version)
            assert state.order is not None
            status = "placed" if state.order.order_status == _CANCELLED else state.order.order_status
            return _after(state, _order_of(draft, order_id, status))

        return await self._once(asked, Kind.CHANGE, order_id, request_id_of(asked.client, asked.key), fact)

    async def cancel(self, asked: Asked, order_id: OrderId, version: str) -> Taken | Unchanged:
        """Accept that an order is cancelled. Raises as `change`."""

        await self._orders.order_at_least(order_id, _least(version))

        def fact() -> _Fact:
            state = self._known(order_id, version)
            assert state.order is not None
            return _after(state, state.order.model_copy(update={"order_status": _CANCELLED}))

        return await self._once(asked, Kind.CANCEL, order_id, request_id_of(asked.client, asked.key), fact)

    async def tell(self, asked: Asked, told: Told) -> Taken:
        """Accept what an order has become at its shop; told of late or again, it changes nothing.

        Of two images of one moment the one that arrives later counts: shops tell seconds, no less.

        Raises:
            Problem: 422 where the order cannot be written.
            Transient: as `create`.
        """
        fact = _Fact(told.order, *_place_of(told, datetime.now(UTC)))
        taken = await self._once(asked, Kind.TELL, told.order_id, request_id_of(asked.client, asked.key), lambda: fact)
        assert isinstance(taken, Taken)
        return taken

    async def _once(
        self, asked: Asked, kind: Kind, order_id: OrderId, request_id: RequestId, fact: Callable[[], _Fact]
    ) -> Taken | Unchanged:
        fingerprint = fingerprint_of(kind, order_id, asked.body)
        known = self._known_request(request_id, fingerprint)
        if known is not None:
            return known
        if request_id in self._in_hand:
            of, in_hand = self._in_hand[request_id]
            check_fingerprint(of, fingerprint)
            return await asyncio.shield(in_hand)
        answer: asyncio.Future[Taken | Unchanged] = asyncio.get_running_loop().create_future()
        self._in_hand[request_id] = fingerprint, answer
        try:
            taken = await self._take(asked, _Draft(request_id, kind, order_id, fingerprint), fact)
        except BaseException as exc:
            # Whoever waits for the same request is told the same; a future that nobody asks must not complain.
            answer.set_exception(exc if isinstance(exc, Exception) else Transient("the request was broken off"))
            answer.exception()
            raise
        else:
            answer.set_result(taken)
            return taken
        finally:
            del self._in_hand[request_id]

    async def _take(self, asked: Asked, draft: _Draft, fact: Callable[[], _Fact]) -> Taken | Unchanged:
        if asked.key is not None and draft.kind in (Kind.CHANGE, Kind.CANCEL):
            # Which version a change builds upon must not be judged while an earlier sending of it is out of sight.
            await self._orders.catch_up(ORDERS_CAPTURED)
            known = self._known_request(draft.request_id, draft.fingerprint)
            if known is not None:
                return known
        try:
            found = fact()
        except Problem:
            if asked.key is None or draft.kind is not Kind.CREATE:
                raise
            # The order may be there because of an earlier sending that is out of sight.
            await self._orders.catch_up(ORDERS_CAPTURED)
            known = self._known_request(draft.request_id, draft.fingerprint)
            if known is None:
                raise
            return known
        if draft.kind in (Kind.CHANGE, Kind.CANCEL):
            state = self._known(draft.order_id, ANY_VERSION)
            assert found.order is not None
            if state.order == found.order and state.order_status == found.order.order_status:
                return Unchanged(state)
        request = AcceptedRequest(
            draft.request_id,
            draft.kind,
            asked.client,
            draft.order_id,
            draft.fingerprint,
            found.position,
            found.sequence,
            datetime.now(UTC),
        )
        await self._log.send(draft.order_id.encode(), self._encoded(request, found.order), request.packed())
        self._orders.remember(request)
        return Taken(request)

    def _encoded(self, request: AcceptedRequest, order: SalesOrder | None) -> bytes:
        return encoded(self._codec, request, order)

    def _known_request(self, request_id: RequestId, fingerprint: str) -> Taken | None:
        known = self._orders.request(request_id)
        if known is None:
            return None
        check_fingerprint(known.fingerprint, fingerprint)
        return Taken(known, is_replay=True)

    def _known(self, order_id: OrderId, version: str) -> OrderState:
        state = self._orders.order(order_id)
        if state is None or state.order is None:
            raise unknown_order(order_id)
        if version not in (ANY_VERSION, str(state.version)):
            raise Problem(
                412,
                "order.version",
                f"{order_id} is at version {state.version}, not {version}: read it again and repeat the change",
                headers={"ETag": f'"{state.version}"'},
            )
        return state


def told_request(asked: Asked, told: Told, arrived_at: datetime) -> AcceptedRequest:
    """The request that `Intake.tell` would accept for what arrived then; for what is told again by people."""
    request_id = request_id_of(asked.client, asked.key)
    fingerprint = fingerprint_of(Kind.TELL, told.order_id, asked.body)
    place = _place_of(told, arrived_at)
    return AcceptedRequest(request_id, Kind.TELL, asked.client, told.order_id, fingerprint, *place, arrived_at)


def encoded(codec: TopicCodec[OrderCaptured], request: AcceptedRequest, order: SalesOrder | None) -> bytes:
    """The captured event of a request. Raises Problem 422 where the order has a value that no event can have."""
    event = OrderCaptured.trusted(
        event_id=request.event_id,
        order_id=request.order_id,
        operation="deleted" if order is None else "upserted",
        source=request.source,
        committed_at=request.accepted_at,
        captured_at=request.accepted_at,
        order=order,
    )
    try:
        return codec.encode(event)
    except InvalidValue as exc:
        raise _unfit(exc) from exc


def _place_of(told: Told, arrived_at: datetime) -> tuple[int, int]:
    """Position and sequence of what a shop tells: by its own clock, and of one moment by when it arrived."""
    late = arrived_at - told.changed_at
    sequence = min(max(late // timedelta(milliseconds=1), 0), _LATEST)
    return (told.changed_at - _EPOCH) // timedelta(microseconds=1), sequence


@dataclass(frozen=True, slots=True)
class _Draft:
    """What of a request is known before its place is."""

    request_id: RequestId
    kind: Kind
    order_id: OrderId
    fingerprint: str


def unknown_order(order_id: OrderId) -> Problem:
    """The problem of an order that is not there, or of others."""
    told = f"there is no order {order_id}; one that was sent just now is known when its request is applied"
    return Problem(404, "order.unknown", told)


def check_fingerprint(known: str, fingerprint: str) -> None:
    """Raises Problem 422 where a key was used for another request."""
    if known != fingerprint:
        told = "this Idempotency-Key was used for another request: send each request under a key of its own"
        raise Problem(422, "idempotency.key_reused", told)


def _least(version: str) -> int:
    return 1 if version == ANY_VERSION else int(version)


def _after(state: OrderState, order: SalesOrder) -> _Fact:
    """Directly behind what the caller knew: of two changes of one version the first in the log wins."""
    source = state.order_source
    return _Fact(order, 0, 1) if source is None else _Fact(order, source.position, source.sequence + 1)


def _order_of(draft: NewOrder | ChangedOrder, order_id: OrderId, status: str) -> SalesOrder:
    try:
        return draft.as_order(order_id, status)
    except InvalidValue as exc:
        raise _unfit(exc) from exc
    except ArithmeticError as exc:
        told = "the amounts and quantities are too large to be multiplied"
        raise Problem(422, "order.total", told) from exc


def _unfit(exc: InvalidValue) -> Problem:
    error = FieldProblem(field=exc.field, rule=exc.rule, message=str(exc))
    return Problem(422, "order.refused", str(exc), errors=[error])
