"""What callers are shown of orders and requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import orjson
from fastapi.responses import Response
from pydantic import BaseModel, Field

from producers.api.orders import Progress, RequestStatus
from producers.api.problems import Problem, refused
from producers.api.requests import Kind
from schemas.attributes import Instant
from schemas.models import AwaitedRecord, Fulfilment, OrderState, RuleWarning, SalesOrder, Settlement, Violation

JSON = "application/json"


class OrderDocument(BaseModel):
    """The latest version of an order: what every owner says of it. What finance alone may see is left out."""

    order_id: str = Field(description="<system>:<id>")
    version: int = Field(description="1, 2, 3 ...: the ETag as well")
    order_status: str
    fulfilment_status: str
    billing_status: str
    payment_status: str
    placed_at: Instant
    committed_at: Instant
    processed_at: Instant
    warnings: list[RuleWarning]
    order: SalesOrder | None
    fulfilment: Fulfilment | None
    settlement: Settlement | None


class StepDocument(BaseModel):
    """One version of an order."""

    version: int
    event_type: str = Field(description="OrderPlaced, OrderChanged, OrderShipped ...", examples=["OrderPlaced"])
    event_id: str = Field(description="Id of the captured event; of a request where it came by the API")
    system: str | None = Field(description="System that said so")
    order_status: str
    fulfilment_status: str
    billing_status: str
    payment_status: str
    committed_at: Instant
    processed_at: Instant
    warnings: list[RuleWarning]


class TimeLineDocument(BaseModel):
    """An order's life."""

    order_id: str
    versions: list[StepDocument]


class RequestDocument(BaseModel):
    """A request, and what became of it."""

    request_id: str
    kind: Literal["create", "change", "cancel", "tell", "answer"]
    order_id: str
    status: Literal["accepted", "waiting", "applied", "rejected", "superseded"] = Field(
        description="accepted: durable, not decided yet; waiting: for master data; rejected: by rules; superseded: "
        "another change of the same version came first, or a newer message of the vendor"
    )
    version: int | None = Field(description="Version that it made")
    violations: list[Violation] = Field(description="Why it was rejected")
    awaits: list[AwaitedRecord] = Field(description="What it waits for")
    accepted_at: Instant


class BulkItemDocument(BaseModel):
    """One order of many: accepted, or what is wrong with it."""

    index: int = Field(description="Its place in the body, from 0")
    order_id: str | None = None
    request_id: str | None = None
    problem: dict[str, Any] | None = None


class BulkDocument(BaseModel):
    """Many orders, one by one."""

    accepted: int
    refused: int
    items: list[BulkItemDocument]


def order_response(state: OrderState, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An order with its ETag."""
    shown = OrderDocument.model_construct(**{name: getattr(state, name) for name in OrderDocument.model_fields})
    sent = {"ETag": f'"{state.version}"'} | dict(headers or {})
    return Response(shown.model_dump_json(), status, sent, JSON)


def request_document(status: RequestStatus) -> dict[str, Any]:
    """A request as it is shown."""
    request = status.request
    return {
        "request_id": request.request_id,
        "kind": request.kind.value,
        "order_id": request.order_id,
        "status": status.progress.value,
        "version": status.version,
        "violations": [one.model_dump() for one in status.violations],
        "awaits": [one.model_dump() for one in status.awaits],
        "accepted_at": request.accepted_at,
    }


def accepted_response(status: RequestStatus, headers: Mapping[str, str]) -> Response:
    """202: durable, and to be asked for again."""
    sent = {"Location": f"/v1/requests/{status.request.request_id}"} | dict(headers)
    return Response(orjson.dumps(request_document(status)), 202, sent, JSON)


def outcome_response(status: RequestStatus, state: OrderState | None, headers: Mapping[str, str]) -> Response:
    """The effect of a request that the caller has waited for. Raises Problem where it has none."""
    if status.progress is Progress.REJECTED:
        raise refused(status.violations)
    if status.progress is Progress.SUPERSEDED:
        told = f"another change of {status.request.order_id} came first: read it again and repeat yours"
        raise Problem(412, "order.version", told)
    if status.progress is not Progress.APPLIED or state is None:
        return accepted_response(status, headers)
    is_new = status.request.kind is Kind.CREATE
    location = {"Location": f"/v1/orders/{state.order_id}"} if is_new else {}
    return order_response(state, 201 if is_new else 200, location | dict(headers))
