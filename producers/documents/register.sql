CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL, media TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL,
    parent TEXT, sender TEXT NOT NULL, subject TEXT NOT NULL, received_at TEXT NOT NULL, state TEXT NOT NULL,
    content TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    document TEXT NOT NULL, part INTEGER NOT NULL, kind TEXT NOT NULL, outcome TEXT NOT NULL, order_id TEXT,
    request_id TEXT, reasons TEXT NOT NULL, decided_at TEXT NOT NULL, PRIMARY KEY (document, part)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parts_of_order ON parts (order_id);
CREATE TABLE IF NOT EXISTS uploads (id TEXT PRIMARY KEY, document TEXT NOT NULL, is_final INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_open ON uploads (id) WHERE NOT is_final;
CREATE TABLE IF NOT EXISTS steps (document TEXT NOT NULL, at TEXT NOT NULL, step TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS steps_of_document ON steps (document);
CREATE TABLE IF NOT EXISTS reviews (
    id TEXT PRIMARY KEY, document TEXT NOT NULL, part INTEGER NOT NULL, source TEXT NOT NULL, read TEXT NOT NULL,
    doubts TEXT NOT NULL, state TEXT NOT NULL, since TEXT NOT NULL, decided_by TEXT, decided_at TEXT, note TEXT,
    corrections TEXT NOT NULL DEFAULT '{}',
    customer_id TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aliases (
    kind TEXT NOT NULL, scope TEXT NOT NULL, text TEXT NOT NULL, target TEXT NOT NULL, told_by TEXT NOT NULL,
    told_at TEXT NOT NULL, PRIMARY KEY (kind, scope, text)
) WITHOUT ROWID;
