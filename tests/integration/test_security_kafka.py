"""The secured embedded stack: who gets in, and what each principal may do there."""

from __future__ import annotations

import os
import socket
import ssl
import stat
from pathlib import Path

import psutil
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from cryptography import x509

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from deploy.security.broker_grants import BrokerGrants
from deploy.security.matrix import broker_cells
from deploy.security.users import set_passwords
from deploy.topics import TopicLayout, apply_grants, apply_topics
from schemas.errors import ConfigurationError
from schemas.grants import ADMINISTRATOR, PRINCIPALS, declared_grants
from schemas.registry import SchemaRegistry
from schemas.topics import CATALOGUE
from tests.integration.security_probes import answers, may_commit, may_write_as, readable, writable

pytestmark = pytest.mark.integration


@pytest.fixture
def endpoints(secured: EmbeddedStack) -> Endpoints:
    return secured.endpoints


@pytest.mark.parametrize("principal", PRINCIPALS)
def test_each_principal_reads_and_writes_what_it_is_granted_and_nothing_else(
    endpoints: Endpoints, principal: str
) -> None:
    may = {cell.action: cell.allowed for cell in broker_cells() if cell.role == principal}
    kafka = endpoints.kafka(principal)
    assert writable(kafka) == {topic: may[f"write {topic}"] for topic in CATALOGUE}
    assert readable(kafka) == {topic: may[f"read {topic}"] for topic in CATALOGUE}


@pytest.mark.parametrize(
    ("principal", "group", "allowed"),
    [("erp", "ordersync-erp", True), ("erp", "ordersync-warehouse", False), ("subscriber", "ordersync-erp", False)],
)
def test_positions_of_others_cannot_be_moved(endpoints: Endpoints, principal: str, group: str, allowed: bool) -> None:
    assert may_commit(endpoints.kafka(principal), group) is allowed


@pytest.mark.parametrize(
    ("principal", "transactional_id", "allowed"),
    [
        ("streams", "ordersync-streams-0", True),
        ("backup", "ordersync-streams-0", False),
        ("erp", "ordersync-streams-0", False),
        ("backup", "ordersync-backup-0", True),
    ],
)
def test_nobody_fences_the_producer_of_another(
    endpoints: Endpoints, principal: str, transactional_id: str, allowed: bool
) -> None:
    assert may_write_as(endpoints.kafka(principal), transactional_id) is allowed


@pytest.mark.parametrize("principal", [name for name in PRINCIPALS if name != "deployer"])
def test_only_the_deployer_changes_topics_and_rights(endpoints: Endpoints, principal: str) -> None:
    admin = AdminClient(endpoints.kafka(principal).client_config())
    right = AclBinding(
        ResourceType.TOPIC,
        "gl.postings",
        ResourcePatternType.LITERAL,
        f"User:{principal}",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
    attempts = (
        admin.create_topics([NewTopic("mine", 1, 1)])["mine"],
        admin.delete_topics(["orders.events"])["orders.events"],
        admin.create_acls([right])[right],
    )
    for attempt in attempts:
        with pytest.raises(KafkaException, match="AUTHORIZATION_FAILED"):
            attempt.result(30)


def test_the_deployer_applies_and_a_second_time_changes_nothing(endpoints: Endpoints) -> None:
    deployer = endpoints.kafka("deployer")
    assert apply_grants(deployer) == []
    registry = SchemaRegistry(endpoints.registry())
    assert apply_topics(deployer, registry, TopicLayout(order_partitions=1)) == []
    registry.close()


def test_drift_is_told_and_mended(endpoints: Endpoints) -> None:
    admin = AdminClient(endpoints.kafka().client_config())
    stolen = AclBinding(
        ResourceType.TOPIC,
        "gl.postings",
        ResourcePatternType.LITERAL,
        "User:subscriber",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    admin.create_acls([stolen])[stolen].result(30)
    grants = BrokerGrants(admin)
    drift = grants.drift(declared_grants())
    assert drift is not None
    assert drift.undeclared == ("subscriber: read topic gl.postings",)
    assert [change.action for change in apply_grants(endpoints.kafka())] == [
        "withdrawn from subscriber: read topic gl.postings"
    ]
    assert not grants.drift(declared_grants())


def test_who_may_not_change_rights_is_told_so(endpoints: Endpoints) -> None:
    with pytest.raises(ConfigurationError, match="as the deployer"):
        apply_grants(endpoints.kafka("erp"))


@pytest.mark.parametrize(
    "change",
    [
        {"security.protocol": "PLAINTEXT"},
        {"security.protocol": "SSL"},
        {"sasl.password": "wrong"},
        {"sasl.username": "nobody"},
        {"sasl.mechanism": "PLAIN"},
        {"ssl.ca.location": "/etc/ssl/certs/ca-certificates.crt"},
    ],
    ids=lambda change: " ".join(next(iter(change.items()))),
)
def test_who_does_not_prove_who_it_is_stays_outside(endpoints: Endpoints, change: dict[str, str]) -> None:
    config = endpoints.kafka("erp").client_config()
    assert answers(config)
    assert not answers({**config, **change})


def test_the_brokers_own_listeners_ask_for_a_certificate(secured: EmbeddedStack) -> None:
    files = secured.endpoints.security
    assert files is not None and secured.kafka is not None
    broker = secured.kafka.administration()
    assert answers(broker)
    assert not answers({key: value for key, value in broker.items() if "certificate" not in key and "key" not in key})


def test_older_tls_is_refused(endpoints: Endpoints) -> None:
    host, port = endpoints.bootstrap_servers.split(":")
    assert endpoints.security is not None
    context = ssl.create_default_context(cafile=str(endpoints.security.authority_certificate))
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as made:
        assert made.version() == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection((host, int(port))) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname=host)


def test_secrets_are_in_private_files_and_nowhere_else(secured: EmbeddedStack) -> None:
    files = secured.endpoints.security
    assert files is not None
    kept = [path for path in files.directory.rglob("*") if path.is_file()]
    assert len(kept) > len(PRINCIPALS)
    assert [path for path in kept if stat.S_IMODE(path.stat().st_mode) != 0o600] == []
    secrets = [files.password_file(name).read_text() for name in (ADMINISTRATOR, *PRINCIPALS)]
    told = [" ".join(_told_by(process)) for process in psutil.Process().children(recursive=True)]
    told += [path.read_text(errors="replace") for path in _open_files(secured.home)]
    assert not any(secret in text for secret in secrets for text in told)


def _told_by(process: psutil.Process) -> list[str]:
    try:
        return [*process.cmdline(), *process.environ().values()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def _open_files(home: Path) -> list[Path]:
    return [*(home / "logs").glob("*"), *home.glob("*.json"), home / "kafka" / "server.properties"]


def test_a_new_password_replaces_the_old_one(secured: EmbeddedStack) -> None:
    files = secured.endpoints.security
    assert files is not None and secured.kafka is not None
    before = secured.endpoints.kafka("subscriber").client_config()
    files.new_password("subscriber")
    set_passwords(AdminClient(secured.kafka.administration()), files, ["subscriber"])
    assert not answers(before)
    assert answers(secured.endpoints.kafka("subscriber").client_config())


def test_a_killed_broker_comes_back_with_its_users(secured: EmbeddedStack) -> None:
    assert secured.kafka is not None and secured.kafka.pid is not None
    process = psutil.Process(secured.kafka.pid)
    os.kill(process.pid, 9)
    psutil.wait_procs([process], timeout=30)
    assert secured.ensure_running() == ["kafka"]
    assert answers(secured.endpoints.kafka("erp").client_config())


def test_the_authority_vouches_for_this_machine_only(secured: EmbeddedStack) -> None:
    files = secured.endpoints.security
    assert files is not None
    authority = x509.load_pem_x509_certificate(files.authority_certificate.read_bytes())
    allowed = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert allowed.critical
    assert {str(name.value) for name in allowed.value.permitted_subtrees or []} == {
        "localhost",
        "127.0.0.0/8",
        "::1/128",
    }
