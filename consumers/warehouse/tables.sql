-- The general ledger: entries are appended, never changed; each balances in both currencies.

CREATE TABLE IF NOT EXISTS account (
    account_code text COLLATE "C" PRIMARY KEY,
    account_name text NOT NULL,
    account_type text NOT NULL CHECK (account_type IN ('asset', 'liability', 'equity', 'income', 'expense')),
    normal_side text NOT NULL CHECK (normal_side IN ('debit', 'credit')),
    control_code text COLLATE "C" NOT NULL,
    cash_flow text NOT NULL CHECK (cash_flow IN ('cash', 'operating', 'investing', 'financing'))
);

CREATE TABLE IF NOT EXISTS closed_period (
    period text COLLATE "C" PRIMARY KEY CHECK (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    closed_at timestamptz NOT NULL DEFAULT now(),
    closed_by text NOT NULL
);

CREATE TABLE IF NOT EXISTS budget (
    period text COLLATE "C" NOT NULL CHECK (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    product_category text NOT NULL,
    quantity numeric(19, 6) NOT NULL CHECK (quantity >= 0),
    unit_price_amount numeric(19, 6) NOT NULL CHECK (unit_price_amount >= 0), -- functional currency
    PRIMARY KEY (period, product_category)
);

-- What each order promises, from its latest version: no entry is made of a promise, so the backlog is kept beside the
-- journal. It may be rebuilt from orders.state at any time, and is the one part of the ledger that is updated.
CREATE TABLE IF NOT EXISTS promised_order (
    order_id text COLLATE "C" PRIMARY KEY,
    order_version bigint NOT NULL,
    order_status text NOT NULL,
    is_open boolean NOT NULL,
    placed_at timestamptz NOT NULL,
    currency_code text,
    functional_currency_code text,
    exchange_rate numeric(19, 10),
    customer_id text,
    customer_segment text,
    customer_region text,
    sales_channel text
) WITH (fillfactor = 70);

CREATE TABLE IF NOT EXISTS promised_line (
    order_id text COLLATE "C" NOT NULL,
    line_id text NOT NULL, -- empty: freight and other charges
    product_id text,
    product_category text,
    expected_date date,
    ordered_quantity numeric(19, 6) NOT NULL,
    shipped_quantity numeric(19, 6) NOT NULL,
    returned_quantity numeric(19, 6) NOT NULL,
    ordered_amount numeric(19, 4) NOT NULL, -- without tax, currency_code of the order
    transferred_amount numeric(19, 4) NOT NULL,
    returned_amount numeric(19, 4) NOT NULL,
    tax_amount numeric(19, 4) NOT NULL, -- on what is not yet transferred
    PRIMARY KEY (order_id, line_id)
);

-- Each accounting period is a partition of its own; `open_period` creates it when its first entry comes.
CREATE TABLE IF NOT EXISTS journal_entry (
    entry_id text COLLATE "C" NOT NULL,
    period text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    order_version bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    rule text NOT NULL,
    standard_reference text NOT NULL,
    posting_date date NOT NULL,
    effective_date date NOT NULL, -- earlier than posting_date where the period of the event was closed
    currency_code text NOT NULL,
    functional_currency_code text NOT NULL,
    exchange_rate numeric(19, 10) NOT NULL,
    exchange_rate_date date,
    exchange_rate_provider text,
    description text NOT NULL,
    explanation text,
    refers_to_entry_id text COLLATE "C",
    due_date date,
    customer_id text,
    customer_segment text,
    customer_region text,
    sales_channel text,
    committed_at timestamptz NOT NULL,
    processed_at timestamptz NOT NULL,
    line_count integer NOT NULL CHECK (line_count >= 2),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    -- Who exports what is new begins where all transactions had ended the last time.
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (entry_id, period),
    CHECK (to_char(posting_date, 'YYYY-MM') = period)
) PARTITION BY LIST (period);
CREATE INDEX IF NOT EXISTS journal_entry_order ON journal_entry (order_id);
CREATE INDEX IF NOT EXISTS journal_entry_transaction ON journal_entry (transaction_id);

CREATE TABLE IF NOT EXISTS journal_line (
    entry_id text COLLATE "C" NOT NULL,
    line_number integer NOT NULL,
    period text COLLATE "C" NOT NULL,
    account_code text COLLATE "C" NOT NULL,
    debit_amount numeric(19, 4) NOT NULL,
    credit_amount numeric(19, 4) NOT NULL,
    functional_debit_amount numeric(19, 4) NOT NULL,
    functional_credit_amount numeric(19, 4) NOT NULL,
    line_id text,
    product_id text,
    product_category text,
    quantity numeric(19, 6),
    entry_order_id text COLLATE "C" NOT NULL, -- its entry's order, for whoever reads all lines
    PRIMARY KEY (entry_id, line_number, period),
    CONSTRAINT journal_line_one_side CHECK (
        debit_amount >= 0 AND credit_amount >= 0 AND (debit_amount = 0 OR credit_amount = 0)),
    CONSTRAINT journal_line_one_functional_side CHECK (
        functional_debit_amount >= 0 AND functional_credit_amount >= 0
        AND (functional_debit_amount = 0 OR functional_credit_amount = 0))
) PARTITION BY LIST (period);

-- Runs with the owner's rights: the writer may not create tables. A period's partitions are made once.
CREATE OR REPLACE FUNCTION open_period(wanted text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF wanted !~ '^\d{4}-(0[1-9]|1[0-2])$' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_entry_period',
            MESSAGE = format('%L is no accounting period; a period is written YYYY-MM', wanted);
    END IF;
    IF to_regclass(format('journal_line_%s', replace(wanted, '-', '_'))) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('ordersync open_period'));
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF journal_entry FOR VALUES IN (%L)',
            'journal_entry_' || replace(wanted, '-', '_'), wanted);
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF journal_line FOR VALUES IN (%L)',
            'journal_line_' || replace(wanted, '-', '_'), wanted);
    END IF;
END $$;

-- The day that an entry of `wanted` is posted on: that day, or the first one after the closed periods.
CREATE OR REPLACE FUNCTION open_day(wanted date) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT greatest(wanted, (SELECT (to_date(max(period), 'YYYY-MM') + interval '1 month')::date FROM closed_period))
$$;

-- Within a transaction: entries added, less entries whose lines came. Empty between transactions.
CREATE TABLE IF NOT EXISTS unproven_entries (
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    entries bigint NOT NULL
);

-- The lines of an entry come in one statement, after the entry and in its transaction, all of them, and balance in both
-- currencies. As they cannot come twice, counting the entries that have them proves at the commit that none is without:
-- a row for each statement is checked then, not one for each entry. Entries and lines are added up together, since
-- looking for each entry costs as much as all the rest.
CREATE OR REPLACE FUNCTION refuse_unbalanced_lines() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    told record;
    wrong record;
BEGIN
    SELECT min(added.account_code) AS account_code INTO told FROM (SELECT DISTINCT account_code FROM added) AS added
    WHERE NOT EXISTS (SELECT FROM account WHERE account.account_code = added.account_code);
    IF told.account_code IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'journal_line_account', MESSAGE = format(
            'journal entry %s: account %s is not in the chart of accounts',
            (SELECT min(entry_id) FROM added WHERE account_code = told.account_code), told.account_code);
    END IF;
    SELECT count(*) AS entries, min(entry_id) FILTER (
        WHERE difference <> 0 OR functional_difference <> 0 OR line_count IS DISTINCT FROM lines) AS wrong INTO told
    FROM (
        SELECT entry_id, period, count(line_number) AS lines, sum(line_count) AS line_count,
            sum(difference) AS difference, sum(functional_difference) AS functional_difference
        FROM (
            SELECT entry_id, period, entry_order_id AS order_id, line_number, NULL::integer AS line_count,
                debit_amount - credit_amount AS difference,
                functional_debit_amount - functional_credit_amount AS functional_difference
            FROM added
            UNION ALL
            SELECT entry_id, period, order_id, NULL, line_count, NULL, NULL
            FROM journal_entry WHERE transaction_id = pg_current_xact_id()
        ) AS both_sides
        GROUP BY entry_id, period, order_id
    ) AS entry WHERE lines > 0;
    IF told.wrong IS NOT NULL THEN
        SELECT count(*) AS lines, sum(debit_amount) - sum(credit_amount) AS difference,
            sum(functional_debit_amount) - sum(functional_credit_amount) AS functional_difference,
            (SELECT line_count FROM journal_entry AS entry WHERE entry.entry_id = told.wrong
                AND transaction_id = pg_current_xact_id()) AS line_count INTO wrong
        FROM added WHERE entry_id = told.wrong;
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_line_of_entry', MESSAGE = format(
            'journal entry %s does not balance or is not there: %s of %s lines, debits less credits %s, functional %s; '
            'an entry is written at once, with all its lines, which name its order', told.wrong, wrong.lines,
            wrong.line_count, wrong.difference, wrong.functional_difference);
    END IF;
    IF told.entries > 0 THEN
        INSERT INTO unproven_entries (entries) VALUES (-told.entries);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_added_entries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM added WHERE transaction_id <> pg_current_xact_id()) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_entry_transaction',
            MESSAGE = 'an entry is of the transaction that adds it: leave out transaction_id';
    END IF;
    INSERT INTO unproven_entries (entries) SELECT count(*) FROM added HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION refuse_entry_without_lines() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    wrong record;
BEGIN
    IF (SELECT coalesce(sum(entries), 0) FROM unproven_entries WHERE transaction_id = NEW.transaction_id) <> 0 THEN
        SELECT entry_id, order_id INTO wrong FROM journal_entry AS entry
        WHERE transaction_id = NEW.transaction_id AND NOT EXISTS (
            SELECT FROM journal_line AS line WHERE line.entry_id = entry.entry_id AND line.period = entry.period)
        LIMIT 1;
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_entry_balanced', MESSAGE = format(
            'journal entry %s of order %s does not balance: it has no lines', wrong.entry_id, wrong.order_id);
    END IF;
    DELETE FROM unproven_entries WHERE transaction_id = NEW.transaction_id;
    RETURN NULL;
END $$;

-- Asked again at each statement: who closed a period meanwhile makes the writer begin anew.
CREATE OR REPLACE FUNCTION refuse_closed_period() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed text;
BEGIN
    SELECT max(period) INTO closed FROM closed_period;
    IF closed IS NOT NULL AND EXISTS (SELECT FROM added WHERE period <= closed) THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = format(
            'period %s is closed: post to the first open one and refer to the day that it is about', closed);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = format(
        '%s refused: %s is append-only; correct an entry by posting its reversal', TG_OP, TG_TABLE_NAME);
END $$;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'journal_entry_balanced'
                   AND tgrelid = 'unproven_entries'::regclass) THEN
        CREATE CONSTRAINT TRIGGER journal_entry_balanced AFTER INSERT ON unproven_entries
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_entry_without_lines();
        CREATE TRIGGER journal_entry_counted AFTER INSERT ON journal_entry
            REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_added_entries();
        CREATE TRIGGER journal_entry_open_period AFTER INSERT ON journal_entry
            REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_closed_period();
        CREATE TRIGGER journal_line_of_entry AFTER INSERT ON journal_line
            REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced_lines();
        CREATE TRIGGER journal_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_entry
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER journal_line_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_line
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER closed_period_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON closed_period
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    END IF;
END $$;
