"""The chart of accounts and which account of it takes what: from files, by product group and region."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from schemas.errors import ConfigurationError

_ANY = "*"
_ACCOUNT_COLUMNS = ("code", "name", "type", "normal_side", "control", "cash_flow")
_ASSIGNMENT_COLUMNS = ("control", "product_category", "customer_region", "account")


@dataclass(frozen=True, slots=True)
class Account:
    """One account; `control` is the account of the rules that it is a part of, mostly itself."""

    code: str
    name: str
    type: str
    normal_side: str
    control: str
    cash_flow: str


@dataclass(frozen=True, slots=True)
class ChartOfAccounts:
    """Accounts, and the assignment of what the rules post to them."""

    accounts: Mapping[str, Account]
    assignments: Mapping[tuple[str, str, str], str]
    """(control account, product group, region) to account; `*` is any group or region."""

    @classmethod
    def load(cls, accounts: Path | None = None, assignments: Path | None = None) -> ChartOfAccounts:
        """From the files named, otherwise those of the package.

        Raises:
            ConfigurationError: a file is missing or wrong; the message says where.
        """
        here = files("consumers.warehouse")
        chart = [Account(**row) for row in _rows(accounts or here / "accounts.csv", _ACCOUNT_COLUMNS)]
        assigned = _rows(assignments or here / "account_assignments.csv", _ASSIGNMENT_COLUMNS)
        known = {account.code: account for account in chart}
        for row in assigned:
            if missing := {row["control"], row["account"]} - known.keys():
                raise ConfigurationError(f"account {', '.join(sorted(missing))} is assigned and not in the chart")
            if known[row["account"]].control != row["control"]:
                raise ConfigurationError(
                    f"account {row['account']} takes postings of {row['control']}: name that as its control account"
                )
        return cls(
            known,
            {(row["control"], row["product_category"], row["customer_region"]): row["account"] for row in assigned},
        )

    def account_for(self, control: str, category: str | None, region: str | None) -> str:
        """The account that takes a posting of the rules: product group and region, group, region, else itself."""
        if not self.assignments:
            return control
        group, area = category or "", region or ""
        for key in ((group, area), (group, _ANY), (_ANY, area)):
            account = self.assignments.get((control, *key))
            if account is not None:
                return account
        return control


def _rows(source: Traversable | Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise ConfigurationError(f"chart of accounts {source}: {exc.strerror}") from exc
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != tuple(columns):
        raise ConfigurationError(f"chart of accounts {source}: its columns are {', '.join(columns)}")
    rows = list(reader)
    for number, row in enumerate(rows, 2):
        if None in row.values() or None in row:
            raise ConfigurationError(f"chart of accounts {source}, line {number}: {len(columns)} values are needed")
    return rows
