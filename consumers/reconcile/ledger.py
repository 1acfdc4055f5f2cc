"""Reads what the general ledger shows of each order, and whether it balances as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from time import monotonic
from typing import Any, Final

from psycopg import sql

from consumers.reconcile.attributes import Attributes
from consumers.reconcile.invariants import Balance, Measure, attributes_of
from consumers.reconcile.rows import Row, Snapshots, snapshot, text_array
from schemas.settings import DatabaseSettings

# Measures by their accounts; what has a credit balance is turned round.
_DEBIT = {
    Measure.CASH: ("1000",),
    Measure.COST_OF_GOODS_SOLD: ("5000",),
    Measure.RECEIVABLE: ("1200",),
    Measure.CUSTOMER: ("1200", "1250", "2100"),
}
_CREDIT = {Measure.REVENUE: ("4000",), Measure.SHIPPING_REVENUE: ("4100",), Measure.TAX_PAYABLE: ("2200",)}
_CONTRACT_LIABILITIES = "2100"

_BY_ORDER = (
    (Measure.IMBALANCE, "sum(debit_amount - credit_amount)"),
    *(
        (measure, f"sum({sign}) FILTER (WHERE control_code IN ({', '.join(map(repr, accounts))}))")
        for sign, measures in (("debit_amount - credit_amount", _DEBIT), ("credit_amount - debit_amount", _CREDIT))
        for measure, accounts in measures.items()
    ),
    (
        Measure.OVERDRAWN,
        f"greatest(sum(debit_amount - credit_amount) FILTER (WHERE control_code = {_CONTRACT_LIABILITIES!r}), 0)",
    ),
)
OF_NO_ORDER = ("journal_file", "return_estimate", "expected_recovery")
"""Rules of entries that no order leads to: journal files, and expected returns of whole product groups."""
_FUNCTIONAL = "sum(functional_debit_amount - functional_credit_amount)"
_LINES = "journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)"
_NOTHING: Final = Decimal("0.0000")
_OF_ALL: Final = "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"
_CURRENCIES: Final = sql.SQL("SELECT DISTINCT currency_code, functional_currency_code FROM journal_entry").format()
_CURRENCIES_SECONDS: Final = 300.0
"""How long the list of currencies is used: to make it reads every entry."""
_GROUP = "hashtextextended(entry_id, 0) & 63"
_UNBALANCED_GROUPS: Final = sql.SQL(
    "SELECT {} FROM journal_line GROUP BY 1 HAVING sum(debit_amount) <> sum(credit_amount) "
    "OR sum(functional_debit_amount) <> sum(functional_credit_amount)"
).format(sql.SQL(_GROUP))
"""Entries balance one by one, so those that do not show in groups of some entries too."""
_IMBALANCES: Final = sql.SQL(
    "SELECT currency_code, functional_currency_code, sum(debit_amount - credit_amount), {} "
    "FROM journal_line JOIN journal_entry USING (entry_id, period) WHERE ({}) = ANY({}) GROUP BY 1, 2"
)


class LedgerReader:
    """The ledger's journal; each call is one read-only transaction."""

    def __init__(self, settings: DatabaseSettings, snapshots: Snapshots = snapshot) -> None:
        self._settings, self._snapshots = settings, snapshots
        self._currencies: list[Row] = []
        self._currencies_read_at = 0.0

    def orders(self, order_ids: Sequence[str] | None = None) -> Iterator[tuple[str, Attributes]]:
        """The balances of every order that has any, or of `order_ids`, sorted by id; streaming.

        Raises:
            ConfigurationError: a table or column is missing, or the role may not read it.
            Transient: the ledger's database is away.
        """
        where: sql.Composable = sql.SQL("true")
        if order_ids is not None:
            where = sql.SQL("order_id = ANY({})").format(text_array(order_ids))
        measures = sql.SQL(", ").join([sql.SQL(text) for text in (_FUNCTIONAL, *(text for _, text in _BY_ORDER))])
        query = sql.SQL(
            'SELECT (order_id COLLATE "C"), currency_code, functional_currency_code, {} FROM {} WHERE {} '
            "AND rule <> ALL({}) GROUP BY 1, 2, 3 ORDER BY 1"
        ).format(measures, sql.SQL(_LINES), where, text_array(OF_NO_ORDER))
        with self._snapshots(self._settings) as ledger:
            for order_id, rows in groupby(
                ledger.rows(query, ["journal_entry", "journal_line", "account"]), key=itemgetter(0)
            ):
                balances = _balances(rows)
                if balances:
                    yield order_id, balances

    def entries_among(self, entry_ids: Sequence[str]) -> set[str]:
        """Which of these journal entries the ledger holds.

        Raises:
            ConfigurationError: a table or column is missing, or the role may not read it.
            Transient: the ledger's database is away.
        """
        query = sql.SQL("SELECT entry_id FROM journal_entry WHERE entry_id = ANY({})").format(text_array(entry_ids))
        with self._snapshots(self._settings) as ledger:
            return {entry_id for (entry_id,) in ledger.rows(query, ["journal_entry"])}

    def imbalances(self) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
        """Debits less credits of the whole ledger, by document currency and by functional currency.

        0 for each currency that balances; one that came in the last minutes may be left out while it does.

        Raises:
            ConfigurationError: a table or column is missing, or the role may not read it.
            Transient: the ledger's database is away.
        """
        document: dict[str, Decimal] = defaultdict(Decimal)
        functional: dict[str, Decimal] = defaultdict(Decimal)
        with self._snapshots(self._settings) as ledger:
            if not self._currencies or monotonic() - self._currencies_read_at > _CURRENCIES_SECONDS:
                self._currencies = ledger.all_rows(_CURRENCIES, ["journal_entry"], _OF_ALL)
                self._currencies_read_at = monotonic()
            for currency, functional_currency in self._currencies:
                document[currency], functional[functional_currency] = _NOTHING, _NOTHING
            groups = [group for (group,) in ledger.all_rows(_UNBALANCED_GROUPS, ["journal_line"], _OF_ALL)]
            # Which currency a line is in, only its entry knows: asked for few lines at most.
            query = _IMBALANCES.format(sql.SQL(_FUNCTIONAL), sql.SQL(_GROUP), sql.Literal(groups))
            for currency, functional_currency, difference, functional_difference in (
                ledger.all_rows(query, ["journal_line"], _OF_ALL) if groups else ()
            ):
                document[currency] += difference
                functional[functional_currency] += functional_difference
        return dict(document), dict(functional)


def _balances(rows: Iterator[tuple[Any, ...]]) -> Attributes:
    """One row for each pair of currencies, to the balances of the order."""
    balances: dict[Balance, Decimal] = defaultdict(Decimal)
    for _, currency, functional_currency, functional_imbalance, *amounts in rows:
        for (measure, _), amount in zip(_BY_ORDER, amounts, strict=True):
            if amount:
                balances[Balance(measure, currency)] += amount
        balances[Balance(Measure.FUNCTIONAL_IMBALANCE, functional_currency)] += functional_imbalance
    return attributes_of(balances)
