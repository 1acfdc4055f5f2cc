-- How the orders of this system stand elsewhere. The system owns none of it and changes none of it: whoever wants to
-- know reads ordersync_order, or the columns of its own records that the mapping file names.

CREATE TABLE IF NOT EXISTS ordersync_version (
    order_number text PRIMARY KEY,
    version bigint NOT NULL,
    order_status text NOT NULL,
    fulfilment_status text NOT NULL,
    billing_status text NOT NULL,
    payment_status text NOT NULL,
    warnings text,
    processed_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS ordersync_waiting (
    order_number text PRIMARY KEY,
    awaits text NOT NULL,
    parked_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS ordersync_refusal (
    order_number text PRIMARY KEY,
    rejection_id text NOT NULL,
    stage text NOT NULL,
    violations text NOT NULL,
    rejected_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS ordersync_difference (
    mismatch_id text PRIMARY KEY,
    order_number text NOT NULL,
    difference text NOT NULL
);
CREATE INDEX IF NOT EXISTS ordersync_difference_order ON ordersync_difference (order_number);

-- What people and programs of the system read: one row for each order.
CREATE TABLE IF NOT EXISTS ordersync_order (
    order_number text PRIMARY KEY,
    order_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('accepted', 'waiting', 'refused', 'differs')),
    message text,
    version bigint,
    order_status text,
    fulfilment_status text,
    billing_status text,
    payment_status text,
    processed_at timestamptz
);
