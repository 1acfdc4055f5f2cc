"""A documents worker as a process: what is put into its folder becomes orders, once each, also when it is killed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from deploy.local.endpoints import Endpoints
from producers.documents.register import Register
from schemas.topics import ORDER_EVENTS, ORDERS_CAPTURED, REJECTED
from tests.integration.streams_harness import Scene, StreamsProcess, wait_until
from tests.unit import document_samples as samples
from tests.unit.order_lives import customer, product

_WORKER = (sys.executable, "-m", "deploy.cli", "worker", "documents")
_ORDERS = 12


@pytest.fixture(scope="module")
def scene(fresh_topics: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One stream worker for all tests of the module."""
    made = Scene(fresh_topics, tmp_path_factory.mktemp("documents"), "tests-documents", fresh_topics.registry_url)
    try:
        made.master(customer("C1"), product("P1"), product("P2"))
        made.working()
        yield made
    finally:
        made.close()


class Post:
    """A folder, the worker that watches it, and its register."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.home = scene.directory / "post"
        self.folder = self.home / "in"
        self.folder.mkdir(parents=True)
        sources = self.home / "sources.toml"
        sources.write_text(f'[[sources]]\nname = "post"\nkind = "folder"\nsystem = "shop"\npath = "{self.folder}"\n')
        self._sources = sources

    def work(self) -> StreamsProcess:
        told = {"sources": str(self._sources), "documents_dir": str(self.home), "data_dir": str(self.home / "data")}
        return self._scene.work(_WORKER, **(told | {"settle_seconds": "0", "poll_seconds": "0.05"}))

    def put(self, name: str, content: bytes) -> None:
        made = self.folder / f".{name}"
        made.write_bytes(content)
        made.rename(self.folder / name)

    def waiting(self) -> int:
        return sum(1 for path in self.folder.iterdir() if path.is_file())


def _order(number: int) -> bytes:
    return samples.x12_order().replace(b"PO-4713", f"PO-{number}".encode())


def test_each_document_is_one_order_though_the_worker_is_killed(scene: Scene) -> None:
    post = Post(scene)
    captured, rejected = scene.subscribe(ORDERS_CAPTURED), scene.subscribe(REJECTED)
    events = scene.subscribe(ORDER_EVENTS)
    worker = post.work()
    for number in range(_ORDERS):
        post.put(f"{number:02}.edi", _order(number))
    post.put("broken.edi", samples.x12_order().replace(b"CTT*2*14", b"CTT*3*14"))
    wait_until(lambda: post.waiting() <= _ORDERS - 2, 120, lambda: f"documents are taken: {worker.log()[-2000:]}")
    worker.kill()
    worker = post.work()
    wait_until(lambda: post.waiting() == 0, 120, lambda: f"all documents are taken: {worker.log()[-2000:]}")
    # The same document by another name, and the same order in other words.
    post.put("again.edi", _order(3))
    wait_until(lambda: post.waiting() == 0, 60, lambda: f"the copy is taken: {worker.log()[-2000:]}")
    expected = {f"shop:PO-{number}" for number in range(_ORDERS)}

    def applied() -> bool:
        return {key for key, _ in events.poll()} >= expected

    wait_until(applied, 60, "every order is a version")
    assert Counter(key for key, _ in events.read_to_end()) == dict.fromkeys(expected, 1)
    assert {key for key, _ in captured.read_to_end()} == expected
    [(_, letter)] = rejected.read_to_end()
    assert (letter.stage, [violation.rule for violation in letter.violations]) == ("documents", ["x12.ctt_lines"])
    assert worker.terminated() == 0
    register = Register(post.home / "register.sqlite")
    outcomes = Counter(part.outcome for record in register.documents(100) for part in record.parts)
    assert outcomes == {"accepted": _ORDERS, "refused": 1}
    register.close()
