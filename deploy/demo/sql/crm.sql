-- The CRM of the demonstration business.
CREATE TABLE IF NOT EXISTS customer (
    customer_number text PRIMARY KEY,
    name text NOT NULL,
    country_code char(2),
    region text,
    segment text,
    tax_number text,
    currency char(3),
    credit_limit numeric(15, 2),
    blocked boolean NOT NULL DEFAULT false
);
CREATE TABLE IF NOT EXISTS sales_order (
    order_number bigint PRIMARY KEY,
    customer_number text NOT NULL,
    status text NOT NULL,
    customer_reference text,
    ordered_on date NOT NULL,
    requested_on date,
    currency char(3) NOT NULL,
    channel text,
    salesperson text,
    payment_terms text,
    ship_to_name text,
    ship_to_street text,
    ship_to_city text,
    ship_to_postal_code text,
    ship_to_country char(2),
    freight_amount numeric(15, 2) NOT NULL DEFAULT 0,
    net_amount numeric(15, 2) NOT NULL,
    tax_amount numeric(15, 2) NOT NULL,
    gross_amount numeric(15, 2) NOT NULL,
    note text,
    sync_status text,
    sync_message text,
    sync_version bigint,
    erp_number text,
    fulfilment_status text
);
CREATE TABLE IF NOT EXISTS sales_order_line (
    order_number bigint NOT NULL REFERENCES sales_order ON DELETE CASCADE,
    line_number integer NOT NULL,
    product_number text NOT NULL,
    description text,
    quantity numeric(15, 3) NOT NULL,
    unit text NOT NULL,
    unit_price numeric(15, 4) NOT NULL,
    discount_amount numeric(15, 2) NOT NULL DEFAULT 0,
    net_amount numeric(15, 2) NOT NULL,
    tax_code text,
    tax_percent numeric(6, 3) NOT NULL,
    tax_amount numeric(15, 2) NOT NULL,
    PRIMARY KEY (order_number, line_number)
);
