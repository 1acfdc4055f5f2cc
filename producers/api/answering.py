"""Takes what vendors answer about their lines, and their stock: durable in Kafka, and each message once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from producers.api.intake import Asked, Taken, check_fingerprint, unknown_order
from producers.api.orders import ANSWERED_SINCE, Orders
from producers.api.problems import FieldProblem, Problem
from producers.api.requests import HEADER, AcceptedRequest, AnswerMark, Kind, fingerprint_of, request_id_of
from schemas.attributes import OrderId, VendorId
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import InvalidValue
from schemas.fulfilment_parts import lines_of_vendor, lines_told_of, subjects_of
from schemas.models import OrderState, VendorAcknowledgement, VendorAnswer, VendorAnswered, VendorStock
from schemas.topics import ORDER_STATE, VENDOR_ACKNOWLEDGEMENTS, VENDOR_ANSWERS, VENDOR_STOCK

RULE_OF_LINES = "answer.vendor_lines"


class RecordLog(Protocol):
    """Where records are made durable."""

    async def write(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Return when the record is durable. Raises Transient where it may be, or may not be."""
        ...


@dataclass(frozen=True, slots=True)
class StockTaken:
    """What became of a stock report: how many products it made known, and how many a later report had told of."""

    taken: int
    outdated: int


class AnswerIntake:
    """The vendors' side of the API, and of documents.

    Delivery: what it returns is durable in Kafka. Asked again under the same key (the number of the message, where no
    key is sent), it writes the same event or finds that it is there; streams take each message once. Source: S3, I11.
    """

    def __init__(self, log: RecordLog, orders: Orders, schemas: SchemaIds) -> None:
        """Raises SchemaDrift if a schema is not registered, Transient while the registry is away."""
        self._log = log
        self._orders = orders
        self._answers = TopicCodec(VENDOR_ANSWERS, VendorAnswered, schemas)
        self._acknowledgements = TopicCodec(VENDOR_ACKNOWLEDGEMENTS, VendorAcknowledgement, schemas)
        self._stock = TopicCodec(VENDOR_STOCK, VendorStock, schemas)

    async def order_of(self, order_id: OrderId, vendor_id: VendorId) -> OrderState:
        """The order, if the vendor supplies any of its lines.

        Raises:
            Problem: 404; of an order of others a vendor does not even hear that it exists.
            Transient: the copy of the orders is too far behind.
        """
        state = await self._orders.order_at_least(order_id, 1)
        if not lines_of_vendor(state, vendor_id):
            # What the vendor has heard of just now may be out of this worker's sight.
            await self._orders.catch_up(ORDER_STATE)
            state = self._orders.order(order_id)
        if state is None or not lines_of_vendor(state, vendor_id):
            raise unknown_order(order_id)
        return state

    async def answer(self, asked: Asked, order_id: OrderId, answer: VendorAnswer) -> Taken:
        """Accept a message about one order.

        Raises:
            Problem: 404 as `order_of`; 422 where a line is not the vendor's, or the key belongs to another request.
            Transient: the message may be durable or not; the same request again makes sure.
        """
        request_id = request_id_of(asked.client, asked.key or f"message/{order_id}/{answer.message_id}")
        fingerprint = fingerprint_of(Kind.ANSWER, order_id, asked.body)
        known = self._orders.request(request_id)
        if known is not None:
            check_fingerprint(known.fingerprint, fingerprint)
            # The first one may have ended between the answer and this; told twice it is heard once.
            await self._acknowledge(order_id, answer)
            return Taken(known, is_replay=True)
        await self._check_lines(order_id, answer)
        request = AcceptedRequest(
            request_id,
            Kind.ANSWER,
            asked.client,
            order_id,
            fingerprint,
            (answer.issued_at - ANSWERED_SINCE) // timedelta(microseconds=1),
            0,
            datetime.now(UTC),
            AnswerMark(answer.vendor_id, answer.message_id, [list(subject[1:]) for subject in subjects_of(answer)]),
        )
        value = self._encoded(request, answer)
        await self._log.write(VENDOR_ANSWERS, order_id.encode(), value, [(HEADER, request.packed())])
        self._orders.remember(request)
        await self._acknowledge(order_id, answer)
        return Taken(request)

    async def stock(self, reports: Iterable[VendorStock]) -> StockTaken:
        """Make known what a vendor has in stock; what a later report has told of stays.

        Raises:
            Problem: 422 where a value has no place on the wire.
            Transient: some of it may be durable or not; the same report again makes sure.
        """
        # What came by another worker, or a moment ago, must be in sight.
        await self._orders.catch_up(VENDOR_STOCK)
        taken = outdated = 0
        for report in reports:
            key = f"{report.vendor_id}:{report.product_id}"
            known = self._orders.stock(key)
            if known is not None and self._stock.decode(known).as_of > report.as_of:
                outdated += 1
                continue
            try:
                value = self._stock.encode(report)
            except InvalidValue as exc:
                raise _unfit(exc) from exc
            await self._log.write(VENDOR_STOCK, key.encode(), value)
            taken += 1
        return StockTaken(taken, outdated)

    async def _check_lines(self, order_id: OrderId, answer: VendorAnswer) -> None:
        own = lines_of_vendor(await self.order_of(order_id, answer.vendor_id), answer.vendor_id)
        if any(line_id not in own for line_id in lines_told_of(answer)):
            await self._orders.catch_up(ORDER_STATE)
            own = lines_of_vendor(self._orders.order(order_id), answer.vendor_id)
        where = "despatch.lines" if answer.despatch is not None else "lines"
        wrong = [
            FieldProblem(
                field=f"{where}.{number}.line_id",
                rule=RULE_OF_LINES,
                message=f"line {line_id} of {order_id} is none of {answer.vendor_id}'s; speak of your own lines",
            )
            for number, line_id in enumerate(lines_told_of(answer))
            if line_id not in own
        ]
        if wrong:
            raise Problem(422, "answer.refused", "; ".join(one.message for one in wrong), errors=wrong)

    async def _acknowledge(self, order_id: OrderId, answer: VendorAnswer) -> None:
        """Who answers an update has taken it in."""
        if answer.update_id is None:
            return
        heard = VendorAcknowledgement(
            update_id=answer.update_id,
            vendor_id=answer.vendor_id,
            order_id=order_id,
            acknowledged_at=datetime.now(UTC),
            channel="api",
        )
        key = f"{answer.vendor_id}:{order_id}".encode()
        await self._log.write(VENDOR_ACKNOWLEDGEMENTS, key, self._acknowledgements.encode(heard))

    def _encoded(self, request: AcceptedRequest, answer: VendorAnswer) -> bytes:
        event = VendorAnswered(
            event_id=request.event_id,
            order_id=request.order_id,
            operation="upserted",
            source=request.source,
            committed_at=request.accepted_at,
            captured_at=request.accepted_at,
            answer=answer,
        )
        try:
            return self._answers.encode(event)
        except InvalidValue as exc:
            raise _unfit(exc) from exc


def _unfit(exc: InvalidValue) -> Problem:
    error = FieldProblem(field=exc.field, rule=exc.rule, message=str(exc))
    return Problem(422, "answer.refused", str(exc), errors=[error])
