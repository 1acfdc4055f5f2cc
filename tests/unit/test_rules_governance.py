"""The governance file: what it changes, from when to when, and what is refused with which words."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.codec.fastpath import is_available
from schemas.errors import ConfigurationError
from schemas.topics import CUSTOMERS
from streams.engine import Engine
from streams.processing.processor import OrderProcessor, ProcessingPolicy
from streams.rules.enrichment import EnrichmentPolicy
from streams.rules.governance import rules_of
from streams.rules.ruleset import RuleSet, builtin_rules
from streams.settings import StreamsSettings
from tests.unit.order_lives import BEGIN, TWO_LINES, Item, Life, customer, order
from tests.unit.processing_desk import PARKED_FOR, Desk, codecs, known_master
from tests.unit.rule_cases import changed, with_line

HEAD = """
tenant = "acme"
version = "2026.4"
author = "ada"
approver = "grace"
approved_on = 2026-11-20
reason = "Winter"
"""
OWN = """
[[rules]]
code = "acme.bulk"
statement = "Nothing is sold in single pieces."
must = "line.quantity >= 2 and order.payable_amount >= 10"
message = "line {line.line_id}: {line.quantity} of {product.name} on {order.issue_date} ({order.note})"
field = "quantity"
owner = "crm"
reason = "Freight"
"""


def written(tmp_path: Path, text: str) -> RuleSet:
    path = tmp_path / "rules.toml"
    path.write_text(HEAD + text)
    return rules_of(path)


def desk_with(rules: RuleSet) -> Desk:
    desk = Desk(master=known_master())
    desk.processor = OrderProcessor(
        codecs(), desk.master, ProcessingPolicy(EnrichmentPolicy("EUR"), PARKED_FOR, "t", rules)
    )
    return desk


def test_without_a_file_rules_are_as_declared() -> None:
    assert rules_of(None) is builtin_rules()
    assert rules_of(None).version.startswith("builtin+")


def test_severity_and_parameters_change_for_a_time(tmp_path: Path) -> None:
    rules = written(
        tmp_path,
        """
        [[changes]]
        rule = "price.discount_limit"
        valid_from = 2026-11-21
        valid_until = 2026-12-01
        severity = "error"
        parameters = { most_percent = 10.5 }
        reason = "Less"
        """,
    )
    assert rules.version.startswith("acme-2026.4+")
    assert [edition.valid_from for edition in rules.editions] == [None, date(2026, 11, 21), date(2026, 12, 1)]
    # 3 x 9.99 = 29.97, of which 3.15 are 10.51 percent
    facts = with_line(
        allowance_total_amount=Decimal("3.15"), line_extension_amount=Decimal("26.82"), tax_amount=Decimal("5.10")
    )
    for days, refused in ((-1, []), (0, [["price.discount_limit"]]), (9, [["price.discount_limit"]]), (10, [])):
        desk, event = desk_with(rules), Life().ordered(facts)
        desk.take(event.model_copy(update={"committed_at": BEGIN + timedelta(days=days)}))
        assert desk.refused_rules() == refused
        assert [rejection.rules_version for rejection in desk.rejections()] == [rules.version] * len(refused)


def test_rule_that_is_off_says_nothing(tmp_path: Path) -> None:
    rules = written(tmp_path, '[[changes]]\nrule = "order.payable_total"\nenabled = false\nreason = "Migration"\n')
    desk = desk_with(rules)
    desk.take(Life().ordered(changed(payable_amount=Decimal(1))))
    assert desk.rejections() == [] and desk.state() is not None


def test_sets_of_texts_come_from_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "listed.txt").write_text("# of today\nCustomer C1 Ltd # an alias\n\n", encoding="utf-8")
    rules = written(
        tmp_path,
        '[[changes]]\nrule = "customer.sanctioned"\nreason = "List"\nparameters = { names = { file = "listed.txt" } }',
    )
    desk = desk_with(rules)
    desk.take(Life().ordered(order()))
    assert desk.refused_rules() == [["customer.sanctioned"]]


def test_own_rule_names_each_line_that_violates_it(tmp_path: Path) -> None:
    desk = desk_with(written(tmp_path, OWN))
    desk.take(
        Life().ordered(order([Item("1", "P1", "1", "9.99"), Item("2", "P2", "2", "20"), Item("3", "P2", "1", "9")]))
    )
    [rejection] = desk.rejections()
    assert [(one.rule, one.message, one.field) for one in rejection.violations] == [
        ("acme.bulk", "line 1: 1 of Product P1 on 2026-11-21 (nothing)", "quantity"),
        ("acme.bulk", "line 3: 1 of Product P2 on 2026-11-21 (nothing)", "quantity"),
    ]


def test_own_rule_waits_for_the_records_that_it_speaks_of(tmp_path: Path) -> None:
    text = OWN.replace("line.quantity >= 2", "product.category == 'x'")
    desk = desk_with(written(tmp_path, text))
    desk.take(Life().ordered(order([Item("1", "LATE", "1", "9.99")])))
    assert desk.rejections() == [] and desk.parked() is not None


@pytest.mark.skipif(not is_available, reason="the native codec is not built on this machine")
def test_fast_path_stays_open_with_a_file_and_judges_by_its_dates(tmp_path: Path) -> None:
    rules = written(tmp_path, OWN)
    desk = desk_with(rules)
    assert desk.processor._plain.begin(BEGIN)
    event = Life().ordered(order(TWO_LINES))
    for committed_at, is_plain in ((BEGIN, True), (BEGIN - timedelta(days=2), False)):
        record = desk.record(event.model_copy(update={"committed_at": committed_at}))
        assert record.key is not None and record.value is not None
        assert (desk.processor._plain.first_version(record.key, record.value) is not None) is is_plain
    single = desk.record(Life().ordered(order([Item("1", "P1", "1", "9.99")])))
    assert single.key is not None and single.value is not None
    assert desk.processor._plain.first_version(single.key, single.value) is None


def test_version_follows_from_what_the_file_says(tmp_path: Path) -> None:
    one, other = written(tmp_path, OWN), written(tmp_path, OWN.replace(">= 2", ">= 3"))
    assert one.version != other.version
    assert one.version == written(tmp_path, OWN).version


@pytest.mark.skipif(not is_available, reason="the native codec is not built on this machine")
def test_long_texts_keep_the_fast_path_open(tmp_path: Path) -> None:
    text = "parameters = { segments = ['public', 'municipal administrations and schools'] }"
    rules = written(tmp_path, f'[[changes]]\nrule = "customer.reference_required"\nreason = "Law"\n{text}\n')
    desk = desk_with(rules)
    desk.master.put(CUSTOMERS, customer().model_copy(update={"segment": "municipal administrations and schools"}))
    assert desk.processor._plain.begin(BEGIN)
    for reference, is_plain in (("PO 7", True), (None, False)):
        record = desk.record(Life().ordered(changed(customer_reference=reference)))
        assert record.key is not None and record.value is not None
        assert (desk.processor._plain.first_version(record.key, record.value) is not None) is is_plain


CHANGE = '[[changes]]\nrule = "price.list_tolerance"\nreason = "Because"\n'
WRONG = [
    (
        "[[changes]]\nrule = 'x.y'\nreason = 'abc'\n",
        "changes\\[0\\]: there is no rule 'x.y'; see `ordersync rules list`",
    ),
    (CHANGE + "parameters = { percent = 1 }\n", "has no parameter 'percent'; it has tolerance_percent"),
    (CHANGE + "parameters = { tolerance_percent = ['a'] }\n", "tolerance_percent is a number"),
    (
        "[[changes]]\nrule = 'price.minimum_margin'\nreason = 'abc'\nparameters = { least_percent = 0.1234567 }\n",
        "rules.toml: .* decimals",
    ),
    (CHANGE + "severity = 'fatal'\n", "changes\\[0\\].severity: Input should be 'error' or 'warning'"),
    (CHANGE + "colour = 'red'\n", "changes\\[0\\].colour: Extra inputs"),
    (CHANGE + "valid_from = 2026-11-19\n", "valid_from 2026-11-19 is before the approval of 2026-11-20"),
    (CHANGE + "valid_until = 2026-11-20\n", "valid_until 2026-11-20 is not after 2026-11-20"),
    (CHANGE + CHANGE, "price.list_tolerance is changed twice at a time"),
    ("[[changes]]\nrule = 'customer.sanctioned'\nreason = 'abc'\nparameters = {names = {file = 'no.txt'}}\n", "no.txt"),
    ("[[changes]]\nrule = 'customer.sanctioned'\nreason = 'abc'\nparameters = {names = 3}\n", "names is a list"),
    (OWN.replace("acme.bulk", "other.bulk"), "begins with 'acme'"),
    (OWN.replace("line.quantity >= 2", "line.colour == 'red'"), "line.colour is no attribute"),
    (OWN.replace("line.quantity >= 2", "line.quantity >="), "is no condition"),
    (OWN.replace("line.quantity >= 2", "vendor.name == 'x'"), "'vendor' is unknown"),
    (OWN.replace("{line.line_id}", "{line.colour}"), "{line.colour} is no attribute"),
    (OWN.replace("{line.line_id}", "{line.line_id:>9}"), "is no attribute"),
    (OWN.replace("{line.line_id}", "{"), "message"),
    (OWN.replace("line.quantity >= 2", "order.payable_amount > 2"), "quotes a line, and the condition speaks of none"),
    (OWN.replace('owner = "crm"\n', ""), "rules\\[0\\].owner: Field required"),
    ("approver = 7", "is no TOML"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_wrong_files_are_refused_with_place_and_mend(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        written(tmp_path, text)
    assert "rules.toml" in str(caught.value) or "no.txt" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        ('approver = "grace"\n', "", "is not approved: it has no approver"),
        ('approver = "grace"', 'approver = ""', "is not approved"),
        ('approver = "grace"', 'approver = "ada"', "ada is author and approver"),
        ("approved_on = 2026-11-20\n", "", "approved_on: Field required"),
    ],
)
def test_unapproved_files_are_refused(tmp_path: Path, line: str, instead: str, message: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(HEAD.replace(line, instead))
    with pytest.raises(ConfigurationError, match=message):
        rules_of(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ORDERSYNC_RULES_FILE"):
        rules_of(tmp_path / "none.toml")


def test_worker_does_not_start_with_a_file_that_is_not_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(HEAD.replace('approver = "grace"', 'approver = "ada"'))
    monkeypatch.setenv("ORDERSYNC_RULES_FILE", str(path))
    settings = StreamsSettings.load()
    with pytest.raises(ConfigurationError, match="another has to approve"):
        Engine(settings, lambda: pytest.fail("nothing is written"))
