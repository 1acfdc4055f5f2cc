"""The HTTP face: routes, what they need, and how each answer looks."""

from __future__ import annotations

import logging
import re
from importlib.metadata import version
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Header, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp

from producers.api import answers, bulk
from producers.api.callers import Asker, Key, OrderIdPath, Prefer, Reader, Writer
from producers.api.clients import Client
from producers.api.documents import EXAMPLE, ChangedOrder, NewOrder
from producers.api.guard import BULK_PATH, BodyGuard
from producers.api.intake import Asked, unknown_order
from producers.api.plain import PlainOrders
from producers.api.problems import MEDIA_TYPE, FieldProblem, Problem, ProblemDocument, invalid
from producers.api.requests import AcceptedRequest, RequestId
from producers.api.service import Service
from producers.api.shop_webhooks import add_shops
from producers.api.signed import SignedRequests
from producers.api.uploads import add_uploads
from producers.api.vendor_routes import add_answering
from schemas.attributes import OrderId
from schemas.errors import OrdersyncError, Transient

_log = logging.getLogger(__name__)
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_SAID = {
    400: "The body cannot be read",
    401: "No key, or one that no client has",
    403: "The client has no such scope, or does not speak for the system",
    404: "There is no such thing, or it belongs to others",
    409: "The order exists already",
    412: "The order has changed meanwhile",
    413: "The body is too long",
    415: "The body has another media type",
    422: "Fields or rules are violated; each is named",
    428: "If-Match is missing",
    429: "The client has used up its rate",
    501: "What is asked for is not set up here",
    503: "Kafka has not answered in time: send the same request again, one that writes under the same key",
}


def said(*codes: int) -> dict[int | str, dict[str, Any]]:
    """How these answers are described."""
    schema = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    return {code: {"description": _SAID[code], "content": {MEDIA_TYPE: schema}} for code in codes}


_AUTH = (401, 403, 429)
_MATCH = Header(
    alias="If-Match",
    description='ETag of the version that is changed, such as `"3"`; `*` for whichever',
    pattern=r'^(\*|"[0-9]{1,12}")$',
)
_NONE_MATCH = Header(alias="If-None-Match", description="ETag that the caller has", max_length=255)
IfMatch = Annotated[str | None, _MATCH]


def asgi_app(service: Service) -> ASGIApp:
    """The whole application, as the server runs it."""
    return BodyGuard(SignedRequests(PlainOrders(api(service), service), service.clients), service.limits)


def api(service: Service) -> FastAPI:
    """The routes and their description."""
    app = FastAPI(
        title="ordersync",
        version=version("ordersync"),
        summary="Orders in from anywhere, and what becomes of them",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OrdersyncError, _ours)
    app.add_exception_handler(Exception, _unknown)
    _add_writing(app, service)
    _add_reading(app, service)
    add_uploads(app, service, said)
    add_answering(app, service, said)
    add_shops(app, service, said(400, 401, 413, 422, 503))
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Every answer that is no success has one shape, which no route returns by itself."""
    app.openapi()["components"]["schemas"] |= {
        "ProblemDocument": ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        | {"$defs": {}},
        "FieldProblem": FieldProblem.model_json_schema(),
    }


def _add_writing(app: FastAPI, service: Service) -> None:
    taken_codes: dict[int | str, dict[str, Any]] = {
        200: {"description": "The order as it is now; with `Prefer: wait`", "model": answers.OrderDocument},
        202: {"description": "Durable; ask its Location what became of it", "model": answers.RequestDocument},
    }

    @app.post(
        "/v1/orders",
        status_code=202,
        operation_id="createOrder",
        summary="Send a new order",
        responses={
            202: taken_codes[202],
            201: {"description": "The new order; with `Prefer: wait`", "model": answers.OrderDocument},
            **said(400, *_AUTH, 409, 412, 413, 415, 422, 503),
        },
    )
    async def create(
        request: Request, draft: NewOrder, client: Writer, key: Key = None, prefer: Prefer = None
    ) -> Response:
        asked = Asked(client.name, key, await request.body())
        taken = await service.intake.create(asked, draft, bulk.system_of(client, draft))
        return await service.answer(taken, prefer)

    @app.post(
        BULK_PATH,
        status_code=202,
        operation_id="createOrders",
        summary="Send many new orders",
        description="Each is accepted or refused by itself; under an Idempotency-Key each has a key of its own.",
        responses={
            202: {"description": "What became of each", "model": answers.BulkDocument},
            **said(400, *_AUTH, 413, 415, 422, 503),
        },
        openapi_extra={"requestBody": {"required": True, "content": _bulk_content()}},
    )
    async def create_many(request: Request, client: Writer, key: Key = None) -> Response:
        media = _media_type(request)
        if media not in (bulk.NDJSON, answers.JSON):
            raise _unsupported(media, f"{bulk.NDJSON} or {answers.JSON}")
        documents = bulk.documents_in(await request.body(), media == bulk.NDJSON, service.bulk_limit_orders)
        client.spend(len(documents) - 1)
        items = await bulk.take_all(service.intake, client, key, documents)
        refused = sum(1 for item in items if "problem" in item)
        told = {"accepted": len(items) - refused, "refused": refused, "items": items}
        return Response(orjson.dumps(told), 202, media_type=answers.JSON)

    @app.put(
        "/v1/orders/{order_id}",
        status_code=202,
        operation_id="changeOrder",
        summary="Say what an order is to be from now on",
        responses={**taken_codes, **said(400, *_AUTH, 404, 412, 413, 415, 422, 428, 503)},
    )
    async def change(
        request: Request,
        order_id: OrderIdPath,
        draft: ChangedOrder,
        client: Writer,
        key: Key = None,
        prefer: Prefer = None,
        match: IfMatch = None,
    ) -> Response:
        named = _own(client, order_id)
        asked = Asked(client.name, key, await request.body())
        taken = await service.intake.change(asked, named, draft, _matched(match))
        return await service.answer(taken, prefer)

    @app.post(
        "/v1/orders/{order_id}/cancellation",
        status_code=202,
        operation_id="cancelOrder",
        summary="Cancel an order",
        responses={**taken_codes, **said(*_AUTH, 404, 412, 413, 422, 428, 503)},
    )
    async def cancel(
        order_id: OrderIdPath,
        client: Writer,
        key: Key = None,
        prefer: Prefer = None,
        match: IfMatch = None,
    ) -> Response:
        named = _own(client, order_id)
        taken = await service.intake.cancel(Asked(client.name, key, b""), named, _matched(match))
        return await service.answer(taken, prefer)


def _add_reading(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/orders/{order_id}",
        operation_id="readOrder",
        summary="Read the latest version of an order",
        responses={
            200: {"description": "The order, with its version as ETag", "model": answers.OrderDocument},
            304: {"description": "It is still the version that the caller has"},
            **said(*_AUTH, 404, 422, 503),
        },
    )
    async def read(
        request: Request, order_id: OrderIdPath, client: Reader, known: Annotated[str | None, _NONE_MATCH] = None
    ) -> Response:
        named = _seen(service, request, client, order_id)
        state = await service.orders.order_at_least(named, 1)
        if state is None:
            raise unknown_order(named)
        tag = f'"{state.version}"'
        if known is not None and tag in re.split(r"\s*,\s*", known.replace("W/", "")):
            return Response(status_code=304, headers={"ETag": tag})
        await service.access.saw(client, request, "OrderRead", named)
        return answers.order_response(state)

    @app.get(
        "/v1/orders/{order_id}/timeline",
        operation_id="readTimeLine",
        summary="Read every version of an order",
        responses={
            200: {"description": "Oldest first", "model": answers.TimeLineDocument},
            **said(*_AUTH, 404, 422, 503),
        },
    )
    async def time_line(request: Request, order_id: OrderIdPath, client: Reader) -> Response:
        named = _seen(service, request, client, order_id)
        await service.orders.order_at_least(named, 1)
        steps = service.orders.time_line(named)
        if not steps:
            raise unknown_order(named)
        await service.access.saw(client, request, "TimeLineRead", named)
        return Response(orjson.dumps({"order_id": named, "versions": steps}), media_type=answers.JSON)

    @app.get(
        "/v1/requests/{request_id}",
        operation_id="readRequest",
        summary="Read what became of a request",
        responses={
            200: {"description": "Its status", "model": answers.RequestDocument},
            **said(*_AUTH, 404, 422, 503),
        },
    )
    async def read_request(request_id: Annotated[str, Path(pattern=_UUID)], client: Asker) -> Response:
        found = await service.orders.sought(RequestId(request_id))
        if found is None or not _may_see(client, found):
            told = f"there is no request {request_id}; requests are forgotten after some days"
            raise Problem(404, "request.unknown", told)
        told_status = answers.request_document(service.orders.status(found))
        return Response(orjson.dumps(told_status), media_type=answers.JSON)


def _may_see(client: Client, request: AcceptedRequest) -> bool:
    """A vendor sees its own messages; of others only who may read their orders."""
    if request.answer is not None and client.entry.vendor == request.answer.vendor_id:
        return True
    return "orders:read" in client.entry.scopes and client.may_see(request.order_id)


def _seen(service: Service, request: Request, client: Client, order_id: str) -> OrderId:
    try:
        return _own(client, order_id)
    except Problem:
        service.access.refused(client, request, "orders of another system")
        raise


def _own(client: Client, order_id: str) -> OrderId:
    named = OrderId(order_id)
    if "\x00" in order_id or not client.may_see(named):
        raise unknown_order(named)
    return named


def _matched(match: str | None) -> str:
    if match is None:
        told = 'send If-Match with the ETag of the version that you change, such as "3", or *'
        raise Problem(428, "order.version_missing", told)
    return match.strip('"')


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unsupported(media: str, wanted: str) -> Problem:
    return Problem(415, "body.type", f"the body is {media or 'of no media type'}: send {wanted}")


def _bulk_content() -> dict[str, Any]:
    # Without a schema of its own: an order that does not fit is refused by itself, and the others are accepted.
    order = {"description": "An order as for createOrder", "examples": [EXAMPLE]}
    return {
        answers.JSON: {
            "schema": {"type": "array", "items": order, "minItems": 1},
            "examples": {"two": {"value": _TWO}},
        },
        bulk.NDJSON: {"schema": {"type": "string", "description": "One order a line"}},
    }


_TWO = [EXAMPLE | {"id": "1002"}, EXAMPLE | {"id": "1003"}]


async def _problem(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)
    return exc.response()


async def _invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    media = _media_type(request)
    if media != answers.JSON and any(error["loc"][0] == "body" for error in exc.errors()):
        return _unsupported(media, answers.JSON).response()
    return invalid(exc.errors()).response()


async def _http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if exc.status_code == 405:
        # The router knows the methods of one route only; others of the same path have routes of their own.
        methods: set[str] = set()
        for route in request.app.routes:
            if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
                methods |= route.methods or set()
        allowed = {"Allow": ", ".join(sorted(methods))}
        return Problem(405, "http", f"{request.method} is not possible here", headers=allowed).response()
    return Problem(exc.status_code, "http", str(exc.detail), headers=exc.headers).response()


async def _ours(request: Request, exc: Exception) -> Response:
    if isinstance(exc, Transient) and request.method == "GET":
        seconds = max(1, round(exc.retry_after_seconds))
        return Problem(503, "busy", f"{exc}. Ask again", headers={"Retry-After": str(seconds)}).response()
    if isinstance(exc, Transient):
        return bulk.unavailable(exc).response()
    _log.error("a request failed: %s", exc)
    return Problem(500, "internal", "a fault of ours; it is in the worker's log").response()


async def _unknown(_: Request, __: Exception) -> Response:
    # The server logs the traceback; callers never see one.
    return Problem(500, "internal", "a fault of ours; it is in the worker's log").response()


_DESCRIPTION = """\
Orders that are accepted here are durable, and go the way of the orders of any other system: they are merged with what
inventory and finance say, checked against the rules, numbered and delivered.

- **202** says that an order is durable; its `Location` says what becomes of it. `Prefer: wait=10` waits for that.
- `Idempotency-Key` makes a request safe to repeat: until an answer came, after a crash, at another worker.
- A change names the version that it changes (`If-Match`); of two changes of one version one wins, the other is told.
- Whatever is wrong comes as `application/problem+json` with each field and rule.
"""
