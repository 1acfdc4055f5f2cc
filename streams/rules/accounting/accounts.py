"""The accounts that the rules post to; the warehouse's chart says what they are called and may divide them further."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CASH = "1000"
NONCASH_CONSIDERATION = "1100"
TRADE_RECEIVABLES = "1200"
LOSS_ALLOWANCE = "1210"
CONTRACT_ASSETS = "1250"
CONSIDERATION_PAID_TO_CUSTOMERS = "1260"
INVENTORY = "1300"
INVENTORY_ON_CONSIGNMENT = "1310"
RIGHT_TO_RECOVER_GOODS = "1350"
CONTRACT_COSTS = "1400"
ACCRUED_COSTS = "2050"
CONTRACT_LIABILITIES = "2100"
REFUND_LIABILITIES = "2150"
TAX_PAYABLE = "2200"
PAYABLE_TO_PRINCIPALS = "2300"
WARRANTY_PROVISIONS = "2400"
REPURCHASE_LIABILITIES = "2450"
REVENUE = "4000"
SHIPPING_REVENUE = "4100"
COST_OF_GOODS_SOLD = "5000"
WARRANTY_EXPENSE = "5100"
CONTRACT_COST_AMORTISATION = "5200"
IMPAIRMENT_LOSSES = "5400"
INTEREST_INCOME = "7000"
INTEREST_EXPENSE = "7100"
EXCHANGE_DIFFERENCES = "7200"

ACCOUNT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        CASH: "Cash",
        NONCASH_CONSIDERATION: "Non-cash consideration received",
        TRADE_RECEIVABLES: "Trade receivables",
        LOSS_ALLOWANCE: "Loss allowance on receivables",
        CONTRACT_ASSETS: "Contract assets",
        CONSIDERATION_PAID_TO_CUSTOMERS: "Consideration paid to customers",
        INVENTORY: "Inventory",
        INVENTORY_ON_CONSIGNMENT: "Inventory on consignment",
        RIGHT_TO_RECOVER_GOODS: "Right to recover returned goods",
        CONTRACT_COSTS: "Costs of obtaining and fulfilling contracts",
        ACCRUED_COSTS: "Accrued costs",
        CONTRACT_LIABILITIES: "Contract liabilities",
        REFUND_LIABILITIES: "Refund liabilities",
        TAX_PAYABLE: "Tax payable",
        PAYABLE_TO_PRINCIPALS: "Payable to principals",
        WARRANTY_PROVISIONS: "Warranty provisions",
        REPURCHASE_LIABILITIES: "Repurchase liabilities",
        REVENUE: "Revenue",
        SHIPPING_REVENUE: "Shipping revenue",
        COST_OF_GOODS_SOLD: "Cost of goods sold",
        WARRANTY_EXPENSE: "Warranty expense",
        CONTRACT_COST_AMORTISATION: "Amortisation of contract costs",
        IMPAIRMENT_LOSSES: "Impairment losses on receivables",
        INTEREST_INCOME: "Interest income",
        INTEREST_EXPENSE: "Interest expense",
        EXCHANGE_DIFFERENCES: "Exchange differences",
    }
)
