"""An order of two vendors' lines goes out, both answer, and every system tells the same of what they said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import run
from deploy.console.people.roles import Role
from deploy.demo.transactions import Statement, System
from tests.e2e.partner_world import FIRST, ORDER_ID, SECOND, PartnerWorld, partner_world
from tests.integration.console_world import console_world
from tests.unit.test_documents_answers import DESADV, X855

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_WAIT = {"Prefer": "wait=30"}
_ORDERED = {"1": Decimal(3), "2": Decimal(10)}
_SHIPMENTS = {f"{FIRST}/D-1", f"{SECOND}/DA-1"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PartnerWorld]:
    """The order is placed in the CRM, and both vendors have answered."""
    with partner_world(tmp_path_factory.mktemp("partners")) as world:
        world.place()
        world.until(lambda: all(server.delivered() for server in world.servers.values()), "both vendors hear of it")
        _answer_by_api(world)
        _answer_by_documents(world)
        with world.caller("reader") as reader:

            def is_fulfilled() -> bool:
                return bool(reader.get(f"/v1/orders/{ORDER_ID}").json()["fulfilment_status"] == "fulfilled")

            world.until(is_fulfilled, "both dispatches count")
        yield world


def _answer_by_api(world: PartnerWorld) -> None:
    """The first vendor confirms and dispatches, and names the update that it answers."""
    update_id = world.servers[FIRST].delivered()[0].message_id
    common = {"issued_at": "2026-11-21T09:30:00Z", "update_id": update_id}
    confirmation = {"message_id": "OR-1", "lines": [{"line_id": "1", "line_status": "accepted"}]}
    despatch = {
        "message_id": "DA-1",
        "despatch_id": "D-1",
        "shipped_at": "2026-11-21T09:00:00Z",
        "lines": [{"line_id": "1", "quantity": "3"}],
    }
    with world.caller(FIRST.lower()) as vendor:
        for path, body in (("confirmations", confirmation), ("despatch-advices", despatch)):
            answer = vendor.post(f"/v1/orders/{ORDER_ID}/{path}", json=common | body, headers=_WAIT)
            assert (answer.status_code, answer.json()["status"]) == (200, "applied"), answer.text


def _answer_by_documents(world: PartnerWorld) -> None:
    """The second vendor sends an 855 and a DESADV, under the number that the CRM gave the order."""
    lines = X855[X855.index("PO1*") : X855.index("CTT*")]
    confirmed = X855.replace(lines, "PO1*2*10*EA***BP*P2~ACK*IA*10*EA~")
    for old, new in (("*4711*", "*1*"), ("CTT*2", "CTT*1"), ("SE*8", "SE*6")):
        confirmed = confirmed.replace(old, new)
    sent = DESADV.replace("LIN+1'", "LIN+2'").replace("QTY+12:3:", "QTY+12:10:")
    sent = sent.replace("4711:1'", "1:2'").replace("4711", "1")
    world.drop("855.x12", confirmed)
    world.drop("desadv.edi", sent)


def test_each_vendor_was_told_of_its_own_line_and_nothing_else(world: PartnerWorld) -> None:
    for vendor, line_id in ((FIRST, "1"), (SECOND, "2")):
        [confirmation] = world.updates(vendor)
        assert {line.line_id: line.quantity for line in confirmation.lines} == {line_id: _ORDERED[line_id]}
        [received] = world.servers[vendor].delivered()
        assert (received.message_id, received.data["vendor_id"]) == (confirmation.update_id, vendor)
        assert [line["line_id"] for line in received.data["lines"]] == [line_id]


def test_the_answers_are_fulfilment_events_of_the_order(world: PartnerWorld) -> None:
    with world.caller("reader") as reader:
        steps = reader.get(f"/v1/orders/{ORDER_ID}/timeline").json()["versions"]
        state = reader.get(f"/v1/orders/{ORDER_ID}").json()
    kinds = [step["event_type"] for step in steps]
    assert kinds[:3] == ["OrderPlaced", "VendorConfirmed", "OrderShipped"]
    # The documents of a folder are read in any order.
    assert sorted(kinds[3:]) == ["OrderShipped", "VendorConfirmed"]
    assert {one["shipment_id"] for one in state["fulfilment"]["shipments"]} == _SHIPMENTS
    assert {one["vendor_id"] for one in state["fulfilment"]["vendor_answers"]} == {FIRST, SECOND}


def test_the_erp_the_ledger_and_the_crm_have_what_was_shipped(world: PartnerWorld) -> None:
    shipped = (
        "SELECT line_id, quantity FROM shipment JOIN shipment_line USING (order_id, shipment_id) "
        f"WHERE order_id = '{ORDER_ID}'"
    )
    world.until(lambda: dict(world.rows("erp", shipped)) == _ORDERED, "the ERP has both shipments")
    measured = f"SELECT line_id, shipped_quantity FROM promised_line WHERE order_id = '{ORDER_ID}'"
    world.until(lambda: dict(world.rows("ledger", measured)) == _ORDERED, "the ledger measures both as shipped")
    status = "SELECT sync_status, erp_number, fulfilment_status, sync_version FROM sales_order"
    told = [("accepted", ORDER_ID, "fulfilled", 5)]
    world.until(lambda: world.rows("crm", status) == told, f"the CRM's record tells it: {world.rows('crm', status)}")


def test_what_was_answered_is_acknowledged(world: PartnerWorld) -> None:
    query = "SELECT subscriber FROM delivery WHERE acknowledged_at IS NOT NULL"
    world.until(lambda: world.rows("vendors", query) == [(FIRST,)], "who named the update acknowledged it")


def test_the_next_update_tells_each_vendor_what_it_shipped_itself(world: PartnerWorld) -> None:
    world.write(System.CRM, [Statement("UPDATE sales_order SET requested_on = %s", ("2026-12-24",))])
    for vendor, line_id in ((FIRST, "1"), (SECOND, "2")):
        world.until(lambda vendor=vendor: len(world.servers[vendor].delivered()) == 2, f"{vendor} hears of the date")
        change = world.updates(vendor)[-1]
        assert (change.update_type, change.sequence, str(change.requested_delivery_date)) == ("change", 2, "2026-12-24")
        assert {line.line_id: line.shipped_quantity for line in change.lines} == {line_id: _ORDERED[line_id]}
        assert {one.vendor_id for one in change.shipments} == {vendor}


def test_reconciliation_finds_that_all_agree(world: PartnerWorld, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*verb: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = run(["reconcile", *verb, "--home", str(world.stack.home), "--json"])
        return code, json.loads(capsys.readouterr().out)

    code, report = told()
    assert (code, report["mismatches"], report["orders"]["state"]) == (0, [], 1), report
    code, feed = told("vendors", "--late-seconds", "0")
    assert (code, feed["untold"], feed["orders"]) == (0, [], 1), feed


def test_the_console_shows_what_the_vendors_said(world: PartnerWorld, tmp_path: Path) -> None:
    own = {"kafka": world.endpoints.kafka("console"), "registry": world.endpoints.registry("console")}
    with (
        console_world(world.endpoints, tmp_path, **own) as console,
        closing(console.signed_in(Role.VIEWER)) as viewer,
    ):
        world.until(lambda: viewer.get("/order", params={"id": ORDER_ID}).status_code == 200, "the console knows it")
        shown = viewer.get("/order/life", params={"id": ORDER_ID}).text
    for word in (*_SHIPMENTS, "OrderShipped", "VendorConfirmed"):
        assert word in shown, shown
