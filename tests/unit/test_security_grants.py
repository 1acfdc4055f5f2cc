"""The table of rights fits the catalogue, the workers and the mapping files, and keeps conflicting duties apart."""

from __future__ import annotations

import pytest

from deploy.security.bill_of_materials import bill_of_materials
from deploy.security.duties import CONFLICTS, Duty, broken_duties
from deploy.security.matrix import cells
from deploy.security.report import topic_access
from deploy.worker_kinds import worker_kinds
from producers.cdc.settings import CaptureSettings
from schemas import mapping
from schemas.grants import (
    ADMINISTRATOR,
    EVERY,
    PRINCIPALS,
    Operation,
    Principal,
    ResourceKind,
    capture_principal,
    declared_grants,
)
from schemas.settings import DatabaseSettings
from schemas.topics import CATALOGUE, REJECTED

_OF_A_SYSTEM = ("capture", "write-back")
_ROLE = {name: next((one for one in _OF_A_SYSTEM if name.startswith(f"{one}-")), name) for name in PRINCIPALS}


def test_nobody_writes_whom_the_catalogue_does_not_name_but_who_refuses_or_mends() -> None:
    for topic in CATALOGUE.values():
        writers = {_ROLE[one.name] for one in PRINCIPALS.values() if topic.name in one.writes}
        unnamed = writers - set(topic.writers)
        assert unnamed <= {"operator", "backup"}, topic.name
        assert "backup" not in unnamed or topic.name == REJECTED


@pytest.mark.parametrize("system", ["crm", "inventory", "finance"])
def test_a_capture_may_write_what_its_mapping_file_names(system: str) -> None:
    settings = CaptureSettings(mapping=system, database=DatabaseSettings(dbname=system))
    source = mapping.load(settings.mapping_path)
    captured = [aggregate.topic.name for aggregate in source.aggregates]
    assert PRINCIPALS[f"capture-{system}"] == capture_principal(system, captured)


def test_every_worker_is_a_principal_of_its_own() -> None:
    kinds = set(worker_kinds()) - set(_OF_A_SYSTEM)
    assert kinds <= set(PRINCIPALS), "declare what the worker needs in schemas/grants.py"


def test_no_right_is_for_everybody_and_no_worker_is_the_administrator() -> None:
    assert ADMINISTRATOR not in PRINCIPALS
    for principal in PRINCIPALS.values():
        for grant in principal.grants():
            reading = grant.operation in (Operation.READ, Operation.WRITE)
            assert not (grant.kind is ResourceKind.TOPIC and grant.resource == EVERY and reading), grant


def test_no_principal_holds_two_conflicting_duties() -> None:
    assert broken_duties(PRINCIPALS.values()) == []
    assert [principal.name for principal in PRINCIPALS.values() if principal.for_people] == ["console"]


@pytest.mark.parametrize("conflict", CONFLICTS, ids=lambda conflict: conflict.why)
def test_each_conflict_rule_catches_who_breaks_it(conflict: tuple[Duty, Duty]) -> None:
    one, other = conflict[0], conflict[1]
    greedy = Principal("greedy", "everything", writes=one.writes + other.writes, reads=one.reads + other.reads)
    assert broken_duties([greedy])


def test_the_matrix_has_every_cell_once_and_says_both_yes_and_no() -> None:
    found = cells()
    assert len(found) >= 120
    assert len({(cell.enforcer, cell.role, cell.action) for cell in found}) == len(found)
    for role in {(cell.enforcer, cell.role) for cell in found}:
        assert {cell.allowed for cell in found if (cell.enforcer, cell.role) == role} <= {True, False}
    assert sum(cell.allowed for cell in found) < len(found) / 5, "most must be forbidden"


def test_the_bill_of_materials_names_packages_and_archives_with_digests() -> None:
    bill = bill_of_materials()
    names = {one["name"]: one for one in bill["components"]}
    assert {"confluent-kafka", "kafka-server", "apicurio-registry-app"} <= set(names)
    assert len(names["kafka-server"]["hashes"][0]["content"]) == 64
    assert bill == bill_of_materials()


def test_the_report_tells_from_rights_and_schemas() -> None:
    access = {one.where: one for one in topic_access(declared_grants())}
    assert access["master.customers"].classification == "personal"
    assert access["gl.postings"].classification == "confidential"
    assert "warehouse" in access["gl.postings"].readers
    assert access["gl.postings"].writers == ("streams",)
