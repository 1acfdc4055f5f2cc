-- The finance system of the demonstration business.
CREATE TABLE IF NOT EXISTS exchange_rate (
    base_currency char(3) NOT NULL,
    quote_currency char(3) NOT NULL,
    valid_on date NOT NULL,
    rate numeric(20, 10) NOT NULL,
    provider text NOT NULL,
    PRIMARY KEY (base_currency, quote_currency, valid_on)
);
CREATE TABLE IF NOT EXISTS invoice (
    invoice_number text PRIMARY KEY,
    order_number bigint NOT NULL,
    kind text NOT NULL,
    issued_at timestamptz NOT NULL,
    due_on date,
    currency char(3) NOT NULL,
    net_amount numeric(15, 2) NOT NULL,
    tax_amount numeric(15, 2) NOT NULL,
    gross_amount numeric(15, 2) NOT NULL
);
CREATE TABLE IF NOT EXISTS payment (
    payment_number text PRIMARY KEY,
    order_number bigint NOT NULL,
    kind text NOT NULL,
    paid_at timestamptz NOT NULL,
    amount numeric(15, 2) NOT NULL,
    currency char(3) NOT NULL,
    means text
);
