-- What has to be delivered to whom, in the order of delivery_id; for each subscriber, channel and order one at a time.
CREATE TABLE IF NOT EXISTS delivery (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscriber text NOT NULL,
    channel text NOT NULL,
    order_id text NOT NULL,
    message_id text NOT NULL,
    -- 0 is the first time; each replay has a number of its own, and the same message_id.
    replay integer NOT NULL DEFAULT 0,
    sequence bigint NOT NULL,
    message_type text NOT NULL,
    order_version bigint NOT NULL,
    body text NOT NULL,
    committed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0,
    first_attempted_at timestamptz,
    settled_at timestamptz,
    acknowledged_at timestamptz,
    problem text,
    UNIQUE (subscriber, message_id, channel, replay)
);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (subscriber, channel, due_at, delivery_id) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS delivery_of_order ON delivery (subscriber, channel, order_id, delivery_id)
    WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS delivery_dead ON delivery (subscriber, delivery_id) WHERE state = 'dead';
CREATE INDEX IF NOT EXISTS delivery_settled ON delivery (settled_at) WHERE state = 'delivered';
CREATE INDEX IF NOT EXISTS delivery_unacknowledged ON delivery (subscriber, created_at)
    WHERE acknowledged_at IS NULL AND replay = 0;

-- Which messages their receivers have taken in.
CREATE TABLE IF NOT EXISTS acknowledgement (
    subscriber text NOT NULL,
    message_id text NOT NULL,
    acknowledged_at timestamptz NOT NULL,
    PRIMARY KEY (subscriber, message_id)
);

-- Who delivers to a subscriber now, and whether it has closed its address.
CREATE TABLE IF NOT EXISTS subscriber (
    name text NOT NULL,
    channel text NOT NULL,
    owner text,
    owned_until timestamptz NOT NULL DEFAULT '-infinity',
    closed_at timestamptz,
    closed_because text,
    filed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, channel)
);

-- Clients that hear what becomes of the orders of their systems; `secrets` all sign, the newest first.
CREATE TABLE IF NOT EXISTS subscription (
    subscription_id text PRIMARY KEY,
    client text NOT NULL,
    url text NOT NULL,
    -- '*' stands for every system, and for every type.
    systems text[] NOT NULL CHECK (cardinality(systems) > 0),
    message_types text[] NOT NULL CHECK (cardinality(message_types) > 0),
    secrets text[] NOT NULL CHECK (cardinality(secrets) > 0),
    -- What was decided before is told by a replay only.
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS subscription_of_client ON subscription (client);

-- The last control number of each partner's interchanges, and the files that carry them.
CREATE TABLE IF NOT EXISTS control_number (
    subscriber text PRIMARY KEY,
    last bigint NOT NULL CHECK (last >= 0)
);
CREATE TABLE IF NOT EXISTS interchange (
    subscriber text NOT NULL,
    control_number bigint NOT NULL,
    file_name text NOT NULL,
    content bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    written_at timestamptz,
    PRIMARY KEY (subscriber, control_number)
);
CREATE INDEX IF NOT EXISTS interchange_unwritten ON interchange (subscriber) WHERE written_at IS NULL;
