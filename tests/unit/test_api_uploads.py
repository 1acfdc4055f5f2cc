"""Documents over HTTP: kept before the answer, taken like those of folders, told of to their client and nobody else."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.reviewing import Decision, accept, reject
from producers.api.access import Access
from producers.api.answering import AnswerIntake
from producers.api.app import asgi_app
from producers.api.clients import ClientEntry, Clients
from producers.api.guard import BodyLimits
from producers.api.service import Service
from producers.api.uploads import EXAMPLE, MEDIA
from producers.documents.uploads import Uploads
from producers.sightings import Sightings
from producers.upload_spool import PARTS, UploadSpool, UploadStatus
from tests.unit import document_samples as samples
from tests.unit.document_desk import DocumentDesk
from tests.unit.test_api_intake import SCHEMAS
from tests.unit.test_sightings import Clock, KeptAudit

_XML = "application/xml"
_LIMIT = 50_000


class PostRoom:
    """An API that takes documents, and the worker behind it, for the clients `shop` and `other`."""

    def __init__(self, directory: Path) -> None:
        self.desks = {
            name: DocumentDesk(directory / name, kind="upload", client=name, path=None, name=name, system="shop")
            for name in self._made(directory, "shop", "other")
        }
        self.desk = self.desks["shop"]
        self.directory = directory / "uploads"
        self.spool = UploadSpool(self.directory, most_waiting=20)
        self.clients = Clients([_entry("shop"), _entry("other"), _entry("reader", "read")], "test")
        self.app = self.serve(self.spool)

    @staticmethod
    def _made(directory: Path, *names: str) -> tuple[str, ...]:
        for name in names:
            (directory / name).mkdir()
        return names

    def serve(self, spool: UploadSpool | None) -> Any:
        access = Access(Sightings(KeptAudit(), Clock()))
        limits = BodyLimits(4_000, 8_000, _LIMIT)
        orders = self.desk._orders
        answers = AnswerIntake(self.desk.log, orders, SCHEMAS)
        return asgi_app(
            Service(self.desk.intake, orders, self.clients, limits, 10, 1.0, access, answers, uploads=spool)
        )

    def send(
        self, content: Any, media: str = _XML, client: str = "shop", query: str = "", **fields: str
    ) -> httpx.Response:
        headers = {"Content-Type": media, **{name.replace("_", "-"): value for name, value in fields.items()}}
        return self._call("POST", f"/v1/documents{query}", client, headers, content)

    def read(self, location: str, client: str = "shop") -> httpx.Response:
        return self._call("GET", location, client, {}, None)

    def work(self, client: str = "shop") -> None:
        """What the documents worker does in one round."""
        desk = self.desks[client]
        uploads = Uploads(self.directory, {client: desk.source}, desk.register)
        desk.run(uploads.take({client: desk._processing}, threading.Event()))

    def close(self) -> None:
        for desk in self.desks.values():
            desk.close()

    def _call(self, method: str, path: str, client: str, headers: dict[str, str], content: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as caller:
                sent = headers | {"Authorization": f"Bearer {client}"}
                return await caller.request(method, path, headers=sent, content=content)

        return asyncio.run(asked())


def _entry(name: str, *rights: str) -> ClientEntry:
    scopes = [f"documents:{right}" for right in rights or ("write", "read")]
    told = {"name": name, "key_sha256": [hashlib.sha256(name.encode()).hexdigest()], "scopes": scopes}
    return ClientEntry.model_validate(told | {"systems": ["shop"]})


@pytest.fixture
def room(tmp_path: Path) -> Iterator[PostRoom]:
    made = PostRoom(tmp_path)
    yield made
    made.close()


def outcome(answer: httpx.Response) -> dict[str, Any]:
    """Of a document that holds one order."""
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["status"] == "done", told
    [part] = told["parts"]
    return dict(part)


def test_a_document_is_kept_before_the_answer_and_becomes_an_order(room: PostRoom) -> None:
    sent = room.send(EXAMPLE.encode(), query="?name=order.xml")
    assert (sent.status_code, sent.json()["status"]) == (202, "received"), sent.text
    location = sent.headers["Location"]
    assert room.read(location).json() == sent.json()
    assert [upload.name for upload in room.spool.waiting()] == ["order.xml"]
    room.work()
    told = outcome(room.read(location))
    assert (told["outcome"], told["order_id"]) == ("accepted", "shop:PO-4711")
    assert told["request_id"] == room.desk.log.events[-1].event_id
    [record] = room.desk.register.documents(10, "shop:PO-4711")
    assert room.desk.originals.get(room.desk.register.content_of(record.received.id)) == EXAMPLE.encode()
    assert list(room.spool.waiting()) == []


def test_each_way_of_saying_what_an_order_is(room: PostRoom) -> None:
    for content, media, number in (
        (samples.ubl_order().encode(), "text/xml", "PO-4711"),
        (samples.edifact_order(), "application/edifact", "PO-4712"),
        (samples.x12_order(), "application/octet-stream", "PO-4713"),
    ):
        location = room.send(content, media).headers["Location"]
        room.work()
        assert outcome(room.read(location))["order_id"] == f"shop:{number}"


def test_what_came_twice_is_one_upload_and_one_order(room: PostRoom) -> None:
    first, again = room.send(EXAMPLE.encode()), room.send(EXAMPLE.encode())
    assert (again.headers["Location"], again.headers["Idempotent-Replayed"]) == (first.headers["Location"], "true")
    room.work()
    later = room.send(EXAMPLE.encode())
    assert later.json()["parts"][0]["order_id"] == "shop:PO-4711"
    assert list(room.spool.waiting()) == []
    keyed = room.send(EXAMPLE.encode(), Idempotency_Key="k1")
    assert keyed.headers["Location"] != first.headers["Location"]
    room.work()
    assert outcome(room.read(keyed.headers["Location"]))["order_id"] == "shop:PO-4711"
    assert len(room.desk.log.events) == 1
    other = room.send(samples.x12_order(), "application/edi-x12", Idempotency_Key="k1")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency.key_reused")


def test_an_upload_whose_api_died_between_note_and_document_is_kept_when_it_comes_again(room: PostRoom) -> None:
    sent = room.send(EXAMPLE.encode())
    [upload] = room.spool.waiting()
    (room.directory / "incoming" / upload.id).unlink()
    assert room.send(EXAMPLE.encode()).headers["Location"] == sent.headers["Location"]
    room.work()
    assert outcome(room.read(sent.headers["Location"]))["outcome"] == "accepted"


def test_what_waits_for_a_person_is_told_and_then_what_became_of_it(room: PostRoom) -> None:
    unknown = EXAMPLE.replace(">P1<", ">P77<")
    location = room.send(unknown.encode()).headers["Location"]
    room.work()
    told = outcome(room.read(location))
    assert (told["outcome"], told["order_id"]) == ("review", None)
    assert [reason["rule"] for reason in told["reasons"]] == ["product.unknown"]
    [review] = room.desk.register.reviews()
    accept(room.desk.register, review, Decision("ada", corrections={"lines.0.product": "shop:P1"}))
    room.desk.settle()
    room.work()
    assert outcome(room.read(location))["order_id"] == "shop:PO-4711"
    assert room.desk.register.open_uploads() == []


def test_what_a_person_turns_away_is_told(room: PostRoom) -> None:
    location = room.send(EXAMPLE.replace(">P1<", ">P77<").encode()).headers["Location"]
    room.work()
    [review] = room.desk.register.reviews()
    reject(room.desk.register, review, Decision("ada", "spam"))
    room.work()
    assert outcome(room.read(location))["outcome"] == "rejected"


def aged(room: PostRoom, days: float = 100) -> None:
    """All that is known of uploads was written so long ago."""
    moment = time.time() - days * 86_400
    for path in (room.directory / "known").rglob("*"):
        os.utime(path, (moment, moment))


def tidied(room: PostRoom) -> int:
    """One turn of all parts."""
    uploads = Uploads(room.directory, {"shop": room.desk.source}, room.desk.register)
    return sum(uploads.tidy() for _ in range(PARTS))


def test_what_nobody_may_ask_for_any_more_is_forgotten_and_never_ordered_twice(room: PostRoom) -> None:
    location = room.send(EXAMPLE.encode()).headers["Location"]
    aged(room)
    assert tidied(room) == 0, "it waits for the worker"
    room.work()
    first = room.read(location).json()
    assert tidied(room) == 0, "it was told of just now"
    (room.directory / "known" / "00").mkdir(exist_ok=True)
    foreign = room.directory / "known" / "00" / "notes.status"
    foreign.write_text("not ours")
    aged(room, 89)
    assert tidied(room) == 0
    aged(room)
    assert tidied(room) == 1
    assert room.read(location).status_code == 404
    assert [path for path in room.directory.rglob("*") if path.is_file()] == [foreign]
    again = room.send(EXAMPLE.encode())
    assert again.headers["Location"] == location and "Idempotent-Replayed" not in again.headers
    room.work()
    told = room.read(location).json()
    assert told["parts"] == first["parts"] and len(room.desk.log.events) == 1


def test_what_waits_for_a_person_is_not_forgotten(room: PostRoom) -> None:
    location = room.send(samples.ubl_order().replace(">P1<", ">KUNDE-77<").replace(">Chai<", ">Tee<")).headers[
        "Location"
    ]
    room.work()
    assert outcome(room.read(location))["outcome"] == "review"
    aged(room)
    assert tidied(room) == 0
    [review] = room.desk.register.reviews()
    reject(room.desk.register, review, Decision("ada", "spam"))
    room.work()
    assert outcome(room.read(location))["outcome"] == "rejected", "and it is told then"
    aged(room)
    assert tidied(room) == 1


def test_key_of_a_forgotten_document_may_name_another_one(room: PostRoom) -> None:
    location = room.send(EXAMPLE.encode(), Idempotency_Key="k").headers["Location"]
    room.work()
    aged(room)
    # A worker that was killed while it removed them.
    [note] = room.directory.glob("known/*/*.json")
    note.unlink()
    waiting = samples.ubl_order().replace(">P1<", ">KUNDE-77<").replace(">Chai<", ">Tee<")
    sent = room.send(waiting, Idempotency_Key="k")
    assert (sent.status_code, sent.headers["Location"], sent.json()["status"]) == (202, location, "received")
    room.work()
    assert outcome(room.read(location))["outcome"] == "review", "not what became of the first one"
    [review] = room.desk.register.reviews()
    reject(room.desk.register, review, Decision("ada", "spam"))
    room.work()
    assert outcome(room.read(location))["outcome"] == "rejected", "the worker tells of the second one to the end"


def test_note_that_is_removed_while_its_document_comes_again_is_written_again(room: PostRoom) -> None:
    room.send(EXAMPLE.encode())
    room.work()
    [upload] = [room.spool.upload(path.stem) for path in room.directory.glob("known/*/*.json")]
    assert upload is not None

    class Removing(UploadSpool):
        """The worker forgets it between the API's two looks."""

        def status(self, upload_id: str) -> UploadStatus:
            aged(room)
            tidied(room)
            return super().status(upload_id)

    spool = Removing(room.directory)
    with spool.open() as file:
        file.write(EXAMPLE.encode())
        file.finish()
        spool.keep(upload, file)
    assert [one.id for one in room.spool.waiting()] == [upload.id], "a worker will find it"


def test_halves_that_killed_processes_left_are_removed_and_those_that_come_are_not(room: PostRoom) -> None:
    with room.spool.open() as coming:
        left = room.directory / "incoming" / ".part-left"
        left.write_bytes(b"half")
        moment = time.time() - 3 * 86_400
        os.utime(left, (moment, moment))
        uploads = Uploads(room.directory, {"shop": room.desk.source}, room.desk.register, timedelta(0))
        for _ in range(PARTS):
            uploads.tidy()
        assert not left.exists() and coming.path.exists()


def test_a_refused_document_names_every_rule(room: PostRoom) -> None:
    broken = samples.x12_order().replace(b"CTT*2*14", b"CTT*3*14")
    location = room.send(broken, "application/edi-x12").headers["Location"]
    room.work()
    told = outcome(room.read(location))
    assert told["outcome"] == "refused" and told["reasons"][0]["rule"].startswith("x12."), told
    assert room.desk.letters.kept


def test_the_files_of_an_e_mail_are_told_by_their_names(room: PostRoom) -> None:
    mail = (
        b"From: buyer@customer.example\r\nTo: us@shop.example\r\nSubject: order\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee it\r\n'
        b'--b\r\nContent-Type: application/xml\r\nContent-Disposition: attachment; filename="po.xml"\r\n\r\n'
        + EXAMPLE.encode()
        + b"\r\n--b--\r\n"
    )
    location = room.send(mail, "message/rfc822").headers["Location"]
    room.work()
    told = outcome(room.read(location))
    assert (told["name"], told["order_id"]) == ("po.xml", "shop:PO-4711")


def test_a_client_sees_its_own_documents_only_and_takes_none_from_others(room: PostRoom) -> None:
    ours = room.send(EXAMPLE.encode()).headers["Location"]
    assert room.read(ours, "other").status_code == 404
    theirs = room.send(EXAMPLE.encode(), client="other")
    assert theirs.headers["Location"] != ours and "Idempotent-Replayed" not in theirs.headers
    assert theirs.json()["parts"] == []
    assert room.send(EXAMPLE.encode(), client="reader").status_code == 403
    assert room.send(EXAMPLE.encode(), client="nobody").status_code == 401
    assert room.read(ours, "reader").status_code == 404
    shop, other = (room.desks[name].source for name in ("shop", "other"))
    content = room.desk.originals.put(EXAMPLE.encode())
    assert shop.document_id_of(content) != other.document_id_of(content)


def test_a_client_without_a_source_is_told_so(room: PostRoom) -> None:
    location = room.send(EXAMPLE.encode(), client="other").headers["Location"]
    room.work("shop")
    assert outcome(room.read(location, "other"))["reasons"][0]["rule"] == "document.source"


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b"", _XML, 422),
        (b"<Order/>", "application/pdf", 415),
        (b"%PDF-1.7", _XML, 415),
        (b"%PDF-1.7", "application/x-msdownload", 415),
        (b"MZ\x90\x00\x03\x00\x00\x00", "application/octet-stream", 415),
        (b"PK\x03\x04" + b"\x00" * 40, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 415),
        (b"<html><body>no</body></html>", "text/xml", 415),
        (b" " * (_LIMIT + 1), "text/plain", 413),
    ],
)
def test_what_cannot_be_a_document_is_turned_away_and_leaves_nothing(
    room: PostRoom, content: bytes, media: str, status: int
) -> None:
    answer = room.send(content, media)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert list((room.directory / "incoming").iterdir()) == []


def test_a_body_without_an_end_is_cut_off_at_the_limit(room: PostRoom) -> None:
    came = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal came
        for _ in range(1_000):
            came += 10_000
            yield b"<" * 10_000

    assert room.send(endless()).status_code == 413
    assert came <= _LIMIT + 10_000
    assert list((room.directory / "incoming").iterdir()) == []


def test_an_encoded_body_and_names_with_a_path_are_turned_away(room: PostRoom) -> None:
    assert room.send(EXAMPLE.encode(), Content_Encoding="gzip").status_code == 415
    for name in ("../../etc/passwd", "a%00b", "a%0Ab", "x" * 256):
        assert room.send(EXAMPLE.encode(), query=f"?name={name}").status_code == 422, name
    assert room.read("/v1/documents/../../register.sqlite").status_code == 404
    assert room.read("/v1/documents/nothing").status_code == 422


def test_documents_wait_for_the_worker_up_to_a_number(room: PostRoom) -> None:
    for number in range(20):
        assert room.send(EXAMPLE.replace("4711", str(number)).encode()).status_code == 202
    full = room.send(EXAMPLE.encode())
    assert (full.status_code, full.headers["Retry-After"]) == (503, "30")
    room.work()
    assert room.send(EXAMPLE.encode()).status_code == 202


def test_an_api_without_a_directory_says_so(room: PostRoom) -> None:
    room.app = room.serve(None)
    answer = room.send(EXAMPLE.encode()[:1_000])
    assert (answer.status_code, answer.json()["type"]) == (501, "/problems/document.not_taken")


def test_a_foreign_file_in_the_directory_is_left_alone(room: PostRoom) -> None:
    (room.directory / "incoming" / "README").write_text("hello")
    (room.directory / "incoming" / "00000000-0000-0000-0000-000000000000").write_text("no note")
    room.work()
    assert len(list((room.directory / "incoming").iterdir())) == 2


def test_every_kind_that_is_told_apart_can_be_sent() -> None:
    assert {kind for kinds in MEDIA.values() for kind in kinds} == {
        *("xml", "pdf", "edifact", "x12", "text", "xlsx", "mail", "image")
    }
