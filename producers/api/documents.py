"""What callers send about an order, and the canonical order that it becomes.

Amounts, quantities and percentages are decimal strings: JSON's numbers lose digits on the way through most programs.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from schemas.attributes import CustomerId, OrderId, ProductId
from schemas.currencies import exponent_of
from schemas.models import Address, OrderLine, SalesOrder

_ZERO = Decimal(0)
_HUNDRED = Decimal(100)


def _decimal(whole: int, places: int) -> Any:
    return Field(pattern=rf"^-?[0-9]{{1,{whole}}}(\.[0-9]{{1,{places}}})?$")


# Two digits less than the wire can hold: sums of many lines have to fit as well.
AmountText = Annotated[str, _decimal(13, 4)]
PriceText = Annotated[str, _decimal(11, 6)]
QuantityText = Annotated[str, _decimal(11, 6)]
PercentText = Annotated[str, _decimal(5, 4)]


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _written_day(value: object) -> object:
    """Numbers would be taken for seconds since 1970."""
    if not isinstance(value, date) and not (isinstance(value, str) and _DAY.fullmatch(value)):
        raise ValueError("a date is written as YYYY-MM-DD")
    return value


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a text must not hold NUL characters")
    return text


Day = Annotated[date, BeforeValidator(_written_day)]
Text = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
NativeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$", examples=["1001"])]
SystemName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", examples=["shop"])]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AddressDraft(_Document):
    """A postal address (UBL `Address`)."""

    street_name: Text | None = None
    city_name: Text | None = None
    postal_zone: Text | None = None
    country_subentity: Text | None = None
    country_code: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = Field(None, description="ISO 3166-1 alpha-2")


class LineDraft(_Document):
    """One line; amounts that are left out are computed."""

    line_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")] | None = Field(
        None, description="Number of the line; its place in the order unless given"
    )
    product_id: Text = Field(description="Product, as in master.products")
    item_name: Text | None = Field(None, description="Name of the product as the customer saw it")
    quantity: QuantityText
    unit_code: Annotated[str, Field(pattern="^[A-Z0-9]{2,3}$")] = Field("C62", description="UN/ECE Rec 20; C62 = one")
    price_amount: PriceText = Field(description="Price for one unit, before discount and tax")
    allowance_total_amount: AmountText = Field("0", description="Discount on this line")
    line_extension_amount: AmountText | None = Field(None, description="quantity x price - discount, rounded")
    tax_category_code: Annotated[str, Field(pattern="^[A-Z]{1,3}$")] | None = Field(None, description="UN/ECE 5305")
    tax_percent: PercentText = Field("0", description="Tax rate")
    tax_amount: AmountText | None = Field(None, description="Tax on this line")
    requested_delivery_date: Day | None = None


class OrderFacts(_Document):
    """An order as its seller knows it; totals that are left out are computed."""

    customer_reference: Text | None = Field(None, description="The buyer's own order number")
    order_status: Literal["placed", "confirmed", "completed"] | None = Field(
        None, description="placed for a new order, otherwise what it is now, unless given"
    )
    issue_date: Day = Field(description="Date of the order")
    requested_delivery_date: Day | None = None
    document_currency_code: Annotated[str, Field(pattern="^[A-Z]{3}$")] = Field(description="ISO 4217")
    buyer_customer_party_id: Text = Field(description="Customer, as in master.customers")
    delivery_name: Text | None = None
    delivery_address: AddressDraft | None = None
    sales_channel: Text | None = None
    salesperson_id: Text | None = None
    created_by: Text | None = None
    approved_by: Text | None = None
    payment_terms_code: Text | None = None
    note: Annotated[str, Field(max_length=4_000), AfterValidator(_storable)] | None = None
    charge_total_amount: AmountText = Field("0", description="Freight and other charges")
    line_extension_amount: AmountText | None = Field(None, description="Sum of the lines' amounts")
    tax_exclusive_amount: AmountText | None = Field(None, description="Lines + charges")
    tax_amount: AmountText | None = Field(None, description="Tax in total")
    payable_amount: AmountText | None = Field(None, description="What the customer owes")
    order_lines: Annotated[list[LineDraft], Field(min_length=1, max_length=1_000)]

    def as_order(self, order_id: OrderId, status: str) -> SalesOrder:
        """The canonical order; `status` where the document names none.

        Raises:
            InvalidValue: there is no such currency.
        """
        coin = Decimal(1).scaleb(-exponent_of(self.document_currency_code))
        lines = [_line(line, number, coin) for number, line in enumerate(self.order_lines, 1)]
        charges = Decimal(self.charge_total_amount)
        net = _given(self.line_extension_amount, sum((line.line_extension_amount for line in lines), _ZERO))
        exclusive = _given(self.tax_exclusive_amount, net + charges)
        tax = _given(self.tax_amount, sum((line.tax_amount for line in lines), _ZERO))
        address = self.delivery_address
        return SalesOrder(
            order_id=order_id,
            customer_reference=self.customer_reference,
            order_status=self.order_status or status,
            issue_date=self.issue_date,
            requested_delivery_date=self.requested_delivery_date,
            document_currency_code=self.document_currency_code,
            buyer_customer_party_id=CustomerId(self.buyer_customer_party_id),
            delivery_name=self.delivery_name,
            delivery_address=None if address is None else Address.trusted(**address.__dict__),
            sales_channel=self.sales_channel,
            salesperson_id=self.salesperson_id,
            created_by=self.created_by,
            approved_by=self.approved_by,
            payment_terms_code=self.payment_terms_code,
            note=self.note,
            line_extension_amount=net,
            charge_total_amount=charges,
            tax_exclusive_amount=exclusive,
            tax_amount=tax,
            payable_amount=_given(self.payable_amount, exclusive + tax),
            order_lines=lines,
        )


EXAMPLE: dict[str, Any] = {
    "id": "1001",
    "system": "shop",
    "customer_reference": "PO-4711",
    "issue_date": "2026-11-21",
    "document_currency_code": "EUR",
    "buyer_customer_party_id": "C1",
    "delivery_name": "Erika Mustermann",
    "delivery_address": {
        "street_name": "Hauptstraße 7",
        "city_name": "Hamburg",
        "postal_zone": "20095",
        "country_code": "DE",
    },
    "order_lines": [{"product_id": "P1", "quantity": "2", "price_amount": "9.95", "tax_percent": "19"}],
}
CHANGE_EXAMPLE = {name: value for name, value in EXAMPLE.items() if name not in ("id", "system")} | {
    "note": "leave it with the neighbour"
}


class NewOrder(OrderFacts):
    """A new order; its identity is `system:id`."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    id: NativeId | None = Field(
        None, description="The order's own id in its system; made from the request unless given"
    )
    system: SystemName | None = Field(
        None, description="System that owns the order; may be left out by a client of one system"
    )


class ChangedOrder(OrderFacts):
    """The whole order as it is to be from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [CHANGE_EXAMPLE]})


def _line(draft: LineDraft, number: int, coin: Decimal) -> OrderLine:
    quantity, price = Decimal(draft.quantity), Decimal(draft.price_amount)
    allowance, percent = Decimal(draft.allowance_total_amount), Decimal(draft.tax_percent)
    net = _given(draft.line_extension_amount, (quantity * price - allowance).quantize(coin, ROUND_HALF_UP))
    return OrderLine.trusted(
        line_id=draft.line_id or str(number),
        product_id=ProductId(draft.product_id),
        item_name=draft.item_name,
        quantity=quantity,
        unit_code=draft.unit_code,
        price_amount=price,
        allowance_total_amount=allowance,
        line_extension_amount=net,
        tax_category_code=draft.tax_category_code,
        tax_percent=percent,
        tax_amount=_given(draft.tax_amount, (net * percent / _HUNDRED).quantize(coin, ROUND_HALF_UP)),
        requested_delivery_date=draft.requested_delivery_date,
    )


def _given(text: str | None, computed: Decimal) -> Decimal:
    return computed if text is None else Decimal(text)
