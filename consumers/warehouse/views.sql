-- What is read of the ledger: balances by account and order, the tie-out, and the figures of finance by period.

CREATE OR REPLACE VIEW trial_balance AS
SELECT currency_code, functional_currency_code, account_code, account_name, account_type,
    sum(debit_amount) AS debit_amount,
    sum(credit_amount) AS credit_amount,
    sum(debit_amount - credit_amount) AS balance_amount,
    sum(functional_debit_amount) AS functional_debit_amount,
    sum(functional_credit_amount) AS functional_credit_amount,
    sum(functional_debit_amount - functional_credit_amount) AS functional_balance_amount
FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
GROUP BY currency_code, functional_currency_code, account_code, account_name, account_type;

CREATE OR REPLACE VIEW period_balance AS
SELECT period, currency_code, functional_currency_code, account_code, account_name, account_type, control_code,
    sum(debit_amount) AS debit_amount,
    sum(credit_amount) AS credit_amount,
    sum(debit_amount - credit_amount) AS balance_amount,
    sum(functional_debit_amount) AS functional_debit_amount,
    sum(functional_credit_amount) AS functional_credit_amount,
    sum(functional_debit_amount - functional_credit_amount) AS functional_balance_amount
FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
GROUP BY period, currency_code, functional_currency_code, account_code, account_name, account_type, control_code;

CREATE OR REPLACE VIEW order_balance AS
SELECT order_id, currency_code, functional_currency_code, account_code,
    sum(debit_amount) AS debit_amount,
    sum(credit_amount) AS credit_amount,
    sum(debit_amount - credit_amount) AS balance_amount,
    sum(functional_debit_amount - functional_credit_amount) AS functional_balance_amount
FROM journal_line JOIN journal_entry USING (entry_id, period)
GROUP BY order_id, currency_code, functional_currency_code, account_code;

-- Control accounts of customers against their orders: open items by the ledger's own definition of them.
CREATE OR REPLACE VIEW subledger_tie_out AS
WITH moved AS (
    SELECT order_id, currency_code, control_code,
        sum(debit_amount - credit_amount) AS amount,
        sum(debit_amount - credit_amount) FILTER (WHERE rule IN ('billing', 'amount_due', 'credit_note')) AS due,
        sum(debit_amount - credit_amount) FILTER (WHERE rule IN ('cash_receipt', 'refund')) AS paid
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
    GROUP BY order_id, currency_code, control_code
)
SELECT control_code AS account_code, currency_code, sum(amount) AS ledger_amount,
    sum(coalesce(due, 0) + coalesce(paid, 0)) AS subledger_amount,
    sum(amount) - sum(coalesce(due, 0) + coalesce(paid, 0)) AS difference_amount
FROM moved WHERE control_code = '1200'
GROUP BY control_code, currency_code;

CREATE OR REPLACE VIEW ledger_metrics AS
WITH typed AS (
    SELECT entry_id, period, functional_currency_code, account_type, cash_flow,
        control_code,
        functional_debit_amount - functional_credit_amount AS amount,
        bool_or(cash_flow = 'cash') OVER (PARTITION BY entry_id, period) AS has_cash
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
), figures AS (
    SELECT period, functional_currency_code,
        coalesce(-sum(amount) FILTER (WHERE control_code IN ('4000', '4100', '4900')), 0) AS net_sales_amount,
        coalesce(sum(amount) FILTER (WHERE control_code = '5000'), 0) AS cost_of_sales_amount,
        coalesce(-sum(amount) FILTER (WHERE account_type IN ('income', 'expense')), 0) AS net_income_amount,
        coalesce(-sum(amount) FILTER (WHERE has_cash AND cash_flow = 'operating'), 0) AS operating_cash_flow_amount
    FROM typed GROUP BY period, functional_currency_code
)
SELECT *, round(operating_cash_flow_amount / nullif(net_sales_amount, 0), 4) AS operating_cash_flow_to_sales,
    round(net_income_amount / nullif(net_sales_amount, 0), 4) AS net_income_to_sales
FROM figures;
