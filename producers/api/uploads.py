"""The routes by which clients send documents, and read what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from producers.api.answers import JSON
from producers.api.callers import DocumentReader, DocumentWriter, Key
from producers.api.clients import Client
from producers.api.guard import DOCUMENTS_PATH
from producers.api.problems import Problem
from producers.api.service import Service
from producers.upload_spool import (
    IncomingFile,
    Upload,
    UploadConflict,
    UploadedPart,
    UploadSpool,
    UploadStatus,
    upload_id_of,
)
from schemas.attributes import Instant, OrderId

_PORTION = 1 << 20
_ANY = "application/octet-stream"
_TEXTS = frozenset({"text", "edifact", "x12", "mail"})
Refusals = Callable[..., dict[int | str, dict[str, Any]]]
MEDIA: dict[str, frozenset[str]] = {
    "application/xml": frozenset({"xml"}),
    "text/xml": frozenset({"xml"}),
    "application/pdf": frozenset({"pdf"}),
    "application/edifact": frozenset({"edifact"}),
    "application/edi-x12": frozenset({"x12"}),
    "text/csv": frozenset({"text"}),
    "text/plain": _TEXTS,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": frozenset({"xlsx"}),
    "message/rfc822": frozenset({"mail"}),
    "image/png": frozenset({"image"}),
    "image/jpeg": frozenset({"image"}),
    "image/tiff": frozenset({"image"}),
    _ANY: _TEXTS | {"xml", "pdf", "xlsx", "image"},
}
"""What a document may be said to be, and what its first bytes may then say."""
EXAMPLE = """\
<?xml version="1.0" encoding="UTF-8"?>
<Order xmlns="urn:oasis:names:specification:ubl:schema:xsd:Order-2"
    xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
    xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
  <cbc:ID>PO-4711</cbc:ID>
  <cbc:IssueDate>2026-11-21</cbc:IssueDate>
  <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
  <cac:BuyerCustomerParty><cac:Party>
    <cac:PartyIdentification><cbc:ID>C1</cbc:ID></cac:PartyIdentification>
  </cac:Party></cac:BuyerCustomerParty>
  <cac:OrderLine><cac:LineItem>
    <cbc:ID>1</cbc:ID>
    <cbc:Quantity unitCode="C62">2</cbc:Quantity>
    <cbc:LineExtensionAmount currencyID="EUR">19.90</cbc:LineExtensionAmount>
    <cac:Price><cbc:PriceAmount currencyID="EUR">9.95</cbc:PriceAmount></cac:Price>
    <cac:Item>
      <cac:SellersItemIdentification><cbc:ID>P1</cbc:ID></cac:SellersItemIdentification>
      <cac:ClassifiedTaxCategory><cbc:ID>S</cbc:ID><cbc:Percent>19</cbc:Percent></cac:ClassifiedTaxCategory>
    </cac:Item>
  </cac:LineItem></cac:OrderLine>
</Order>
"""
"""A UBL order that every rule accepts where the customer C1 and the product P1 are known."""


class UploadedReason(BaseModel):
    """Why an order waits or was refused."""

    rule: str = Field(description="Code of the rule", examples=["PEPPOL-T01-R008"])
    message: str = Field(description="What is wrong, and where in the document")


class UploadedPartDocument(BaseModel):
    """What became of one order of a document, or of the document where it cannot be read."""

    name: str = Field(description="The document, or the file of an e-mail")
    part: int = Field(description="Its place in there, from 0")
    kind: str = Field(description="order, change, cancellation ...; document where no order could be read")
    outcome: Literal["accepted", "duplicate", "unchanged", "review", "refused", "rejected"] = Field(
        description="accepted: an order as its request says; duplicate, unchanged: known already; review: a person has "
        "to look; refused: by the rules named; rejected: by a person"
    )
    order_id: str | None
    request_id: str | None = Field(description="GET /v1/requests/{request_id} tells what the rules said of the order")
    reasons: list[UploadedReason]


class UploadDocument(BaseModel):
    """A document, and what became of it."""

    document_id: str
    name: str
    size: int = Field(description="Bytes")
    sha256: str = Field(description="Of the content; the original is kept under it")
    received_at: Instant
    status: Literal["received", "done"] = Field(description="received: durable, not read yet")
    parts: list[UploadedPartDocument]


_NAME = Query(description="Name of the file", max_length=255, pattern=r"^[^\x00-\x1f\x7f/\\]+$", examples=["order.xml"])
_ID = Path(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


def add_uploads(app: FastAPI, service: Service, said: Refusals) -> None:
    """Add the routes; `said` describes their answers that are no success."""

    @app.post(
        DOCUMENTS_PATH,
        status_code=202,
        operation_id="sendDocument",
        summary="Send a document that holds orders",
        description=(
            "UBL, Order-X, EDIFACT, X12, CSV, XLSX, PDF, a scan or an e-mail, as it is. What is read from it goes the "
            "way of any order; its Location says what became of it. The same document again is the same upload."
        ),
        responses={
            202: {"description": "Durable; ask its Location what became of it", "model": UploadDocument},
            **said(400, 401, 403, 413, 415, 422, 429, 501, 503),
        },
        openapi_extra={"requestBody": {"required": True, "content": _content()}},
    )
    async def send(
        request: Request,
        client: DocumentWriter,
        name: Annotated[str, _NAME] = "document",
        key: Key = None,
    ) -> Response:
        spool = _spool(service)
        media_type = _media_type(request)
        with await asyncio.to_thread(spool.open) as file:
            await _receive(request, file)
            _check(media_type, file)
            client.spend(file.size // service.limits.one_bytes)
            sha256 = await asyncio.to_thread(file.finish)
            upload_id = upload_id_of(client.name, key, sha256)
            upload = Upload(upload_id, client.name, name, media_type, file.size, sha256, datetime.now(UTC))
            try:
                is_new = await asyncio.to_thread(spool.keep, upload, file)
            except UploadConflict as exc:
                told = "this Idempotency-Key was used for another document: send each under a key of its own"
                raise Problem(422, "idempotency.key_reused", told) from exc
        status = UploadStatus() if is_new else await asyncio.to_thread(spool.status, upload_id)
        headers = {"Location": f"{DOCUMENTS_PATH}/{upload_id}"}
        if not is_new:
            headers["Idempotent-Replayed"] = "true"
            upload = await asyncio.to_thread(_noted, spool, upload)
        return _answer(client, upload, status, 202, headers)

    @app.get(
        DOCUMENTS_PATH + "/{document_id}",
        operation_id="readDocument",
        summary="Read what became of a document",
        responses={
            200: {"description": "Its status", "model": UploadDocument},
            **said(401, 403, 404, 422, 429, 501, 503),
        },
    )
    async def read(document_id: Annotated[str, _ID], client: DocumentReader) -> Response:
        spool = _spool(service)
        upload = await asyncio.to_thread(spool.upload, document_id)
        if upload is None or upload.client != client.name:
            raise Problem(404, "document.unknown", f"there is no document {document_id} of {client.name}")
        return _answer(client, upload, await asyncio.to_thread(spool.status, document_id), 200, {})


def _spool(service: Service) -> UploadSpool:
    if service.uploads is None:
        told = "this API takes no documents: its operator sets ORDERSYNC_UPLOADS_DIR and runs a documents worker"
        raise Problem(501, "document.not_taken", told)
    return service.uploads


def _noted(spool: UploadSpool, upload: Upload) -> Upload:
    """As it was sent first."""
    return spool.upload(upload.id) or upload


def _media_type(request: Request) -> str:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower() or _ANY
    if media not in MEDIA:
        raise Problem(415, "body.type", f"orders are not read from {media}: send one of {', '.join(MEDIA)}")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise Problem(415, "body.type", f"send the document as it is, not encoded as {coding}")
    return media


async def _receive(request: Request, file: IncomingFile) -> None:
    """Write what comes to the disk as it comes, so that a worker never holds long documents."""
    held = bytearray()
    try:
        async for portion in request.stream():
            held += portion
            if len(held) >= _PORTION:
                await asyncio.to_thread(file.write, bytes(held))
                held.clear()
    except ClientDisconnect as exc:
        raise Problem(400, "body.syntax", "the document ended before its end: send it again") from exc
    await asyncio.to_thread(file.write, bytes(held))


def _check(media_type: str, file: IncomingFile) -> None:
    # Only here: an API that takes no documents does without what tells them apart.
    from producers.documents.reading import media_of

    if file.size == 0:
        raise Problem(422, "body.invalid", "there is nothing in the document")
    found = media_of(file.head)
    if found not in MEDIA[media_type]:
        told = f"the document is said to be {media_type}, and its first bytes say {found}: name what it is"
        raise Problem(415, "body.type", told)


def _answer(client: Client, upload: Upload, status: UploadStatus, code: int, headers: dict[str, str]) -> Response:
    told = {
        "document_id": upload.id,
        "name": upload.name,
        "size": upload.size,
        "sha256": upload.sha256,
        "received_at": upload.received_at,
        "status": status.state,
        "parts": [_part(client, one) for one in status.parts],
    }
    return Response(orjson.dumps(told), code, headers, JSON)


def _part(client: Client, one: UploadedPart) -> dict[str, Any]:
    # The source says whose the orders are, the clients' file who speaks for whom: where they differ nothing is told.
    is_own = one.order_id is not None and client.may_see(OrderId(one.order_id))
    return {
        "name": one.name,
        "part": one.part,
        "kind": one.kind,
        "outcome": one.outcome,
        "order_id": one.order_id if is_own else None,
        "request_id": one.request_id if is_own else None,
        "reasons": [{"rule": text.split(" ", 1)[0], "message": text} for text in one.reasons],
    }


def _content() -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
    return {media: dict(binary) for media in MEDIA} | {
        "application/xml": {"schema": {"type": "string"}, "examples": {"ubl": {"value": EXAMPLE}}}
    }
