"""What a caller is told when something is wrong: problem documents that name each field and rule.

Source: RFC 9457 (problem details for HTTP APIs).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from schemas.models import Violation

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One thing that is wrong with one field."""

    field: str | None = Field(None, description="Path of the field", examples=["order_lines.0.quantity"])
    rule: str = Field(description="Code of the rule that it violates", examples=["order.quantity_positive"])
    message: str = Field(description="What is wrong, and how to mend it")


class ProblemDocument(BaseModel):
    """The body of each answer that is no success (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Identifies the kind of problem", examples=["/problems/order.version"])
    title: str = Field(description="The kind of problem in words")
    status: int = Field(description="HTTP status code")
    detail: str = Field(description="What happened, where, and what to do")
    errors: list[FieldProblem] = Field(default_factory=list, description="Each violated rule, with its field")


class Problem(Exception):
    """Ends the handling of a request with a problem document; `code` is the last part of its type."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """The body."""
        told: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": TITLES.get(self.code, TITLES["http"]),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            told["errors"] = [error.model_dump() for error in self.errors]
        return told

    def response(self) -> Response:
        """The whole answer."""
        return Response(orjson.dumps(self.document()), self.status, self.headers, MEDIA_TYPE)


TITLES = {
    "http": "The request cannot be served",
    "authentication": "Who asks is not known",
    "scope": "The caller may not do this",
    "rate": "Too many requests",
    "body.size": "The body is too long",
    "body.type": "The body has another media type",
    "body.syntax": "The body cannot be read",
    "body.invalid": "The request does not fit its schema",
    "order.unknown": "There is no such order",
    "order.exists": "The order is there already",
    "order.version": "The order has changed meanwhile",
    "order.version_missing": "The version is not named",
    "order.refused": "The order violates rules",
    "answer.refused": "The message violates rules",
    "order.total": "The order cannot be computed",
    "request.unknown": "There is no such request",
    "document.unknown": "There is no such document",
    "document.not_taken": "Documents are not taken here",
    "idempotency.key_reused": "The idempotency key belongs to another request",
    "unavailable": "The order could not be kept",
    "busy": "This cannot be answered now",
    "internal": "A fault of ours",
}


def invalid(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """The problem for what pydantic found wrong with a request."""
    found = [
        FieldProblem(
            field=".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0]),
            rule=f"schema.{error['type']}",
            message=str(error["msg"]),
        )
        for error in errors
    ]
    if any(error.rule == "schema.json_invalid" for error in found):
        return Problem(400, "body.syntax", f"the body is no JSON: {found[0].message}", errors=found)
    named = ", ".join(error.field or "the body" for error in found)
    return Problem(422, "body.invalid", f"correct {named} and send the request again", errors=found)


def refused(violations: Iterable[Violation]) -> Problem:
    """The problem for an order that the rules refused."""
    found = [FieldProblem(field=one.field, rule=one.rule, message=one.message) for one in violations]
    rules = ", ".join(dict.fromkeys(error.rule for error in found))
    return Problem(422, "order.refused", f"the order violates {rules}: correct it and send it anew", errors=found)
