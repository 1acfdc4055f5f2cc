-- One row an order; its id rises with the time of placing, so that the newest of many hits come first without sorting.
CREATE TABLE IF NOT EXISTS found_order (
    id INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    order_status TEXT NOT NULL,
    fulfilment_status TEXT NOT NULL,
    billing_status TEXT NOT NULL,
    payment_status TEXT NOT NULL,
    customer_id TEXT,
    customer_name TEXT,
    customer_reference TEXT,
    currency_code TEXT,
    payable_amount TEXT,
    warnings INTEGER NOT NULL,
    placed_at INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    terms TEXT NOT NULL
);
CREATE VIRTUAL TABLE IF NOT EXISTS order_words USING fts5(
    terms, content='found_order', content_rowid='id', detail='none', columnsize=0, prefix='3 5 8',
    tokenize="ascii tokenchars '-:._/#@+'"
);
CREATE TABLE IF NOT EXISTS dead_letter (
    rejection_id TEXT PRIMARY KEY,
    order_id TEXT,
    stage TEXT NOT NULL,
    rules TEXT NOT NULL,
    message TEXT NOT NULL,
    origin TEXT NOT NULL,
    rejected_at INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dead_letter_newest ON dead_letter (rejected_at DESC, rejection_id);
CREATE INDEX IF NOT EXISTS dead_letter_order ON dead_letter (order_id);
CREATE TABLE IF NOT EXISTS parked_order (
    order_id TEXT PRIMARY KEY,
    awaits TEXT NOT NULL,
    held INTEGER NOT NULL,
    parked_at INTEGER NOT NULL,
    deadline_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mismatch (
    mismatch_id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    system TEXT NOT NULL,
    detected_at INTEGER NOT NULL,
    document TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mismatch_order ON mismatch (order_id);
CREATE TABLE IF NOT EXISTS deed (
    audit_id TEXT PRIMARY KEY,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    reference TEXT,
    changes TEXT NOT NULL,
    reason TEXT,
    occurred_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deed_newest ON deed (occurred_at DESC, audit_id);
CREATE INDEX IF NOT EXISTS deed_subject ON deed (subject);
CREATE INDEX IF NOT EXISTS deed_reference ON deed (reference);
CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, orders INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS origin (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
