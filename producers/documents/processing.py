"""What happens with one document, from its arrival to an order in `orders.captured`, a dead letter or the queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec, Protocol, TypeVar

from producers.api.documents import ChangedOrder, NewOrder
from producers.documents import mail
from producers.documents.answering import Answering, VendorDesk
from producers.documents.answers import ReadAnswer
from producers.documents.changes import whole_order
from producers.documents.corrections import corrected
from producers.documents.doubts import Doubt
from producers.documents.drafting import Draft, Drafting
from producers.documents.identity import order_id_of
from producers.documents.likeness.suggestions import Suggestions
from producers.documents.limits import Limits
from producers.documents.masters import Masters
from producers.documents.order import Kind, ReadOrder
from producers.documents.originals import DocumentId, Originals
from producers.documents.reading import Reader, Readings, media_of
from producers.documents.reasons import Reason, RefusedDocument, refused
from producers.documents.register import Outcome, QueueEntry, Received, Register, Review
from producers.documents.source import Source
from schemas.attributes import OrderId
from schemas.errors import OrdersyncError
from schemas.models import SalesOrder

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Delivered:
    """One document as its source hands it over."""

    content: bytes
    name: str
    sender: str = ""
    subject: str = ""
    parent: DocumentId | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """An answer of the order intake: the event is durable, or the order was as asked already."""

    request_id: str | None


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order that is there already, and the version of it."""

    order: SalesOrder
    version: str


class OrderExists(Exception):
    """A new order whose id another order has."""


class OrderRefused(Exception):
    """An order that cannot be written at all."""


class OrderDesk(Protocol):
    """Where orders are handed in; `key` makes the same call twice one order."""

    async def done(self, key: str) -> str | None:
        """Id of the request of that key, if it was accepted before. Raises Transient."""
        ...

    async def known(self, order_id: OrderId) -> KnownOrder | None:
        """The order as it is; cancelled ones too. Raises Transient."""
        ...

    async def create(self, key: str, order: NewOrder) -> Taken:
        """Raises OrderExists, OrderRefused, Transient."""
        ...

    async def change(self, key: str, order_id: OrderId, order: ChangedOrder, version: str) -> Taken:
        """Raises OrderRefused, Transient where the order is no longer at `version`."""
        ...

    async def cancel(self, key: str, order_id: OrderId, version: str) -> Taken:
        """Raises OrderRefused, Transient where the order is no longer at `version`."""
        ...


class DeadLetters(Protocol):
    """Where refused documents are told."""

    async def write(self, source: str, document_id: DocumentId, content: bytes, refusal: RefusedDocument) -> None:
        """Return when the letter is durable; the same document always has the same letter. Raises Transient."""
        ...


@dataclass(frozen=True, slots=True)
class Places:
    """What processing works with."""

    originals: Originals
    register: Register
    masters: Masters
    limits: Limits
    desk: OrderDesk
    letters: DeadLetters
    heard: Callable[[str, str], None]
    """Called with source and outcome, for the metrics."""
    vendors: VendorDesk
    suggestions: Suggestions


class Processing:
    """The documents of one source.

    Delivery: a document is dealt with at least once until it is finished, and every order of it is written once,
    because its key follows from the document's content. Raises Transient where something is away; ask again.
    """

    def __init__(self, source: Source, places: Places) -> None:
        self._source = source
        self._places = places
        self._reader = Reader(source, places.limits)
        self._answering = Answering(source, places.vendors)

    async def take(self, delivered: Delivered) -> DocumentId:
        """Deal with a document; return when all of it is decided."""
        content_id = await asyncio.to_thread(self._places.originals.put, delivered.content)
        document_id = self._source.document_id_of(content_id)
        one = delivered
        received = Received(
            document_id, self._source.name, one.name, len(one.content), one.sender, one.subject, one.parent, content_id
        )
        if not self._places.register.receive(received):
            self._places.heard(self._source.name, "received again")
            return document_id
        media = media_of(one.content)
        try:
            if media != "mbox":
                self._places.limits.check_size(len(one.content), "document")
            if media == "mbox":
                await self._mailbox(document_id, one)
            elif media == "mail":
                await self._mail(document_id, one)
            else:
                readings = await _read(self._reader.read, one.content)
                media = readings.media
                await self._decide(document_id, one.content, readings)
        except RefusedDocument as exc:
            await self._refuse(document_id, one.content, exc)
            self._places.register.finish(document_id, media, "refused")
        else:
            self._places.register.finish(document_id, media, "done")
        return document_id

    async def settle(self, review: Review) -> None:
        """Take an order that a person has accepted, as corrected."""
        read = corrected(review.read, review.corrections)
        outcome = await self._order(f"{review.document}/{review.part}/review", review.part, read, is_reviewed=True)
        if isinstance(outcome, list):
            reasons = _told(outcome)
            undecided = Outcome(review.part, read.kind.value, "review", reasons=reasons)
            await self._queue(review.document, undecided, review.read, outcome)
            self._places.heard(self._source.name, "review")
        else:
            self._places.register.decide(review.document, outcome)
            self._places.register.close_review(review.id)
            self._places.heard(self._source.name, outcome.outcome)

    async def _mailbox(self, document_id: DocumentId, box: Delivered) -> None:
        for number, content in enumerate(mail.mails_of(box.content), 1):
            await self.take(Delivered(content, f"{box.name}#{number}", parent=document_id))

    async def _mail(self, document_id: DocumentId, delivered: Delivered) -> None:
        message = await _read(mail.read, delivered.content, self._places.limits)
        if not self._source.may_send(message.sender):
            reason = Reason("mail.sender", f"{message.sender!r} may not send here; see `senders`", "From")
            raise RefusedDocument([reason])
        readable, ignored = self._attachments(message)
        for attachment in readable:
            part = Delivered(attachment.content, attachment.name, message.sender, message.subject, document_id)
            await self.take(part)
        if readable:
            return
        if not message.body:
            raise RefusedDocument(ignored or [Reason("mail.empty", "neither text nor a file to read", "e-mail")])
        reading = await _read(self._reader.read_text, message.body, message.subject, message.sender, message.sent_on)
        await self._decide(document_id, delivered.content, reading)

    def _attachments(self, message: mail.Mail) -> tuple[list[mail.Attachment], list[Reason]]:
        """Files that may be orders, those first that say themselves what they mean; logos and the like are left out."""
        ranked: list[tuple[int, mail.Attachment]] = []
        ignored: list[Reason] = []
        for attachment in message.attachments:
            media = media_of(attachment.content)
            if media in ("xml", "edifact", "x12", "xlsx"):
                ranked.append((0, attachment))
            elif media == "pdf" or media == "mail" or (media == "text" and not attachment.is_inline):
                ranked.append((1, attachment))
            elif media == "image" and not attachment.is_inline:
                ranked.append((2, attachment))
            else:
                ignored.append(
                    Reason("document.type", f"{media} is no form that orders are read from", attachment.name)
                )
        ranked.sort(key=lambda one: one[0])
        if any(rank == 0 for rank, _ in ranked):
            # The picture of an order beside the order itself would only be that order again.
            ranked = [one for one in ranked if one[0] == 0]
        return [attachment for _, attachment in ranked], ignored

    async def _decide(self, document_id: DocumentId, content: bytes, readings: Readings) -> None:
        known = self._places.register.outcomes(document_id)
        for part, read in enumerate(readings.orders):
            if part in known:
                continue
            outcome = await self._order(f"{document_id}/{part}", part, read)
            if isinstance(outcome, list):
                doubts, outcome = outcome, Outcome(part, read.kind.value, "review", reasons=_told(outcome))
                await self._queue(document_id, outcome, read, doubts)
            else:
                self._places.register.decide(document_id, outcome)
            self._places.heard(self._source.name, outcome.outcome)
        for place, problem in enumerate(readings.problems, len(readings.orders)):
            if place not in known:
                await self._refuse(document_id, content, problem, place)
        first = len(readings.orders) + len(readings.problems)
        for place, answer in enumerate(readings.answers, first):
            if place not in known:
                await self._answer(document_id, content, answer, place)

    async def _answer(self, document_id: DocumentId, content: bytes, answer: ReadAnswer, part: int) -> None:
        try:
            outcome = await self._answering.take(f"{document_id}/{part}", part, answer)
        except RefusedDocument as exc:
            await self._refuse(document_id, content, exc, part)
        else:
            self._places.register.decide(document_id, outcome)
            self._places.heard(self._source.name, outcome.outcome)

    async def _queue(self, document_id: DocumentId, outcome: Outcome, read: ReadOrder, doubts: list[Doubt]) -> None:
        # The order waits already: what is added now helps the person and can no longer make it flow.
        doubts = await asyncio.to_thread(self._places.suggestions.added, read, doubts, self._places.masters)
        customer_id = self._draft(read).customer_id
        entry = QueueEntry(outcome, read, doubts, customer_id)
        self._places.register.review(document_id, self._source.name, entry)

    async def _refuse(self, document_id: DocumentId, content: bytes, refusal: RefusedDocument, part: int = 0) -> None:
        await self._places.letters.write(self._source.name, document_id, content, refusal)
        reasons = [str(reason) for reason in refusal.reasons]
        self._places.register.decide(document_id, Outcome(part, "document", "refused", reasons=reasons))
        self._places.heard(self._source.name, "refused")

    async def _order(self, key: str, part: int, read: ReadOrder, *, is_reviewed: bool = False) -> Outcome | list[Doubt]:
        """What became of one order, or what keeps it from being taken."""
        if read.is_test and not self._source.accept_tests and not is_reviewed:
            return [Doubt("document.test", "the document says that it is a test; see `accept_tests`", "document")]
        request_id = await self._places.desk.done(key)
        if request_id is not None:
            # Written before a crash; what is known by now must not be compared with it.
            order_id = self._draft(read).order_id
            return Outcome(part, read.kind.value, "accepted", order_id, request_id)
        try:
            if read.kind is Kind.ORDER:
                return await self._new(key, part, read)
            return await self._later(key, part, read, is_reviewed)
        except OrderRefused as exc:
            return [Doubt("order.refused", str(exc), "order")]

    async def _new(self, key: str, part: int, read: ReadOrder) -> Outcome | list[Doubt]:
        draft = self._draft(read)
        if draft.order is None or draft.doubts:
            return draft.doubts
        assert draft.order_id is not None
        try:
            taken = await self._places.desk.create(key, draft.order)
        except OrderExists:
            return await self._again(part, read, draft)
        return Outcome(part, read.kind.value, "accepted", draft.order_id, taken.request_id)

    async def _again(self, part: int, read: ReadOrder, draft: Draft) -> Outcome | list[Doubt]:
        """An order of that id exists: by API, from the database, or by another copy of the document."""
        assert draft.order_id is not None and draft.order is not None
        known = await self._places.desk.known(draft.order_id)
        if known is not None and _is_same(known.order, draft.order.as_order(draft.order_id, known.order.order_status)):
            return Outcome(part, read.kind.value, "duplicate", draft.order_id)
        told = f"{draft.order_id} exists and says something else; accept it with --set kind=replacement, or reject it"
        return [Doubt("order.exists", told, "number")]

    async def _later(self, key: str, part: int, read: ReadOrder, is_reviewed: bool) -> Outcome | list[Doubt]:
        if not read.is_certain and not is_reviewed:
            return [Doubt("change.text", "changes and cancellations that text asks for are for a person", "kind")]
        order_id, known, doubts = await self._known(read)
        if known is None or order_id is None:
            return doubts
        if read.kind is Kind.CANCELLATION:
            if doubts:
                return doubts
            taken = await self._places.desk.cancel(key, order_id, known.version)
            return Outcome(part, read.kind.value, "accepted", order_id, taken.request_id)
        whole, found = whole_order(read, known.order)
        draft = self._draft(whole)
        doubts += found + draft.doubts
        if doubts or draft.order is None:
            return doubts
        changed = ChangedOrder.model_validate(draft.order.model_dump(exclude={"id", "system"}, mode="json"))
        taken = await self._places.desk.change(key, order_id, changed, known.version)
        outcome = "accepted" if taken.request_id else "unchanged"
        return Outcome(part, read.kind.value, outcome, order_id, taken.request_id)

    async def _known(self, read: ReadOrder) -> tuple[OrderId | None, KnownOrder | None, list[Doubt]]:
        """The order that a change is about, if it is the same buyer's."""
        if read.number is None:
            return None, None, [Doubt("number.missing", "the document names no order number", "number")]
        customer_id = self._draft(replace(read, lines=[])).customer_id
        order_id = order_id_of(self._source.system, read.number, self._source.identity, customer_id)
        known = None if order_id is None else await self._places.desk.known(order_id)
        if known is None:
            told = f"there is no order {order_id or read.number}; accept it with --set kind=order to make it a new one"
            return None, None, [Doubt("order.unknown", told, "number")]
        if customer_id != known.order.buyer_customer_party_id:
            owner = known.order.buyer_customer_party_id
            told = f"{order_id} belongs to {owner}, and the document comes from {customer_id}"
            return order_id, known, [Doubt("order.other_buyer", told, "buyer")]
        return order_id, known, []

    def _draft(self, read: ReadOrder) -> Draft:
        return Drafting(read, self._source, self._places.masters, self._places.register.alias).draft()


async def _read(reading: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Have something read in a thread; what a reader stumbles over makes the document a dead letter, not the worker."""
    try:
        return await asyncio.to_thread(reading, *given, **named)
    except (OrdersyncError, MemoryError):
        raise
    except Exception as exc:
        _log.exception("a document could not be read")
        told = f"reading it failed with {type(exc).__name__}: {exc}"[:500]
        raise refused("document.unreadable", told, "document") from exc


def _is_same(known: SalesOrder, asked: SalesOrder) -> bool:
    """Whether two say the same of what is ordered; what only one of them can know does not count."""
    if (
        known.buyer_customer_party_id != asked.buyer_customer_party_id
        or known.document_currency_code != asked.document_currency_code
        or known.payable_amount != asked.payable_amount
        or len(known.order_lines) != len(asked.order_lines)
    ):
        return False
    facts = [
        sorted((line.product_id, line.quantity, line.line_extension_amount) for line in order.order_lines)
        for order in (known, asked)
    ]
    return facts[0] == facts[1]


def _told(doubts: Sequence[Doubt]) -> list[str]:
    return [f"{doubt.rule} ({doubt.where}): {doubt.message}" for doubt in doubts]
