"""Documents that clients send over HTTP, through API and documents worker as processes, either of them killed."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import httpx
import pytest

from deploy.local.endpoints import Endpoints
from producers.api.uploads import EXAMPLE
from schemas.topics import ORDERS_CAPTURED
from tests.integration.api_harness import Api
from tests.integration.streams_harness import Scene, StreamsProcess, wait_until
from tests.unit.order_lives import customer, product

_WORKER = (sys.executable, "-m", "deploy.cli", "worker", "documents")
_SOURCES = """
[[sources]]
name = "scanner"
kind = "upload"
client = "scanner"
system = "shop"
"""
_DOCUMENTS = 12


@pytest.fixture(scope="module")
def scene(fresh_topics: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One stream worker for all tests of the module."""
    made = Scene(fresh_topics, tmp_path_factory.mktemp("uploads"), "tests-uploads", fresh_topics.registry_url)
    try:
        made.master(customer("C1"), product("P1"))
        made.working()
        yield made
    finally:
        made.close()


def reading(scene: Scene) -> StreamsProcess:
    """A documents worker that takes what the API hands over."""
    home = scene.directory / "reading"
    home.mkdir(exist_ok=True)
    (home / "sources.toml").write_text(_SOURCES)
    told = {"sources": str(home / "sources.toml"), "documents_dir": str(home), "data_dir": str(home / "data")}
    return scene.work(_WORKER, **told, uploads_dir=str(scene.directory / "api" / "uploads"), poll_seconds="0.05")


def numbered(number: int) -> bytes:
    return EXAMPLE.replace("PO-4711", f"UP-{number}").encode()


def sent(api: Api, number: int) -> str:
    """Send until an answer comes, as a client does; gives where its status is."""
    answers: list[httpx.Response] = []

    def is_taken() -> bool:
        try:
            with api.caller("scanner") as scanner:
                xml = {"Content-Type": "application/xml"}
                answers.append(scanner.post("/v1/documents", content=numbered(number), headers=xml))
        except httpx.HTTPError:
            return False
        return answers[-1].status_code == 202

    wait_until(is_taken, 60, lambda: f"document {number} is taken: {answers[-1:]}")
    return answers[-1].headers["Location"]


def becomes(client: httpx.Client, path: str, status: str, worker: StreamsProcess) -> None:
    wait_until(lambda: client.get(path).json().get("status") == status, 120, lambda: f"{path}: {worker.log()[-2000:]}")


def test_each_document_is_one_order_though_api_and_worker_are_killed(scene: Scene) -> None:
    captured = scene.subscribe(ORDERS_CAPTURED)
    api, worker = Api(scene, scene.directory / "api"), reading(scene)
    locations = [sent(api, number) for number in range(_DOCUMENTS // 2)]
    api.process.kill()
    worker.kill()
    api = Api(scene, scene.directory / "api")
    # A client that heard no answer sends everything again.
    again = [sent(api, number) for number in range(_DOCUMENTS)]
    assert again[: len(locations)] == locations
    worker = reading(scene)
    with api.caller("scanner") as scanner, api.caller() as shop:
        for number, location in enumerate(again):
            becomes(scanner, location, "done", worker)
            [part] = scanner.get(location).json()["parts"]
            assert (part["outcome"], part["order_id"]) == ("accepted", f"shop:UP-{number}"), part
            # What the rules said of the order is read like that of any other.
            becomes(shop, f"/v1/requests/{part['request_id']}", "applied", worker)
    captured.read_to_end()
    orders = {f"shop:UP-{number}" for number in range(_DOCUMENTS)}
    found = captured.among(orders)
    assert {key for key, _ in found} == orders
    # The same event may stand there twice, never two of one order.
    assert len({one.event_id for _, one in found}) == _DOCUMENTS
