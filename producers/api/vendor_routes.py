"""The routes by which vendors answer: confirmations, dispatch advices, stock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response

from producers.api import answers
from producers.api.answering import StockTaken
from producers.api.callers import Answerer, Key, OrderIdPath, Prefer
from producers.api.clients import Client
from producers.api.intake import Asked, unknown_order
from producers.api.orders import Progress, RequestStatus
from producers.api.problems import FieldProblem, Problem
from producers.api.service import Service
from producers.api.uploads import Refusals
from producers.api.vendor_documents import NewConfirmation, NewDespatchAdvice, NewStockReport, StockDocument
from schemas.attributes import OrderId, VendorId
from schemas.models import VendorAnswer


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it was sent: by whom, under which key, and whether the sender waits."""

    client: Client
    answer: VendorAnswer
    key: str | None
    prefer: str | None


class VendorRoutes:
    """What the routes of vendors do."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def take(self, request: Request, order_id: str, sent: Sent) -> Response:
        """Accept one message, and tell what became of it.

        Raises:
            Problem: as `AnswerIntake.answer`; 422 where the sender waited and the rules refused it.
            Transient: the message may be durable or not.
        """
        service = self._service
        if "\x00" in order_id:
            raise unknown_order(OrderId(order_id))
        asked = Asked(sent.client.name, sent.key, await request.body())
        taken = await service.vendor_answers.answer(asked, OrderId(order_id), sent.answer)
        headers = {"Location": f"/v1/requests/{taken.request.request_id}"}
        if taken.is_replay:
            headers["Idempotent-Replayed"] = "true"
        seconds = service.wait_seconds(sent.prefer)
        if seconds is None:
            return _told(service.orders.status(taken.request), headers)
        headers["Preference-Applied"] = f"wait={seconds:g}"
        return _told(await service.orders.outcome(taken.request, seconds), headers)


def vendor_of(client: Client) -> VendorId:
    """The vendor that a client answers for. Raises Problem 403 where it is none."""
    if client.entry.vendor is None:
        raise Problem(403, "scope", f"{client.name} answers for no vendor")
    return VendorId(client.entry.vendor)


def stock_response(told: StockTaken) -> Response:
    """200: durable."""
    shown = StockDocument(taken=told.taken, outdated=told.outdated)
    return Response(shown.model_dump_json(), media_type=answers.JSON)


def _told(status: RequestStatus, headers: dict[str, str]) -> Response:
    """A vendor is shown its request, and never the order: prices are not its business."""
    if status.progress is Progress.REJECTED:
        found = [FieldProblem(field=one.field, rule=one.rule, message=one.message) for one in status.violations]
        rules = ", ".join(dict.fromkeys(one.rule for one in found))
        raise Problem(422, "answer.refused", f"the message violates {rules}: correct it, number it anew", errors=found)
    code = 200 if status.progress in (Progress.APPLIED, Progress.SUPERSEDED) else 202
    return Response(orjson.dumps(answers.request_document(status)), code, headers, answers.JSON)


def add_answering(app: FastAPI, service: Service, said: Refusals) -> None:
    """Add them; `said` describes refusals by their codes."""
    routes = VendorRoutes(service)
    taken_codes: dict[int | str, dict[str, Any]] = {
        200: {"description": "What became of it; with `Prefer: wait`", "model": answers.RequestDocument},
        202: {"description": "Durable; ask its Location what became of it", "model": answers.RequestDocument},
        **said(400, 401, 403, 429, 404, 413, 415, 422, 503),
    }

    @app.post(
        "/v1/orders/{order_id}/confirmations",
        status_code=202,
        operation_id="confirmLines",
        summary="As a vendor, say what you will do about your lines",
        responses=taken_codes,
    )
    async def confirm(
        request: Request,
        order_id: OrderIdPath,
        draft: NewConfirmation,
        client: Answerer,
        key: Key = None,
        prefer: Prefer = None,
    ) -> Response:
        return await routes.take(request, order_id, Sent(client, draft.as_answer(vendor_of(client)), key, prefer))

    @app.post(
        "/v1/orders/{order_id}/despatch-advices",
        status_code=202,
        operation_id="despatchLines",
        summary="As a vendor, say what has left",
        responses=taken_codes,
    )
    async def despatch(
        request: Request,
        order_id: OrderIdPath,
        draft: NewDespatchAdvice,
        client: Answerer,
        key: Key = None,
        prefer: Prefer = None,
    ) -> Response:
        return await routes.take(request, order_id, Sent(client, draft.as_answer(vendor_of(client)), key, prefer))

    @app.post(
        "/v1/stock-reports",
        operation_id="reportStock",
        summary="As a vendor, say what you have in stock",
        responses={
            200: {"description": "Durable", "model": StockDocument},
            **said(400, 401, 403, 429, 413, 415, 422, 503),
        },
    )
    async def report(draft: NewStockReport, client: Answerer) -> Response:
        vendor_id = vendor_of(client)
        told = await service.vendor_answers.stock(draft.as_stock(vendor_id, datetime.now(UTC)))
        return stock_response(told)
