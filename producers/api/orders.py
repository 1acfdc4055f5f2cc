"""What callers may know of orders and requests: read from the worker's copy."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import orjson

from producers.api.feed import OrderFeed
from producers.api.requests import AcceptedRequest, AnswerMark, RequestId
from producers.api.store import Changes, OrderStore
from schemas.attributes import OrderId
from schemas.codec import TopicCodec
from schemas.fulfilment_parts import place_of, subjects_of
from schemas.models import AwaitedRecord, OrderState, Violation
from schemas.topics import ORDER_STATE, ORDERS_CAPTURED

_CATCH_UP_SECONDS = 5.0
ANSWERED_SINCE = datetime(1970, 1, 1, tzinfo=UTC)
"""From when the position of a vendor's message counts microseconds."""


class Progress(Enum):
    """What became of a request."""

    ACCEPTED = "accepted"
    """Durable, and not yet decided."""
    WAITING = "waiting"
    """For master data that is not known yet."""
    APPLIED = "applied"
    REJECTED = "rejected"
    """By the rules."""
    SUPERSEDED = "superseded"
    """Another change of the same version came first; of a vendor's message: a newer one, or the same, was there."""


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """One request, and what became of it."""

    request: AcceptedRequest
    progress: Progress
    version: int | None = None
    """The version that it made."""
    violations: list[Violation] = field(default_factory=list)
    awaits: list[AwaitedRecord] = field(default_factory=list)

    @property
    def is_final(self) -> bool:
        """Whether nothing more is to be expected soon."""
        return self.progress is not Progress.ACCEPTED


def _is_outdated(request: AcceptedRequest, mark: AnswerMark, state: OrderState | None) -> bool:
    """Whether messages at or after this one have said all that it has a word about."""
    known = state.fulfilment.vendor_answers if state is not None and state.fulfilment is not None else []
    place = (ANSWERED_SINCE + timedelta(microseconds=request.position), len(mark.message_id), mark.message_id)
    said = {
        subject[1:]
        for answer in known
        if place_of(answer) >= place
        for subject in subjects_of(answer)
        if subject[0] == mark.vendor_id
    }
    return all((kind, name) in said for kind, name in mark.subjects)


class Orders:
    """The read side; all but `hear` is called in the event loop."""

    def __init__(self, store: OrderStore, states: TopicCodec[OrderState]) -> None:
        self._store = store
        self._states = states
        self._recent: dict[RequestId, AcceptedRequest] = {}
        self._waiters: dict[OrderId, set[asyncio.Event]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.feed: OrderFeed | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called once, in the loop."""
        self._loop = loop

    def hear(self, changes: Changes) -> None:
        """Called by the feed, in its thread, after each write."""
        for request in changes.requests:
            self._recent.pop(request.request_id, None)
        if self._waiters and self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake, changes.orders)

    def order(self, order_id: OrderId) -> OrderState | None:
        """The latest version."""
        value = self._store.state(order_id)
        return None if value is None else self._states.decode(value)

    def stock(self, key: str) -> bytes | None:
        """What a vendor has of a product, as it stands on the topic."""
        return self._store.stock(key)

    def time_line(self, order_id: OrderId) -> list[dict[str, Any]]:
        """Each version, oldest first."""
        return [orjson.loads(step) for step in self._store.steps(order_id)]

    def request(self, request_id: RequestId) -> AcceptedRequest | None:
        """An accepted request, whichever worker accepted it."""
        return self._recent.get(request_id) or self._store.request(request_id)

    async def sought(self, request_id: RequestId) -> AcceptedRequest | None:
        """An accepted request, sought again where another worker may have accepted it just now. Raises Transient."""
        known = self.request(request_id)
        if known is None:
            await self.catch_up(ORDERS_CAPTURED)
            known = self.request(request_id)
        return known

    def remember(self, request: AcceptedRequest) -> None:
        """A request that this worker has made durable; the copy will have it soon."""
        self._recent[request.request_id] = request
        # The feed may have been quicker; it takes out of here only what it finds.
        if self._store.request(request.request_id) is not None:
            self._recent.pop(request.request_id, None)

    def status(self, request: AcceptedRequest) -> RequestStatus:
        """What became of a request."""
        steps, state = self.time_line(request.order_id), self.order(request.order_id)
        known = 0 if state is None else state.version
        for step in reversed(steps):
            if step["event_id"] == request.event_id and step["version"] <= known:
                return RequestStatus(request, Progress.APPLIED, version=step["version"])
        refusal = self._store.refusal(request.request_id)
        if refusal is not None:
            found = [Violation(**one) for one in orjson.loads(refusal)]
            return RequestStatus(request, Progress.REJECTED, violations=found)
        waiting = self._store.waiting(request.order_id)
        if waiting is not None and request.request_id in (told := orjson.loads(waiting))["requests"]:
            awaits = [AwaitedRecord(**one) for one in told["awaits"]]
            return RequestStatus(request, Progress.WAITING, awaits=awaits)
        # Where one of time line and state is behind, what made the other may still turn out to be this request.
        is_level = state is not None and bool(steps) and steps[-1]["version"] == state.version
        if request.answer is not None:
            is_outdated = is_level and _is_outdated(request, request.answer, state)
            return RequestStatus(request, Progress.SUPERSEDED if is_outdated else Progress.ACCEPTED)
        if is_level and state is not None and not request.source.is_after(state.order_source):
            return RequestStatus(request, Progress.SUPERSEDED)
        return RequestStatus(request, Progress.ACCEPTED)

    async def outcome(self, request: AcceptedRequest, seconds: float) -> RequestStatus:
        """The status as soon as it is final, or as it is after `seconds`."""
        news = asyncio.Event()
        waiters = self._waiters[request.order_id]
        waiters.add(news)
        try:
            async with asyncio.timeout(seconds):
                while not (status := self.status(request)).is_final:
                    await news.wait()
                    news.clear()
                return status
        except TimeoutError:
            return self.status(request)
        finally:
            waiters.discard(news)
            if not waiters:
                self._waiters.pop(request.order_id, None)

    async def catch_up(self, topic: str) -> None:
        """Return when everything that was on the topic before is known. Raises Transient where that takes too long."""
        assert self.feed is not None
        await asyncio.to_thread(self.feed.catch_up, topic, _CATCH_UP_SECONDS)

    async def order_at_least(self, order_id: OrderId, version: int) -> OrderState | None:
        """The latest version, sought again where the caller has seen a later one: at another worker.

        Raises:
            Transient: the copy is too far behind.
        """
        state = self.order(order_id)
        if state is None or state.version < version:
            await self.catch_up(ORDER_STATE)
            state = self.order(order_id)
        return state

    def _wake(self, orders: set[OrderId]) -> None:
        for order_id in orders & self._waiters.keys():
            for news in self._waiters[order_id]:
                news.set()
