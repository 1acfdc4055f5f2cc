"""API workers are killed under load while callers try again: no order is lost, none is there twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from deploy.local.endpoints import Endpoints
from schemas.topics import ORDER_EVENTS, REJECTED
from tests.integration.api_harness import WAIT, Api, draft
from tests.integration.streams_harness import Scene, wait_until
from tests.unit.order_lives import customer, product

ORDERS = 240
CALLERS = 8
KILLS = 4
_UNSURE = frozenset({429, 500, 502, 503, 504})


@pytest.fixture
def scene(fresh_topics: Endpoints, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(fresh_topics, tmp_path, "tests-api-kills", fresh_topics.registry_url)
    try:
        made.master(customer("C1"), product("P1"))
        made.working()
        yield made
    finally:
        made.close()


class Workers:
    """Two API workers, one of which may be dead."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._apis = [self._started(place) for place in range(2)]
        self.urls = [api.url for api in self._apis]

    def kill_and_start(self, place: int) -> None:
        """SIGKILL one of them; another takes its place, with its copy of the orders."""
        self._apis[place].process.kill()
        self._apis[place] = self._started(place)
        self.urls[place] = self._apis[place].url

    def stop(self) -> list[int]:
        """Exit codes after SIGTERM."""
        return [api.process.terminated(60) for api in self._apis]

    def _started(self, place: int) -> Api:
        return Api(self._scene, self._scene.directory / f"api-{place}")


class Caller:
    """Sends each request until it is answered, to either worker."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._client = httpx.Client(headers={"Authorization": "Bearer shop-key"}, timeout=40)
        self.repeated = 0

    def send(self, method: str, path: str, turn: int, headers: dict[str, str], body: object) -> httpx.Response:
        """The first answer that says what happened."""
        for attempt in range(2_000):
            url = self._workers.urls[(turn + attempt) % 2] + path
            try:
                answer = self._client.request(method, url, json=body, headers=headers)
            except httpx.TransportError:
                self.repeated += 1
                threading.Event().wait(0.02)
                continue
            if answer.status_code not in _UNSURE:
                return answer
        raise AssertionError("no worker answers")

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


def test_killed_workers_lose_no_order_and_double_none(scene: Scene) -> None:
    workers, done = Workers(scene), threading.Semaphore(0)

    def live(caller: Caller, number: int) -> None:
        order_id, key = f"shop:kill-{number}", f"kill-{number}"
        sent = draft(id=f"kill-{number}", note="first")
        created = caller.send("POST", "/v1/orders", number, {"Idempotency-Key": key} | WAIT, sent)
        assert created.status_code == 201, created.text
        headers = {"Idempotency-Key": f"{key}-change", "If-Match": '"1"'}
        changed = caller.send("PUT", f"/v1/orders/{order_id}", number + 1, headers | WAIT, draft(note="second"))
        assert changed.status_code == 200, changed.text
        done.release()

    def work(first: int) -> int:
        caller = Caller(workers)
        try:
            for number in range(first, ORDERS, CALLERS):
                live(caller, number)
        finally:
            caller.close()
        return caller.repeated

    with ThreadPoolExecutor(CALLERS) as pool:
        working = [pool.submit(work, first) for first in range(CALLERS)]
        for kill in range(KILLS):
            for _ in range(ORDERS // (KILLS + 2)):
                assert done.acquire(timeout=60), [worker.result() for worker in working if worker.done()]
            workers.kill_and_start(kill % 2)
        repeated = sum(worker.result() for worker in working)
    assert repeated > 0, "no request was in hand when a worker was killed"
    assert workers.stop() == [0, 0]
    events, rejected = scene.subscribe(ORDER_EVENTS), scene.subscribe(REJECTED)
    names = {f"shop:kill-{number}" for number in range(ORDERS)}
    wait_until(lambda: len(events.among(names)) >= 2 * ORDERS, 60, "every version")
    events.read_to_end()
    lives: dict[str, list[tuple[int, str | None]]] = {}
    for key, event in events.among(names):
        lives.setdefault(key, []).append((event.state.version, event.state.order.note))
    assert lives == {name: [(1, "first"), (2, "second")] for name in names}
    assert rejected.read_to_end() == []
