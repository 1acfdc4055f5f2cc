-- The figures that finance plans with: each drills down to order lines and ties to the accounts.

-- Made anew by each version, so that their columns may change.
DROP VIEW IF EXISTS planning_tie_out, budget_variance, cash_flow, cash_forecast, payment_delay, open_contract, backlog,
    backlog_line, receivables_ageing, open_receivable, revenue_recognised, profitability, sales_line;

-- Each order line's revenue and direct cost, by everything that finance asks for; ties to accounts 4000 and 5000.
CREATE VIEW sales_line AS
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

-- Costs that no order line causes are shared by revenue and shown apart. The shares are differences of rounded running
-- totals, so they add up; costs of a period without revenue stand in a row of their own.
CREATE VIEW profitability AS
WITH allocable AS (
    SELECT period, functional_currency_code,
        sum(functional_debit_amount - functional_credit_amount) AS amount
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
    WHERE account_type = 'expense' AND control_code <> '5000'
    GROUP BY period, functional_currency_code
), sales AS (
    SELECT period, functional_currency_code, product_category, product_id, customer_segment, customer_region,
        sales_channel, coalesce(sum(revenue_amount), 0) AS revenue_amount,
        coalesce(sum(direct_cost_amount), 0) AS direct_cost_amount
    FROM sales_line
    GROUP BY period, functional_currency_code, product_category, product_id, customer_segment, customer_region,
        sales_channel
), shared AS (
    SELECT *, sum(revenue_amount) OVER running AS reached,
        nullif(sum(revenue_amount) OVER (PARTITION BY period, functional_currency_code), 0) AS whole
    FROM sales
    WINDOW running AS (PARTITION BY period, functional_currency_code ORDER BY product_category, product_id,
        customer_segment, customer_region, sales_channel ROWS UNBOUNDED PRECEDING)
)
SELECT period, functional_currency_code, product_category, product_id, customer_segment, customer_region,
    sales_channel, revenue_amount, direct_cost_amount, revenue_amount - direct_cost_amount AS contribution_amount,
    coalesce(round(amount * reached / whole, 4) - round(amount * (reached - revenue_amount) / whole, 4), 0)
        AS allocated_cost_amount,
    revenue_amount - direct_cost_amount
        - coalesce(round(amount * reached / whole, 4) - round(amount * (reached - revenue_amount) / whole, 4), 0)
        AS profit_amount
FROM shared LEFT JOIN allocable USING (period, functional_currency_code)
UNION ALL
SELECT period, functional_currency_code, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, amount, -amount
FROM allocable
WHERE NOT EXISTS (SELECT FROM shared WHERE shared.period = allocable.period AND whole IS NOT NULL
                  AND shared.functional_currency_code = allocable.functional_currency_code);

-- Recognised in the period, and what is deferred at its end: contract and refund liabilities.
CREATE VIEW revenue_recognised AS
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
CREATE VIEW open_receivable AS
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

CREATE VIEW receivables_ageing AS
SELECT currency_code, bucket, count(*) AS items, sum(open_amount) AS open_amount
FROM open_receivable CROSS JOIN LATERAL (SELECT CASE
    WHEN due_date >= current_date THEN 'not due' WHEN current_date - due_date <= 30 THEN '1-30 days'
    WHEN current_date - due_date <= 60 THEN '31-60 days' WHEN current_date - due_date <= 90 THEN '61-90 days'
    ELSE 'over 90 days' END AS bucket) AS aged
GROUP BY currency_code, bucket;

-- Ordered and not yet recognised, line by line; `recognised_amount` is the ledger's. A return does not bring goods back
-- into the backlog. Amounts are in the order's currency, without tax. Source: IFRS 15.120.
CREATE VIEW backlog_line AS
WITH recognised AS (
    SELECT order_id, coalesce(line_id, '') AS line_id, sum(credit_amount - debit_amount) AS amount
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
    WHERE control_code IN ('4000', '4100', '4900') GROUP BY order_id, coalesce(line_id, '')
)
SELECT to_char(greatest(expected_date, current_date), 'YYYY-MM') AS expected_period, expected_date,
    coalesce(expected_date < current_date, false) AS is_overdue, currency_code, functional_currency_code,
    customer_segment, customer_region, sales_channel, customer_id, promised_line.order_id, order_version,
    promised_line.line_id, product_id, product_category, ordered_quantity,
    ordered_quantity - shipped_quantity AS backlog_quantity, ordered_amount, transferred_amount, returned_amount,
    coalesce(recognised.amount, 0) AS recognised_amount, ordered_amount - transferred_amount AS backlog_amount,
    tax_amount AS backlog_tax_amount,
    round((ordered_amount - transferred_amount) * exchange_rate, 4) AS functional_backlog_amount
FROM promised_line JOIN promised_order USING (order_id) LEFT JOIN recognised USING (order_id, line_id)
WHERE is_open AND ordered_amount <> transferred_amount;

CREATE VIEW backlog AS
SELECT expected_period, currency_code, functional_currency_code, customer_segment, count(DISTINCT order_id) AS orders,
    count(*) AS items, sum(backlog_amount) AS backlog_amount,
    sum(backlog_amount) FILTER (WHERE is_overdue) AS overdue_amount,
    sum(functional_backlog_amount) AS functional_backlog_amount
FROM backlog_line GROUP BY expected_period, currency_code, functional_currency_code, customer_segment;

-- Deferred and unbilled by order: what the totals of `revenue_recognised` consist of.
CREATE VIEW open_contract AS
SELECT order_id, currency_code, functional_currency_code,
    -sum(balance_amount) FILTER (WHERE control_code IN ('2100', '2150')) AS deferred_amount,
    sum(balance_amount) FILTER (WHERE control_code = '1250') AS unbilled_amount,
    -sum(functional_balance_amount) FILTER (WHERE control_code IN ('2100', '2150')) AS functional_deferred_amount,
    sum(functional_balance_amount) FILTER (WHERE control_code = '1250') AS functional_unbilled_amount
FROM order_balance JOIN account USING (account_code)
WHERE control_code IN ('1250', '2100', '2150')
GROUP BY order_id, currency_code, functional_currency_code
HAVING bool_or(balance_amount <> 0 OR functional_balance_amount <> 0);

-- How many days after the due date orders were paid in full, by customer where three or more of theirs were.
CREATE VIEW payment_delay AS
WITH paid AS (
    SELECT order_id, customer_id, max(posting_date) FILTER (WHERE control_code = '1200' AND credit_amount > 0) AS paid_on,
        max(due_date) AS due_date
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
    WHERE control_code = '1200'
    GROUP BY order_id, customer_id HAVING sum(debit_amount) = sum(credit_amount) AND max(due_date) IS NOT NULL
)
SELECT customer_id, count(*) AS orders, round(avg(paid_on - due_date))::integer AS days
FROM paid GROUP BY GROUPING SETS ((customer_id), ()) HAVING count(*) >= 3 OR GROUPING(customer_id) = 1;

-- What is still to come in: open receivables, and orders as far as they are neither billed nor paid (tax included, in
-- the month after the goods). `expected_date` is the due date moved by what the customer is usually late.
CREATE VIEW cash_forecast AS
WITH delay AS (
    SELECT customers.customer_id, coalesce(own.days, everyone.days, 0) AS days
    FROM (SELECT DISTINCT customer_id FROM journal_entry UNION SELECT customer_id FROM promised_order) AS customers
    LEFT JOIN payment_delay AS own ON own.customer_id = customers.customer_id
    LEFT JOIN (SELECT days FROM payment_delay WHERE customer_id IS NULL) AS everyone ON true
), unbilled AS (
    SELECT order_id, customer_id, currency_code, max(expected_date) AS expected_date,
        greatest(sum(backlog_amount + backlog_tax_amount) + coalesce(max(unbilled_amount), 0)
            - coalesce(max(deferred_amount), 0), 0) AS amount
    FROM backlog_line LEFT JOIN open_contract USING (order_id, currency_code)
    GROUP BY order_id, customer_id, currency_code
), coming AS (
    SELECT 'receivable' AS origin, order_id, customer_id, currency_code, due_date, open_amount AS amount
    FROM open_receivable
    UNION ALL
    SELECT 'backlog', order_id, customer_id, currency_code, greatest(expected_date, current_date) + 30, amount
    FROM unbilled WHERE amount > 0
)
SELECT origin, order_id, coming.customer_id, currency_code, due_date,
    greatest(due_date + coalesce(days, 0), current_date) AS expected_date, amount
FROM coming LEFT JOIN delay ON delay.customer_id IS NOT DISTINCT FROM coming.customer_id;

-- By month: received so far; receivables due then, overdue ones now; and what is forecast to come in.
CREATE VIEW cash_flow AS
SELECT period, currency_code, sum(received) AS received_amount, sum(due) AS due_amount, sum(forecast) AS forecast_amount
FROM (
    SELECT period, currency_code, debit_amount - credit_amount AS received, 0 AS due, 0 AS forecast
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
    WHERE cash_flow = 'cash'
    UNION ALL
    SELECT to_char(greatest(due_date, current_date), 'YYYY-MM'), currency_code, 0, open_amount, 0 FROM open_receivable
    UNION ALL
    SELECT to_char(expected_date, 'YYYY-MM'), currency_code, 0, 0, amount FROM cash_forecast
) AS moved
GROUP BY period, currency_code;

-- price + volume + mix = actual - budget, by product group and in total.
CREATE VIEW budget_variance AS
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

-- Each figure's detail against the accounts that it must come to, in functional currency where it says so.
CREATE VIEW planning_tie_out AS
WITH balance AS (
    SELECT control_code, account_type, cash_flow, currency_code, functional_currency_code,
        sum(debit_amount - credit_amount) AS amount, sum(functional_debit_amount - functional_credit_amount) AS functional
    FROM journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)
    GROUP BY control_code, account_type, cash_flow, currency_code, functional_currency_code
), told AS (
    SELECT 'revenue by order line' AS figure, functional_currency_code AS currency_code,
        sum(revenue_amount) AS figure_amount, 0 AS ledger_amount FROM sales_line GROUP BY 2
    UNION ALL SELECT 'revenue by order line', functional_currency_code, 0, -sum(functional) FROM balance
        WHERE control_code IN ('4000', '4100', '4900') GROUP BY 2
    UNION ALL SELECT 'direct cost by order line', functional_currency_code, sum(direct_cost_amount), 0
        FROM sales_line GROUP BY 2
    UNION ALL SELECT 'direct cost by order line', functional_currency_code, 0, sum(functional) FROM balance
        WHERE control_code = '5000' GROUP BY 2
    UNION ALL SELECT 'profit after allocated costs', functional_currency_code, sum(profit_amount), 0
        FROM profitability GROUP BY 2
    UNION ALL SELECT 'profit after allocated costs', functional_currency_code, 0, -sum(functional) FROM balance
        WHERE control_code IN ('4000', '4100', '4900') OR account_type = 'expense' GROUP BY 2
    UNION ALL SELECT 'deferred revenue by order', functional_currency_code, sum(functional_deferred_amount), 0
        FROM open_contract GROUP BY 2
    UNION ALL SELECT 'deferred revenue by order', functional_currency_code, 0, -sum(functional) FROM balance
        WHERE control_code IN ('2100', '2150') GROUP BY 2
    UNION ALL SELECT 'open receivables', currency_code, sum(open_amount), 0 FROM open_receivable GROUP BY 2
    UNION ALL SELECT 'open receivables', currency_code, 0, sum(amount) FROM balance
        WHERE control_code = '1200' GROUP BY 2
    UNION ALL SELECT 'cash received', currency_code, sum(received_amount), 0 FROM cash_flow GROUP BY 2
    UNION ALL SELECT 'cash received', currency_code, 0, sum(amount) FROM balance WHERE cash_flow = 'cash' GROUP BY 2
    UNION ALL SELECT 'recognised of the backlog''s lines', currency_code, sum(transferred_amount - returned_amount),
        sum(recognised_amount) FROM backlog_line GROUP BY 2
)
SELECT figure, currency_code, coalesce(sum(figure_amount), 0) AS figure_amount,
    coalesce(sum(ledger_amount), 0) AS ledger_amount,
    coalesce(sum(figure_amount), 0) - coalesce(sum(ledger_amount), 0) AS difference_amount
FROM told GROUP BY figure, currency_code;
