"""The backup policy: what a right one says, and the message for each wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from consumers.backup.policy import Policy, uncovered
from deploy.cli import run
from schemas.errors import ConfigurationError
from schemas.topics import CATALOGUE
from tests.unit.backup_people import policy_data

PLACES = [{"name": "a", "url": "file:///a"}, {"name": "b", "url": "s3://bucket/b"}]
ONE_KEY = policy_data()["encryption"]["recipients"]["restorer"]


def test_a_right_policy_is_read() -> None:
    policy = Policy.model_validate(policy_data(copies={"minimum": 2, "places": PLACES}))
    assert policy.continuous_topics == ("orders.events", "orders.state")
    assert policy.copies.places[1].url == "s3://bucket/b"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "Input should be 1"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
        ({"topics": [{"name": "orders.stat", "mode": "continuous"}]}, "orders.stat: no topic of the catalogue"),
        ({"topics": [{"name": "orders.state", "mode": "scheduled"}]}, "topics are backed up continuously"),
        (
            {"topics": [{"name": "orders.state", "mode": "scheduled", "every_hours": 1}]},
            "topics are backed up continuously",
        ),
        (
            {"topics": [{"name": "orders.state", "mode": "continuous", "every_hours": 1}]},
            "every_hours belongs to databases only",
        ),
        ({"databases": [{"name": "erp", "mode": "continuous"}]}, "how often the base backup of erp is taken"),
        ({"databases": [{"name": "crm", "mode": "scheduled", "every_hours": 24}]}, "crm: no database of ordersync"),
        ({"excluded": [{"name": "orders.state", "reason": "made anew from events"}]}, "named more than once"),
        ({"excluded": [{"name": "orders.parked", "reason": "no"}]}, "at least 10 characters"),
        ({"segments": {"max_age_seconds": 5}}, "cannot keep the recovery point objective of 5 s"),
        ({"copies": {"minimum": 3, "places": PLACES}}, "minimum is 3, but there are only 2 places"),
        ({"copies": {"places": [PLACES[0], PLACES[0]]}}, "two places have the same name: a"),
        ({"copies": {"places": [{"name": "a", "url": "/a"}]}}, "it begins with file:/// or s3://"),
        ({"encryption": {"recipients": {"restorer": ONE_KEY}}}, "at least 2"),
        ({"encryption": {"recipients": {"restorer": ONE_KEY, "escrow": ONE_KEY}}}, "the same key"),
        ({"encryption": {"recipients": {"restorer": ONE_KEY, "escrow": "age1x"}}}, "not an age public key"),
        ({"retention": {"keep_within_days": 0}}, "greater than or equal to 1"),
        ({"approved_by": []}, "at least 1"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_reason(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Policy.model_validate(policy_data(**changes))


def test_the_message_names_file_and_entry(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    with pytest.raises(ConfigurationError, match=r"backup policy .*No such file or directory; name one with --policy"):
        Policy.read(path)
    path.write_text("format = ")
    with pytest.raises(ConfigurationError, match=r"policy\.toml is not TOML"):
        Policy.read(path)
    path.write_text('format = 1\n[[topics]]\nname = "orders.state"\nmode = "sometimes"\n')
    with pytest.raises(ConfigurationError, match=r"topics\.0\.mode: Input should be 'continuous' or 'scheduled'"):
        Policy.read(path)


def test_the_example_of_the_guide_decides_on_every_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[2] / "deploy" / "guide" / "backup-policy.toml"
    assert run(["backup", "policy", "check", "--policy", str(example)]) == 0, capsys.readouterr().err
    assert run(["backup", "policy", "show", "--policy", str(example)]) == 0
    assert "orders.events" in capsys.readouterr().out


def test_every_database_needs_a_schedule_or_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[2] / "deploy" / "guide" / "backup-policy.toml"
    path = tmp_path / "policy.toml"
    databases = '[[databases]]\nname = "erp"\nmode = "scheduled"\nevery_hours = 24\n'
    path.write_text(example.read_text().split('[[excluded]]\nname = "erp"')[0] + databases)
    assert run(["backup", "policy", "check", "--policy", str(path)]) == 2
    assert "no policy for warehouse" in capsys.readouterr().err
    path.write_text(path.read_text() + '[[excluded]]\nname = "warehouse"\nreason = "written anew by its sink"\n')
    assert run(["backup", "policy", "check", "--policy", str(path)]) == 0


def test_datasets_without_a_policy_are_named() -> None:
    policy = Policy.model_validate(
        policy_data(
            databases=[{"name": "erp", "mode": "scheduled", "every_hours": 24}],
            excluded=[{"name": "orders.mismatches", "reason": "found anew by the next reconciliation"}],
        )
    )
    missing = uncovered(policy)
    assert {"orders.events", "orders.state", "erp", "orders.mismatches"}.isdisjoint(missing)
    assert set(missing) == (set(CATALOGUE) | {"warehouse"}) - {"orders.events", "orders.state", "orders.mismatches"}
