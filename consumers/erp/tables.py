"""The tables of `tables.sql`, as far as the sink names their columns."""

from __future__ import annotations

from consumers.postgres.bulk import Table

HEADER = (
    "version",
    "event_id",
    "event_type",
    "order_status",
    "fulfilment_status",
    "billing_status",
    "payment_status",
    "placed_at",
    "committed_at",
    "processed_at",
    "deleted_at",
    "invoiced_amount",
    "paid_amount",
    "open_amount",
)
COMMERCIAL = (
    "customer_reference",
    "issue_date",
    "requested_delivery_date",
    "document_currency_code",
    "buyer_customer_party_id",
    "delivery_name",
    "delivery_street_name",
    "delivery_city_name",
    "delivery_postal_zone",
    "delivery_country_subentity",
    "delivery_country_code",
    "sales_channel",
    "salesperson_id",
    "created_by",
    "approved_by",
    "payment_terms_code",
    "note",
    "line_extension_amount",
    "charge_total_amount",
    "tax_exclusive_amount",
    "tax_amount",
    "payable_amount",
    "customer_name",
    "customer_segment",
    "customer_region",
    "customer_country_code",
    "functional_currency_code",
    "exchange_rate",
    "exchange_rate_date",
    "exchange_rate_provider",
)

SALES_ORDER = Table("sales_order", ("order_id",), HEADER + COMMERCIAL)
SALES_ORDER_LINE = Table(
    "sales_order_line",
    ("order_id", "line_id"),
    (
        "line_number",
        "product_id",
        "item_name",
        "quantity",
        "unit_code",
        "price_amount",
        "allowance_total_amount",
        "line_extension_amount",
        "tax_category_code",
        "tax_percent",
        "tax_amount",
        "requested_delivery_date",
        "product_name",
        "category",
        "vendor_id",
        "standard_cost_amount",
        "shipped_quantity",
        "returned_quantity",
    ),
)
SHIPMENT = Table(
    "shipment", ("order_id", "shipment_id"), ("shipped_at", "delivered_at", "carrier_party_id", "tracking_id")
)
SHIPMENT_LINE = Table("shipment_line", ("order_id", "shipment_id", "line_number"), ("line_id", "quantity"))
CUSTOMER_RETURN = Table("customer_return", ("order_id", "return_id"), ("returned_at", "reason_code"))
RETURN_LINE = Table("return_line", ("order_id", "return_id", "line_number"), ("line_id", "quantity"))
INVOICE = Table(
    "invoice",
    ("order_id", "invoice_id"),
    (
        "invoice_type_code",
        "issued_at",
        "document_currency_code",
        "due_date",
        "tax_exclusive_amount",
        "tax_amount",
        "payable_amount",
    ),
)
PAYMENT = Table(
    "payment",
    ("order_id", "payment_id"),
    ("payment_type_code", "paid_at", "document_currency_code", "paid_amount", "payment_means_code"),
)
PARTS = (SALES_ORDER_LINE, SHIPMENT, SHIPMENT_LINE, CUSTOMER_RETURN, RETURN_LINE, INVOICE, PAYMENT)
"""What hangs on an order, each keyed by it first."""
