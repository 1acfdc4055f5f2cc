-- The general ledger: entries are appended, never changed; each balances in both currencies.

CREATE TABLE IF NOT EXISTS account (
    account_code text PRIMARY KEY,
    account_name text NOT NULL,
    account_type text NOT NULL CHECK (account_type IN ('asset', 'liability', 'equity', 'income', 'expense')),
    normal_side text NOT NULL CHECK (normal_side IN ('debit', 'credit'))
);

CREATE TABLE IF NOT EXISTS journal_entry (
    entry_id text PRIMARY KEY,
    order_id text NOT NULL,
    order_version bigint NOT NULL,
    event_id text NOT NULL,
    rule text NOT NULL,
    standard_reference text NOT NULL,
    posting_date date NOT NULL,
    period text NOT NULL,
    currency_code text NOT NULL,
    functional_currency_code text NOT NULL,
    exchange_rate numeric(19, 10) NOT NULL,
    description text NOT NULL,
    committed_at timestamptz NOT NULL,
    processed_at timestamptz NOT NULL,
    line_count integer NOT NULL CHECK (line_count >= 2),
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS journal_entry_order ON journal_entry (order_id);
CREATE INDEX IF NOT EXISTS journal_entry_period ON journal_entry (period);

CREATE TABLE IF NOT EXISTS journal_line (
    entry_id text NOT NULL,
    line_number integer NOT NULL,
    account_code text NOT NULL REFERENCES account,
    debit_amount numeric(19, 4) NOT NULL CHECK (debit_amount >= 0),
    credit_amount numeric(19, 4) NOT NULL CHECK (credit_amount >= 0),
    functional_debit_amount numeric(19, 4) NOT NULL CHECK (functional_debit_amount >= 0),
    functional_credit_amount numeric(19, 4) NOT NULL CHECK (functional_credit_amount >= 0),
    PRIMARY KEY (entry_id, line_number),
    CHECK (least(debit_amount, credit_amount) = 0),
    CHECK (least(functional_debit_amount, functional_credit_amount) = 0)
);

-- At commit each new entry must have all its lines and balance.
CREATE OR REPLACE FUNCTION refuse_unbalanced_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lines bigint;
    difference numeric;
    functional_difference numeric;
BEGIN
    SELECT count(*), coalesce(sum(debit_amount - credit_amount), 0),
           coalesce(sum(functional_debit_amount - functional_credit_amount), 0)
    INTO lines, difference, functional_difference
    FROM journal_line WHERE entry_id = NEW.entry_id;
    IF lines <> NEW.line_count OR difference <> 0 OR functional_difference <> 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_entry_balanced', MESSAGE = format(
            'journal entry %s of order %s does not balance: %s of %s lines, debits less credits %s %s and %s %s',
            NEW.entry_id, NEW.order_id, lines, NEW.line_count, difference, NEW.currency_code,
            functional_difference, NEW.functional_currency_code);
    END IF;
    RETURN NULL;
END $$;

-- A line may only come with the entry that counts it: one more afterwards is one too many.
CREATE OR REPLACE FUNCTION refuse_stray_line() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stray text;
BEGIN
    SELECT touched.entry_id INTO stray
    FROM (SELECT DISTINCT entry_id FROM added) AS touched
    LEFT JOIN journal_entry AS entry USING (entry_id)
    WHERE entry.line_count IS DISTINCT FROM
        (SELECT count(*) FROM journal_line AS line WHERE line.entry_id = touched.entry_id)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_line_of_entry', MESSAGE = format(
            'journal entry %s does not exist or has another number of lines: an entry is written at once, with all '
            'its lines', stray);
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
                   AND tgrelid = 'journal_entry'::regclass) THEN
        CREATE CONSTRAINT TRIGGER journal_entry_balanced AFTER INSERT ON journal_entry
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_entry();
        CREATE TRIGGER journal_line_of_entry AFTER INSERT ON journal_line
            REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_stray_line();
        CREATE TRIGGER journal_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_entry
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER journal_line_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_line
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    END IF;
END $$;

CREATE OR REPLACE VIEW trial_balance AS
SELECT currency_code, functional_currency_code, account_code, account_name, account_type,
    sum(debit_amount) AS debit_amount,
    sum(credit_amount) AS credit_amount,
    sum(debit_amount - credit_amount) AS balance_amount,
    sum(functional_debit_amount) AS functional_debit_amount,
    sum(functional_credit_amount) AS functional_credit_amount,
    sum(functional_debit_amount - functional_credit_amount) AS functional_balance_amount
FROM journal_line JOIN journal_entry USING (entry_id) JOIN account USING (account_code)
GROUP BY currency_code, functional_currency_code, account_code, account_name, account_type;

CREATE OR REPLACE VIEW order_balance AS
SELECT order_id, currency_code, functional_currency_code, account_code,
    sum(debit_amount) AS debit_amount,
    sum(credit_amount) AS credit_amount,
    sum(debit_amount - credit_amount) AS balance_amount,
    sum(functional_debit_amount - functional_credit_amount) AS functional_balance_amount
FROM journal_line JOIN journal_entry USING (entry_id)
GROUP BY order_id, currency_code, functional_currency_code, account_code;
