"""The manifests: valid by the published schemas, restricted, and made of names that the product knows."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from deploy.kubernetes.generation import BASE, written
from deploy.kubernetes.workers import POSTGRES, REPAIRER, TOLD, WORKERS
from deploy.local.registry import writers
from deploy.security.files import SecurityFiles, write_private
from deploy.security.preparation import PreparationSettings
from deploy.worker_kinds import kind_of, worker_kinds
from schemas.database_roles import REGISTRY, ROLES, SOURCES
from schemas.grants import DEPLOYER, PRINCIPALS
from schemas.mapping import built_in_or_path, load
from schemas.settings import WorkerSettings
from schemas.topics import CATALOGUE
from tests.unit.kustomization import Manifest, rendered
from tests.unit.test_deployment_compose import PUBLISHED, SETTINGS, variables

OVERLAYS = BASE.parent / "overlays"
SIZES = ("small", "large")
GUIDE = BASE.parents[1] / "guide" / "kubernetes.md"
CUSTOM = {
    "postgresql.cnpg.io/v1/Cluster": "PostgresCluster",
    "postgresql.cnpg.io/v1/Database": "PostgresDatabase",
    "keda.sh/v1alpha1/ScaledObject": "ScaledObject",
    "keda.sh/v1alpha1/TriggerAuthentication": "TriggerAuthentication",
    **{f"kafka.strimzi.io/v1/{kind}": kind for kind in ("Kafka", "KafkaNodePool", "KafkaUser", "KafkaTopic")},
}


@cache
def manifests(size: str) -> list[Manifest]:
    """Those of an overlay."""
    return rendered(OVERLAYS / size)


def named(size: str, kind: str) -> dict[str, Manifest]:
    """Those of one kind, by name."""
    return {one["metadata"]["name"]: one for one in manifests(size) if one["kind"] == kind}


def pods(size: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every template of a pod, with the name of its workload."""
    for one in manifests(size):
        if one["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def faults(manifest: Manifest) -> list[str]:
    """What the published schema of its kind says of a manifest."""
    custom = CUSTOM.get(f"{manifest['apiVersion']}/{manifest['kind']}")
    if custom is not None:
        validator = validator_of(custom)
        return [f"{list(one.instance_path)}: {one.message}" for one in validator.iter_errors(manifest)]
    return [f"{list(one.instance_path)}: {one.message}" for one in published(manifest).iter_errors(manifest)]


def published(manifest: Manifest) -> jsonschema_rs.Validator:
    """The validator of a kind of Kubernetes' own, where no field may be that it does not know."""
    group, _, version_of = manifest["apiVersion"].rpartition("/")
    words = [manifest["kind"], *([group.partition(".")[0]] if group else []), version_of]
    return kubernetes_validator("-".join(words).lower())


@cache
def kubernetes_validator(name: str) -> jsonschema_rs.Validator:
    """That of the file with this name; what it refers to lies beside it."""
    return jsonschema_rs.validator_for(read(f"{name}.json"), retriever=lambda uri: read(uri.rpartition("/")[2]))


@cache
def read(name: str) -> Any:
    """A file of the published schemas of Kubernetes 1.32."""
    place = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / "v1.32.0-local-strict"
    return json.loads((place / name).read_text())


@cache
def validator_of(name: str) -> jsonschema_rs.Validator:
    """The validator of a resource that an operator has brought."""
    return jsonschema_rs.validator_for(json.loads((PUBLISHED / f"{name}.json").read_text()))


def test_what_is_written_from_the_tables_is_as_they_say() -> None:
    for name, content in written().items():
        stale = f"base/{name} is not what the tables say: run python -m deploy.kubernetes.generation"
        assert (BASE / name).read_text() == content, stale


def test_every_kind_of_worker_is_there() -> None:
    assert {kind_of(worker.name).name for worker in WORKERS} == set(worker_kinds())
    assert set(TOLD) == {system for system in SOURCES if load(built_in_or_path(system)).write_back}


def test_every_manifest_is_valid_by_its_published_schema() -> None:
    small = manifests("small")
    every = small + [one for one in manifests("large") if one not in small]
    assert {f"{one['kind']}/{one['metadata']['name']}": told for one in every if (told := faults(one))} == {}


@pytest.mark.parametrize("kind", ["Deployment", "Kafka", "KafkaUser", "Cluster", "ScaledObject"])
def test_a_field_that_does_not_exist_is_found(kind: str) -> None:
    one = next(one for one in manifests("small") if one["kind"] == kind)
    assert faults(one | {"spec": one["spec"] | {"replicaz": 1}})


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl renders with kustomize itself")
@pytest.mark.parametrize("size", SIZES)
def test_kustomize_renders_the_same(size: str) -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", OVERLAYS / size], capture_output=True, text=True, check=True, timeout=60
    )
    theirs = list(yaml.load_all(done.stdout, yaml.CSafeLoader))
    assert keyed(theirs) == keyed(manifests(size))


def keyed(found: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """By kind and name."""
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


@pytest.mark.parametrize("size", SIZES)
def test_every_pod_keeps_to_the_restricted_profile(size: str) -> None:
    for name, pod in pods(size):
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= set(container["resources"])
        for volume in pod["volumes"]:
            assert set(volume) - {"name"} <= {"emptyDir", "projected", "secret", "persistentVolumeClaim"}, name


def test_api_and_documents_worker_share_the_claim_of_uploads_and_nobody_else_does() -> None:
    [claim] = named("large", "PersistentVolumeClaim").values()
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"], "pods of several nodes write to it"
    sharing = set()
    for name, pod in pods("large"):
        claims = {one["name"]: one.get("persistentVolumeClaim", {}).get("claimName") for one in pod["volumes"]}
        for container in pod["containers"]:
            places = {one["mountPath"] for one in container["volumeMounts"] if claims.get(one["name"]) == "uploads"}
            told = {one["value"] for one in container["env"] if one["name"] == "ORDERSYNC_UPLOADS_DIR"}
            assert places == told, name
            sharing |= {name} if told else set()
    assert sharing == {"api", "documents"} and claim["metadata"]["name"] == "uploads"
    assert not named("small", "PersistentVolumeClaim"), "a small cluster may have no such storage"


@pytest.mark.parametrize("size", SIZES)
def test_every_setting_is_one_of_the_process_and_has_a_good_value(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    common = named(size, "ConfigMap")["ordersync"]["data"]
    for name, pod in pods(size):
        for container in pod["containers"]:
            if "ordersync:" not in container["image"]:
                continue
            told = {one["name"]: one.get("value", "0") for one in container["env"]}
            told |= common if "envFrom" in container else {}
            settings = settings_of(container)
            assert set(told) <= set(variables(settings)), name
            with monkeypatch.context() as patch:
                for variable, value in told.items():
                    patch.setenv(variable, value)
                settings.load()


def settings_of(container: dict[str, Any]) -> type[WorkerSettings]:
    """The settings class of a container's process."""
    match container:
        case {"args": ["security", "databases"]}:
            return PreparationSettings
        case {"args": ["worker", name]}:
            return SETTINGS[kind_of(name).name]
    return WorkerSettings


def test_no_secret_is_in_a_variable_and_each_worker_has_its_own() -> None:
    for worker in WORKERS:
        assert worker.principal in PRINCIPALS
        users = {value for name, value in worker.settings.items() if name.endswith("__USER")}
        # The console reads as itself; what it repairs for a person it repairs as the operator.
        assert users - ({REPAIRER} if worker.name == "console" else set()) <= {worker.principal}
        assert users <= set(ROLES)
    for name, pod in pods("small"):
        for container in pod["containers"]:
            assert not [one for one in container["env"] if "secretKeyRef" in one.get("valueFrom", {})], name
            assert not [one for one in container["env"] if one["name"].endswith("PASSWORD")], name


def test_every_mounted_file_is_where_the_settings_look_for_it() -> None:
    for name, pod in pods("small"):
        for container in pod["containers"]:
            mounts = [one["mountPath"] for one in container["volumeMounts"]]
            assert {one["name"] for one in container["volumeMounts"]} <= {one["name"] for one in pod["volumes"]} | {
                "data"
            }
            for variable in container["env"]:
                value = variable.get("value", "")
                if value.startswith("/run/secrets"):
                    assert any(f"{value}/".startswith(f"{mount}/") for mount in mounts), f"{name}: {value}"


def test_only_who_sends_webhooks_gets_what_signs_them() -> None:
    holders = {
        name
        for name, pod in pods("small")
        for volume in pod["volumes"]
        if volume.get("secret", {}).get("secretName") in ("vendor-profiles", "webhook-keys")
        if [one["key"] for one in volume["secret"].get("items", ())] != ["vendors.toml"]
    }
    assert holders == {"webhooks"}


def test_secrets_that_people_must_make_are_in_the_guide() -> None:
    given = set(PRINCIPALS) | {"ordersync-cluster-ca-cert", "ordersync-postgres-ca", "ordersync-postgres-superuser"}
    wanted = {
        source["secret"]["name"] if "name" in source["secret"] else source["secret"]["secretName"]
        for _, pod in pods("small")
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", [volume])
        if "secret" in source
    }
    roles = named("small", "Cluster")["ordersync-postgres"]["spec"]["managed"]["roles"]
    wanted |= {role["passwordSecret"]["name"] for role in roles if "passwordSecret" in role}
    guide = GUIDE.read_text()
    assert [name for name in sorted(wanted - given) if f"`{name}`" not in guide] == []


def test_the_database_server_has_each_role_and_database_that_a_worker_asks_for() -> None:
    managed = {one["name"] for one in named("small", "Cluster")["ordersync-postgres"]["spec"]["managed"]["roles"]}
    held = {one["spec"]["name"]: one["spec"]["owner"] for one in named("small", "Database").values()}
    for worker in WORKERS:
        for start in [name.removesuffix("HOST") for name, value in worker.settings.items() if value == POSTGRES]:
            role, dbname = worker.settings[f"{start}USER"], worker.settings[f"{start}DBNAME"]
            assert role in managed and dbname in ROLES[role].databases, worker.name
            assert dbname in held, worker.name
            assert f"{role}-postgres" in GUIDE.read_text()
    owners = {dbname: role.name for role in ROLES.values() for dbname in role.owns}
    assert held.items() <= ({"ledger": "postgres"} | owners).items()
    assert owners.keys() - held.keys() == {REGISTRY}, "which the server is made with"


@pytest.mark.parametrize("size", SIZES)
def test_probes_budgets_and_copies_fit(size: str) -> None:
    budgets = named(size, "PodDisruptionBudget")
    for worker in WORKERS:
        workload = {**named(size, "Deployment"), **named(size, "StatefulSet")}[worker.name]
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "metrics"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "metrics"}
        assert workload["spec"]["replicas"] == 1 or worker.name in budgets
        assert worker.name in budgets or worker.replicas == 1


@pytest.mark.parametrize("size", SIZES)
def test_partitions_copies_and_scaling_fit_one_another(size: str) -> None:
    topics = named(size, "KafkaTopic")
    assert set(topics) == set(CATALOGUE)
    partitions = {one["spec"]["partitions"] for one in topics.values()} - {1}
    (job,) = named(size, "Job").values()
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert {int(arguments[3])} == partitions
    scaled = named(size, "ScaledObject")["streams"]["spec"]
    assert scaled["minReplicaCount"] <= scaled["fallback"]["replicas"] <= scaled["maxReplicaCount"] <= max(partitions)
    (trigger,) = scaled["triggers"]
    assert trigger["metadata"]["topic"] in CATALOGUE and trigger["metadata"]["consumerGroup"] == "ordersync-streams"
    brokers = named(size, "KafkaNodePool")["brokers"]["spec"]["replicas"]
    assert brokers >= 3 and {one["spec"]["replicas"] for one in topics.values()} == {3}
    assert named(size, "Kafka")["ordersync"]["spec"]["kafka"]["config"]["min.insync.replicas"] == 2


def test_the_registry_lets_only_the_deployer_write(tmp_path: Path) -> None:
    registry = next(pod for name, pod in pods("small") if name == "registry")
    (settings,) = [one["projected"]["sources"] for one in registry["volumes"] if one["name"] == "settings"]
    told = dict(named("small", "ConfigMap")["registry"]["data"])
    secret = {one["secret"]["name"]: one["secret"]["items"][0]["path"] for one in settings if "secret" in one}
    assert secret["registry-postgres"] == "apicurio.datasource.password"
    files = SecurityFiles(tmp_path)
    write_private(files.password_file(DEPLOYER), "secret")
    expected = {name: value for name, value in writers(files, (DEPLOYER,)).items() if value != "secret"}
    assert told == expected
    assert secret[DEPLOYER] == (writers(files, (DEPLOYER,)).keys() - expected.keys()).pop()
    for name, pod in pods("small"):
        for container in pod["containers"]:
            users = [one["value"] for one in container["env"] if one["name"] == "ORDERSYNC_REGISTRY__USERNAME"]
            assert users == ([DEPLOYER] if container["name"] == "prepare" else []), name


def test_nothing_is_open_that_no_policy_names() -> None:
    closed = named("small", "NetworkPolicy")["closed"]["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    namespace = named("small", "Namespace")["ordersync"]["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"


def test_image_and_version_are_the_package_s() -> None:
    images = {one["image"] for _, pod in pods("small") for one in pod["containers"]}
    assert {image for image in images if image.startswith("ordersync")} == {f"ordersync:{version('ordersync')}"}
