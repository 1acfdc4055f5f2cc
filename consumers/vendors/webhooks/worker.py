"""The worker `webhooks`: delivers every subscriber's queue side by side, each order's messages one after the other."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from time import monotonic
from typing import TypeVar
from uuid import uuid4

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from consumers.vendors.deliveries.book import DeliveryBook, Settled, Subscription, Waiting
from consumers.vendors.deliveries.settings import DispatchSettings
from consumers.vendors.metrics import DeliveryMetrics
from consumers.vendors.profiles import WEBHOOK, Endpoint, VendorProfiles
from consumers.vendors.subscriptions.sealed_secrets import SecretSeal
from consumers.vendors.webhooks.pace import LONGEST_REST_SECONDS, Rest, pause_seconds
from consumers.vendors.webhooks.requests import Attempt, Keys, Outcome, WebhookClient
from consumers.vendors.webhooks.signing import key_of, read_secrets
from schemas.errors import ConfigurationError, InvalidValue, Transient

NAME = "webhooks"
T = TypeVar("T")
_log = logging.getLogger(__name__)
_COUNT_SECONDS = 10.0
_TIDY_SECONDS = 600.0
_MARGIN_SECONDS = 1.0


@dataclass(slots=True)
class _Subscriber:
    """One subscriber's connections, and how it does."""

    webhook: Endpoint
    client: WebhookClient
    rest: Rest
    label: str
    """By which metrics and logs name it."""
    is_client: bool = False
    """Whether it is a client of the API that subscribed, and no vendor of the file."""
    busy: int = 0

    @classmethod
    def of(cls, webhook: Endpoint, keys: Keys, label: str, *, is_client: bool = False) -> _Subscriber:
        """Nothing is known of it yet."""
        limit = min(LONGEST_REST_SECONDS, webhook.retry_limit_seconds)
        rest = Rest(first_seconds=min(1.0, webhook.retry_first_seconds), limit_seconds=limit)
        return cls(webhook, WebhookClient(webhook, keys), rest, label, is_client)


class WebhooksWorker:
    """Delivers at least once: a message is off the queue only when its receiver answered with a status of the 2xx.

    A subscriber belongs to one worker at a time, by a lease in the database; a worker that was frozen or cut off sends
    nothing more once its lease may be over. So an order's messages never overtake each other, and what is sent twice
    has the same id. Memory: at most `connections` messages of each subscriber.
    """

    def __init__(self, settings: DispatchSettings, registry: CollectorRegistry) -> None:
        profiles = VendorProfiles.load(settings.vendors).vendors
        hooks = {name: one.webhook for name, one in profiles.items() if one.webhook is not None}
        timeouts = [settings.subscribers.timeout_seconds, *(hook.timeout_seconds for hook in hooks.values())]
        longest = max(timeouts) + 2 * _MARGIN_SECONDS
        if settings.lease_seconds < longest:
            raise ConfigurationError(
                f"ORDERSYNC_LEASE_SECONDS is {settings.lease_seconds:g}: with these timeouts of receivers it has to be "
                f"{longest:g} or more"
            )
        self._hooks = hooks
        self._patience = {
            name: one.acknowledge_within_minutes * 60
            for name, one in profiles.items()
            if one.acknowledge_within_minutes is not None
        }
        self._settings = settings
        self._book = DeliveryBook(settings.database, WEBHOOK, f"{socket.gethostname()}/{uuid4()}")
        self._metrics = DeliveryMetrics(registry)
        self._subscribers: dict[str, _Subscriber] = {}
        self._seal = SecretSeal(settings.secret_keys)
        self._secrets: dict[str, list[str]] = {}
        """Of clients, opened."""
        self._unreachable: dict[str, str] = {}
        """Labels of clients whose address this worker must not send to."""
        self._open: set[str] = set()
        self._owned_until = self._renew_at = self._count_at = self._tidy_at = 0.0
        self._in_hand: dict[int, Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: list[tuple[Waiting, Attempt]] = []
        self._fault: BaseException | None = None
        self._ready = False

    def ready(self) -> bool:
        """Whether the queue answers."""
        return self._ready

    def run(self, stop: Event) -> None:
        """Deliver until `stop` is set; then wait for the requests in hand, and leave the subscribers to others.

        Raises:
            Fatal: the database refuses what this version needs.
        """
        asyncio.run(self._run(stop))

    async def _run(self, stop: Event) -> None:
        self._subscribers = {
            name: _Subscriber.of(hook, partial(read_secrets, hook.secret_file), name)
            for name, hook in self._hooks.items()
        }
        woken = asyncio.Event()
        try:
            await self._patiently(stop, lambda: asyncio.to_thread(self._book.prepare))
            while not stop.is_set():
                await self._patiently(stop, lambda: self._turn(woken))
                await _wait(woken, self._settings.poll_seconds)
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self._leave()
        finally:
            for task in self._tasks:
                task.cancel()
            for subscriber in self._subscribers.values():
                await subscriber.client.close()
            self._book.close()

    async def _patiently(self, stop: Event, attempt: Callable[[], Awaitable[None]]) -> None:
        pause = 0.0
        while not stop.is_set():
            try:
                await attempt()
            except Transient as exc:
                self._ready = False
                pause = min(max(pause * 2, exc.retry_after_seconds), 10.0)
                _log.warning("%s; trying again in %.1f s", exc, pause)
                until = monotonic() + pause
                while not stop.is_set() and monotonic() < until:
                    await asyncio.sleep(min(0.1, pause))
            else:
                self._ready = True
                return

    async def _turn(self, woken: asyncio.Event) -> None:
        """Note what was delivered, keep the leases, and send what is due."""
        if self._fault is not None:
            # No receiver's doing: the process ends, and what it had in hand stays in the queue.
            raise self._fault
        await self._settle()
        now = monotonic()
        if now >= self._renew_at:
            await self._follow_subscriptions()
            owned = await asyncio.to_thread(self._book.own, self._subscribers, self._settings.lease_seconds)
            self._open = {name for name, is_open in owned.items() if is_open}
            # Counted from before the question: the database's lease ends later.
            self._owned_until = now + self._settings.lease_seconds - _MARGIN_SECONDS
            self._renew_at = now + self._settings.lease_seconds / 4
        free = {name: self._subscribers[name] for name in self._open}
        asked = {name: one.rest.free(now, one.webhook.connections, one.busy) for name, one in free.items()}
        asked = {name: number for name, number in asked.items() if number > 0}
        if asked:
            for waiting in await asyncio.to_thread(self._book.due, asked, list(self._in_hand)):
                self._start(waiting, woken)
        await self._look_after(now)

    async def _follow_subscriptions(self) -> None:
        """Take up clients that have subscribed, and their new secrets, and leave those that have not any more."""
        found = {one.subscription_id: one for one in await asyncio.to_thread(self._book.subscriptions)}
        for name, one in found.items():
            if not self._takes_secrets(one):
                continue
            if name not in self._subscribers and name not in self._unreachable:
                self._take_up(name, _label(one), one.url)
        for name in self._unreachable.keys() - found.keys():
            self._metrics.forget(self._unreachable.pop(name))
            self._secrets.pop(name, None)
        in_hand = {waiting.subscriber for waiting in self._in_hand.values()}
        for name, known in list(self._subscribers.items()):
            if known.is_client and name not in found and name not in in_hand:
                del self._subscribers[name], self._secrets[name]
                self._open.discard(name)
                self._metrics.forget(known.label)
                await known.client.close()

    def _takes_secrets(self, one: Subscription) -> bool:
        """Whether the secrets of a client can be opened; if not, nobody else waits for it, and what it knew holds."""
        name = one.subscription_id
        try:
            self._secrets[name] = [self._seal.opened(secret, name) for secret in one.secrets]
        except (ConfigurationError, InvalidValue) as exc:
            if name not in self._subscribers and name not in self._unreachable:
                _log.error("nothing is sent to subscription %s of %s: %s", name, one.client, exc)
                self._unreachable[name] = _label(one)
            return False
        return True

    def _take_up(self, name: str, label: str, url: str) -> None:
        try:
            endpoint = Endpoint.model_validate(self._settings.subscribers.model_dump() | {"url": url})
        except ValidationError as exc:
            # Nobody else waits for it; what it is to hear waits, and shows in the metrics.
            told = "; ".join(str(one["msg"]) for one in exc.errors())
            _log.error("%s: nothing is sent to %s: %s. See `ordersync webhooks list`", label, url, told)
            self._unreachable[name] = label
            return
        keys = partial(self._keys_of, name, label)
        self._subscribers[name] = _Subscriber.of(endpoint, keys, label, is_client=True)

    def _keys_of(self, name: str, label: str) -> list[bytes]:
        return [key_of(secret, f"the secret of {label}") for secret in self._secrets[name]]

    def _start(self, waiting: Waiting, woken: asyncio.Event) -> None:
        subscriber = self._subscribers[waiting.subscriber]
        if monotonic() + subscriber.webhook.timeout_seconds >= self._owned_until:
            # Another worker might send the order's next message before this one arrives.
            self._renew_at = 0.0
            return
        subscriber.busy += 1
        self._in_hand[waiting.delivery_id] = waiting
        task = asyncio.create_task(self._deliver(subscriber, waiting, woken))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = fault

    async def _deliver(self, subscriber: _Subscriber, waiting: Waiting, woken: asyncio.Event) -> None:
        attempt = await subscriber.client.deliver(waiting.message_id, waiting.body.encode())
        subscriber.busy -= 1
        if attempt.outcome is Outcome.UNREACHABLE:
            subscriber.rest.missed(monotonic(), attempt.rest_seconds, random.random())
        else:
            subscriber.rest.reached()
        self._metrics.attempted(subscriber.label, attempt.outcome.value)
        self._done.append((waiting, attempt))
        woken.set()

    async def _settle(self) -> None:
        done = list(self._done)
        if not done:
            return
        closed = {one.subscriber: attempt.problem or "" for one, attempt in done if attempt.outcome is Outcome.GONE}
        settled = [self._settled(waiting, attempt) for waiting, attempt in done]
        heard: dict[str, list[str]] = {}
        for one, attempt in done:
            if attempt.acknowledged:
                heard.setdefault(one.subscriber, []).append(one.message_id)
        noted = await asyncio.to_thread(self._book.settle, settled, closed, heard)
        self._done = self._done[len(done) :]
        self._open -= closed.keys()
        for waiting, _ in done:
            del self._in_hand[waiting.delivery_id]
        for name, reason in closed.items():
            known = self._subscribers[name]
            _log.warning("%s: %s; nothing more is sent until `%s open`", known.label, reason, _verb(known))
        await self._give_up({name for name, state in noted if state == "dead"})

    async def _give_up(self, dead: set[str]) -> None:
        """Tell of them; a client that took nothing for days is sent no more: what it misses can be replayed."""
        for name in dead:
            known = self._subscribers[name]
            _log.error("%s: messages were given up; see `%s dead-letters`", known.label, _verb(known))
        away = {name for name in dead if self._subscribers[name].is_client}
        if away:
            days = self._settings.subscribers.give_up_seconds / 86_400
            await asyncio.to_thread(self._book.shut, dict.fromkeys(away, f"a message was given up after {days:g} days"))
            self._open -= away

    def _settled(self, waiting: Waiting, attempt: Attempt) -> Settled:
        if attempt.outcome is Outcome.DELIVERED:
            return Settled(waiting.delivery_id, is_delivered=True)
        hook = self._subscribers[waiting.subscriber].webhook
        pause = pause_seconds(waiting.attempts + 1, hook.retry_first_seconds, hook.retry_limit_seconds, random.random())
        return Settled(
            waiting.delivery_id,
            is_delivered=False,
            pause_seconds=max(pause, attempt.rest_seconds),
            give_up_seconds=hook.give_up_seconds,
            problem=attempt.problem,
        )

    async def _look_after(self, now: float) -> None:
        if now >= self._count_at:
            standing = await asyncio.to_thread(self._book.standing)
            missing = await asyncio.to_thread(self._book.unacknowledged, self._patience)
            labels = {name: name for name in self._patience}
            labels |= self._unreachable | {name: one.label for name, one in self._subscribers.items()}
            self._metrics.stands(labels, standing, missing)
            self._count_at = now + _COUNT_SECONDS
        if now >= self._tidy_at:
            await asyncio.to_thread(self._book.tidy, self._settings.keep_days * 86_400)
            self._tidy_at = now + _TIDY_SECONDS

    async def _leave(self) -> None:
        try:
            await self._settle()
            await asyncio.to_thread(self._book.release)
        except Transient as exc:
            _log.warning("%s; what was delivered last is sent once more, with the same id", exc)


def _label(one: Subscription) -> str:
    return f"client/{one.client}/{one.subscription_id[:8]}"


def _verb(subscriber: _Subscriber) -> str:
    return "ordersync webhooks" if subscriber.is_client else "ordersync vendors"


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return
    woken.clear()
