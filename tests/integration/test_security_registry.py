"""Who may write schemas in the secured stack's registry: the deployer and nobody else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.avro import avro_schema
from schemas.grants import DEPLOYER
from schemas.registry import SchemaRegistry
from schemas.topics import CATALOGUE, ORDER_EVENTS

pytestmark = pytest.mark.integration

_SCHEMA = {"schema": '{"type": "record", "name": "Planted", "fields": [{"name": "n", "type": "long"}]}'}
_NATIVE = {"artifactId": "planted", "artifactType": "AVRO"}
_WRITES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/apis/ccompat/v7/subjects/planted-value/versions", _SCHEMA),
    ("POST", f"/apis/ccompat/v7/subjects/{ORDER_EVENTS}-value/versions", _SCHEMA),
    ("DELETE", f"/apis/ccompat/v7/subjects/{ORDER_EVENTS}-value", None),
    ("DELETE", f"/apis/ccompat/v7/subjects/{ORDER_EVENTS}-value/versions/1", None),
    ("PUT", "/apis/ccompat/v7/config", {"compatibility": "NONE"}),
    ("PUT", f"/apis/ccompat/v7/config/{ORDER_EVENTS}-value", {"compatibility": "NONE"}),
    ("PUT", "/apis/ccompat/v7/mode", {"mode": "READONLY"}),
    ("POST", "/apis/registry/v3/groups/default/artifacts", _NATIVE),
    ("DELETE", f"/apis/registry/v3/groups/default/artifacts/{ORDER_EVENTS}-value", None),
    ("POST", "/apis/registry/v3/admin/rules", {"ruleType": "COMPATIBILITY", "config": "NONE"}),
    ("GET", "/apis/registry/v3/admin/export", None),
    ("PUT", "/apis/registry/v3/admin/config/properties/apicurio.auth.anonymous-read-access.enabled", {"value": "true"}),
    ("POST", "/apis/registry/v2/groups/default/artifacts", _SCHEMA),
    ("DELETE", "/apis/registry/v2/groups/default/artifacts", None),
]


@pytest.fixture
def endpoints(secured: EmbeddedStack) -> Endpoints:
    return secured.endpoints


@pytest.mark.parametrize(
    "credentials",
    [None, ("erp", "x"), (DEPLOYER, "wrong"), ("admin", "")],
    ids=["nobody", "a worker", "wrong", "empty"],
)
@pytest.mark.parametrize(("method", "path", "body"), _WRITES, ids=lambda value: value if isinstance(value, str) else "")
def test_whoever_is_not_the_deployer_changes_nothing(
    endpoints: Endpoints,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    credentials: tuple[str, str] | None,
) -> None:
    base = endpoints.registry_url.removesuffix("/apis/ccompat/v7")
    with httpx.Client(base_url=base, trust_env=False, timeout=30, auth=credentials) as client:
        answer = client.request(method, path, json=body)
    assert answer.status_code in (401, 403), answer.text
    assert ".java:" not in answer.text, "a stack trace tells of the inside"


def test_workers_look_up_without_a_name_and_the_deployer_registers(endpoints: Endpoints) -> None:
    topic = CATALOGUE[ORDER_EVENTS]
    reading, writing = SchemaRegistry(endpoints.registry("erp")), SchemaRegistry(endpoints.registry(DEPLOYER))
    known = writing.register(topic.subject, avro_schema(topic.model))
    assert reading.id_of(topic.subject, avro_schema(topic.model)) == known
    assert reading.schema_of(known)["name"] == topic.model.__name__
    reading.close()
    writing.close()
