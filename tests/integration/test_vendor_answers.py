"""Vendors answer through the API: their own lines change, those of others never, and each message counts once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.local.endpoints import Endpoints
from producers.api.vendor_documents import CONFIRMATION_EXAMPLE, DESPATCH_EXAMPLE, STOCK_EXAMPLE
from schemas.attributes import VendorId
from schemas.topics import REJECTED
from tests.integration.api_harness import WAIT, Api, draft
from tests.integration.streams_harness import Scene, wait_until
from tests.unit.order_lives import customer, product
from tests.unit.test_documents_answers import DESADV, ubl_despatch, ubl_response

DOCUMENTS = (sys.executable, "-m", "deploy.cli", "worker", "documents")
TWO = [
    {"product_id": "P1", "quantity": "3", "price_amount": "9.95", "tax_percent": "19"},
    {"product_id": "P2", "quantity": "10", "price_amount": "5", "tax_percent": "19"},
]


@pytest.fixture(scope="module")
def scene(fresh_topics: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One stream worker; V1 supplies P1, V2 supplies P2."""
    made = Scene(fresh_topics, tmp_path_factory.mktemp("answers"), "tests-answers", fresh_topics.registry_url)
    try:
        theirs = product("P2").model_copy(update={"vendor_id": VendorId("V2")})
        made.master(customer("C1"), product("P1"), theirs)
        made.working()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def api(scene: Scene) -> Api:
    return Api(scene, scene.directory / "api")


@pytest.fixture
def shop(api: Api) -> Iterator[httpx.Client]:
    with api.caller() as caller:
        yield caller


@pytest.fixture
def vendor(api: Api) -> Iterator[httpx.Client]:
    with api.caller("v1") as caller:
        yield caller


def placed(shop: httpx.Client, name: str) -> str:
    answer = shop.post("/v1/orders", json=draft(id=name, order_lines=TWO), headers=WAIT)
    assert answer.status_code == 201, answer.text
    return f"/v1/orders/shop:{name}"


def dispatch(number: int, quantity: str, **changes: Any) -> dict[str, Any]:
    made = DESPATCH_EXAMPLE | {"message_id": f"M{number}", "despatch_id": f"D{number}"}
    return made | {"lines": [{"line_id": "1", "quantity": quantity}]} | changes


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    return told


def test_a_vendor_confirms_and_dispatches_and_the_order_follows(shop: httpx.Client, vendor: httpx.Client) -> None:
    order = placed(shop, "follows")
    confirmed = vendor.post(f"{order}/confirmations", json=CONFIRMATION_EXAMPLE, headers=WAIT)
    assert (confirmed.status_code, confirmed.json()["status"], confirmed.json()["version"]) == (200, "applied", 2)
    assert "order" not in confirmed.json(), "prices are not the vendor's business"
    sent = vendor.post(f"{order}/despatch-advices", json=dispatch(1, "3"), headers=WAIT)
    assert (sent.status_code, sent.json()["version"]) == (200, 3)
    state = shop.get(order).json()
    assert state["fulfilment_status"] == "partially_fulfilled"
    [shipped] = state["fulfilment"]["shipments"]
    assert (shipped["shipment_id"], shipped["vendor_id"], shipped["carrier_party_id"]) == ("V1/D1", "V1", "DHL")
    assert [one["message_id"] for one in state["fulfilment"]["vendor_answers"]] == ["OR-4711", "M1"]
    steps = shop.get(f"{order}/timeline").json()["versions"]
    assert [step["event_type"] for step in steps] == ["OrderPlaced", "VendorConfirmed", "OrderShipped"]


def test_a_message_counts_once_and_an_older_one_not_at_all(shop: httpx.Client, vendor: httpx.Client) -> None:
    order = placed(shop, "once")
    advice = dispatch(1, "2", issued_at="2026-11-21T17:05:00Z")
    first = vendor.post(f"{order}/despatch-advices", json=advice, headers=WAIT)
    again = vendor.post(f"{order}/despatch-advices", json=advice, headers=WAIT)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["request_id"] == first.json()["request_id"]
    older = dispatch(1, "1", issued_at="2026-11-20T09:00:00Z", message_id="M0")
    assert vendor.post(f"{order}/despatch-advices", json=older, headers=WAIT).json()["status"] == "superseded"
    other_key = {"Idempotency-Key": "another"} | WAIT
    assert vendor.post(f"{order}/despatch-advices", json=advice, headers=other_key).json()["status"] == "superseded"
    back = dispatch(1, "2", issued_at="2026-11-21T18:00:00Z", message_id="M2", is_withdrawn=True)
    assert vendor.post(f"{order}/despatch-advices", json=back, headers=WAIT).json()["status"] == "applied"
    state = shop.get(order).json()
    assert (state["version"], state["fulfilment"]["shipments"]) == (3, [])


def test_a_vendor_speaks_of_its_own_lines_only(api: Api, shop: httpx.Client, vendor: httpx.Client) -> None:
    order = placed(shop, "own")
    other = dispatch(1, "1", lines=[{"line_id": "1", "quantity": "1"}, {"line_id": "2", "quantity": "1"}])
    told = problem(vendor.post(f"{order}/despatch-advices", json=other))
    assert [(one["field"], one["rule"]) for one in told["errors"]] == [
        ("despatch.lines.1.line_id", "answer.vendor_lines")
    ]
    stranger = draft(id="foreign", order_lines=[TWO[1]])
    assert shop.post("/v1/orders", json=stranger, headers=WAIT).status_code == 201
    unknown = [
        vendor.post(f"/v1/orders/shop:{name}/despatch-advices", json=dispatch(1, "1")) for name in ("no", "foreign")
    ]
    assert [answer.status_code for answer in unknown] == [404, 404]
    assert unknown[0].json()["type"] == unknown[1].json()["type"], "an order of others is as good as none"
    with api.caller("v2") as rival:
        taken = vendor.post(f"{order}/confirmations", json=CONFIRMATION_EXAMPLE)
        assert rival.get(taken.headers["Location"]).status_code == 404
    assert vendor.get(taken.headers["Location"]).status_code == 200
    assert vendor.get(order).status_code == 403


def test_what_the_rules_refuse_is_a_dead_letter_and_is_told(
    shop: httpx.Client, vendor: httpx.Client, scene: Scene
) -> None:
    order = placed(shop, "rules")
    refused = vendor.post(f"{order}/despatch-advices", json=dispatch(1, "4"), headers=WAIT)
    told = problem(refused)
    assert (refused.status_code, [one["rule"] for one in told["errors"]]) == (422, ["answer.shipped_quantity"])
    cancelled = shop.post(f"{order}/cancellation", headers={"If-Match": "*"} | WAIT)
    assert cancelled.status_code == 200
    late = vendor.post(f"{order}/despatch-advices", json=dispatch(2, "1"), headers=WAIT)
    assert [one["rule"] for one in problem(late)["errors"]] == ["answer.after_cancellation"]
    reasoned = dispatch(3, "1", reason="it had left before")
    assert vendor.post(f"{order}/despatch-advices", json=reasoned, headers=WAIT).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("confirmations", CONFIRMATION_EXAMPLE | {"lines": []}, "lines"),
        ("confirmations", CONFIRMATION_EXAMPLE | {"issued_at": 12}, "issued_at"),
        ("confirmations", CONFIRMATION_EXAMPLE | {"issued_at": "2026-11-21T09:30:00"}, "issued_at"),
        ("confirmations", CONFIRMATION_EXAMPLE | {"issued_at": "0001-01-01T00:00:00+14:00"}, "issued_at"),
        ("confirmations", CONFIRMATION_EXAMPLE | {"vendor_id": "V2"}, "vendor_id"),
        ("confirmations", CONFIRMATION_EXAMPLE | {"message_id": "a b"}, "message_id"),
        ("confirmations", CONFIRMATION_EXAMPLE | {"update_id": "x"}, "update_id"),
        ("despatch-advices", dispatch(1, "-1"), "lines.0.quantity"),
        ("despatch-advices", dispatch(1, "1e3"), "lines.0.quantity"),
        ("despatch-advices", dispatch(1, "1", despatch_id="\u0000"), "despatch_id"),
        ("despatch-advices", dispatch(1, "1", lines=[{"line_id": "1", "quantity": "1"}] * 1001), "lines"),
    ],
)
def test_what_does_not_fit_names_its_field(
    shop: httpx.Client, vendor: httpx.Client, path: str, body: dict[str, Any], field: str
) -> None:
    answer = vendor.post(f"/v1/orders/shop:any/{path}", json=body)
    assert answer.status_code == 422
    assert [one["field"] for one in problem(answer)["errors"]] == [field]


def test_vendors_answer_by_files_and_the_orders_follow(shop: httpx.Client, scene: Scene) -> None:
    order = placed(shop, "files")
    home, folder = scene.directory / "post", scene.directory / "post" / "in"
    folder.mkdir(parents=True)
    sources = home / "sources.toml"
    sources.write_text(
        f'[[sources]]\nname = "edi"\nkind = "folder"\nsystem = "shop"\npath = "{folder}"\n'
        '[sources.vendors.ACME]\nvendor = "V1"\n[sources.vendors.BOLT]\nvendor = "V2"\n'
    )
    told = {"sources": str(sources), "documents_dir": str(home), "data_dir": str(home / "data")}
    worker = scene.work(DOCUMENTS, **(told | {"settle_seconds": "0", "poll_seconds": "0.05"}))
    files = {
        "response.xml": ubl_response("AP", lines="<cac:Note/>", order="files"),
        "despatch.xml": ubl_despatch().replace(">4711<", ">files<"),
        "desadv.edi": DESADV.replace("4711", "files").replace("ACME", "BOLT").replace("files:1'", "files:2'"),
        "stranger.edi": DESADV.replace("4711", "files").replace("ACME", "EVE"),
    }
    for name, content in files.items():
        (folder / f".{name}").write_text(content)
        (folder / f".{name}").rename(folder / name)

    def is_taken() -> bool:
        worker.assert_alive()
        return not any(path.is_file() for path in folder.iterdir())

    wait_until(is_taken, 60, lambda: f"every file is taken: {worker.log()[-2000:]}")

    def shipped() -> list[str]:
        fulfilment = shop.get(order).json()["fulfilment"] or {"shipments": []}
        return sorted(one["shipment_id"] for one in fulfilment["shipments"])

    wait_until(lambda: shipped() == ["V1/DA-1", "V2/DA-1"], 60, lambda: f"both dispatches count: {shipped()}")
    state = shop.get(order).json()
    assert state["fulfilment_status"] == "partially_fulfilled"
    assert {one["vendor_id"] for one in state["fulfilment"]["vendor_answers"]} == {"V1", "V2"}
    letters = [letter for _, letter in scene.subscribe(REJECTED).read_to_end() if letter.stage == "documents"]
    assert [[violation.rule for violation in letter.violations] for letter in letters] == [["answer.sender"]]
    assert worker.terminated() == 0


def test_stock_is_kept_and_an_older_report_takes_nothing_back(vendor: httpx.Client) -> None:
    first = vendor.post("/v1/stock-reports", json=STOCK_EXAMPLE | {"as_of": "2026-11-21T08:00:00Z"})
    assert (first.status_code, first.json()) == (200, {"taken": 1, "outdated": 0})
    older = STOCK_EXAMPLE | {"as_of": "2026-11-20T08:00:00Z", "message_id": "IR-0"}
    assert vendor.post("/v1/stock-reports", json=older).json() == {"taken": 0, "outdated": 1}
