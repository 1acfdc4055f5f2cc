"""Who may ask, who may decide, what an approval covers, and when it is over: from the policy and the audit alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.audit.approvals import (
    APPROVED,
    REJECTED,
    REQUESTED,
    USED,
    Request,
    State,
    content_hash,
    requests_of,
    subject_of,
)
from deploy.audit.policy import VARIABLE, ApprovalPolicy, Kind, Person, is_same_person
from deploy.cli import run
from deploy.console.people.roles import Role
from schemas.audit_chain import Actor, Deed, Identity, begin_chain, chained
from schemas.errors import ConfigurationError
from schemas.models import AuditEvent

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
POLICY = """
version = "7"
expires_hours = 2

[people]
"ada@ops" = "operator"

[deeds.repair]
two_people = true
ask = ["operator"]
approve = ["finance", "admin"]
"""


def told(actor: str, action: str, reference: str, *, kind: Kind = Kind.REPAIR, audit_id: str = "x") -> Deed:
    return Deed(actor, action, subject_of(kind), reference, "why", audit_id=audit_id)


def asked(actor: str = "ada", audit_id: str = "r1") -> Deed:
    return told(actor, REQUESTED, "c0ffee", audit_id=audit_id)


def requests(*deeds: Deed) -> dict[str, Request]:
    events, _ = chained(begin_chain("console"), deeds, NOW)
    return requests_of(events)


def test_request_is_approved_by_another_and_serves_once() -> None:
    found = requests(asked(), told("grace", APPROVED, "r1"))["r1"]
    assert (found.state, found.decider, found.content, found.kind) == (State.APPROVED, "grace", "c0ffee", Kind.REPAIR)
    used = requests(
        asked(),
        told("grace", APPROVED, "r1"),
        told("ada", USED, "r1", audit_id="u1"),
        told("ada", USED, "r1", audit_id="u2"),
    )["r1"]
    assert (used.state, used.use_id) == (State.USED, "u1")


@pytest.mark.parametrize("name", ["ada", "Ada", "ada@ops", "ADA@elsewhere"])
def test_nobody_approves_what_they_asked_for_even_past_the_commands(name: str) -> None:
    assert requests(asked("ada"), told(name, APPROVED, "r1"))["r1"].state is State.WAITS
    assert is_same_person("ada", name) and not is_same_person("ada", "adam")


def test_first_decision_counts_and_what_was_not_approved_cannot_be_used() -> None:
    assert requests(asked(), told("eve", REJECTED, "r1"), told("grace", APPROVED, "r1"))["r1"].state is State.REJECTED
    assert requests(asked(), told("grace", APPROVED, "r1"), told("eve", REJECTED, "r1"))["r1"].state is State.APPROVED
    assert requests(asked(), told("ada", USED, "r1"))["r1"].state is State.WAITS
    assert requests(told("grace", APPROVED, "r1"), asked())["r1"].state is State.WAITS
    other_kind = told("grace", APPROVED, "r1", kind=Kind.PROMOTION)
    assert requests(asked(), other_kind)["r1"].state is State.WAITS
    assert requests(asked(), told("grace", APPROVED, "r1"), asked("eve"))["r1"].requester == "ada"


def test_approval_is_over_when_its_time_is_and_a_used_one_stays_used() -> None:
    found = requests(asked(), told("grace", APPROVED, "r1"))["r1"]
    assert found.at(NOW + timedelta(hours=2), 2).state is State.APPROVED
    assert found.at(NOW + timedelta(hours=2, seconds=1), 2).state is State.EXPIRED
    used = requests(asked(), told("grace", APPROVED, "r1"), told("ada", USED, "r1"))["r1"]
    assert used.at(NOW + timedelta(days=9), 2).state is State.USED


def test_content_is_bound_to_each_part_their_order_and_the_kind() -> None:
    contents = {
        content_hash(kind, parts)
        for kind in (Kind.REPAIR, Kind.PROMOTION)
        for parts in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""], [])
    }
    assert len(contents) == 10


def test_other_events_of_the_audit_are_no_requests() -> None:
    strange: list[AuditEvent] = chained(begin_chain("x"), [Deed("ada", REQUESTED, "approval/dance", "c")], NOW)[0]
    assert requests_of(strange) == {}


def test_policy_is_read_and_without_a_file_one_person_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not any(ApprovalPolicy.of(tmp_path).terms(kind).two_people for kind in Kind)
    (tmp_path / "approvals.toml").write_text(POLICY)
    policy = ApprovalPolicy.of(tmp_path)
    assert policy.terms(Kind.REPAIR).approve == {Role.FINANCE, Role.ADMIN}
    assert not policy.terms(Kind.PROMOTION).two_people
    assert (policy.version, policy.people, len(policy.digest)) == ("7", {"ada@ops": Role.OPERATOR}, 64)
    other = tmp_path / "other.toml"
    other.write_text('version = "8"')
    monkeypatch.setenv(VARIABLE, str(other))
    assert ApprovalPolicy.of(tmp_path).version == "8"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "needs a `version`"),
        ('version = "1"\ndigest = "0"', "has no `digest`"),
        ('version = "1"\n[deeds.dance]\ntwo_people = true', "dance"),
        ('version = "1"\n[deeds.repair]\ntwo_people = true', "name the roles"),
        ('version = "1"\n[deeds.repair]\ntwo_people = true\nask = ["king"]\napprove = ["admin"]', "ask"),
        ('version = "1"\nexpires_hours = 0', "expires_hours"),
        ('version = "1"\nidentified_by = ["rumour"]', "identified_by"),
        ('version = "1"\n[people]\nada = "king"', "people"),
        ("version = ", "cannot be read"),
    ],
)
def test_policy_that_cannot_be_meant_is_refused(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=why):
        ApprovalPolicy.load(path)


def test_policy_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert run(["approvals", "policy", "--home", str(tmp_path)]) == 0
    assert "policy none" in capsys.readouterr().out
    (tmp_path / "approvals.toml").write_text(POLICY)
    assert run(["approvals", "policy", "--home", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "admin, finance" in out and "policy 7" in out and "2 h" in out
    assert run(["approvals", "policy", "--json", "--home", str(tmp_path)]) == 0
    assert '"two_people":true' in capsys.readouterr().out


def person(name: str, role: Role | None, known_by: Identity = Identity.SIGN_IN) -> Person:
    return Person(actor=Actor(name, known_by), role=role)


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (person("ada", Role.FINANCE), "somebody other"),
        (person("ADA@ops", Role.ADMIN), "somebody other"),
        (person("bob", Role.OPERATOR), "is operator and may not decide about repair"),
        (person("eve", Role.VIEWER), "is viewer and may not decide"),
        (person("mallory", None), "has no role"),
        (person("grace", Role.FINANCE, Identity.STATED), "known only by `stated`"),
        (person("shop", Role.ADMIN, Identity.CREDENTIAL), "known only by `credential`"),
        (person("grace", Role.FINANCE), None),
        (person("grace@ops", Role.ADMIN, Identity.SYSTEM_USER), None),
    ],
)
def test_who_may_decide_what_ada_asked_for(who: Person, why: str | None, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    policy = ApprovalPolicy.load(tmp_path / "policy.toml")
    assert policy.may_decide(Kind.REPAIR, "ada", who) == (why is None)
    if why is not None:
        with pytest.raises(ConfigurationError, match=why):
            policy.require_may_decide(Kind.REPAIR, "ada", who)


def test_who_may_ask(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    policy = ApprovalPolicy.load(tmp_path / "policy.toml")
    policy.require_may_ask(Kind.REPAIR, policy.person(Actor("ada@ops", Identity.SYSTEM_USER)))
    for who in (person("eve", Role.VIEWER), person("grace", Role.FINANCE), policy.person(Actor("ada@ops"))):
        with pytest.raises(ConfigurationError, match=r"may not ask for repair|known only by"):
            policy.require_may_ask(Kind.REPAIR, who)
    with pytest.raises(ConfigurationError, match="names nobody"):
        policy.require_may_ask(Kind.PROMOTION, person("ada", Role.ADMIN))
