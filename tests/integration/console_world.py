"""A console with users of every role, in this process, on the catalogue's topics of a real broker."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from confluent_kafka import Producer

from deploy.console.people.roles import Role
from deploy.console.people.users import Users
from deploy.console.settings import ConsoleSettings
from deploy.console.worker import ConsoleWorker
from deploy.local.endpoints import Endpoints
from deploy.partitioning import partition_of
from schemas.attributes import CanonicalModel
from schemas.codec import TopicCodec
from schemas.registry import SchemaRegistry
from schemas.topics import CATALOGUE

PASSWORD = "four words of no order"
_DEADLINE_SECONDS = 60.0
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


def wait_for(happened: Callable[[], bool], what: str) -> None:
    """Return once it has happened; generous, because other tests run at the same time."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)


def token_in(page: str) -> str:
    """The token of the forms on a page."""
    found = _TOKEN.search(page)
    assert found is not None, page[:2_000]
    return found[1]


@dataclass
class ConsoleWorld:
    """A console that serves, and what a test does to it."""

    stack: Endpoints
    worker: ConsoleWorker
    registry: SchemaRegistry

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.worker.port}"

    def produce(self, topic: str, key: str, value: CanonicalModel | None, *, beside: str | None = None) -> None:
        """Write a record as its owner does; on the partition of another key, where that is the owner's way."""
        codec: TopicCodec[CanonicalModel] = TopicCodec(topic, CATALOGUE[topic].model, self.registry)
        producer = Producer(self.stack.kafka().producer_config())
        place = partition_of((beside or key).encode(), len(producer.list_topics(topic).topics[topic].partitions))
        producer.produce(topic, None if value is None else codec.encode(value), key.encode(), place)
        assert producer.flush(30) == 0

    def client(self) -> httpx.Client:
        """A browser of nobody yet; it says where its requests come from, as browsers do."""
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30)

    def signed_in(self, role: Role) -> httpx.Client:
        """A browser of somebody with the role."""
        client = self.client()
        token = token_in(client.get("/sign-in").text)
        answer = client.post("/sign-in", data={"form_token": token, "name": role.value, "password": PASSWORD})
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
        return client


@contextmanager
def console_world(stack: Endpoints, directory: Path, **settings: object) -> Iterator[ConsoleWorld]:
    """Serve while the context lasts."""
    users = Users(directory / "users.json")
    for role in Role:
        users.add(role.value, role)
        users.set_password(role.value, PASSWORD)
    given = {"kafka": stack.kafka(), "registry": stack.registry(), "port": 0, "data_dir": directory / "data"}
    made = ConsoleSettings.load(users=directory / "users.json", **(given | settings))
    registry, stop, failures = SchemaRegistry(stack.registry()), threading.Event(), list[BaseException]()
    worker = ConsoleWorker(made, registry)

    def run() -> None:
        try:
            worker.run(stop)
        except BaseException as exc:  # noqa: BLE001 - raised in the test's thread
            failures.append(exc)

    thread = threading.Thread(target=run, name="console")
    thread.start()
    try:
        wait_for(lambda: worker.port is not None or bool(failures), "the console serves")
        if not failures:
            yield ConsoleWorld(stack, worker, registry)
    finally:
        stop.set()
        thread.join()
        registry.close()
    if failures:
        raise failures[0]
