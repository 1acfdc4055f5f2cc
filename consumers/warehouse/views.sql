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

-- Planning

-- Each order line's revenue and direct cost, by everything that finance asks for; ties to accounts 4000 and 5000.
CREATE OR REPLACE VIEW sales_line AS
SELECT period, functional_currency_code, order_id, line_id, product_id, product_category, customer_id,
    customer_segment, customer_region, sales_channel,
    -sum(amount) FILTER (WHERE control_code IN ('4000', '4100', '4900')) AS revenue_amount,
    sum(amount) FILTER (WHERE control_code = '5000') AS direct_cost_amount,
    sum(quantity) FILTER (WHERE control_code = '4000') AS quantity
FROM (
    SELECT line.*, entry.order_id, entry.functional_currency_code, entry.customer_id, entry.customer_segment,
        entry.customer_region, entry.sales_channel, account.control_code,
        line.functional_debit_amount - line.functional_credit_amount AS amount
    FROM journal_line AS line JOIN journal_entry AS entry USING (entry_id, period) JOIN account USING (account_code)
    WHERE control_code IN ('4000', '4100', '4900', '5000')
) AS posted
GROUP BY period, functional_currency_code, order_id, line_id, product_id, product_category, customer_id,
    customer_segment, customer_region, sales_channel;

-- Costs that no order line causes are shared by revenue and shown apart.
CREATE OR REPLACE VIEW profitability AS
WITH allocable AS (
    SELECT period, functional_currency_code,
        sum(functional_debit_amount - functional_credit_amount) AS amount
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
    WHERE account_type = 'expense' AND control_code <> '5000'
    GROUP BY period, functional_currency_code
), sales AS (
    SELECT period, functional_currency_code, product_category, customer_segment, customer_region, sales_channel,
        coalesce(sum(revenue_amount), 0) AS revenue_amount, coalesce(sum(direct_cost_amount), 0) AS direct_cost_amount
    FROM sales_line
    GROUP BY period, functional_currency_code, product_category, customer_segment, customer_region, sales_channel
)
SELECT sales.*, revenue_amount - direct_cost_amount AS contribution_amount,
    coalesce(round(allocable.amount * revenue_amount / nullif(sum(revenue_amount)
        OVER (PARTITION BY period, functional_currency_code), 0), 4), 0) AS allocated_cost_amount
FROM sales LEFT JOIN allocable USING (period, functional_currency_code);

-- Recognised in the period, and what is deferred at its end: contract and refund liabilities.
CREATE OR REPLACE VIEW revenue_recognised AS
WITH moved AS (
    SELECT period, functional_currency_code,
        coalesce(-sum(functional_balance_amount) FILTER (WHERE control_code IN ('4000', '4100', '4900')), 0) AS recognised,
        coalesce(-sum(functional_balance_amount) FILTER (WHERE control_code IN ('2100', '2150')), 0) AS deferred,
        coalesce(sum(functional_balance_amount) FILTER (WHERE control_code = '1250'), 0) AS unbilled
    FROM period_balance GROUP BY period, functional_currency_code
)
SELECT period, functional_currency_code, recognised AS recognised_amount,
    sum(deferred) OVER running AS deferred_amount, sum(unbilled) OVER running AS unbilled_amount
FROM moved WINDOW running AS (PARTITION BY functional_currency_code ORDER BY period);

-- Unpaid parts of what invoices made due, oldest due date first paid.
CREATE OR REPLACE VIEW open_receivable AS
WITH moved AS (
    SELECT order_id, customer_id, currency_code, coalesce(due_date, posting_date) AS due_date, posting_date, entry_id,
        sum(debit_amount) AS debit, sum(credit_amount) AS credit
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
    WHERE control_code = '1200'
    GROUP BY order_id, customer_id, currency_code, due_date, posting_date, entry_id
), debits AS (
    SELECT *, sum(debit) OVER (PARTITION BY order_id, currency_code ORDER BY due_date, entry_id) AS reached
    FROM moved WHERE debit > 0
), credits AS (
    SELECT order_id, currency_code, sum(credit) AS paid FROM moved GROUP BY order_id, currency_code
)
SELECT order_id, customer_id, currency_code, due_date, entry_id,
    least(debit, reached - paid) AS open_amount
FROM debits JOIN credits USING (order_id, currency_code)
WHERE reached > paid;

CREATE OR REPLACE VIEW receivables_ageing AS
SELECT currency_code, bucket, count(*) AS items, sum(open_amount) AS open_amount
FROM open_receivable CROSS JOIN LATERAL (SELECT CASE
    WHEN due_date >= current_date THEN 'not due' WHEN current_date - due_date <= 30 THEN '1-30 days'
    WHEN current_date - due_date <= 60 THEN '31-60 days' WHEN current_date - due_date <= 90 THEN '61-90 days'
    ELSE 'over 90 days' END AS bucket) AS aged
GROUP BY currency_code, bucket;

-- Received so far by month, and what is expected: due receivables in the month of their due date, overdue ones now.
CREATE OR REPLACE VIEW cash_flow AS
SELECT period, currency_code, sum(received) AS received_amount, sum(expected) AS expected_amount
FROM (
    SELECT period, currency_code, debit_amount - credit_amount AS received, 0 AS expected
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
    WHERE cash_flow = 'cash'
    UNION ALL
    SELECT to_char(greatest(due_date, current_date), 'YYYY-MM'), currency_code, 0, open_amount FROM open_receivable
) AS moved
GROUP BY period, currency_code;

-- price + volume + mix = actual - budget, by product group and in total.
CREATE OR REPLACE VIEW budget_variance AS
WITH actual AS (
    SELECT period, coalesce(product_category, '') AS product_category,
        coalesce(sum(quantity), 0) AS quantity, coalesce(sum(revenue_amount), 0) AS amount
    FROM sales_line WHERE line_id IS NOT NULL GROUP BY period, coalesce(product_category, '')
), joined AS (
    SELECT period, product_category,
        coalesce(budget.quantity, 0) AS budget_quantity, coalesce(unit_price_amount, 0) AS budget_price,
        coalesce(actual.quantity, 0) AS actual_quantity, coalesce(actual.amount, 0) AS actual_amount
    FROM budget FULL JOIN actual USING (period, product_category)
    WHERE period IN (SELECT period FROM budget)
), mixed AS (
    SELECT *, budget_quantity * budget_price AS budget_amount,
        coalesce(sum(actual_quantity) OVER whole * budget_quantity / nullif(sum(budget_quantity) OVER whole, 0), 0)
            AS quantity_at_budget_mix
    FROM joined WINDOW whole AS (PARTITION BY period)
), parts AS (
    SELECT *, round(actual_amount - actual_quantity * budget_price, 4) AS price_variance_amount,
        round((quantity_at_budget_mix - budget_quantity) * budget_price, 4) AS volume_variance_amount
    FROM mixed
)
SELECT period, product_category, budget_quantity, budget_amount, actual_quantity, actual_amount,
    actual_amount - budget_amount AS variance_amount, price_variance_amount, volume_variance_amount,
    actual_amount - budget_amount - price_variance_amount - volume_variance_amount AS mix_variance_amount
FROM parts;
