-- The ERP's copy of every sales order. One transaction writes an order as a whole, so its parts need no foreign keys
-- to it: the sink is their only writer. Amounts are in document_currency_code where nothing else is said.

CREATE TABLE IF NOT EXISTS sales_order (
    order_id text PRIMARY KEY,
    version bigint NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    order_status text NOT NULL,
    fulfilment_status text NOT NULL,
    billing_status text NOT NULL,
    payment_status text NOT NULL,
    placed_at timestamptz NOT NULL,
    committed_at timestamptz NOT NULL,
    processed_at timestamptz NOT NULL,
    deleted_at timestamptz,
    invoiced_amount numeric(19, 4) NOT NULL,
    paid_amount numeric(19, 4) NOT NULL,
    open_amount numeric(19, 4) NOT NULL,
    -- From here on null until the commercial facts are known; a deleted order keeps the last ones.
    customer_reference text,
    issue_date date,
    requested_delivery_date date,
    document_currency_code text,
    buyer_customer_party_id text,
    delivery_name text,
    delivery_street_name text,
    delivery_city_name text,
    delivery_postal_zone text,
    delivery_country_subentity text,
    delivery_country_code text,
    sales_channel text,
    salesperson_id text,
    created_by text,
    approved_by text,
    payment_terms_code text,
    note text,
    line_extension_amount numeric(19, 4),
    charge_total_amount numeric(19, 4),
    tax_exclusive_amount numeric(19, 4),
    tax_amount numeric(19, 4),
    payable_amount numeric(19, 4),
    customer_name text,
    customer_segment text,
    customer_region text,
    customer_country_code text,
    functional_currency_code text,
    exchange_rate numeric(19, 10),
    exchange_rate_date date,
    exchange_rate_provider text
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS sales_order_customer ON sales_order (buyer_customer_party_id);

CREATE TABLE IF NOT EXISTS sales_order_line (
    order_id text NOT NULL,
    line_id text NOT NULL,
    line_number integer NOT NULL,
    product_id text NOT NULL,
    item_name text,
    quantity numeric(19, 6) NOT NULL,
    unit_code text NOT NULL,
    price_amount numeric(19, 6) NOT NULL,
    allowance_total_amount numeric(19, 4) NOT NULL,
    line_extension_amount numeric(19, 4) NOT NULL,
    tax_category_code text,
    tax_percent numeric(9, 4) NOT NULL,
    tax_amount numeric(19, 4) NOT NULL,
    requested_delivery_date date,
    product_name text,
    category text,
    vendor_id text,
    standard_cost_amount numeric(19, 6),
    shipped_quantity numeric(19, 6) NOT NULL,
    returned_quantity numeric(19, 6) NOT NULL,
    PRIMARY KEY (order_id, line_id)
) WITH (fillfactor = 85);

CREATE TABLE IF NOT EXISTS shipment (
    order_id text NOT NULL,
    shipment_id text NOT NULL,
    shipped_at timestamptz NOT NULL,
    delivered_at timestamptz,
    carrier_party_id text,
    tracking_id text,
    PRIMARY KEY (order_id, shipment_id)
);

CREATE TABLE IF NOT EXISTS shipment_line (
    order_id text NOT NULL,
    shipment_id text NOT NULL,
    line_number integer NOT NULL,
    line_id text NOT NULL,
    quantity numeric(19, 6) NOT NULL,
    PRIMARY KEY (order_id, shipment_id, line_number)
);

CREATE TABLE IF NOT EXISTS customer_return (
    order_id text NOT NULL,
    return_id text NOT NULL,
    returned_at timestamptz NOT NULL,
    reason_code text,
    PRIMARY KEY (order_id, return_id)
);

CREATE TABLE IF NOT EXISTS return_line (
    order_id text NOT NULL,
    return_id text NOT NULL,
    line_number integer NOT NULL,
    line_id text NOT NULL,
    quantity numeric(19, 6) NOT NULL,
    PRIMARY KEY (order_id, return_id, line_number)
);

CREATE TABLE IF NOT EXISTS invoice (
    order_id text NOT NULL,
    invoice_id text NOT NULL,
    invoice_type_code text NOT NULL,
    issued_at timestamptz NOT NULL,
    document_currency_code text NOT NULL,
    due_date date,
    tax_exclusive_amount numeric(19, 4) NOT NULL,
    tax_amount numeric(19, 4) NOT NULL,
    payable_amount numeric(19, 4) NOT NULL,
    PRIMARY KEY (order_id, invoice_id)
);

CREATE TABLE IF NOT EXISTS payment (
    order_id text NOT NULL,
    payment_id text NOT NULL,
    payment_type_code text NOT NULL,
    paid_at timestamptz NOT NULL,
    document_currency_code text NOT NULL,
    paid_amount numeric(19, 4) NOT NULL,
    payment_means_code text,
    PRIMARY KEY (order_id, payment_id)
);
