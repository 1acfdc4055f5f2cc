"""The page of approvals: what one person asks for in the console, another approves there, and then it is done once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime

import httpx
import pytest

from deploy.console.people.roles import Role
from deploy.local.endpoints import Endpoints
from schemas.attributes import OrderId
from schemas.codec import TopicCodec
from schemas.models import OrderCaptured, OriginalMessage, Rejection, Violation
from schemas.topics import ORDERS_CAPTURED, REJECTED
from tests.integration.console_world import ConsoleWorld, console_world, token_in, wait_for
from tests.unit.order_lives import Item, Life, order

ORDER = OrderId("crm:4714")
LETTER = "6a1f8f5e-0000-4000-8000-000000000001"
SCRIPT = "<script>alert(1)</script>"
POLICY = """
version = "1"

[deeds.edited-replay]
two_people = true
ask = ["operator", "admin"]
approve = ["finance", "admin"]
"""


@pytest.fixture(scope="module")
def world(fresh_topics: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleWorld]:
    """A console with a policy, and one refused order."""
    directory = tmp_path_factory.mktemp("console")
    (directory / "policy.toml").write_text(POLICY)
    with console_world(fresh_topics, directory, approval_policy=directory / "policy.toml") as made:
        event = Life(order_id=ORDER).ordered(order([Item("1", "P1", "3", "9.99")], order_id=ORDER))
        value = TopicCodec(ORDERS_CAPTURED, OrderCaptured, made.registry).encode(event)
        now = datetime.now(UTC)
        original = OriginalMessage(
            topic=ORDERS_CAPTURED, partition=0, offset=1, timestamp_at=now, key=ORDER.encode(), value=value
        )
        letter = Rejection(
            rejection_id=LETTER,
            stage="streams",
            order_id=ORDER,
            violations=[Violation(rule="order.payable_total", message="wrong", field=None)],
            rejected_at=now,
            code_version="1",
            original=original,
        )
        made.produce(REJECTED, ORDER, letter)
        questions = made.worker._service.questions
        wait_for(lambda: questions.letter(LETTER) is not None, "the index")
        yield made


@pytest.fixture(scope="module")
def browsers(world: ConsoleWorld) -> Iterator[dict[Role, httpx.Client]]:
    with ExitStack() as opened:
        yield {role: opened.enter_context(closing(world.signed_in(role))) for role in Role}


def replayed(client: httpx.Client, note: str, reason: str = "typing error") -> httpx.Response:
    page = client.get(f"/dead-letters/{LETTER}").text
    event = page[page.index("<textarea") : page.index("</textarea>")].partition(">")[2]
    assert "&#34;note&#34;: null" in event
    document = event.replace("&#34;", '"').replace("&amp;", "&").replace('"note": null', f'"note": "{note}"')
    form = {"form_token": token_in(page), "document": document, "reason": reason}
    return client.post(f"/dead-letters/{LETTER}/replay", data=form)


def decided(client: httpx.Client, request_id: str, verb: str, token: str | None = None) -> httpx.Response:
    token = token_in(client.get("/account").text) if token is None else token
    return client.post(f"/approvals/{request_id}/{verb}", data={"form_token": token, "reason": "compared"})


def test_what_one_asks_for_another_approves_and_then_it_is_done_once(
    world: ConsoleWorld, browsers: dict[Role, httpx.Client]
) -> None:
    operator, finance = browsers[Role.OPERATOR], browsers[Role.FINANCE]
    for told in ("asked for as", "still waits"):
        answer = replayed(operator, "by hand", SCRIPT)
        assert (answer.status_code, told in answer.text, "Nothing was done" in answer.text) == (202, True, True)
    [request] = world.worker._service.approvals.requests()
    page = finance.get("/approvals").text
    assert "operator asked" in page and "order.note" in page and f"/approvals/{request.request_id}/approve" in page
    assert SCRIPT not in page
    assert f"/approvals/{request.request_id}/approve" not in operator.get("/approvals").text
    assert browsers[Role.VIEWER].get("/approvals").status_code == 403
    refused = [
        decided(browsers[Role.VIEWER], request.request_id, "approve"),
        decided(operator, request.request_id, "approve"),
        decided(finance, request.request_id, "approve", "0" * 64),
        decided(finance, "no-such-request", "approve"),
    ]
    assert [answer.status_code for answer in refused] == [403, 400, 403, 400]
    assert [decided(finance, request.request_id, verb).status_code for verb in ("approve", "reject")] == [303, 400]
    assert "Put back" in replayed(operator, "by hand").text
    assert "put back before" in replayed(operator, "by hand").text
    questions = world.worker._service.questions
    wait_for(lambda: any(one.action == "DeadLetterMended" for one in questions.deeds(actor="operator")), "the deed")
    assert {one.action for one in questions.deeds(actor="finance")} >= {"ApprovalGranted"}


def test_what_was_rejected_has_to_be_asked_for_again(world: ConsoleWorld, browsers: dict[Role, httpx.Client]) -> None:
    admin = browsers[Role.ADMIN]
    assert replayed(admin, "another").status_code == 202
    first = world.worker._service.approvals.requests()[0]
    # An admin may ask as well as decide, but not about the same.
    answer = decided(admin, first.request_id, "approve")
    assert (answer.status_code, "somebody other than admin" in answer.text) == (400, True)
    assert decided(browsers[Role.FINANCE], first.request_id, "reject").status_code == 303
    assert replayed(admin, "another").status_code == 202
    second = world.worker._service.approvals.requests()[0]
    assert (second.request_id != first.request_id, second.content == first.content) == (True, True)
