-- Where each sink stands: the offset of the next record to read, moved in the transaction that writes the rows.
CREATE TABLE IF NOT EXISTS sink_position (
    sink text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    advanced_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic, partition)
) WITH (fillfactor = 50);
