-- The inventory system of the demonstration business.
CREATE TABLE IF NOT EXISTS supplier (
    supplier_number text PRIMARY KEY,
    name text NOT NULL,
    country_code char(2),
    email text
);
CREATE TABLE IF NOT EXISTS product (
    product_number text PRIMARY KEY,
    name text NOT NULL,
    category text,
    supplier_number text REFERENCES supplier,
    unit text NOT NULL,
    list_price numeric(15, 4),
    standard_cost numeric(15, 4),
    currency char(3),
    tax_code text,
    tax_percent numeric(6, 3),
    discontinued boolean NOT NULL DEFAULT false
);
CREATE TABLE IF NOT EXISTS shipment (
    shipment_number text PRIMARY KEY,
    order_number bigint NOT NULL,
    shipped_at timestamptz NOT NULL,
    delivered_at timestamptz,
    carrier text,
    tracking_number text
);
CREATE TABLE IF NOT EXISTS shipment_line (
    shipment_number text NOT NULL REFERENCES shipment ON DELETE CASCADE,
    line_number integer NOT NULL,
    quantity numeric(15, 3) NOT NULL,
    PRIMARY KEY (shipment_number, line_number)
);
CREATE TABLE IF NOT EXISTS goods_return (
    return_number text PRIMARY KEY,
    order_number bigint NOT NULL,
    returned_at timestamptz NOT NULL,
    reason text
);
CREATE TABLE IF NOT EXISTS goods_return_line (
    return_number text NOT NULL REFERENCES goods_return ON DELETE CASCADE,
    line_number integer NOT NULL,
    quantity numeric(15, 3) NOT NULL,
    PRIMARY KEY (return_number, line_number)
);
