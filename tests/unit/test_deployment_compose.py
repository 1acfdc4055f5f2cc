"""The compose file: valid by its specification, and every name in it is one that the product knows."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from pydantic import BaseModel

from consumers.vendors.profiles import VendorProfiles
from deploy import settings_reference
from deploy.compose import provisioning
from deploy.local.registry import writers
from deploy.security.files import SecurityFiles, write_private
from deploy.worker_kinds import kind_of, worker_kinds
from producers.api.clients import Clients
from producers.documents.source import load
from schemas.database_roles import ROLES
from schemas.grants import ADMINISTRATOR, DEPLOYER, PRINCIPALS
from schemas.settings import WorkerSettings

COMPOSE = Path(provisioning.__file__).parent
PUBLISHED = Path(__file__).parent / "published_schemas"
FILE = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
WORKERS = {name: one for name, one in SERVICES.items() if (one.get("command") or [""])[0] == "worker"}
PREPARING = ("databases", "cluster")
SETTINGS = settings_reference.settings_classes()


def test_the_file_is_valid_by_the_compose_specification() -> None:
    validator = jsonschema_rs.validator_for(json.loads((PUBLISHED / "compose-spec.json").read_text()))
    assert [f"{list(one.instance_path)}: {one.message}" for one in validator.iter_errors(FILE)] == []
    assert not validator.is_valid(FILE | {"services": {"kafka-1": {"image": 7}}})


def test_every_kind_of_worker_is_there() -> None:
    core = {"capture", "streams", "erp", "warehouse", "backup"}
    assert {kind(name) for name in WORKERS if is_small(name)} == core
    assert {kind(name) for name in WORKERS} == set(worker_kinds())
    assert {name for name, one in WORKERS.items() if "full" not in one["profiles"]} == set()


@pytest.mark.parametrize("name", [*WORKERS, *PREPARING])
def test_every_setting_is_one_of_the_process_and_has_a_good_value(
    name: str, monkeypatch: pytest.MonkeyPatch, secrets: Path
) -> None:
    settings = settings_of(name)
    told = image_environment() | SERVICES[name]["environment"]
    assert {variable for variable in told if variable.startswith("ORDERSYNC_")} <= set(variables(settings))
    for variable, value in told.items():
        monkeypatch.setenv(variable, value)
    loaded = settings.load()
    assert loaded.metrics_host == "0.0.0.0" and loaded.log_format == "json"
    assert loaded.kafka.security_protocol in ("SASL_SSL", "SSL")


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_the_least_rights_and_its_own_password_only(name: str) -> None:
    environment = SERVICES[name]["environment"]
    principal = environment["ORDERSYNC_KAFKA__USERNAME"]
    assert principal in PRINCIPALS
    assert name.startswith(principal)
    passwords = [one["source"] for one in SERVICES[name]["secrets"] if isinstance(one, dict)]
    # What the console repairs for a person it repairs as the operator.
    assert passwords == [principal, *(["operator"] if name == "console" else [])]
    if "ORDERSYNC_DATABASE__USER" in environment:
        role = ROLES[environment["ORDERSYNC_DATABASE__USER"]]
        assert role.name == principal and environment["ORDERSYNC_DATABASE__DBNAME"] in role.databases
        assert environment["ORDERSYNC_DATABASE__SSLMODE"] == "verify-full"


def test_no_secret_is_in_the_environment() -> None:
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            assert not re.search(r"(PASSWORD|SECRET|TOKEN)$", variable), f"{name}: {variable}"


@pytest.mark.parametrize("name", [*WORKERS, *PREPARING, "prometheus", "grafana"])
def test_a_container_may_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_only_doors_for_people_and_partners_are_open_and_only_on_this_machine() -> None:
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert set(published) == {"api", "console", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    for name in ("api", "console"):
        assert published[name][0].endswith(f":{SERVICES[name]['environment']['ORDERSYNC_PORT']}")
    browsers = SERVICES["console"]["environment"]["ORDERSYNC_PUBLIC_URL"]
    assert browsers.removeprefix("https://localhost") == f":{published['console'][0].split(':')[1]}"
    assert FILE["networks"]["servers"]["internal"] is True


def test_every_address_is_a_service_and_every_dependency_is_in_the_same_profile() -> None:
    for name, service in SERVICES.items():
        environment = service.get("environment", {})
        # Browsers are outside.
        told = json.dumps({key: value for key, value in environment.items() if key != "ORDERSYNC_PUBLIC_URL"})
        hosts = re.findall(r"([a-z][a-z0-9-]*):\d{4,5}\b", told)
        hosts += [value for key, value in environment.items() if key == "ORDERSYNC_DATABASE__HOST"]
        assert set(hosts) <= set(SERVICES), name
        for other in service.get("depends_on", {}):
            assert set(service["profiles"]) <= set(SERVICES[other]["profiles"]), f"{name} needs {other}"


def test_three_brokers_keep_what_the_topics_promise() -> None:
    brokers = [name for name in SERVICES if name.startswith("kafka-")]
    properties = dict(
        line.split("=", 1)
        for line in (COMPOSE / "kafka" / "server.properties").read_text().splitlines()
        if line and not line.startswith("#")
    )
    copies = SERVICES["cluster"]["environment"]["ORDERSYNC_REPLICATION_FACTOR"]
    assert copies == str(len(brokers)) == properties["default.replication.factor"]
    assert properties["min.insync.replicas"] == properties["transaction.state.log.min.isr"] == "2"
    assert [int(SERVICES[name]["environment"]["NODE"]) for name in brokers] == [1, 2, 3]
    assert all(f"{name}:9093" in properties["controller.quorum.voters"] for name in brokers)
    assert properties["unclean.leader.election.enable"] == properties["allow.everyone.if.no.acl.found"] == "false"


def test_the_vendors_file_is_one_that_its_workers_take() -> None:
    assert VendorProfiles.load(COMPOSE / "vendors.toml").vendors == {}


def test_what_is_mounted_is_declared_and_what_is_declared_is_mounted(secrets: Path) -> None:
    for section in ("volumes", "secrets", "configs"):
        used = {source(one, section) for service in SERVICES.values() for one in service.get(section, [])}
        assert used - {None} == set(FILE[section]), section
    for config in FILE["configs"].values():
        assert (COMPOSE / config["file"]).is_file()
    for secret in FILE["secrets"].values():
        made = secrets / Path(secret["file"]).relative_to("secrets")
        assert made.stat().st_size > 0, secret
    principals = {one["environment"]["ORDERSYNC_KAFKA__USERNAME"] for one in WORKERS.values()}
    for name in PREPARING:
        assert principals | {"admin", "deployer", "registry"} <= set(SERVICES[name]["secrets"])


def test_every_directory_that_a_volume_is_mounted_at_belongs_to_the_image_s_user() -> None:
    """Else the volume belongs to root, and no worker can write to it."""
    definition = (COMPOSE.parent / "image" / "Containerfile").read_text()
    [made] = re.findall(r"install -d -o 65532 -g 65532 -m 0700 (.+)", definition)
    ours = {name: one for name, one in SERVICES.items() if str(one["image"]).startswith("ordersync:")}
    mounted = {mount.split(":")[1] for one in ours.values() for mount in one.get("volumes", [])}
    assert mounted == {"/var/lib/ordersync", *made.split()}


def test_uploads_and_reviews_reach_the_documents_worker_by_one_volume_each() -> None:
    documents, api, console = (SERVICES[name] for name in ("documents", "api", "console"))
    assert place_of(documents, "UPLOADS_DIR") == place_of(api, "UPLOADS_DIR") == ("uploads", "")
    assert place_of(documents, "DOCUMENTS_DIR") == place_of(console, "DOCUMENTS_DIR") == ("documents", "/documents")
    sources = load(COMPOSE / "documents.toml")
    assert sources["partner"].client == "partner", "the client that secrets.sh makes"


def place_of(service: dict[str, Any], variable: str) -> tuple[str, str]:
    """The volume that a setting leads to, and where in it."""
    path = service["environment"][f"ORDERSYNC_{variable}"]
    [found] = [one.split(":") for one in service["volumes"] if path.startswith(one.split(":")[1])]
    return found[0], path.removeprefix(found[1])


def test_secrets_are_made_once_and_fit_what_reads_them(secrets: Path) -> None:
    before = {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()}
    subprocess.run([COMPOSE / "secrets.sh", secrets], check=True, capture_output=True)
    assert {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()} == before
    assert secrets.stat().st_mode & 0o077 == 0
    Clients.read(secrets / "clients.toml").of((secrets / "partner.key").read_text()).require("orders:write")
    for name in ("kafka-1", "kafka-2", "kafka-3", "postgres", "api", "console"):
        verified = ["openssl", "verify", "-CAfile", "ca.pem", "-verify_hostname", name, f"{name}.crt"]
        subprocess.run(verified, cwd=secrets, check=True, capture_output=True)


def test_the_registry_lets_only_those_write_who_register_schemas(secrets: Path, tmp_path: Path) -> None:
    told = dict(line.split("=", 1) for line in (secrets / "registry.properties").read_text().splitlines())
    files = SecurityFiles(tmp_path)
    for name in (ADMINISTRATOR, DEPLOYER):
        write_private(files.password_file(name), (secrets / "passwords" / name).read_text())
    password = (secrets / "passwords" / "registry").read_text().strip()
    # As on one machine, where the tests ask the registry itself.
    assert told == writers(files) | {"apicurio.datasource.password": password}
    for name, service in SERVICES.items():
        user = service.get("environment", {}).get("ORDERSYNC_REGISTRY__USERNAME")
        assert user == (ADMINISTRATOR if name in PREPARING else None), name


def test_prometheus_asks_every_worker() -> None:
    jobs = yaml.safe_load((COMPOSE / "prometheus.yaml").read_text())["scrape_configs"]
    asked = {
        target
        for job in jobs
        if job["job_name"] == "ordersync"
        for one in job["static_configs"]
        for target in one["targets"]
    }
    assert asked == {f"{name}:{image_environment()['ORDERSYNC_METRICS_PORT']}" for name in WORKERS}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the script makes."""
    directory = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([COMPOSE / "secrets.sh", directory], check=True, capture_output=True)
    yield directory


def kind(service: str) -> str:
    """The kind of worker that a service runs."""
    return kind_of(WORKERS[service]["command"][1]).name


def settings_of(service: str) -> type[WorkerSettings]:
    """The settings class of its process."""
    return provisioning.ProvisioningSettings if service in PREPARING else SETTINGS[kind(service)]


def is_small(service: str) -> bool:
    """Whether it runs in the small profile, too."""
    return "small" in SERVICES[service]["profiles"]


def image_environment() -> dict[str, str]:
    """The settings that the image gives every process."""
    definition = (COMPOSE.parent / "image" / "Containerfile").read_text()
    return dict(re.findall(r"(ORDERSYNC_[A-Z_]+)=(\S+)", definition))


def variables(model: type[BaseModel]) -> Iterator[str]:
    """The environment variables of a settings class."""
    return (one.name for one in settings_reference.settings_of(model))


def source(mount: Any, section: str) -> str | None:
    """The declared thing that is mounted; None for a directory of the repository."""
    if isinstance(mount, dict):
        if mount.get("type") == "bind":
            assert (COMPOSE / mount["source"]).resolve().parent == COMPOSE.parent
            return None
        return str(mount["source"])
    return str(mount).partition(":")[0] if section == "volumes" else str(mount)
