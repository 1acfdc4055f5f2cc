"""What the console's pages are made of: charts, differences, words and amounts, and the guard in front of them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from deploy.console.differences import Difference, Sort, differences
from deploy.console.flow.charts import Chart, Line, sparkline
from deploy.console.web.guard import HEADERS, Guard, GuardPolicy
from deploy.console.web.rendering import Pages, address, coded, money, plain_value
from deploy.console.web.visits import local_page
from deploy.state_changes import changes
from tests.unit.order_samples import order_state


def test_chart_is_wellformed_in_its_frame_and_escapes_its_words() -> None:
    points = [(940.0 + n, float(n * n)) for n in range(60)]
    drawn = Chart("a <b>", "s", [Line("x", "series-a", points)], "now & then").svg(1_000.0)
    root = ElementTree.fromstring(drawn)
    assert (root.findtext("title"), root.findtext("desc")) == ("a <b>", "now & then")
    [line] = [path for path in root.iter("path") if (path.get("class") or "").startswith("line")]
    places = [tuple(map(float, place.split())) for place in (line.get("d") or "")[1:].split(" L")]
    assert all(0 <= x <= 640 and 0 <= y <= 180 for x, y in places)
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True), "more is higher"
    assert "style" not in drawn, "the policy forbids styles in the page"


def test_commands_in_a_sentence_are_code_and_nothing_of_it_is_markup() -> None:
    assert coded("do `a <b>` & stop") == "do <code>a &lt;b&gt;</code> &amp; stop"


@pytest.mark.parametrize("values", [[], [0.0], [5.0] * 100])
def test_charts_of_nothing_and_of_one_value_are_drawn(values: list[float]) -> None:
    ElementTree.fromstring(sparkline(values))
    points = [(float(number), value) for number, value in enumerate(values)]
    ElementTree.fromstring(Chart("t", "u", [Line("x", "series-a", points)]).svg(100.0))


def test_whole_invoices_and_lines_are_one_row_and_single_fields_are_rows_of_their_own() -> None:
    full = order_state(1)
    assert full.settlement is not None and full.order is not None
    unbilled = full.model_copy(update={"settlement": None, "billing_status": "unbilled"})
    told = differences(changes(unbilled, full))
    assert [(one.name, one.sort) for one in told] == [
        ("billing status", Sort.CHANGED),
        ("invoices R-1", Sort.ADDED),
        ("payments Z-1", Sort.ADDED),
    ]
    assert told[1].after["payable_amount"] == full.settlement.invoices[0].payable_amount
    fewer = full.model_copy(update={"order": full.order.model_copy(update={"order_lines": full.order.order_lines[:2]})})
    [gone] = differences(changes(full, fewer))
    assert (gone.name, gone.sort, gone.before["product_id"]) == (
        "order lines 3",
        Sort.REMOVED,
        full.order.order_lines[2].product_id,
    )
    noted = full.model_copy(update={"order": full.order.model_copy(update={"note": "at the gate"})})
    assert differences(changes(full, noted)) == [Difference("note", Sort.CHANGED, None, "at the gate")]


def test_amounts_and_values_are_told_to_people_without_losing_a_digit() -> None:
    assert money(Decimal("1234567.8900"), "EUR") == "1,234,567.89 EUR"
    assert money("0.123456") == "0.123456"
    assert money(None) == "–" and money("no number") == "no number"
    assert plain_value({"a_b": Decimal("5.00"), "c": None}) == "a b 5"
    assert plain_value([1, "x"]) == "1; x" and plain_value([]) == "–"


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/orders?q=a", "/orders?q=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\n/evil.example", "/"),
        ("/ä", "/"),
        ("", "/"),
    ],
)
def test_nobody_is_led_elsewhere_after_the_sign_in(wanted: str, led: str) -> None:
    assert local_page(wanted) == led


def test_addresses_are_encoded_and_every_template_is_wellformed() -> None:
    assert address("/order", id="crm:1&x=<>") == "/order?id=crm%3A1%26x%3D%3C%3E"
    pages = Pages()
    for name in pages._environment.list_templates():
        pages._environment.get_template(name)
        source = pages._environment.loader.get_source(pages._environment, name)[0]  # type: ignore[union-attr]
        assert "style=" not in source and "onclick" not in source and "|safe" not in source, name


POLICY = GuardPolicy(frozenset({"console.example"}), True, 100)
OWN = [(b"host", b"console.example"), (b"origin", b"https://console.example")]


def answered(method: str, headers: list[tuple[bytes, bytes]], path: bytes = b"/") -> tuple[int, dict[bytes, bytes]]:
    """Status and headers that the guard lets out."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path.decode(), "raw_path": path, "query_string": b""}
    asyncio.run(Guard(app, POLICY)(scope | {"headers": headers}, receive, send))  # type: ignore[arg-type]
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", OWN[:1], 200),
        ("POST", OWN, 200),
        ("POST", OWN[:1], 403),
        ("POST", [OWN[0], (b"origin", b"http://console.example")], 403),
        ("POST", [OWN[0], (b"origin", b"https://evil.example")], 403),
        ("POST", [OWN[0], (b"origin", b"null")], 403),
        ("POST", [OWN[0], (b"origin", b"https://[")], 403),
        ("POST", [*OWN, (b"sec-fetch-site", b"cross-site")], 403),
        ("POST", [*OWN, (b"content-length", b"101")], 413),
        ("POST", [*OWN, (b"content-length", b"-1")], 413),
        ("GET", [], 400),
        ("GET", [(b"host", b"evil.example")], 400),
        ("GET", [OWN[0], OWN[0]], 400),
        ("GET", [(b"host", b"[")], 400),
        ("PUT", OWN, 405),
        ("TRACE", OWN, 405),
    ],
)
def test_guard_lets_through_what_is_ours(method: str, headers: list[tuple[bytes, bytes]], status: int) -> None:
    found, sent = answered(method, headers)
    assert found == status
    assert all(sent[name.encode()] == value.encode() for name, value in HEADERS.items())
    assert sent[b"cache-control"] == b"no-store" and b"strict-transport-security" in sent


def test_guard_refuses_addresses_that_are_too_long() -> None:
    assert answered("GET", OWN, b"/" + b"a" * 5_000)[0] == 414
