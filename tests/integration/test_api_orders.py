"""Orders over HTTP, from the request to the version and back, on real servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.endpoints import Endpoints
from deploy.security.api_matrix import CALLERS, OPERATIONS, ApiCaller, api_cells
from producers.api.documents import EXAMPLE
from producers.api.vendor_documents import CONFIRMATION_EXAMPLE, DESPATCH_EXAMPLE, STOCK_EXAMPLE
from schemas.attributes import OrderId
from schemas.topics import AUDIT, ORDER_EVENTS, ORDERS_CAPTURED
from tests.integration.api_harness import WAIT, Api, draft, webhook
from tests.integration.streams_harness import Scene, wait_until
from tests.unit.order_lives import Life, customer, order, product

_GUIDE = Path(__file__).parents[2] / "deploy" / "guide"
_PROGRAM = _GUIDE / "send_order.py"


@pytest.fixture(scope="module")
def scene(fresh_topics: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One stream worker for all tests of the module."""
    directory: Path = tmp_path_factory.mktemp("api")
    made = Scene(fresh_topics, directory, "tests-api", fresh_topics.registry_url)
    try:
        made.master(customer("C1"), product("P1"), product("P2"))
        made.working()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def api(scene: Scene) -> Api:
    """One API worker for all tests of the module."""
    return Api(scene, scene.directory / "api")


@pytest.fixture
def shop(api: Api) -> Iterator[httpx.Client]:
    """The shop's program."""
    with api.caller() as caller:
        yield caller


def test_an_order_is_created_changed_and_cancelled(shop: httpx.Client) -> None:
    created = shop.post("/v1/orders", json=draft(id="life"), headers=WAIT)
    assert (created.status_code, created.headers["ETag"]) == (201, '"1"'), created.text
    assert created.headers["Location"] == "/v1/orders/shop:life"
    assert created.json()["order"]["payable_amount"] == "23.6800"
    changed = shop.put(
        "/v1/orders/shop:life", json=draft(note="call first"), headers=WAIT | {"If-Match": created.headers["ETag"]}
    )
    assert (changed.status_code, changed.headers["ETag"], changed.json()["order"]["note"]) == (200, '"2"', "call first")
    late = shop.put("/v1/orders/shop:life", json=draft(note="late"), headers=WAIT | {"If-Match": '"1"'})
    assert (late.status_code, late.headers["ETag"]) == (412, '"2"')
    cancelled = shop.post("/v1/orders/shop:life/cancellation", headers=WAIT | {"If-Match": "*"})
    assert (cancelled.status_code, cancelled.json()["order_status"]) == (200, "cancelled")
    again = shop.post("/v1/orders/shop:life/cancellation", headers={"If-Match": "*"})
    assert (again.status_code, again.headers["ETag"]) == (200, '"3"')
    read = shop.get("/v1/orders/shop:life")
    assert read.json() == cancelled.json()
    assert shop.get("/v1/orders/shop:life", headers={"If-None-Match": '"3"'}).status_code == 304
    steps = shop.get("/v1/orders/shop:life/timeline").json()["versions"]
    assert [(step["version"], step["event_type"]) for step in steps] == [
        (1, "OrderPlaced"),
        (2, "OrderChanged"),
        (3, "OrderCancelled"),
    ]


def test_a_key_is_taken_once_and_answered_the_same(shop: httpx.Client, scene: Scene) -> None:
    captured = scene.subscribe(ORDERS_CAPTURED)
    headers = {"Idempotency-Key": "once"}
    first = shop.post("/v1/orders", json=draft(), headers=headers)
    second = shop.post("/v1/orders", json=draft(), headers=headers)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.headers["Location"] == second.headers["Location"]
    assert second.headers["Idempotent-Replayed"] == "true"
    other = shop.post("/v1/orders", json=draft(note="another"), headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency.key_reused")
    order_id = first.json()["order_id"]
    wait_until(lambda: shop.get(first.headers["Location"]).json()["status"] == "applied", 30, "it is applied")
    tag = {"If-Match": '"1"', "Idempotency-Key": "twice"}
    change = shop.put(f"/v1/orders/{order_id}", json=draft(note="new"), headers=tag | WAIT)
    repeated = shop.put(f"/v1/orders/{order_id}", json=draft(note="new"), headers=tag | WAIT)
    assert (change.status_code, repeated.status_code, repeated.json()) == (200, 200, change.json())
    captured.read_to_end()
    assert len(captured.of(order_id)) == 2


def test_a_refused_order_names_field_and_rule(shop: httpx.Client) -> None:
    wrong = draft(id="wrong", payable_amount="1.00", tax_exclusive_amount="2.00")
    refused = shop.post("/v1/orders", json=wrong, headers=WAIT)
    assert (refused.status_code, refused.headers["Content-Type"]) == (422, "application/problem+json")
    rules = {(error["rule"], error["field"]) for error in refused.json()["errors"]}
    assert rules == {("order.exclusive_total", "tax_exclusive_amount"), ("order.payable_total", "payable_amount")}
    mended = shop.post("/v1/orders", json=draft(id="wrong"), headers=WAIT)
    assert mended.status_code == 201


def test_an_order_waits_for_its_customer_and_says_so(shop: httpx.Client, scene: Scene) -> None:
    sent = shop.post("/v1/orders", json=draft(id="early", buyer_customer_party_id="C-LATE"), headers=WAIT)
    assert (sent.status_code, sent.json()["status"]) == (202, "waiting")
    assert sent.json()["awaits"] == [{"topic": "master.customers", "key": "C-LATE"}]
    scene.master(customer("C-LATE"))
    place = sent.headers["Location"]
    wait_until(lambda: shop.get(place).json()["status"] == "applied", 30, lambda: shop.get(place).text)


def test_of_two_changes_of_one_version_one_wins(shop: httpx.Client) -> None:
    assert shop.post("/v1/orders", json=draft(id="race"), headers=WAIT).status_code == 201
    sent = [
        shop.put("/v1/orders/shop:race", json=draft(note=note), headers={"If-Match": '"1"'}) for note in ("one", "two")
    ]
    # The second may have been sent after the first was applied; then it was told at once.
    places = [answer.headers["Location"] for answer in sent if answer.status_code == 202]
    for place in places:
        wait_until(lambda place=place: shop.get(place).json()["status"] != "accepted", 30, "a decision")
    ends = [shop.get(place).json()["status"] for place in places]
    assert ends == ["applied"] + ["superseded"] * (len(places) - 1)
    assert shop.get("/v1/orders/shop:race").json()["order"]["note"] == "one"


def test_the_api_and_a_database_make_one_order(api: Api, scene: Scene) -> None:
    life = Life(order_id=OrderId("crm:both"))
    with api.caller("crm") as crm:
        sent = crm.post("/v1/orders", json=draft(id="both", system="crm"), headers=WAIT)
        assert sent.status_code == 201
        scene.capture(life.ordered(order(order_id=life.order_id, note="from the database")))
        wait_until(lambda: crm.get("/v1/orders/crm:both").json()["version"] == 2, 30, "the database's version")
        assert crm.post("/v1/orders", json=draft(id="both", system="crm")).status_code == 409
        changed = crm.put("/v1/orders/crm:both", json=draft(note="by the API"), headers=WAIT | {"If-Match": '"2"'})
        assert (changed.status_code, changed.json()["version"]) == (200, 3)
        scene.capture(life.ordered(order(order_id=life.order_id, note="and again")))
        wait_until(lambda: crm.get("/v1/orders/crm:both").json()["version"] == 4, 30, "the database's second")

        def steps() -> list[int]:
            return [step["version"] for step in crm.get("/v1/orders/crm:both/timeline").json()["versions"]]

        # State and versions lie on two topics, which the API reads side by side.
        wait_until(lambda: steps() == [1, 2, 3, 4], 30, lambda: f"the time line has {steps()}")


def test_many_orders_are_taken_one_by_one(shop: httpx.Client, scene: Scene) -> None:
    good = [draft(id=f"bulk-{number}") for number in range(50)]
    many = shop.post("/v1/order-batches", json=[*good, draft(id="bulk-bad", order_lines=[])])
    assert many.status_code == 202
    assert (many.json()["accepted"], many.json()["refused"]) == (50, 1)
    assert many.json()["items"][50]["problem"]["errors"][0]["field"] == "order_lines"
    events = scene.subscribe(ORDER_EVENTS)
    names = {f"shop:bulk-{number}" for number in range(50)}
    wait_until(lambda: {key for key, _ in events.among(names)} == names, 30, "all are placed")


def test_callers_do_only_what_they_may(api: Api, shop: httpx.Client) -> None:
    nobody = httpx.get(f"{api.url}/v1/orders/shop:life", headers={"Authorization": "Bearer wrong"})
    assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, 'Bearer realm="ordersync"')
    assert shop.get("/v1/orders/crm:both").status_code == 404
    assert shop.post("/v1/orders", json=draft(system="crm")).status_code == 403
    with api.caller("watcher") as watcher:
        assert watcher.post("/v1/orders", json=draft(system="crm")).status_code == 403
    with api.caller("slow") as slow:
        answers = [slow.get("/v1/orders/shop:life") for _ in range(2)]
    told = [answer for answer in answers if answer.status_code == 429]
    assert told and int(told[0].headers["Retry-After"]) >= 1


def test_what_cannot_be_read_is_named(shop: httpx.Client) -> None:
    assert shop.post("/v1/orders", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert shop.post("/v1/orders", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    long = shop.post("/v1/orders", content=b" " * 300_000, headers={"Content-Type": "application/json"})
    assert (long.status_code, long.json()["type"]) == (413, "/problems/body.size")
    lines = [draft()["order_lines"][0] | {"quantity": "many"}]
    wrong = shop.post("/v1/orders", json=draft(order_lines=lines))
    assert [error["field"] for error in wrong.json()["errors"]] == ["order_lines.0.quantity"]
    missing = shop.put("/v1/orders/shop:life", json=draft())
    assert (missing.status_code, missing.json()["type"]) == (428, "/problems/order.version_missing")
    assert shop.get("/nowhere").headers["Content-Type"] == "application/problem+json"


def test_the_description_holds_for_whatever_is_sent(api: Api, tmp_path: Path) -> None:
    """Schemathesis makes up requests, fitting and not, and compares every answer with the description."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json"),
        *("--header", "Authorization: Bearer all-key", "--checks", "all"),
        # Rules that no schema can express refuse orders that fit it.
        *("--exclude-checks", "positive_data_acceptance"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--generation-deterministic", "--no-color"),
        *("--suppress-health-check", "all"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_guide_s_program_sends_an_order(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(EXAMPLE | {"id": "guide"}))
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), api.url, "shop-key", str(file)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and done.stdout.startswith('201 "1"'), done.stdout + done.stderr


def test_the_guides_partner_signs_an_order_and_reads_it(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(draft(id="signed")))

    def sign(method: str, target: str, *others: str) -> dict[str, str]:
        program = [sys.executable, str(_GUIDE / "sign_request.py"), "partner", str(api.partner_secrets)]
        done = subprocess.run(
            [*program, method, api.url + target, *others], capture_output=True, text=True, check=True, timeout=60
        )
        return dict(line.split(": ", 1) for line in done.stdout.splitlines())

    said = ("Content-Type: application/json", "Idempotency-Key: signed-1", "Prefer: wait=30")
    headers = sign("POST", "/v1/orders", str(file), *said)
    sent = httpx.post(f"{api.url}/v1/orders", headers=headers, content=file.read_bytes(), timeout=60)
    assert (sent.status_code, sent.json()["order_id"]) == (201, "partner:signed"), sent.text
    replayed = httpx.post(f"{api.url}/v1/orders", headers=headers, content=file.read_bytes(), timeout=60)
    assert (replayed.status_code, replayed.json()["type"]) == (401, "/problems/authentication")
    target = "/v1/orders/partner:signed"
    assert httpx.get(api.url + target, headers=sign("GET", target), timeout=60).json()["version"] == 1
    assert httpx.get(f"{api.url}{target}/timeline", headers=sign("GET", target), timeout=60).status_code == 401


def test_who_read_an_order_is_in_the_audit_before_the_answer(api: Api, scene: Scene) -> None:
    audit = scene.subscribe(AUDIT)
    with api.caller() as shop:
        assert shop.post("/v1/orders", json=draft(id="watched"), headers=WAIT).status_code == 201
    with api.caller("watcher") as watcher:
        for _ in range(3):
            assert watcher.get("/v1/orders/shop:watched").status_code == 200
    audit.read_to_end()
    deeds = [(deed.actor, deed.action, deed.identified_by) for deed in audit.of("shop:watched")]
    assert deeds == [("watcher", "OrderRead", "credential")]


def await_decision(client: httpx.Client, request_id: str) -> None:
    def told() -> str:
        return str(client.get(f"/v1/requests/{request_id}").json()["status"])

    wait_until(lambda: told() in ("applied", "superseded"), 60, told)


def test_a_shop_tells_of_an_order_in_whatever_sequence(api: Api) -> None:
    at = "2026-11-20T1{}:00:00+01:00".format
    sent = [
        webhook("orders/paid", updated_at=at(2), financial_status="paid"),
        webhook("orders/create", updated_at=at(0)),
        webhook("orders/cancelled", updated_at=at(4), cancelled_at=at(4)),
        webhook("orders/updated", updated_at=at(3), note="before it was cancelled"),
    ]
    seen = []
    with api.caller("all") as client:
        for body, headers in sent:
            answer = httpx.post(f"{api.url}/v1/shops/outlet/orders", content=body, headers=headers, timeout=60)
            assert answer.status_code == 200, answer.text
            await_decision(client, answer.json()["request_id"])
            state = client.get("/v1/orders/outlet:1001").json()
            seen.append((state["version"], state["order_status"], state["order"].get("note")))
    assert seen[0] == seen[1] == (1, "confirmed", None)
    assert seen[2] == seen[3] == (2, "cancelled", None)


_CALLERS = {
    "no key": "nobody",
    "a client that may write": "feeder",
    "a client that may read": "viewer",
    "a client that may do both": "shop",
    "a client that may send documents": "scanner",
    "a client of another system": "rival",
    "a shop that signs its webhooks": "unknown",
    "a vendor of the order's lines": "v1",
}


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.role)
def test_a_caller_does_what_the_matrix_says_and_nothing_else(api: Api, shop: httpx.Client, caller: ApiCaller) -> None:
    name = f"cell-{_CALLERS[caller.role]}"
    placed = shop.post("/v1/orders", json=draft(id=name), headers=WAIT)
    sent = shop.put(f"/v1/orders/shop:{name}", json=draft(note="known"), headers={"If-Match": "*"})
    assert (placed.status_code, sent.status_code) == (201, 202)
    order, request = f"/v1/orders/shop:{name}", sent.headers["Location"]
    any_version = {"If-Match": "*"}
    new = draft(id=f"{name}-new", system="shop")
    body, signed = webhook("orders/create", id=name)
    unsigned = {key: value for key, value in signed.items() if "Hmac" not in key}
    signs = caller.role == "a shop that signs its webhooks"
    xml = {"Content-Type": "application/xml"}
    with api.caller("scanner") as scanner:
        document = scanner.post("/v1/documents", content=b"<Order/>", headers=xml).headers["Location"]
    with api.caller(_CALLERS[caller.role]) as client:
        answers = {
            "sendDocument": client.post("/v1/documents", content=b"<Order/>", headers=xml),
            "readDocument": client.get(document),
            "createOrder": client.post("/v1/orders", json=new),
            "createOrders": client.post("/v1/order-batches", json=[draft(id=f"{name}-batch", system="shop")]),
            "changeOrder": client.put(order, json=draft(note=name), headers=any_version),
            "confirmLines": client.post(f"{order}/confirmations", json=CONFIRMATION_EXAMPLE),
            "despatchLines": client.post(f"{order}/despatch-advices", json=DESPATCH_EXAMPLE),
            "reportStock": client.post("/v1/stock-reports", json=STOCK_EXAMPLE),
            "readOrder": client.get(order),
            "readTimeLine": client.get(f"{order}/timeline"),
            "readRequest": client.get(request),
            "cancelOrder": client.post(f"{order}/cancellation", headers=any_version),
            "tellOrder": client.post("/v1/shops/outlet/orders", content=body, headers=signed if signs else unsigned),
        }
    told = {cell.action: cell.allowed for cell in api_cells() if cell.role == caller.role}
    assert {operation: is_done(answer) for operation, answer in answers.items()} == told
    assert shop.get(order).json()["order"].get("note") != name or told["changeOrder"]


def is_done(answer: httpx.Response) -> bool:
    """Whether the API did what was asked, or denied it; of many orders whether it took them."""
    if answer.status_code == 202 and "refused" in answer.json():
        return bool(answer.json()["refused"] == 0)
    assert answer.is_success or answer.status_code in (401, 403, 404), answer.text
    return answer.is_success


def test_every_operation_that_the_api_describes_is_in_the_matrix(shop: httpx.Client) -> None:
    paths = shop.get("/openapi.json").json()["paths"]
    described = {one["operationId"] for path in paths.values() for one in path.values() if "operationId" in one}
    assert described == set(OPERATIONS)
