"""Master data that orders are checked against and enriched from."""

from __future__ import annotations

from schemas.attributes import (
    Amount,
    CanonicalModel,
    CustomerId,
    Day,
    ExchangeRate,
    Instant,
    Percent,
    ProductId,
    Quantity,
    UnitPrice,
    VendorId,
    attribute,
)
from schemas.models.source import SourcePosition


class MasterRecord(CanonicalModel):
    """What every master record says of its origin; a deleted record is a tombstone on its topic."""

    source: SourcePosition = attribute("Where in the source's log this image stands")
    committed_at: Instant = attribute("When the source committed it", unit="UTC")
    captured_at: Instant = attribute("When ordersync read it", unit="UTC")


class Customer(MasterRecord, owner="crm", classification="confidential"):
    """A customer (topic `master.customers`, key customer_id)."""

    customer_id: CustomerId = attribute("Identity of the customer in every system")
    name: str = attribute("Registered name", classification="personal")
    country_code: str | None = attribute("ISO 3166-1 alpha-2 code", default=None)
    region: str | None = attribute("Sales region", default=None)
    segment: str | None = attribute("Customer segment", default=None)
    tax_id: str | None = attribute("Tax number", default=None, classification="personal")
    currency_code: str | None = attribute("Usual currency, ISO 4217", default=None)
    credit_limit_amount: Amount | None = attribute("Credit limit", default=None, unit="currency_code")
    valid_from: Day | None = attribute(
        "First day that this version holds, where the source says so; else from its commit on", default=None, unit="UTC"
    )
    is_blocked: bool = attribute("No new orders are accepted", default=False)
    ledger_account_key: str | None = attribute("Group of accounts for its receivables", default=None, owner="finance")


class Product(MasterRecord, owner="inventory", classification="internal"):
    """A product (topic `master.products`, key product_id)."""

    product_id: ProductId = attribute("Identity of the product in every system")
    name: str = attribute("Name of the product", classification="public")
    category: str | None = attribute("Product group", default=None)
    vendor_id: VendorId | None = attribute("Who supplies it, as in master.vendors", default=None)
    unit_code: str = attribute("UN/ECE Recommendation 20 unit that it is sold in")
    list_price_amount: UnitPrice | None = attribute("List price", default=None, unit="currency_code")
    standard_cost_amount: UnitPrice | None = attribute(
        "Standard cost", default=None, unit="functional currency", classification="confidential"
    )
    currency_code: str | None = attribute("Currency of the list price, ISO 4217", default=None)
    tax_category_code: str | None = attribute("UN/ECE 5305 tax category", default=None)
    tax_percent: Percent | None = attribute("Usual tax rate", default=None, unit="percent")
    valid_from: Day | None = attribute(
        "First day that this version holds, where the source says so; else from its commit on", default=None, unit="UTC"
    )
    is_discontinued: bool = attribute("No longer sold", default=False)
    available_quantity: Quantity | None = attribute(
        "Quantity free to promise, where the source tells it", default=None, unit="unit_code"
    )
    lead_time_days: int | None = attribute("Days from order to delivery", default=None, unit="days")
    ledger_account_key: str | None = attribute(
        "Group of accounts for its revenue and cost", default=None, owner="finance"
    )


class Vendor(MasterRecord, owner="inventory", classification="internal"):
    """A supplier (topic `master.vendors`, key vendor_id)."""

    vendor_id: VendorId = attribute("Identity of the vendor in every system")
    name: str = attribute("Registered name")
    country_code: str | None = attribute("ISO 3166-1 alpha-2 code", default=None)
    email: str | None = attribute("Where messages go", default=None, classification="personal")


class FxRate(MasterRecord, owner="finance", classification="public"):
    """One exchange rate of one day (topic `master.fx-rates`, key BASE:QUOTE:DATE)."""

    rate_key: str = attribute("base:quote:date, for example USD:EUR:2026-11-21")
    base_currency_code: str = attribute("ISO 4217 code of the currency that is priced")
    quote_currency_code: str = attribute("ISO 4217 code of the currency of the rate")
    rate_date: Day = attribute("First day that the rate holds")
    rate: ExchangeRate = attribute("Units of the quote currency for one unit of the base")
    provider: str = attribute("Who published it")
