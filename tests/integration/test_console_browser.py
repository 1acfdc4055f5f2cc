"""The console in a real Chromium: people sign in, find, read, mend and leave, and every page is fit for everybody."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest

import consumers.erp
from consumers.reconcile.restoration import ErpRestoration
from consumers.reconcile.settings import SourceSettings
from deploy.console.people.roles import Role
from deploy.local.endpoints import Endpoints
from producers.api.problems import Problem
from producers.api.shop_letters import ShopDelivery, letter_of
from schemas.attributes import CustomerId, EventId, OrderId, ProductId, VendorId
from schemas.models import Mismatch, Rejection, VendorLine, VendorUpdate
from schemas.settings import DatabaseSettings
from schemas.topics import MISMATCHES, ORDER_STATE, REJECTED, VENDOR_UPDATES
from tests.benchmarks.document_layouts import LAYOUTS, Printing, TrueLine, TrueOrder
from tests.conftest import DatabaseFactory
from tests.integration.api_harness import webhook
from tests.integration.console_world import PASSWORD, ConsoleWorld, console_world, token_in, wait_for
from tests.integration.streams_harness import Scene
from tests.unit.document_desk import DocumentDesk
from tests.unit.document_samples import CHAI, CUSTOMER, OIL, ubl_order
from tests.unit.order_lives import Item, Life, customer, order, product
from tests.unit.order_samples import order_state

ITEMS = [Item("1", "P1", "3", "9.99")]
ORDER = OrderId("crm:4711")
WRONG = OrderId("crm:4712")
WAITING = OrderId("crm:4713")

playwright = pytest.importorskip("playwright.sync_api", reason="the console's pages are tested with Playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def erp(module_database_factory: DatabaseFactory) -> DatabaseSettings:
    """An ERP that has not got anything yet."""
    made = module_database_factory("erp")
    with psycopg.connect(made.conninfo()) as connection:
        connection.execute((files(consumers.erp) / "tables.sql").read_bytes())
    return made


def aside(work: Callable[[], object]) -> None:
    """In a thread of its own: Playwright has an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(work).result()


@pytest.fixture(scope="module")
def documents_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a documents worker."""
    return tmp_path_factory.mktemp("documents")


@pytest.fixture(scope="module")
def desk(documents_dir: Path) -> Iterator[DocumentDesk]:
    """A documents worker with one order that waits, of a product that nobody knows."""
    made = DocumentDesk(documents_dir)
    aside(lambda: made.take(ubl_order().replace(">P1<", ">KUNDE-77<").replace(">Chai<", ">Tee<")))
    aside(lambda: made.take(printed_order(), "order.pdf"))
    yield made
    made.close()


def printed_order() -> bytes:
    """A PDF whose second product nobody has by that name."""
    lines = [
        TrueLine(CHAI, 12, Decimal("18.00")),
        TrueLine(replace(OIL, id="shop:9", name="Olive Oil"), 2, Decimal(20)),
    ]
    told = TrueOrder("PO-9001", date(2026, 11, 20), date(2026, 12, 1), CUSTOMER, "EUR", lines)
    layout = next(one for one in LAYOUTS if "code" not in one.columns)
    return Printing(told, layout, "en").print()


@pytest.fixture(scope="module")
def world(
    fresh_topics: Endpoints, erp: DatabaseSettings, documents_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleWorld]:
    """A stream worker, one order in two versions, one that is refused and one that waits; and a console."""
    scene = Scene(fresh_topics, tmp_path_factory.mktemp("streams"), "tests-console", fresh_topics.registry_url)
    try:
        scene.master(customer("C1"), product("P1"))
        scene.working()
        life, wrong, waiting = Life(order_id=ORDER), Life(order_id=WRONG), Life(order_id=WAITING)
        facts = order(ITEMS, order_id=WRONG)
        scene.capture(
            life.ordered(order(ITEMS, order_id=ORDER)),
            life.ordered(order(ITEMS, order_id=ORDER, note="leave it at the gate")),
            wrong.ordered(facts.model_copy(update={"payable_amount": facts.payable_amount + 1})),
            waiting.ordered(order(ITEMS, order_id=WAITING, customer=CustomerId("C-unknown"))),
        )
        systems: dict[str, object] = {
            "sources": [SourceSettings(mapping="crm", database=erp)],
            "erp": erp,
            "ledger": erp,
            "documents_dir": documents_dir,
            "shops": shops_in(tmp_path_factory.mktemp("shops")),
        }
        with console_world(fresh_topics, tmp_path_factory.mktemp("console"), **systems) as made:
            yield made
    finally:
        scene.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of the module."""
    with playwright.sync_playwright() as made:
        chromium = made.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh profile; what the page itself complains of, such as a script that its policy forbids, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made, complaints = context.new_page(), list[str]()
    made.set_default_timeout(60_000)
    made.on("pageerror", lambda problem: complaints.append(str(problem)))
    made.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    yield made
    context.close()
    assert complaints == []


def sign_in(page: Any, world: ConsoleWorld, role: Role, path: str = "/") -> None:
    page.goto(world.url + path)
    page.fill("[name=name]", role.value)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_selector(".person")


def is_fit(page: Any) -> None:
    """WCAG 2 A and AA by axe."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="accessibility is checked with axe")
    found = axe.Axe().run(page).response["violations"]
    assert found == [], [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]


def reloaded_until(page: Any, selector: str) -> None:
    """Reload until the index has what was written a moment ago."""
    wait_for(lambda: bool(page.reload() and page.locator(selector).count()), selector)


def shown_version(world: ConsoleWorld) -> int:
    found = world.worker._service.questions.order(ORDER)
    return 0 if found is None else found.version


def payable_in(database: DatabaseSettings) -> Decimal:
    with psycopg.connect(database.conninfo()) as connection:
        [[payable]] = connection.execute("SELECT payable_amount FROM sales_order").fetchall()
    assert isinstance(payable, Decimal)
    return payable


def test_person_signs_in_finds_an_order_by_its_customer_and_reads_its_life(page: Any, world: ConsoleWorld) -> None:
    sign_in(page, world, Role.VIEWER, "/orders?q=nothing")
    assert page.url.endswith("/orders?q=nothing"), "the page that was wanted"
    wait_for(lambda: world.worker._service.questions.order(ORDER) is not None, "the index has the order")
    told = VendorUpdate(
        update_id=EventId("1"),
        vendor_id=VendorId("V7"),
        order_id=ORDER,
        sequence=1,
        update_type="confirmation",
        order_version=1,
        order_status="placed",
        issue_date=date(2026, 11, 21),
        lines=[
            VendorLine(
                line_id="1",
                product_id=ProductId("P1"),
                quantity=Decimal(3),
                unit_code="C62",
                line_status="added",
                shipped_quantity=Decimal(0),
            )
        ],
        committed_at=datetime.now(UTC),
    )
    world.produce(VENDOR_UPDATES, f"V7:{ORDER}", told, beside=ORDER)
    world.produce(VENDOR_UPDATES, f"V7:{WRONG}", told.model_copy(update={"order_id": WRONG}), beside=ORDER)
    page.fill("#q", "C1 471")
    page.wait_for_selector(f"text={ORDER}")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector(".line")
    assert page.locator(".moment.version h3").all_inner_texts() == ["2 OrderChanged", "1 OrderPlaced"]
    assert "leave it at the gate" in page.locator(".diff .after").all_inner_texts()
    assert page.locator(".journal").count() == 0, "a viewer does not see the books"
    assert page.locator(".moment.vendor").count() == 1, "what was told of another order is not shown"
    assert "vendor V7" in page.inner_text(".moment.vendor") and "added" in page.inner_text(".moment.vendor")
    is_fit(page)
    page.click("text=Sign out")
    page.wait_for_selector("text=Sign in")
    page.goto(world.url + f"/order?id={ORDER}")
    assert "/sign-in" in page.url


def test_overview_draws_and_renews_itself_and_is_fit_for_a_phone(page: Any, world: ConsoleWorld) -> None:
    sign_in(page, world, Role.FINANCE)
    before = page.locator("svg.chart").first.inner_html()
    page.wait_for_function("before => document.querySelector('svg.chart').innerHTML !== before", arg=before)
    is_fit(page)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing sticks out to the side"
    is_fit(page)
    page.emulate_media(color_scheme="dark")
    is_fit(page)


def test_dead_letter_is_edited_tried_and_put_back(page: Any, world: ConsoleWorld) -> None:
    sign_in(page, world, Role.OPERATOR, "/dead-letters")
    reloaded_until(page, f"text={WRONG}")
    is_fit(page)
    page.click(f"a:has-text('{WRONG}')")
    event = page.input_value("[name=document]")
    page.click("text=Try it")
    page.wait_for_selector("#outcome .status.rejected")
    assert "payable" in page.inner_text("#outcome")
    right = str(order(ITEMS, order_id=WRONG).payable_amount)
    [wrong] = [line for line in event.splitlines() if line.startswith('    "payable_amount"')]
    page.fill("[name=document]", event.replace(wrong, f'    "payable_amount": "{right}",'))
    page.click("text=Try it")
    page.wait_for_selector("#outcome .status.accepted")
    is_fit(page)
    page.fill("[name=reason]", "the total was mistyped")
    page.click("button:has-text('Put back')")
    page.wait_for_selector("#outcome .notice.good")
    page.goto(world.url + "/dead-letters?all=true")
    reloaded_until(page, "text=put back")
    page.goto(world.url + f"/order?id={WRONG}")
    page.wait_for_selector(".moment.version")
    assert page.locator(".moment.deed").inner_text().startswith("DeadLetterMended")


def shops_in(directory: Path) -> Path:
    """A shop whose secret this console cannot read, with a mapping that knows one status more than that of the day."""
    built_in = (files("schemas.mapping") / "shops" / "shopify.toml").read_text()
    (directory / "mended.toml").write_text(built_in.replace("\npaid = ", '\nodd = "placed"\npaid = ', 1))
    made = directory / "shops.toml"
    made.write_text('[[shops]]\nname = "outlet"\nplatform = "shopify"\nsecrets = "not-here"\nmapping = "mended.toml"\n')
    return made


def kept(shop: str, number: int, **facts: object) -> Rejection:
    """The dead letter of a webhook that no mapping read."""
    body, _ = webhook("orders/create", id=number, **facts)
    problem = Problem(422, "shop.mapping", "odd is no status that is known")
    return letter_of(ShopDelivery.of(shop, "orders/create", None, body), problem, datetime.now(UTC))


def test_parked_order_names_what_it_waits_for(page: Any, world: ConsoleWorld) -> None:
    sign_in(page, world, Role.VIEWER, "/parked")
    reloaded_until(page, f"text={WAITING}")
    assert "C-unknown" in page.inner_text("tbody")
    is_fit(page)


def test_difference_is_named_with_its_cause_and_repaired(page: Any, world: ConsoleWorld, erp: DatabaseSettings) -> None:
    wait_for(lambda: shown_version(world) == 2, "the index has the order's second version")
    ErpRestoration(erp, world.stack.kafka(), world.registry).restore([ORDER])
    right = payable_in(erp)
    with psycopg.connect(erp.conninfo()) as connection:
        connection.execute("UPDATE sales_order SET payable_amount = payable_amount + 1")
    mismatch = Mismatch(
        mismatch_id=f"{ORDER}/erp/payable_amount",
        order_id=ORDER,
        system="erp",
        reference="state",
        kind="different",
        field="payable_amount",
        expected="35.66",
        actual="36.66",
        amount=Decimal("1.00"),
        currency_code="EUR",
        detected_at=datetime.now(UTC),
        cause="manual_change",
        remedy="restore",
    )
    world.produce(MISMATCHES, mismatch.mismatch_id, mismatch)
    sign_in(page, world, Role.OPERATOR, "/mismatches")
    reloaded_until(page, f"tbody >> text={ORDER}")
    told = page.inner_text("tbody")
    assert all(word in told for word in ("payable amount", "35.66", "36.66", "1.00 EUR", "manual change"))
    is_fit(page)
    page.check("[name=order]")
    page.click("button:has-text('Try it')")
    page.wait_for_selector("#outcome >> text=Nothing was changed.")
    assert payable_in(erp) == right + 1
    page.fill("[name=reason]", "somebody typed it wrong")
    page.click("button:has-text('Repair')")
    page.wait_for_selector("#outcome .status.good")
    is_fit(page)
    assert payable_in(erp) == right
    world.produce(MISMATCHES, mismatch.mismatch_id, None)
    reloaded_until(page, "text=No difference is known")
    page.goto(world.url + f"/order?id={ORDER}")
    page.wait_for_selector(".moment.deed >> text=OrderRestored")
    assert "somebody typed it wrong" in page.inner_text(".moment.deed")


def test_order_of_a_document_is_corrected_and_accepted(page: Any, world: ConsoleWorld, desk: DocumentDesk) -> None:
    sign_in(page, world, Role.VIEWER, "/")
    assert page.locator("nav >> text=Reviews").count() == 0, "a viewer does not see whom documents tell of"
    page.click("text=Sign out")
    sign_in(page, world, Role.OPERATOR, "/reviews")
    is_fit(page)
    page.click("a:has-text('PO-4711')")
    assert "KUNDE-77" in page.inner_text("pre"), "the document as it came"
    page.fill("[name='set.lines.0.product']", "shop:P1")
    page.click("text=Try it")
    page.wait_for_selector("#outcome >> text=would be accepted")
    is_fit(page)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing sticks out to the side"
    [review] = [one for one in desk.register.reviews() if one.read.number == "PO-4711"]
    page.fill("[name=reason]", "asked by telephone")
    page.click("button:has-text('Accept')")
    page.wait_for_selector("#outcome >> text=is accepted")
    with closing(world.signed_in(Role.OPERATOR)) as operator:
        form = {"form_token": token_in(operator.get("/").text), "reason": "spam"}
        late = operator.post(f"/reviews/{review.id}/reject", data=form)
        assert (late.status_code, "no longer waits" in late.text) == (400, True)
        wrong = operator.post(f"/reviews/{review.id}/check", data=form | {"set.lines.0.quantity": "many"})
        assert (wrong.status_code, "is not a number" in wrong.text) == (400, True)
    aside(desk.settle)
    [event] = desk.log.events
    assert event.order is not None and event.order.order_lines[0].product_id == "shop:P1"
    [done] = desk.register.reviews("done")
    assert (done.id, done.decided_by, done.note) == (review.id, "operator", "asked by telephone")
    questions = world.worker._service.questions
    wait_for(lambda: bool(questions.deeds(reference=review.id, actor="operator")), "the audit is in the index")
    [deed] = [one for one in questions.deeds(reference=review.id) if one.action == "ReviewAccepted"]
    assert deed.changes == ["lines.0.product -> shop:P1"]


def test_waiting_pdf_shows_where_it_was_read_and_a_key_takes_a_candidate(
    page: Any, world: ConsoleWorld, desk: DocumentDesk
) -> None:
    [review] = [one for one in desk.register.reviews() if one.read.number == "PO-9001"]
    sign_in(page, world, Role.OPERATOR, f"/reviews/{review.id}")
    pictures = page.locator(".crop img")
    assert pictures.count() > 8
    for number in range(pictures.count()):
        pictures.nth(number).scroll_into_view_if_needed()
    drawn = "Array.from(document.querySelectorAll('.crop img')).every(one => one.naturalWidth > 20)"
    wait_for(lambda: bool(page.evaluate(drawn)), "every picture is there")
    assert pictures.first.get_attribute("alt").startswith("Picture of “")
    is_fit(page)
    box, choice = page.locator("[name='set.lines.1.product']"), page.locator("button[data-fill='set.lines.1.product']")
    choice.first.focus()
    page.keyboard.press("Enter")
    assert (box.input_value(), choice.first.get_attribute("aria-pressed")) == ("shop:P2", "true")
    page.keyboard.press("Space")
    assert (box.input_value(), choice.first.get_attribute("aria-pressed")) == ("", "false"), "a second press undoes it"
    choice.first.click()
    is_fit(page)
    page.click("text=Try it")
    page.wait_for_selector("#outcome >> text=lines.1.product")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing sticks out to the side"
    with closing(world.signed_in(Role.OPERATOR)) as operator:
        answer = operator.get(f"/reviews/{review.id}/pictures/number")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store", "it may tell of a person"
        assert operator.get(f"/reviews/{review.id}/pictures/secret").status_code == 404
    page.fill("[name=reason]", "the only oil that we sell")
    page.click("button:has-text('Accept')")
    page.wait_for_selector("#outcome >> text=is accepted")
    [accepted] = desk.register.reviews("accepted")
    assert accepted.corrections == {"lines.1.product": "shop:P2"}
    questions = world.worker._service.questions
    seen = [one for one in questions.deeds(reference=review.id) if one.action == "ReviewViewed"]
    assert len(seen) == 1 and seen[0].changes == [], "many pictures are one look"


def test_weeks_tell_what_to_mend_first(page: Any, world: ConsoleWorld) -> None:
    wait_for(lambda: bool(world.worker._service.questions.letters(open_only=False)), "the index has the dead letter")
    sign_in(page, world, Role.VIEWER)
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_selector("#weeks h2:has-text('By cause')")
    assert "Mend first: rule order.payable_total at source crm (once in 1 order" in page.inner_text("#weeks")
    week = page.locator("#weeks tbody tr").first.inner_text().split()
    assert week[2] == "1", "one refused event in the running week"
    is_fit(page)
    page.select_option("[name=weeks]", "4")
    page.click("text=Show")
    page.wait_for_selector("#weeks h2:has-text('By cause')")
    assert page.locator("#weeks section:has(h2:has-text('By week')) tbody tr").count() == 4
    assert page.request.get(world.url + "/improvement?weeks=5").status == 400


def test_text_of_an_order_is_never_a_part_of_the_page(page: Any, world: ConsoleWorld) -> None:
    told = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    questions = world.worker._service.questions
    wait_for(lambda: questions.order(ORDER) is not None, "the index has the order")
    facts = order(ITEMS, order_id=OrderId("crm:evil")).model_copy(update={"customer_reference": told})
    world.produce(ORDER_STATE, "crm:evil", order_state(1).model_copy(update={"order_id": "crm:evil", "order": facts}))
    sign_in(page, world, Role.ADMIN, "/orders?q=evil")
    reloaded_until(page, "text=crm:evil")
    assert page.locator("tbody img, tbody script").count() == 0
    assert told in page.inner_text("tbody")


def test_webhooks_of_shops_are_mapped_anew(page: Any, world: ConsoleWorld) -> None:
    first, second, foreign = (
        kept("outlet", 77, financial_status="odd"),
        kept("outlet", 78, financial_status="odd"),
        kept("elsewhere", 79),
    )
    unread = kept("outlet", 80, financial_status="odder")
    for letter in (first, second, foreign, unread):
        world.produce(REJECTED, letter.rejection_id, letter)
    questions = world.worker._service.questions
    wait_for(lambda: questions.letter(unread.rejection_id) is not None, "the index has the letters")
    sign_in(page, world, Role.OPERATOR, f"/dead-letters/{first.rejection_id}")
    assert page.locator("[name=document]").count() == 0, "it is mapped, not edited"
    is_fit(page)
    page.click("text=Try it")
    page.wait_for_selector("#outcome .status.accepted")
    page.fill("[name=reason]", "the mapping was mended")
    page.click("button:has-text('Put back')")
    page.wait_for_selector("#outcome .notice.good")
    with closing(world.signed_in(Role.OPERATOR)) as operator:
        form = {"form_token": token_in(operator.get("/").text), "reason": "the mapping was mended"}
        edited = operator.post(f"/dead-letters/{second.rejection_id}/replay", data=form | {"document": "{}"})
        assert (edited.status_code, "is not edited" in edited.text) == (400, True)
        for letter, why in ((foreign, "no shop elsewhere"), (unread, "still cannot read")):
            refused = operator.post("/dead-letters/replay", data=form | {"letter": letter.rejection_id})
            assert (refused.status_code, why in refused.text) == (400, True)
        many = operator.post("/dead-letters/replay", data=form | {"letter": [first.rejection_id, second.rejection_id]})
        assert many.status_code == 200, many.text
    wait_for(lambda: all(questions.order(f"outlet:{one}") is not None for one in (77, 78)), "both are orders")
    assert questions.order("outlet:79") is None and questions.order("outlet:80") is None
    deeds = [deed for deed in questions.deeds(reference=first.rejection_id) if deed.action == "DeadLetterReplayed"]
    assert len(deeds) == 1, "what was put back before is not put back again"
