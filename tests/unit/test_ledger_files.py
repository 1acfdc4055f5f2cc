"""Contract files: those of the guide work as written, wrong ones are refused with their place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.commands.ledger import command
from deploy.ledger.contract_files import read_contract
from schemas.errors import ConfigurationError
from streams.rules.accounting.contract.journal import journal_of
from tests.unit.contract_books import accounts, by_account

GUIDE = Path(__file__).parents[2] / "deploy" / "guide" / "ledger.md"
CONTRACTS = {
    match.group(1): match.group(0).removeprefix("```toml\n")
    for match in re.finditer(r'```toml\ncontract = "(\w+)".*?(?=```)', GUIDE.read_text(), re.DOTALL)
}
REVENUE = {
    "returns": "-9700",
    "discount": "0",
    "volume": "-51750",
    "building": "-691200",
    "advance": "-4494",
    "points": "-95434",
    "dollars": "-100",
    "corrected": "-100",
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_contracts_of_the_guide(name: str, tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    file.write_text(CONTRACTS[name])
    found = by_account(journal_of(read_contract(file)).entries)
    assert found.get("4000", 0) == accounts(a4000=REVENUE[name])["4000"]


def test_every_contract_of_the_guide_is_known() -> None:
    assert CONTRACTS.keys() == REVENUE.keys()


def test_explain_prints_rule_paragraph_and_arithmetic(tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    file.write_text(CONTRACTS["returns"])
    shown = CliRunner().invoke(command, ["explain", str(file)]).output
    for text in ("IFRS 15.31", "transfer_of_control", "97 (100 less 3 expected back) / 100 = 9700.00", "Refund liab"):
        assert text in shown
    told = json.loads(CliRunner().invoke(command, ["explain", str(file), "--json"]).output)
    balances = {one["account_code"]: one["balance"] for one in told["balances"]}
    assert balances["4000"] == "-9700.00"
    assert told["allocation"] == {"product": "10000.00"}


def test_json_is_read_as_well(tmp_path: Path) -> None:
    file = tmp_path / "contract.json"
    obligation = {"name": "a", "unit_price": 0.1, "quantity": 3}
    happened = [{"type": "transfer", "on": "2026-01-02", "obligation": "a"}]
    file.write_text(
        json.dumps({"contract": "x", "signed_on": "2026-01-01", "obligations": [obligation], "events": happened})
    )
    assert by_account(journal_of(read_contract(file)).entries) == accounts(a1200="0.30", a4000="-0.30")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("contract = ", "cannot be read"),
        ('contract = "x"', "signed_on: Field required"),
        ('contract = "x"\nsigned_on = 2026-01-01\nobligations = [{ nam = "a" }]', "obligations.0.nam"),
        (
            'contract = "x"\nsigned_on = 2026-01-01\nobligations = [{ name = "a" }]\n'
            'bundles = [{ obligations = ["b"], price = 1 }]',
            "no obligation is named b",
        ),
    ],
)
def test_wrong_files_are_refused_with_their_place(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_contract(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.toml"):
        read_contract(tmp_path / "nothing.toml")
