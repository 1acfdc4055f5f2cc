-- Notes of changes that anybody but the sink made in its tables: which order, who, and when. The reconciliation reads
-- them each round, so a change by hand is found at once. Whoever switches a trigger off is found by the catalogue's row.
CREATE SCHEMA IF NOT EXISTS reconciliation;

CREATE TABLE IF NOT EXISTS reconciliation.note (
    note_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id text, -- null: more than one order may be meant
    table_name text NOT NULL,
    deed text NOT NULL,
    changed_by text NOT NULL DEFAULT session_user,
    application text NOT NULL DEFAULT current_setting('application_name'),
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- With the owner's rights: whoever changes an order may not be able to write notes.
CREATE OR REPLACE FUNCTION reconciliation.note_order() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO reconciliation.note (order_id, table_name, deed) VALUES (OLD.order_id, TG_TABLE_NAME, TG_OP);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.order_id <> OLD.order_id) THEN
        INSERT INTO reconciliation.note (order_id, table_name, deed) VALUES (NEW.order_id, TG_TABLE_NAME, TG_OP);
    END IF;
    RETURN NULL;
END $$;

-- A journal line tells its order through its entry, which may be gone.
CREATE OR REPLACE FUNCTION reconciliation.note_line() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text := CASE TG_OP WHEN 'INSERT' THEN NEW.entry_id ELSE OLD.entry_id END;
    found text;
BEGIN
    EXECUTE format('SELECT order_id FROM %I.journal_entry WHERE entry_id = $1', TG_TABLE_SCHEMA) INTO found
        USING changed;
    INSERT INTO reconciliation.note (order_id, table_name, deed) VALUES (found, TG_TABLE_NAME, TG_OP);
    IF TG_OP = 'UPDATE' AND NEW.entry_id <> OLD.entry_id THEN
        INSERT INTO reconciliation.note (table_name, deed) VALUES (TG_TABLE_NAME, TG_OP);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION reconciliation.note_truncation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO reconciliation.note (table_name, deed) VALUES (TG_TABLE_NAME, TG_OP);
    RETURN NULL;
END $$;

-- Whoever could hang them on a table of its own would have them work there with the owner's rights.
REVOKE EXECUTE ON FUNCTION reconciliation.note_order(), reconciliation.note_line(), reconciliation.note_truncation()
    FROM PUBLIC;
