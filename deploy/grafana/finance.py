"""Finance: recognised, deferred, owed, and the ratios that are looked at first; in the functional currency."""

from __future__ import annotations

from deploy.grafana.declarations import Dashboard, Panel, Query, Shape


def _balance(account: str, sign: str = "") -> str:
    return f'{sign}sum by (currency) (ordersync_ledger_balance{{account="{account}"}})'


_BY_PERIOD = "{{period}} {{currency}}"

FINANCE = Dashboard(
    "finance",
    "Finance",
    "What is recognised, deferred and owed, and do debits equal credits?",
    (
        Panel(
            "Ledger imbalance",
            "Debits less credits; anything but 0 is an alarm.",
            (Query("round(sum by (currency) (ordersync_ledger_balance), 0.01)", "{{currency}}"),),
            "short",
            Shape.FIGURE,
        ),
        Panel(
            "Deferred revenue",
            "What customers have paid or owe for what they have not received (contract liabilities)?",
            (Query(_balance("2100", "0 - "), "{{currency}}"),),
            "short",
            Shape.FIGURE,
        ),
        Panel(
            "Receivables",
            "What do customers owe?",
            (Query(_balance("1200"), "{{currency}}"),),
            "short",
            Shape.FIGURE,
        ),
        Panel(
            "Age of these figures",
            "When was the ledger read?",
            (Query("time() - max(ordersync_ledger_figures_timestamp_seconds)"),),
            "s",
            Shape.FIGURE,
            300,
        ),
        Panel(
            "Recognised revenue by period",
            "Net sales: revenue and shipping less returns.",
            (Query("max by (period, currency) (ordersync_ledger_net_sales)", _BY_PERIOD),),
            shape=Shape.BARS,
        ),
        Panel(
            "Net income by period",
            "Income less expenses.",
            (Query("max by (period, currency) (ordersync_ledger_net_income)", _BY_PERIOD),),
            shape=Shape.BARS,
        ),
        Panel(
            "Net income to sales",
            "What remains of each unit of sales?",
            (
                Query(
                    "max by (period, currency) (ordersync_ledger_net_income) "
                    "/ (max by (period, currency) (ordersync_ledger_net_sales) != 0)",
                    _BY_PERIOD,
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Operating cash flow to sales",
            "How much of sales has become cash?",
            (
                Query(
                    "max by (period, currency) (ordersync_ledger_operating_cash_flow) "
                    "/ (max by (period, currency) (ordersync_ledger_net_sales) != 0)",
                    _BY_PERIOD,
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Gross margin",
            "Sales less cost of goods sold, to sales.",
            (
                Query(
                    "1 - max by (period, currency) (ordersync_ledger_cost_of_sales) "
                    "/ (max by (period, currency) (ordersync_ledger_net_sales) != 0)",
                    _BY_PERIOD,
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Balance by account",
            "Debits less credits of every account.",
            (Query("sum by (account, account_name) (ordersync_ledger_balance)", "{{account}} {{account_name}}"),),
            shape=Shape.BARS,
        ),
        Panel(
            "Imbalance by the proof",
            "Debits less credits in the documents' currencies, measured by the reconciliation.",
            (Query("sum by (currency) (ordersync_ledger_imbalance)", "{{currency}}"),),
        ),
    ),
)
