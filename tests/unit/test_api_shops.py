"""Webhooks of shops: taken are those that the shop has signed, in any order; each says what the order has become."""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.shop_mending import mapped_again
from producers.api.access import Access
from producers.api.answering import AnswerIntake
from producers.api.app import asgi_app
from producers.api.clients import ClientEntry, Clients
from producers.api.guard import BodyLimits
from producers.api.intake import Intake
from producers.api.orders import Orders
from producers.api.service import Service
from producers.api.shop_rows import row_of
from producers.api.shops import Shops
from producers.api.store import OrderStore
from producers.sightings import Sightings
from schemas.errors import ConfigurationError, InvalidValue, Transient
from schemas.models import OrderCaptured, Rejection
from schemas.registry import InMemorySchemas
from schemas.topics import ORDERS_CAPTURED
from tests.unit.test_api_intake import CAPTURED, SCHEMAS, STATES, FollowedTopics, WrittenLog
from tests.unit.test_sightings import KeptAudit

SECRET = "shpss_0123456789abcdef"
SHOPIFY: dict[str, Any] = {
    "id": 820982911946154508,
    "name": "#9999",
    "created_at": "2026-11-20T23:30:00-05:00",
    "updated_at": "2026-11-21T09:00:00+01:00",
    "cancelled_at": None,
    "closed_at": None,
    "currency": "EUR",
    "financial_status": "paid",
    "taxes_included": False,
    "source_name": "web",
    "note": "",
    "customer": {"id": 115310627314723954, "email": "john@example.com"},
    "shipping_address": {"name": "Steve Shipper", "address1": "123 Shipping Street", "city": "Shippington",
                         "zip": "40003", "province": "Kentucky", "country_code": "US"},
    "line_items": [
        {"id": 1, "sku": "IPOD-1", "variant_id": 7, "product_id": 6, "name": "IPod", "quantity": 3, "price": "10.00",
         "discount_allocations": [{"amount": "1.00"}, {"amount": "0.50"}],
         "tax_lines": [{"price": "2.28", "rate": 0.08, "title": "S"}, {"price": "0.57", "rate": 0.02, "title": "C"}]},
        {"id": 2, "sku": "", "variant_id": 8, "product_id": 6, "name": "Case", "quantity": 1, "price": "5.00",
         "discount_allocations": [], "tax_lines": []},
    ],
    "shipping_lines": [{"price": "4.00", "tax_lines": [{"price": "0.40"}]}],
    "total_price": "40.75",
    "total_tax": "3.25",
}  # fmt: skip
WOO: dict[str, Any] = {
    "id": 727,
    "number": "727",
    "status": "processing",
    "currency": "EUR",
    "date_created_gmt": "2026-11-20T16:28:02",
    "date_modified_gmt": "2026-11-20T16:28:08",
    "created_via": "checkout",
    "customer_id": 0,
    "customer_note": "",
    "total": "29.35",
    "total_tax": "1.35",
    "shipping_total": "10.00",
    "prices_include_tax": False,
    "shipping": {"first_name": "John", "last_name": "Doe", "address_1": "969 Market", "city": "San Francisco",
                 "state": "CA", "postcode": "94103", "country": "US"},
    "line_items": [
        {"id": 315, "name": "Woo", "product_id": 93, "sku": "", "quantity": 3, "subtotal": "20.00", "total": "18.00",
         "total_tax": "1.35", "price": 6.0}
    ],
}  # fmt: skip


@dataclass
class Desk:
    """An API to which two shops tell of their orders."""

    service: Service
    log: WrittenLog

    def tell(
        self, body: bytes | dict[str, Any], shop: str = "outlet", secret: str = SECRET, **headers: str
    ) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = base64.b64encode(hmac.digest(secret.encode(), raw, hashlib.sha256)).decode()
        platform = self.service.shops.of("outlet" if shop == "outlet" else "corner")
        assert platform is not None
        sent = {
            platform.platform.signature: signature,
            platform.platform.topic: "orders/updated" if shop == "outlet" else "order.updated",
            "content-type": "application/json",
        } | {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(asgi_app(self.service))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.post(f"/v1/shops/{shop}/orders", headers=sent, content=raw)

        return asyncio.run(answer())

    @property
    def events(self) -> list[OrderCaptured]:
        return self.log.events


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    for name in ("outlet", "corner"):
        secret = tmp_path / f"{name}.secret"
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
    shops = tmp_path / "shops.toml"
    shops.write_text(
        '[[shops]]\nname = "outlet"\nplatform = "shopify"\nsecrets = "outlet.secret"\n'
        '[[shops]]\nname = "corner"\nplatform = "woocommerce"\nsecrets = "corner.secret"\n'
    )
    store = OrderStore(tmp_path / "store", "cluster")
    orders, log = Orders(store, STATES), WrittenLog()
    orders.feed = FollowedTopics(orders, store)  # type: ignore[assignment]
    entry = ClientEntry(name="x", key_sha256=["0" * 64], scopes=["orders:write"], systems=["x"])
    yield Desk(
        Service(
            Intake(log, orders, CAPTURED),
            orders,
            Clients([entry], "test"),
            BodyLimits(40_000, 80_000),
            10,
            1.0,
            Access(Sightings(KeptAudit())),
            AnswerIntake(log, orders, SCHEMAS),
            Shops.read(shops),
        ),
        log,
    )
    store.close()


def changed(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return copy.deepcopy(body) | changes


def test_an_order_of_shopify_is_told_to_the_cent(desk: Desk) -> None:
    answer = desk.tell(SHOPIFY)
    assert (answer.status_code, answer.json()["order_id"]) == (200, "outlet:820982911946154508")
    (event,) = desk.events
    order = event.order
    assert order is not None and event.source.system == "outlet"
    assert (order.order_status, order.issue_date.isoformat(), order.buyer_customer_party_id) == (
        "confirmed",
        "2026-11-21",
        "115310627314723954",
    )
    amounts = (order.line_extension_amount, order.charge_total_amount, order.tax_amount, order.payable_amount)
    assert amounts == (Decimal("33.50"), Decimal("4.00"), Decimal("3.25"), Decimal("40.75"))
    first, second = order.order_lines
    assert (first.product_id, second.product_id) == ("IPOD-1", "8")
    assert (first.price_amount, first.allowance_total_amount, first.line_extension_amount) == (
        Decimal(10),
        Decimal("1.50"),
        Decimal("28.50"),
    )
    assert (first.tax_percent, first.tax_amount, second.tax_amount) == (Decimal(10), Decimal("2.85"), 0)
    assert order.delivery_address is not None and order.delivery_address.country_code == "US"


def test_prices_with_tax_inside_are_told_without_it(desk: Desk) -> None:
    line = SHOPIFY["line_items"][0] | {
        "price": "11.00",
        "discount_allocations": [],
        "tax_lines": [{"price": "3.01", "rate": 0.1}],
    }
    desk.tell(changed(SHOPIFY, taxes_included=True, line_items=[line], total_price="33.00", total_tax="3.01"))
    (event,) = desk.events
    assert event.order is not None
    (told,) = event.order.order_lines
    assert told.line_extension_amount == Decimal("29.99")
    # What the rule about lines asks for: quantity x price less discount, rounded.
    assert (told.quantity * told.price_amount - told.allowance_total_amount).quantize(Decimal("0.01")) == Decimal(
        "29.99"
    )
    assert event.order.charge_total_amount == 0


def test_an_order_of_woocommerce_is_told_to_the_cent(desk: Desk) -> None:
    assert desk.tell(WOO, "corner").json()["order_id"] == "corner:727"
    (event,) = desk.events
    order = event.order
    assert order is not None
    assert (order.order_status, order.buyer_customer_party_id, order.delivery_name) == (
        "confirmed",
        "guest",
        "John Doe",
    )
    amounts = (order.line_extension_amount, order.charge_total_amount, order.tax_exclusive_amount, order.payable_amount)
    assert amounts == (Decimal(18), Decimal(10), Decimal(28), Decimal("29.35"))
    (line,) = order.order_lines
    assert (line.product_id, line.price_amount, line.allowance_total_amount) == ("93", Decimal("6.666667"), Decimal(2))
    assert (line.tax_percent, line.tax_amount) == (Decimal("7.5"), Decimal("1.35"))


@pytest.mark.parametrize(
    ("company", "second", "name", "street"),
    [
        (None, None, "John Doe", "969 Market"),
        ("", "", "John Doe", "969 Market"),
        ("ACME Inc.", " Apt 4 ", "John Doe, ACME Inc.", "969 Market, Apt 4"),
    ],
)
def test_where_it_goes_is_told_whole(
    desk: Desk, company: str | None, second: str | None, name: str, street: str
) -> None:
    shipping = WOO["shipping"] | {"company": company, "address_2": second}
    desk.tell(changed(WOO, shipping=shipping), "corner")
    address = {"name": "John Doe", "address1": "969 Market", "address2": second, "company": company}
    desk.tell(changed(SHOPIFY, shipping_address=address | {"city": "San Francisco", "country_code": "US"}))
    for event in desk.events:
        assert event.order is not None and event.order.delivery_address is not None
        assert (event.order.delivery_name, event.order.delivery_address.street_name) == (name, street)
    assert len(desk.events) == 2


def test_the_newest_image_counts_in_whatever_order_they_come(desk: Desk) -> None:
    paid = changed(SHOPIFY, updated_at="2026-11-21T10:00:00+01:00")
    desk.tell(paid, x_shopify_topic="orders/paid", x_shopify_webhook_id="b")
    desk.tell(SHOPIFY, x_shopify_topic="orders/create", x_shopify_webhook_id="a")
    first, second = desk.events
    assert first.source.is_after(second.source) and not second.source.is_after(first.source)


def test_a_delivery_that_comes_twice_is_one_event(desk: Desk) -> None:
    answers = [desk.tell(SHOPIFY, x_shopify_webhook_id="a") for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200] and len(desk.events) == 1
    desk.tell(WOO, "corner")
    desk.tell(WOO, "corner")
    assert len(desk.events) == 2


def test_a_deleted_order_is_told_as_deleted(desk: Desk) -> None:
    desk.tell({"id": 5}, x_shopify_topic="orders/delete")
    (event,) = desk.events
    assert (event.order_id, event.operation, event.order) == ("outlet:5", "deleted", None)


def test_what_is_about_something_else_has_no_effect(desk: Desk) -> None:
    assert desk.tell({"id": 5}, x_shopify_topic="products/update").json() == {"status": "ignored"}
    assert desk.tell(b"webhook_id=12", "corner").json() == {"status": "ping"}
    assert desk.events == []


@pytest.mark.parametrize("body", [b"webhook_id=12&x=1", b"{}", json.dumps(SHOPIFY).encode()])
def test_what_the_shop_has_not_signed_is_not_taken(desk: Desk, body: bytes) -> None:
    for shop in ("outlet", "corner", "nobody"):
        answer = desk.tell(body, shop, "another-secret-of-20")
        assert answer.status_code == 401, shop
        assert answer.headers["content-type"] == "application/problem+json"
    assert desk.tell(body, x_shopify_hmac_sha256="").status_code == 401
    assert desk.tell(body, x_shopify_hmac_sha256="AAAA====").status_code == 401
    assert desk.events == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"no json", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"id": NaN}', "no number"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "JSON"),
        (b'{"a":' * 20 + b"1" + b"}" * 20, "nested more than 8 deep"),
        (json.dumps(changed(SHOPIFY, updated_at="soon")).encode(), "updated_at is 'soon', not a time"),
        (json.dumps(changed(SHOPIFY, total_price=None)).encode(), "total_price"),
        (json.dumps(changed(SHOPIFY, financial_status="odd")).encode(), "has no entry 'odd'"),
        (json.dumps(changed(SHOPIFY, line_items="odd")).encode(), "not a JSON array of objects"),
        (json.dumps(changed(SHOPIFY, total_price="1E+999999")).encode(), ""),
    ],
)
def test_a_body_without_an_order_is_refused_with_its_reason(desk: Desk, body: bytes, told: str) -> None:
    answer = desk.tell(body)
    assert answer.status_code == 422 and told in answer.json()["detail"], answer.text
    assert desk.events == []


@dataclass
class KeptLetters:
    """Dead letters, in memory; away where `problem` says so."""

    kept: list[Rejection] = field(default_factory=list)
    problem: Transient | None = None

    async def write(self, key: bytes, rejection: Rejection) -> None:
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem
        self.kept.append(rejection)


def test_a_body_that_no_mapping_reads_is_kept_and_becomes_its_order_once_one_does(desk: Desk, tmp_path: Path) -> None:
    letters = KeptLetters()
    desk.service = replace(desk.service, letters=letters)
    odd = changed(SHOPIFY, financial_status="odd")
    answers = [desk.tell(odd, x_shopify_webhook_id="a").json() for _ in range(2)]
    letter, again = letters.kept
    assert answers[0] == answers[1] == {"status": "kept", "rejection_id": letter.rejection_id}
    assert (again.rejection_id, desk.events) == (letter.rejection_id, [])
    assert letter.original.value == json.dumps(odd).encode()
    assert "has no entry 'odd'" in letter.violations[0].message
    shops = tmp_path / "shops.toml"
    with pytest.raises(ConfigurationError, match="still cannot read"):
        mapped_again(letter, shops, InMemorySchemas())
    built_in = Path(str(files("schemas.mapping") / "shops" / "shopify.toml")).read_text()
    (tmp_path / "mended.toml").write_text(built_in.replace("\npaid = ", '\nodd = "placed"\npaid = ', 1))
    shops.write_text(shops.read_text().replace('"shopify"', '"shopify"\nmapping = "mended.toml"'))
    mended = mapped_again(letter, shops, InMemorySchemas())
    # Had the mapping been so at once, the API had written the same event at the same place.
    desk.service = replace(desk.service, shops=Shops.read(shops))
    desk.tell(odd, x_shopify_webhook_id="a")
    [event] = desk.events
    made = CAPTURED.decode(mended.value)
    assert (made.event_id, made.order_id, made.order) == (event.event_id, event.order_id, event.order)
    assert made.source.position == event.source.position
    assert (mended.key, mended.topic) == (event.order_id.encode(), ORDERS_CAPTURED)


def test_a_shop_is_told_to_come_again_while_letters_cannot_be_kept_and_who_did_not_sign_leaves_none(desk: Desk) -> None:
    letters = KeptLetters(problem=Transient("Kafka is away"))
    desk.service = replace(desk.service, letters=letters)
    assert desk.tell(b"no json").status_code == 503
    letters.problem = None
    assert desk.tell(b"no json", secret="another-secret-of-20").status_code == 401
    assert desk.tell(b" " * 50_000).status_code == 413
    assert letters.kept == []
    assert desk.tell(b"\xff\x00").json()["status"] == "kept"
    assert letters.kept[0].original.value == b"\xff\x00"


def test_members_are_found_by_their_path_and_lists_are_added_up() -> None:
    row = row_of(b'{"a": {"b": {"c": 1.10}}, "l": [{"x": "0.1", "y": 1}, {"x": 0.2, "y": "no"}], "e": [], "n": [1]}')
    assert (row["a__b__c"], row["l__count"], row["l__x__sum"], row["e__count"]) == (
        Decimal("1.10"),
        2,
        Decimal("0.3"),
        0,
    )
    assert row["l__y__sum"] is None and row["whatever"] is None and row["n"] == [1]
    with pytest.raises(InvalidValue):
        row_of(b"\xff")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "shops: Field required"),
        ('[[shops]]\nname = "Outlet"\nplatform = "shopify"\nsecrets = "s"', "name"),
        ('[[shops]]\nname = "a"\nplatform = "magento"\nsecrets = "s"', "platform"),
        ('[[shops]]\nname = "a"\nplatform = "shopify"\nsecrets = "gone"', "gone"),
        ('[[shops]]\nname = "a"\nplatform = "shopify"\nsecrets = "short"', "at least 16 characters"),
        ('[[shops]]\nname = "a"\nplatform = "shopify"\nsecrets = "good"\nmapping = "gone.toml"', "gone.toml"),
        ('[[shops]]\nname = "a"\nplatform = "shopify"\nsecrets = "good"\n' * 2, "there twice"),
    ],
)
def test_a_wrong_shops_file_is_refused(tmp_path: Path, content: str, told: str) -> None:
    for name, secret in (("short", "abc"), ("good", SECRET)):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(secret)
    file = tmp_path / "shops.toml"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=told):
        Shops.read(file)
