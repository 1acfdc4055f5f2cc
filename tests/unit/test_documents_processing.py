"""From a document to an event, a dead letter or the queue: once each, whatever comes twice or breaks off between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path

import pytest

from deploy.cli import run as ordersync
from producers.api.documents import NewOrder
from producers.api.intake import Asked
from producers.documents.identity import native_id
from schemas.errors import Transient
from tests.unit import document_samples as samples
from tests.unit.document_desk import DocumentDesk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DocumentDesk]:
    made = DocumentDesk(tmp_path)
    yield made
    made.close()


def test_an_order_of_each_form_is_captured_under_the_identity_that_the_api_gives(desk: DocumentDesk) -> None:
    for content, number in (
        (samples.ubl_order().encode(), "PO-4711"),
        (samples.edifact_order(), "PO-4712"),
        (samples.x12_order(), "PO-4713"),
    ):
        outcome = desk.outcome(content)
        assert (outcome.outcome, outcome.order_id) == ("accepted", f"shop:{number}"), outcome
        event = desk.log.events[-1]
        assert (event.order_id, event.event_id) == (outcome.order_id, outcome.request_id)
        assert (event.source.position, event.source.sequence, event.operation) == (0, 1, "upserted")
        assert event.order is not None and event.order.buyer_customer_party_id == "shop:C1"
        assert [(line.product_id, line.quantity) for line in event.order.order_lines] == [
            ("shop:P1", 12),
            ("shop:P2", 2),
        ]


def test_the_same_document_twice_is_one_order(desk: DocumentDesk) -> None:
    first = desk.outcome(samples.ubl_order(), "a.xml")
    record = desk.take(samples.ubl_order(), "b.xml")
    assert (record.parts, len(desk.log.events)) == ([first], 1)
    assert [step for _, step, _ in record.steps] == ["received", "accepted", "done", "received again"]
    assert desk.originals.get(record.received.id) == samples.ubl_order().encode()
    assert desk.register.documents(10, "shop:PO-4711")[0].received.id == record.received.id


def test_the_same_order_in_another_form_is_one_order(desk: DocumentDesk) -> None:
    assert desk.outcome(samples.edifact_order()).outcome == "accepted"
    desk.apply()
    again = desk.outcome(samples.x12_order().replace(b"PO-4713", b"PO-4712"))
    assert (again.outcome, again.order_id, len(desk.log.events)) == ("duplicate", "shop:PO-4712", 1)


def test_an_order_that_came_by_api_is_the_same_order(desk: DocumentDesk) -> None:
    lines = [{"product_id": "shop:P1", "quantity": "12", "price_amount": "18", "tax_percent": "19"}]
    told = {"id": "PO-4712", "issue_date": "2026-11-20", "document_currency_code": "EUR", "order_lines": lines}
    order = NewOrder.model_validate(told | {"buyer_customer_party_id": "shop:C1"})
    desk.run(desk.intake.create(Asked("shop", "k", b""), order, "shop"))
    desk.apply()
    outcome = desk.outcome(samples.edifact_order())
    assert (outcome.outcome, len(desk.log.events)) == ("review", 1)
    assert outcome.reasons is not None and outcome.reasons[0].startswith("order.exists")


def test_what_broke_off_is_done_again_as_the_same_event(desk: DocumentDesk) -> None:
    desk.log.failures = 1
    with pytest.raises(Transient):
        desk.take(samples.ubl_order())
    assert desk.outcome(samples.ubl_order()).outcome == "accepted"
    first, second = desk.log.events
    assert (first.event_id, first.source, first.order) == (second.event_id, second.source, second.order)


@pytest.mark.parametrize(
    ("order", "change"),
    [
        (samples.ubl_order().encode(), samples.ubl_change().encode()),
        (samples.edifact_order(), samples.edifact_change()),
        (samples.x12_order(), samples.x12_change()),
    ],
)
def test_a_change_is_applied_to_the_order_as_it_is_known(desk: DocumentDesk, order: bytes, change: bytes) -> None:
    desk.take(order)
    desk.apply()
    outcome = desk.outcome(change)
    assert outcome.outcome == "accepted", outcome
    first, second = desk.log.events
    assert second.order_id == first.order_id and second.source.is_after(first.source)
    assert second.order is not None
    assert [(line.line_id, line.product_id, line.quantity) for line in second.order.order_lines] == [
        ("1", "shop:P1", 10),
        ("3", "shop:P3", 5),
    ]
    assert second.order.payable_amount == second.order.tax_exclusive_amount + second.order.tax_amount


def test_an_order_is_cancelled_by_its_own_buyer_only(desk: DocumentDesk) -> None:
    desk.take(samples.ubl_order())
    desk.apply()
    foreign = desk.outcome(samples.ubl_cancellation().replace("<cbc:ID>C1<", "<cbc:ID>C2<"))
    assert foreign.outcome == "review" and foreign.reasons is not None and "order.other_buyer" in foreign.reasons[0]
    assert desk.outcome(samples.ubl_cancellation()).outcome == "accepted"
    last = desk.log.events[-1].order
    assert last is not None and last.order_status == "cancelled"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (samples.ubl_change(), "order.unknown"),
        (samples.ubl_order().replace(">P1<", ">P9<"), "product.unknown"),
        (samples.ubl_order().replace("<cbc:ID>C1<", "<cbc:ID>C2<"), "customer.ambiguous"),
        (
            samples.edifact_order().replace(b"NAD+BY+C1::92++Blauer See Delikatessen", b"NAD+BY+C7::92++Nobody"),
            "customer.unknown",
        ),
        (samples.edifact_order().replace(b"CUX+2:EUR:9", b"CUX+2:XYZ:9"), "currency.unknown"),
        (
            samples.edifact_order().replace(b"MOA+203:216'", b"MOA+203:217'").replace(b"79:259", b"79:260"),
            "line.amount",
        ),
        (samples.x12_order().replace(b"*0*P*>", b"*0*T*>"), "document.test"),
        (samples.x12_order().replace(b"259.00", b"260.00"), "total.mismatch"),
        (samples.x12_order().replace(b"PO-4713", b"P" * 65), "number.unusable"),
    ],
)
def test_what_is_in_doubt_waits_for_a_person(desk: DocumentDesk, content: str | bytes, rule: str) -> None:
    outcome = desk.outcome(content)
    assert (outcome.outcome, desk.log.events) == ("review", []), outcome
    assert rule in [doubt.rule for doubt in desk.register.reviews()[0].doubts]


def test_a_refused_document_is_a_dead_letter_with_every_reason(desk: DocumentDesk) -> None:
    record = desk.take(
        samples.ubl_order().replace(">302.26</cbc:Pay", ">1.00</cbc:Pay").replace("bis:order_only", "bis:x")
    )
    assert record.state == "refused"
    [(source, refusal)] = desk.letters.kept
    assert (source, [reason.rule for reason in refusal.reasons]) == ("post", ["PEPPOL-T01-R031", "PEPPOL-T01-R016"])
    assert record.parts[0].reasons == [str(reason) for reason in refusal.reasons]


def mail(*attachments: tuple[str, bytes], sender: str = "buyer@example.com") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "orders@example.com", "Our order"
    message["Message-ID"] = "<1@example.com>"
    message.set_content("Please find our order attached.")
    for name, content in attachments:
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def test_the_files_of_an_e_mail_are_read_and_linked_to_it(desk: DocumentDesk) -> None:
    record = desk.take(mail(("a.xml", samples.ubl_order().encode()), ("b.edi", samples.edifact_order())), "1.eml")
    assert record.media == "mail"
    assert {event.order_id for event in desk.log.events} == {"shop:PO-4711", "shop:PO-4712"}
    parents = {one.received.parent for one in desk.register.documents(10) if one.parts}
    assert parents == {record.received.id}


def test_every_e_mail_of_a_mailbox_file_is_read(desk: DocumentDesk) -> None:
    mails = [mail(("a.xml", samples.ubl_order().encode())), mail(("b.edi", samples.edifact_order()))]
    box = b"".join(b"From buyer@example.com Sat Nov 21 10:00:00 2026\n" + one + b"\n\n" for one in mails)
    assert desk.take(box, "inbox.mbox").media == "mbox"
    assert len(desk.log.events) == 2


def test_only_agreed_senders_may_order(tmp_path: Path) -> None:
    desk = DocumentDesk(tmp_path, senders=["@example.com"])
    record = desk.take(mail(("a.xml", samples.ubl_order().encode()), sender="x@evil.example.com.org"))
    assert record.state == "refused" and desk.letters.kept[0][1].rule == "mail.sender"
    desk.close()


def test_what_a_person_says_is_taken_and_used_the_next_time(desk: DocumentDesk, tmp_path: Path) -> None:
    desk.outcome(samples.ubl_order().replace(">P1<", ">KUNDE-77<").replace(">Chai<", ">Tee<"))
    [review] = desk.register.reviews()
    place = ["--documents-dir", str(tmp_path)]
    assert ordersync(["review", "show", *place, review.id]) == 0
    assert ordersync(["review", "list", *place]) == 0
    assert ordersync(["review", "accept", *place, review.id, "--set", "lines.0.produkt=shop:P1"]) == 2
    assert ordersync(["review", "accept", *place, review.id, "--set", "lines.0.product=shop:P1"]) == 0
    assert ordersync(["review", "accept", *place, review.id]) == 2
    desk.settle()
    [event] = desk.log.events
    assert event.order is not None and event.order.order_lines[0].product_id == "shop:P1"
    assert event.order.payable_amount == Decimal("302.26")
    assert desk.register.reviews() == [] and desk.register.reviews("done")[0].decided_by
    again = samples.ubl_order().replace(">P1<", ">KUNDE-77<").replace(">Chai<", ">Tee<").replace("PO-4711", "PO-4720")
    assert desk.outcome(again).outcome == "accepted"


def test_a_rejected_order_is_never_taken(desk: DocumentDesk, tmp_path: Path) -> None:
    document = samples.ubl_order().replace(">P1<", ">P9<")
    desk.take(document)
    [review] = desk.register.reviews()
    assert ordersync(["review", "reject", "--documents-dir", str(tmp_path), "--note", "spam", review.id]) == 0
    desk.settle()
    record = desk.take(document)
    assert (desk.log.events, record.parts[0].outcome) == ([], "rejected")
    assert ordersync(["documents", "show", "--documents-dir", str(tmp_path), record.received.id[:12]]) == 0
    assert ordersync(["documents", "list", "--documents-dir", str(tmp_path), "--json"]) == 0


def test_a_replacement_that_a_person_accepts_changes_the_order(desk: DocumentDesk, tmp_path: Path) -> None:
    desk.take(samples.edifact_order())
    desk.apply()
    outcome = desk.outcome(
        samples.edifact_order()
        .replace(b"QTY+21:12:PCE'\nMOA+203:216'", b"QTY+21:10:PCE'\nMOA+203:180'")
        .replace(b"79:259", b"79:223")
    )
    assert outcome.outcome == "review"
    [review] = desk.register.reviews()
    accept = ["review", "accept", "--documents-dir", str(tmp_path), review.id, "--set", "kind=replacement"]
    assert ordersync(accept) == 0
    desk.settle()
    last = desk.log.events[-1].order
    assert last is not None and [line.quantity for line in last.order_lines] == [10, 2]


def test_numbers_never_meet_in_one_id() -> None:
    numbers = ["A/1", "A 1", "A-1", "A.1", "A~1", "A~2F1", "~A", "0~A", "-A", "Ä1", "A1"]
    made = [native_id(number) for number in numbers]
    assert None not in made and len(set(made)) == len(numbers)
    assert native_id("") is None and native_id("9" * 65) is None


def test_a_reader_that_stumbles_makes_a_dead_letter_and_no_dead_worker(desk: DocumentDesk) -> None:
    desk.read_with(lambda _: 1 // 0)
    record = desk.take(b"a document that nobody has thought of")
    assert record.state == "refused" and desk.letters.kept[0][1].rule == "document.unreadable"


def test_structured_forms_are_read_without_the_extra() -> None:
    """In a process of its own, where none of the libraries of the extra can be imported."""
    program = """
import sys
for name in ("pypdf", "pdfplumber", "pypdfium2", "rapidocr", "onnxruntime", "rapidfuzz", "babel", "openpyxl", "PIL"):
    sys.modules[name] = None
from pathlib import Path
from producers.documents.limits import Limits
from producers.documents.reading import Reader
from producers.documents.source import Source
from tests.unit import document_samples as samples
source = Source(name="edi", kind="folder", system="shop", path=Path("/nowhere"))
read = Reader(source, Limits()).read
for content in (samples.ubl_order().encode(), samples.edifact_order(), samples.x12_order()):
    assert len(read(content).orders) == 1
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
