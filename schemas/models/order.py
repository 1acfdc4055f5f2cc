"""The commercial facts of a sales order, owned by the system that sells (CRM, shop, API)."""

from __future__ import annotations

from schemas.attributes import (
    STAFF,
    Amount,
    CanonicalModel,
    CustomerId,
    Day,
    OrderId,
    Percent,
    ProductId,
    Quantity,
    UnitPrice,
    attribute,
)
from schemas.models.source import CapturedEvent


class Address(CanonicalModel, owner="crm", classification="personal"):
    """A postal address (UBL `Address`)."""

    street_name: str | None = attribute("Street and house number", default=None)
    city_name: str | None = attribute("City", default=None)
    postal_zone: str | None = attribute("Postal code", default=None)
    country_subentity: str | None = attribute("Region, state or province", default=None)
    country_code: str | None = attribute("ISO 3166-1 alpha-2 code", default=None)


class OrderLine(CanonicalModel, owner="crm", classification="internal"):
    """One line of an order (UBL `OrderLine/LineItem`)."""

    line_id: str = attribute("Number of the line within its order")
    product_id: ProductId = attribute("Product ordered, as in master.products")
    item_name: str | None = attribute("Name of the product as the customer saw it", default=None)
    quantity: Quantity = attribute("Quantity ordered", unit="unit_code")
    unit_code: str = attribute("Unit of the quantity, UN/ECE Recommendation 20 (C62 = one)")
    price_amount: UnitPrice = attribute("Price for one unit, before discount and tax", unit="document currency")
    allowance_total_amount: Amount = attribute("Discount on this line", unit="document currency")
    line_extension_amount: Amount = attribute("quantity x price - discount, rounded", unit="document currency")
    tax_category_code: str | None = attribute("UN/ECE 5305 tax category (S, Z, E, AE ...)", default=None)
    tax_percent: Percent = attribute("Tax rate", unit="percent")
    tax_amount: Amount = attribute("Tax on this line", unit="document currency")
    requested_delivery_date: Day | None = attribute("When the customer wants this line", default=None)


class SalesOrder(CanonicalModel, owner="crm", classification="confidential"):
    """The whole order as the selling system knows it: header, party, lines and amounts (UBL `Order`)."""

    order_id: OrderId = attribute("Identity of the order in every system: <system>:<native id>")
    customer_reference: str | None = attribute("The buyer's own order number", default=None)
    order_status: str = attribute("placed, confirmed, completed or cancelled")
    issue_date: Day = attribute("Date of the order")
    requested_delivery_date: Day | None = attribute("When the customer wants the goods", default=None)
    document_currency_code: str = attribute("ISO 4217 code of every amount of the order")
    buyer_customer_party_id: CustomerId = attribute("Customer, as in master.customers")
    delivery_name: str | None = attribute("Who receives the goods", default=None, classification="personal")
    delivery_address: Address | None = attribute("Where the goods go", default=None)
    sales_channel: str | None = attribute("Channel: direct, web, partner ...", default=None)
    salesperson_id: str | None = attribute("Who sold", default=None, classification="personal", data_subject=STAFF)
    created_by: str | None = attribute(
        "Who entered the order", default=None, classification="personal", data_subject=STAFF
    )
    approved_by: str | None = attribute(
        "Who approved it, where approval is needed", default=None, classification="personal", data_subject=STAFF
    )
    payment_terms_code: str | None = attribute("Agreed terms of payment", default=None)
    note: str | None = attribute("Free text", default=None)
    line_extension_amount: Amount = attribute("Sum of the lines' amounts", unit="document currency")
    charge_total_amount: Amount = attribute("Freight and other charges", unit="document currency")
    tax_exclusive_amount: Amount = attribute("Lines + charges, without tax", unit="document currency")
    tax_amount: Amount = attribute("Tax in total", unit="document currency")
    payable_amount: Amount = attribute("What the customer owes", unit="document currency")
    order_lines: list[OrderLine] = attribute("The lines; an order without lines is refused")


class OrderCaptured(CapturedEvent):
    """The commercial facts of one order after one source transaction (topic `orders.captured`)."""

    order: SalesOrder | None = attribute("The whole order; null when the source deleted it", default=None)
