"""The accounting rules: each with its name, the paragraph that it rests on, and what it says in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountingRule:
    """A rule's name, the paragraph that it rests on, and what it says in words."""

    name: str
    standard_reference: str
    description: str


# Live orders and contracts
TRANSFER_OF_CONTROL = AccountingRule("transfer_of_control", "IFRS 15.31", "Control of goods passed to the customer")
COST_OF_SALES = AccountingRule("cost_of_sales", "IAS 2.34", "Cost of the goods transferred")
BILLING = AccountingRule("billing", "IFRS 15.108", "Right to consideration became unconditional by invoice")
CASH_RECEIPT = AccountingRule("cash_receipt", "IFRS 15.106", "Consideration received or refunded")
SETTLEMENT = AccountingRule("settlement", "IFRS 15.105", "What is due or received meets what was transferred")

# Contracts only
INCEPTION = AccountingRule("inception", "IFRS 15.73-86", "Price allocated; a promise alone moves no account")
OVER_TIME = AccountingRule("over_time", "IFRS 15.39", "Progress towards a performance obligation satisfied over time")
COSTS_INCURRED = AccountingRule("costs_incurred", "IFRS 15.98", "Costs of a satisfied part are an expense")
COST_RECOVERY = AccountingRule("cost_recovery", "IFRS 15.45", "Outcome not measurable: revenue up to the costs")
RETURN_ESTIMATE = AccountingRule("return_estimate", "IFRS 15.B23", "Expected returns were estimated anew")
EXPECTED_RECOVERY = AccountingRule("expected_recovery", "IFRS 15.B25", "Right to recover goods expected back")
ACTUAL_RETURN = AccountingRule("actual_return", "IFRS 15.B21", "Goods came back: refund owed, goods recovered")
PRICE_CHANGE = AccountingRule("price_change", "IFRS 15.87-88", "Transaction price changed: cumulative catch-up")
VOLUME_REBATE = AccountingRule("volume_rebate", "IFRS 15.87", "Expected volume, and with it the unit price, changed")
RESOLUTION = AccountingRule("resolution", "IFRS 15.59", "Variable consideration became certain")
ROYALTY = AccountingRule("royalty", "IFRS 15.B63", "Sales- or usage-based royalty, when the sale or usage occurs")
BREAKAGE = AccountingRule("breakage", "IFRS 15.B46", "Expected exercise of customers' rights was estimated anew")
SEPARATE_CONTRACT = AccountingRule("modification_separate", "IFRS 15.20", "Modification is a contract of its own")
PROSPECTIVE = AccountingRule("modification_prospective", "IFRS 15.21(a)", "Rest of the contract begins anew")
CATCH_UP = AccountingRule("modification_catch_up", "IFRS 15.21(b)", "Progress and price adjusted cumulatively")
CANCELLATION = AccountingRule("cancellation", "IFRS 15.21", "What was not yet transferred is no longer promised")
CONCESSION = AccountingRule("price_concession", "IFRS 15.52", "Part of the price was waived")
CREDIT_NOTE = AccountingRule("credit_note", "IFRS 15.108", "Amount due was lowered")
AMOUNT_DUE = AccountingRule("amount_due", "IFRS 15.108", "Non-cancellable amount became due")
REFUND = AccountingRule("refund", "IFRS 15.55", "Consideration given back")
PAID_TO_CUSTOMER = AccountingRule("consideration_payable", "IFRS 15.70", "Paid to the customer: lowers the price")
FINANCING = AccountingRule("financing", "IFRS 15.60", "Interest of the significant financing component")
CREDIT_LOSS = AccountingRule("expected_credit_loss", "IFRS 9.5.5.15", "Lifetime expected credit losses")
WRITE_OFF = AccountingRule("write_off", "IFRS 9.5.4.4", "No reasonable expectation of recovering the receivable")
REMEASUREMENT = AccountingRule("remeasurement", "IAS 21.28", "Monetary items at the closing rate")
BILL_AND_HOLD = AccountingRule("bill_and_hold", "IFRS 15.B79-B82", "Customer controls goods that are still here")
CONSIGNMENT = AccountingRule("consignment", "IFRS 15.B77", "Goods are at a dealer and still controlled here")
IN_TRANSIT = AccountingRule("in_transit", "IFRS 15.38", "Goods left; the delivery term lets control pass later")
REPURCHASE = AccountingRule("repurchase", "IFRS 15.B66-B68", "Goods may be bought back: a financing arrangement")
REPURCHASE_INTEREST = AccountingRule("repurchase_interest", "IFRS 15.B68", "Liability grows to the repurchase price")
CONTRACT_COST = AccountingRule("contract_cost", "IFRS 15.91-95", "Costs of obtaining or fulfilling capitalised")
AMORTISATION = AccountingRule("contract_cost_amortisation", "IFRS 15.99", "Contract costs amortised")
WARRANTY_CLAIM = AccountingRule("warranty_claim", "IAS 37.61", "Cost of a claim, provided for when the goods were sold")
PERIOD_CLOSED = AccountingRule("period_closed", "IAS 8.42", "Period closed: later entries about it go to the open one")
CORRECTION = AccountingRule("correction", "IAS 8.42", "A wrong entry is reversed and posted anew")
