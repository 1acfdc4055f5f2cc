"""What vendors send about their lines and their stock, and the canonical messages that it becomes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from producers.api.documents import Day, Text
from schemas.attributes import EventId, ProductId, VendorId
from schemas.fulfilment_parts import CONFIRMATION, DESPATCH
from schemas.models import ConfirmedLine, Despatch, DespatchedLine, VendorAnswer, VendorStock


def _written_moment(value: object) -> object:
    """Numbers would be taken for seconds since 1970."""
    if not isinstance(value, str | datetime):
        raise ValueError("a time is written as 2026-11-21T09:30:00Z")
    return value


def _of_this_age(value: datetime) -> datetime:
    if not 2000 <= value.year <= 2999:
        raise ValueError("the year is not between 2000 and 2999")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_moment), AfterValidator(_of_this_age)]
QuantityText = Annotated[str, Field(pattern=r"^[0-9]{1,11}(\.[0-9]{1,6})?$", examples=["2"])]
LineId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,32}$", examples=["1"])]
MessageId = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,64}$", examples=["OR-4711"])]
_UPDATE = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


CONFIRMATION_EXAMPLE: dict[str, Any] = {
    "message_id": "OR-4711",
    "issued_at": "2026-11-21T09:30:00Z",
    "lines": [{"line_id": "1", "line_status": "changed", "quantity": "1", "promised_date": "2026-12-01"}],
}
DESPATCH_EXAMPLE: dict[str, Any] = {
    "message_id": "DA-815-1",
    "issued_at": "2026-11-21T17:05:00Z",
    "despatch_id": "DA-815",
    "shipped_at": "2026-11-21T17:00:00Z",
    "carrier_party_id": "DHL",
    "tracking_id": "00340434161094000000",
    "lines": [{"line_id": "1", "quantity": "1"}],
}
STOCK_EXAMPLE: dict[str, Any] = {
    "message_id": "IR-1",
    "as_of": "2026-11-21T06:00:00Z",
    "items": [{"product_id": "P1", "available_quantity": "120", "unit_code": "C62"}],
}


class ConfirmedLineDraft(_Document):
    """What becomes of one line."""

    line_id: LineId
    line_status: Literal["accepted", "changed", "rejected"]
    quantity: QuantityText | None = Field(None, description="What you will supply; as ordered unless given")
    promised_date: Day | None = Field(None, description="When you will deliver")
    reason: Text | None = Field(None, description="Why you change or reject it")


class _Message(_Document):
    message_id: MessageId = Field(description="Your own number of the message: the same number is the same message")
    issued_at: Moment = Field(description="When you wrote it: of two about one thing the later counts")
    update_id: Annotated[str, Field(pattern=_UPDATE)] | None = Field(
        None, description="The update that you answer; it counts as acknowledged"
    )
    reason: Text | None = Field(None, description="Needed for goods of an order that was cancelled")

    def _values(self, vendor_id: VendorId) -> dict[str, Any]:
        return {
            "message_id": self.message_id,
            "vendor_id": vendor_id,
            "issued_at": self.issued_at,
            "update_id": None if self.update_id is None else EventId(self.update_id),
            "reason": self.reason,
        }


class NewConfirmation(_Message):
    """What you will do about lines of yours; those that you leave out stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [CONFIRMATION_EXAMPLE]})

    lines: Annotated[list[ConfirmedLineDraft], Field(min_length=1, max_length=1_000)]

    def as_answer(self, vendor_id: VendorId) -> VendorAnswer:
        """The canonical message."""
        lines = [
            ConfirmedLine(
                line_id=line.line_id,
                line_status=line.line_status,
                quantity=None if line.quantity is None else Decimal(line.quantity),
                promised_date=line.promised_date,
                reason=line.reason,
            )
            for line in self.lines
        ]
        return VendorAnswer(**self._values(vendor_id), answer_type=CONFIRMATION, lines=lines)


class DespatchedLineDraft(_Document):
    """What left of one line."""

    line_id: LineId
    quantity: QuantityText


class NewDespatchAdvice(_Message):
    """What has left; an advice with the same `despatch_id` replaces the one before it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [DESPATCH_EXAMPLE]})

    despatch_id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,64}$", examples=["DA-815"])] = Field(
        description="Your own number of the dispatch"
    )
    shipped_at: Moment = Field(description="When the goods left")
    carrier_party_id: Text | None = None
    tracking_id: Text | None = None
    is_withdrawn: bool = Field(False, description="Take back what you told of this dispatch: nothing left")
    lines: Annotated[list[DespatchedLineDraft], Field(max_length=1_000)] = []

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if not self.lines and not self.is_withdrawn:
            raise ValueError("name the lines that left, or take the dispatch back with is_withdrawn")
        return self

    def as_answer(self, vendor_id: VendorId) -> VendorAnswer:
        """The canonical message."""
        despatch = Despatch(
            despatch_id=self.despatch_id,
            shipped_at=self.shipped_at,
            carrier_party_id=self.carrier_party_id,
            tracking_id=self.tracking_id,
            is_withdrawn=self.is_withdrawn,
            lines=[DespatchedLine(line_id=line.line_id, quantity=Decimal(line.quantity)) for line in self.lines],
        )
        return VendorAnswer(**self._values(vendor_id), answer_type=DESPATCH, despatch=despatch)


class StockItemDraft(_Document):
    """What you have of one product."""

    product_id: Text = Field(description="Product, as in the updates that you get")
    available_quantity: QuantityText
    unit_code: Annotated[str, Field(pattern="^[A-Z0-9]{2,3}$")] = Field("C62", description="UN/ECE Rec 20; C62 = one")


class NewStockReport(_Document):
    """What you have in stock; products that you leave out stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [STOCK_EXAMPLE]})

    message_id: MessageId
    as_of: Moment = Field(description="When you counted: of two reports of a product the later counts")
    items: Annotated[list[StockItemDraft], Field(min_length=1, max_length=1_000)]

    def as_stock(self, vendor_id: VendorId, received_at: datetime) -> list[VendorStock]:
        """The canonical records."""
        return [
            VendorStock(
                vendor_id=vendor_id,
                product_id=ProductId(item.product_id),
                available_quantity=Decimal(item.available_quantity),
                unit_code=item.unit_code,
                as_of=self.as_of,
                message_id=self.message_id,
                received_at=received_at,
            )
            for item in self.items
        ]


class StockDocument(BaseModel):
    """What became of a stock report."""

    taken: int = Field(description="Products of which it says the newest")
    outdated: int = Field(description="Products of which a later report was there")
