"""Names of vendors' topics and principals: no two vendors share one, and none reaches into another's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.vendors.profiles import VendorProfiles
from schemas.attributes import VendorId
from schemas.errors import ConfigurationError
from schemas.grants import PRINCIPALS, Grant, Operation, ResourceKind, declared_grants
from schemas.topics import CATALOGUE, VENDOR_UPDATES
from schemas.vendor_topics import coded, vendor_grants, vendor_principal, vendor_topic

CODES = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())


@pytest.mark.parametrize(
    ("vendor", "name"),
    [("V-ACME", "V-ACME"), ("A.1", "A_2E1"), ("A_1", "A_5F1"), ("ä/", "_C3_A4_2F"), ("..", "_2E_2E")],
)
def test_a_code_is_coded(vendor: str, name: str) -> None:
    assert coded(vendor) == name


@given(CODES, CODES)
def test_no_two_vendors_share_a_name_not_even_where_kafka_takes_dots_for_underscores(one: str, other: str) -> None:
    names = [coded(one), coded(other)]
    assert (names[0] == names[1]) == (one == other)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names)


@given(CODES, CODES)
def test_no_right_of_a_vendor_covers_what_is_anothers(one: str, other: str) -> None:
    if one == other or {f"vendor-{coded(name)}" for name in (one, other)} & set(PRINCIPALS):
        return
    theirs = {(grant.kind, grant.resource) for grant in vendor_principal(VendorId(other)).grants()}
    theirs |= {(ResourceKind.TOPIC, topic) for topic in CATALOGUE}
    for grant in vendor_principal(VendorId(one)).grants():
        assert grant.operation is Operation.READ
        for kind, resource in theirs:
            covers = resource.startswith(grant.resource) if grant.prefixed else resource == grant.resource
            assert kind is not grant.kind or not covers, (grant, resource)


@pytest.mark.parametrize("vendor", ["", "x" * 201, "ä" * 40, "files"])
def test_a_code_that_cannot_be_in_a_name_is_refused_with_the_file(vendor: str) -> None:
    profiles = VendorProfiles.model_validate({"vendors": {vendor: {"topic": True}, "V-1": {}}})
    with pytest.raises(ConfigurationError, match="cannot have a topic"):
        profiles.with_topics()


def test_a_topic_is_kept_as_the_one_that_it_is_taken_from() -> None:
    own, shared = vendor_topic(VendorId("V-1")), CATALOGUE[VENDOR_UPDATES]
    assert (own.config(), own.partitioning, own.key) == (shared.config(), shared.partitioning, shared.key)


def test_rights_that_are_no_vendors_own_are_not_taken_for_them() -> None:
    own = set(vendor_principal(VendorId("V-1")).grants())
    stolen = {
        Grant("vendor-V-1", ResourceKind.TOPIC, "vendors.updates.V-2", Operation.READ),
        Grant("vendor-V-1", ResourceKind.TOPIC, "vendors.updates.V-1", Operation.WRITE),
        Grant("vendor-V 1", ResourceKind.TOPIC, "vendors.updates.V 1", Operation.READ),
        Grant("vendor-files", ResourceKind.TOPIC, "vendors.updates.files", Operation.READ),
    }
    assert vendor_grants(own | stolen | declared_grants()) == own
