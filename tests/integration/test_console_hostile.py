"""A hundred hostile requests to the console: none gets through, none is told anything of our insides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import httpx
import pytest

from deploy.console.index.questions import ListedDeed
from deploy.console.people.roles import Role
from deploy.console.people.sessions import Session
from deploy.local.endpoints import Endpoints
from schemas.attributes import OrderId
from schemas.masking import MASK
from schemas.models import OriginalMessage, Rejection, Violation
from schemas.topics import ORDER_STATE, ORDERS_CAPTURED, REJECTED
from tests.integration.console_world import PASSWORD, ConsoleWorld, console_world, token_in, wait_for
from tests.unit.order_samples import COMMITTED_AT, order_state

SCRIPT = "<script>alert(1)</script>"
EVIL = OrderId("crm:" + SCRIPT)
NAME = "Erika Musterfrau"
LETTER = "0a0a0a0a-0000-5000-8000-000000000001"
FORM = "application/x-www-form-urlencoded"
NEVER = ("Traceback", 'File "', "site-packages", "sqlite3", "confluent_kafka", "jinja2", SCRIPT, "scrypt$")


class Attempt(NamedTuple):
    """One request; `token` says whether it carries the token of its session."""

    what: str
    method: str
    path: str
    status: tuple[int, ...]
    role: Role | None = None
    form: dict[str, Any] | None = None
    token: bool = True
    headers: dict[str, str] | None = None
    body: bytes | None = None


def reading(what: str, *paths: str, status: tuple[int, ...], role: Role | None = None) -> list[Attempt]:
    return [Attempt(f"{what}: {path[:60]}", "GET", path, status, role) for path in paths]


def posting(path: str, role: Role | None, **others: Any) -> Attempt:
    given = {"what": f"post {path} as {role}", "method": "POST", "path": path, "status": (403,), "form": {}} | others
    return Attempt(role=role, **given)


TRY, PUT_BACK = f"/dead-letters/{LETTER}/check", f"/dead-letters/{LETTER}/replay"
DEED = {"reason": "because", "letter": LETTER}
PAGES = ("/", "/flow", "/orders", "/order?id=crm:1", "/order/life?id=crm:1", "/dead-letters", "/parked", "/mismatches")
ATTEMPTS = [
    *reading("without a session", *PAGES, "/audit", "/account", f"/dead-letters/{LETTER}", status=(303,)),
    *reading(
        "path traversal",
        "/static/../settings.py",
        "/static/..%2fsettings.py",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%5c..%5csettings.py",
        "/static//etc/passwd",
        "/static/console.css%00.png",
        "/static/",
        "/..;/account",
        "/static/.%252e/users.json",
        "/dead-letters/..%2f..%2faccount",
        status=(303, 404, 307, 400),
        role=Role.VIEWER,
    ),
    *reading("no such page", "/docs", "/openapi.json", "/redoc", "/.git/config", "/admin", "/metrics", status=(404,)),
    *reading(
        "syntax of the full-text search",
        *(
            f"/orders?q={word}"
            for word in (
                '"',
                '""',
                "a%22%20OR%20%22b",
                "NEAR(a%20b)",
                "terms:a",
                "a*b*",
                "*",
                "^a",
                "-a",
                "%7Ba%20b%7D:c",
            )
        ),
        "/orders?q='%20OR%201=1--",
        "/orders?q=%27;DROP%20TABLE%20found_order;--",
        "/orders?q=%00",
        "/orders?q=%ff%fe",
        "/orders?q=" + "a" * 3_900,
        "/orders?q=" + "%20".join("ab" for _ in range(700)),
        status=(200,),
        role=Role.VIEWER,
    ),
    *reading(
        "SQL in filters",
        "/dead-letters?rule='%20OR%20'1'='1",
        "/dead-letters?order=%22;DELETE%20FROM%20dead_letter",
        "/dead-letters/x'%20UNION%20SELECT%201--",
        status=(200, 404),
        role=Role.VIEWER,
    ),
    *reading(
        "script in what is asked",
        f"/orders?q={SCRIPT}",
        f"/dead-letters?rule={SCRIPT}",
        status=(200,),
        role=Role.VIEWER,
    ),
    *reading("script in an order", "/orders?q=script", "/", "/dead-letters", status=(200,), role=Role.VIEWER),
    *reading("script in the page of an order", f"/order?id={EVIL}", status=(200,), role=Role.VIEWER),
    *reading(
        "script in an error", f"/order?id={SCRIPT}", f"/{SCRIPT}", f"/static/{SCRIPT}", status=(404,), role=Role.VIEWER
    ),
    *reading("script in a dead letter", f"/dead-letters/{LETTER}", status=(200,), role=Role.OPERATOR),
    *reading(
        "values that are none",
        "/orders?before=x",
        "/orders?before=99999999999999999999",
        "/orders?before=-99999999999999999999",
        "/dead-letters?all=perhaps",
        "/order",
        "/order?id=",
        "/order?id=%0d%0aX-Evil:1",
        "/order?id=" + "a" * 400,
        status=(400,),
        role=Role.VIEWER,
    ),
    *reading("address that is too long", "/orders?q=" + "a" * 5_000, status=(414,)),
    *reading("page of admins", "/audit", status=(403,), role=Role.VIEWER),
    *reading("page of admins", "/audit", status=(403,), role=Role.OPERATOR),
    *reading("page of admins", "/audit", status=(403,), role=Role.FINANCE),
    *(posting(path, role, form=DEED) for path in (TRY, PUT_BACK) for role in (Role.VIEWER, Role.FINANCE)),
    *(posting(path, Role.VIEWER, form=DEED) for path in ("/dead-letters/check", "/dead-letters/replay")),
    *(
        posting(f"/mismatches/{deed}", role, form={"order": "crm:1", "reason": "because"})
        for deed in ("check", "repair")
        for role in (Role.VIEWER, Role.FINANCE)
    ),
    posting("/mismatches/repair", Role.OPERATOR, form={"order": "crm:1"}, token=False, what="repair without a token"),
    *(posting(f"/reviews/1/{deed}", Role.FINANCE, form=DEED) for deed in ("check", "accept", "reject")),
    posting("/reviews/1/accept", Role.OPERATOR, form=DEED, token=False, what="acceptance without a token"),
    *reading("an original, for who may not see it", "/reviews/1/original", status=(403,), role=Role.VIEWER),
    *reading("a picture, for who may not see it", "/reviews/1/pictures/x", status=(403,), role=Role.FINANCE),
    *reading("a picture of nobody", "/reviews/1/pictures/x", status=(303,)),
    *reading(
        "no review",
        "/reviews/..%2f1",
        "/reviews/1",
        "/reviews/1/pictures/..%2f..%2fregister.sqlite",
        "/reviews?state=x",
        status=(404, 400),
        role=Role.ADMIN,
    ),
    *reading("no such number of weeks", "/improvement?weeks=9999999", status=(400,), role=Role.VIEWER),
    posting(
        "/mismatches/repair", Role.OPERATOR, form={"order": "crm:1"}, status=(400,), what="repair without a reason"
    ),
    posting("/mismatches/repair", Role.OPERATOR, form={"reason": "because"}, status=(400,), what="repair of nothing"),
    posting(PUT_BACK, None, form=DEED, status=(303, 403)),
    posting(PUT_BACK, Role.OPERATOR, form=DEED, token=False, what="no token"),
    posting(PUT_BACK, Role.OPERATOR, form=DEED | {"form_token": "0" * 64}, token=False, what="token of nobody"),
    posting(PUT_BACK, Role.OPERATOR, form=DEED, headers={"Origin": "https://evil.example"}, what="other origin"),
    posting(PUT_BACK, Role.OPERATOR, form=DEED, headers={"Origin": "null"}, what="null origin"),
    posting(PUT_BACK, Role.OPERATOR, form=DEED, headers={"Origin": ""}, what="no origin"),
    posting(PUT_BACK, Role.OPERATOR, form=DEED, headers={"Sec-Fetch-Site": "cross-site"}, what="cross site"),
    posting(PUT_BACK, Role.OPERATOR, form=DEED, headers={"Sec-Fetch-Site": "same-site"}, what="sister site"),
    posting("/sign-out", Role.VIEWER, token=False, status=(403, 415), what="signing somebody else out"),
    posting("/account", Role.VIEWER, form={"new_password": PASSWORD}, token=False, what="password of somebody else"),
    posting(
        "/account", Role.VIEWER, form={"password": "x", "new_password": "a b c d e f g", "again": ""}, status=(400,)
    ),
    posting("/account", Role.VIEWER, form={"password": PASSWORD, "new_password": "x", "again": "x"}, status=(400,)),
    posting(PUT_BACK, Role.OPERATOR, form={"reason": ""}, status=(400,), what="no reason"),
    posting(PUT_BACK, Role.OPERATOR, form={"reason": "a" * 501}, status=(400,), what="reason that is too long"),
    posting(PUT_BACK, Role.OPERATOR, form={"reason": "abc\u202e"}, status=(400,), what="reason that hides"),
    posting(PUT_BACK, Role.OPERATOR, form=DEED | {"document": "{"}, status=(400,), what="no JSON"),
    posting(PUT_BACK, Role.OPERATOR, form=DEED | {"document": "[" * 50_000}, status=(400,), what="deep JSON"),
    posting(
        PUT_BACK, Role.OPERATOR, form=DEED | {"document": '{"order_id": "crm:2"}'}, status=(400,), what="other event"
    ),
    posting(PUT_BACK, Role.OPERATOR, form=DEED | {"document": "NaN"}, status=(400,), what="JSON that is none"),
    posting("/dead-letters/x/replay", Role.OPERATOR, form=DEED, status=(404,)),
    posting("/dead-letters/check", Role.OPERATOR, form={}, status=(400,), what="nothing chosen"),
    posting("/dead-letters/check", Role.OPERATOR, form={"letter": ["x"] * 1_100}, status=(400, 404), what="many"),
    posting(
        "/dead-letters/check", Role.OPERATOR, form={"letter": ["x"] * 1_300}, status=(400,), what="too many fields"
    ),
    posting(TRY, Role.OPERATOR, form=None, body=b"{}", headers={"Content-Type": "application/json"}, status=(415,)),
    posting(TRY, Role.OPERATOR, form=None, body=b"a=%ff%fe", headers={"Content-Type": FORM}, status=(400,)),
    posting(TRY, Role.OPERATOR, form=None, body=b"\xff\xfe", headers={"Content-Type": FORM}, status=(400,)),
    posting(TRY, Role.OPERATOR, form={"document": "a" * 1_100_000}, status=(413,), what="long form"),
    posting("/sign-in", None, form={"name": "ada'--", "password": "x"}, status=(401,)),
    posting("/sign-in", None, form={"name": "../users", "password": "x" * 10_000}, status=(401,)),
    posting("/sign-in", None, form={"name": SCRIPT, "password": SCRIPT, "back_to": f'"{SCRIPT}'}, status=(401,)),
    posting("/sign-in", None, form={"name": "viewer", "password": PASSWORD}, token=False),
    *(
        Attempt(f"method {method}", method, path, (405,), Role.OPERATOR)
        for method, path in (
            ("PUT", "/"),
            ("DELETE", PUT_BACK),
            ("PATCH", "/account"),
            ("OPTIONS", "/"),
            ("TRACE", "/"),
        )
    ),
    Attempt("GET of a deed", "GET", PUT_BACK, (404, 405), Role.OPERATOR),
    Attempt("POST to a page", "POST", "/orders", (405,), Role.OPERATOR, {}),
    Attempt("method by header", "GET", PUT_BACK, (404, 405), Role.OPERATOR, headers={"X-HTTP-Method-Override": "POST"}),
    Attempt("foreign name", "GET", "/sign-in", (400,), headers={"Host": "evil.example"}),
    Attempt("foreign name behind a proxy", "GET", "/sign-in", (200,), headers={"X-Forwarded-Host": "evil.example"}),
]


def evil_state() -> Any:
    """An order whose every text is a script."""
    state = order_state(1)
    assert state.order is not None and state.enrichment is not None
    facts = state.order.model_copy(update={"order_id": EVIL, "customer_reference": SCRIPT, "note": SCRIPT})
    enrichment = state.enrichment.model_copy(update={"customer_name": NAME + SCRIPT})
    return state.model_copy(update={"order_id": EVIL, "order": facts, "enrichment": enrichment, "order_status": SCRIPT})


@pytest.fixture(scope="module")
def world(fresh_topics: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleWorld]:
    with console_world(fresh_topics, tmp_path_factory.mktemp("console")) as made:
        made.produce(ORDER_STATE, EVIL, evil_state())
        original = OriginalMessage(
            topic=ORDERS_CAPTURED, partition=0, offset=1, timestamp_at=COMMITTED_AT, key=b"crm:1", value=SCRIPT.encode()
        )
        letter = Rejection(
            rejection_id=LETTER,
            stage=SCRIPT,
            order_id=EVIL,
            violations=[Violation(rule=SCRIPT, message=SCRIPT, field=SCRIPT)],
            rejected_at=COMMITTED_AT,
            code_version=SCRIPT,
            original=original,
        )
        made.produce(REJECTED, EVIL, letter)
        questions = made.worker._service.questions
        wait_for(lambda: questions.order(EVIL) is not None and questions.letter(LETTER) is not None, "the index")
        yield made


@pytest.fixture(scope="module")
def browsers(world: ConsoleWorld) -> Iterator[dict[Role | None, httpx.Client]]:
    made: dict[Role | None, httpx.Client] = {role: world.signed_in(role) for role in Role}
    made[None] = world.client()
    yield made
    for client in made.values():
        client.close()


def sent(client: httpx.Client, attempt: Attempt) -> httpx.Response:
    form = attempt.form
    if attempt.method == "POST" and attempt.token and form is not None:
        page = client.get("/sign-in", follow_redirects=True).text
        form = form | {"form_token": token_in(page)}
    content = {"content": attempt.body} if attempt.body is not None else {"data": form} if form is not None else {}
    return client.request(attempt.method, attempt.path, headers=attempt.headers, **content)  # type: ignore[arg-type]


def test_there_are_a_hundred() -> None:
    assert len(ATTEMPTS) >= 100
    assert len(set(map(repr, ATTEMPTS))) == len(ATTEMPTS)


def test_none_gets_through_and_none_is_told_of_our_insides(
    world: ConsoleWorld, browsers: dict[Role | None, httpx.Client]
) -> None:
    wrong = []
    for attempt in ATTEMPTS:
        answer = sent(browsers[attempt.role], attempt)
        told = [word for word in NEVER if word in answer.text and not attempt.path.startswith("/static/console.css")]
        safe = {"content-security-policy", "x-content-type-options", "x-frame-options"} <= set(answer.headers)
        if answer.status_code not in attempt.status or told or not safe or "x-evil" in answer.headers:
            wrong.append((attempt.what, answer.status_code, told, answer.text[-300:]))
    assert wrong == []
    audits = world.worker._service.questions.deeds(limit=500)
    assert not [one for one in audits if one.action.startswith("DeadLetterM") or one.action == "DeadLetterReplayed"]


def test_tampered_fixed_and_ended_sessions_are_nobody(world: ConsoleWorld) -> None:
    with closing(world.signed_in(Role.ADMIN)) as admin, closing(world.client()) as thief:
        cookie = admin.cookies["ordersync"]
        payload, _, signature = cookie.rpartition(".")
        for forged in (payload, cookie[:-2], f"{payload}x.{signature}", "." + signature, "null", json.dumps(["admin"])):
            assert thief.get("/audit", headers={"Cookie": f"ordersync={forged}"}).status_code == 303, forged
        before = world.client()
        fixed = before.get("/sign-in").cookies["ordersync"]
        sessions = world.worker._service.sessions
        session = sessions.read(fixed)
        assert isinstance(session, Session)
        form = {"form_token": sessions.token(session), "name": "viewer", "password": PASSWORD}
        assert before.post("/sign-in", data=form).status_code == 303
        assert sessions.read(fixed) is None, "the id from before the sign-in is worth nothing"
        before.close()
        assert admin.post("/sign-out", data={"form_token": token_in(admin.get("/").text)}).status_code == 303
        assert thief.get("/audit", headers={"Cookie": f"ordersync={cookie}"}).status_code == 303


def test_cookie_is_out_of_reach_and_the_sign_in_leads_nowhere_else(world: ConsoleWorld) -> None:
    with world.client() as client:
        first = client.get("/sign-in", params={"back_to": "//evil.example"})
        flags = first.headers["set-cookie"].lower()
        assert "httponly" in flags and "samesite=strict" in flags and "path=/" in flags
        form = {"form_token": token_in(first.text), "name": "viewer", "password": PASSWORD, "back_to": "//evil.example"}
        assert client.post("/sign-in", data=form).headers["location"] == "/"


def test_guessing_is_slowed_down_and_audited(world: ConsoleWorld) -> None:
    with world.client() as client:
        token = token_in(client.get("/sign-in").text)
        form = {"form_token": token, "name": "nobody", "password": "guess"}
        assert [client.post("/sign-in", data=form).status_code for _ in range(6)] == [401] * 5 + [429]
    questions = world.worker._service.questions
    wait_for(lambda: len(questions.deeds(actor="nobody")) == 5, "the audit of what failed")


@pytest.mark.parametrize("role", Role)
def test_names_are_shown_to_who_has_to_know_them(browsers: dict[Role | None, httpx.Client], role: Role) -> None:
    pages = [browsers[role].get("/orders"), browsers[role].get("/order", params={"id": EVIL})]
    assert {page.status_code for page in pages} == {200}
    is_shown = role in (Role.OPERATOR, Role.ADMIN)
    assert [NAME in page.text for page in pages] == [is_shown] * 2
    assert [MASK in page.text for page in pages] == [not is_shown] * 2
    original = browsers[role].get(f"/dead-letters/{LETTER}")
    assert (original.status_code, "The original, to the byte" in original.text) == (200, is_shown)


def test_each_look_at_an_order_is_audited(world: ConsoleWorld) -> None:
    questions = world.worker._service.questions
    with closing(world.signed_in(Role.VIEWER)) as viewer:
        assert viewer.get("/order", params={"id": EVIL}).status_code == 200

        def views() -> list[ListedDeed]:
            return [one for one in questions.deeds(subject=EVIL, actor="viewer") if one.action == "OrderViewed"]

        wait_for(lambda: bool(views()), "the audit")
        [viewed, *_] = views()
        assert (viewed.actor, viewed.reference) == ("viewer", "127.0.0.1")
