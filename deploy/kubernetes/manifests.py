"""Writes one worker's manifests: workload, service, disruption budget, all under the restricted security profile."""

from __future__ import annotations

from typing import Any, Final

from deploy.kubernetes.workers import DATA, POSTGRES_SECRETS, REPAIR_SECRETS, REPAIRER, SECRETS, DeployedWorker, Kept

Manifest = dict[str, Any]
VERSION: Final = "0.1.0"
IMAGE: Final = f"ordersync:{VERSION}"
METRICS_PORT: Final = 9100
USER: Final = 65532
_KAFKA_CA: Final = "ordersync-cluster-ca-cert"
_POSTGRES_CA: Final = "ordersync-postgres-ca"


def labels(name: str) -> dict[str, str]:
    """By which everything of one worker is found."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "ordersync"}


def worker_manifests(worker: DeployedWorker) -> list[Manifest]:
    """Everything that one worker needs."""
    made = [_workload(worker)]
    if worker.kept is not Kept.NOTHING or worker.port is not None:
        made.append(_service(worker))
    if worker.replicas > 1:
        made.append(_budget(worker))
    return made


def container_security() -> Manifest:
    """What the restricted profile asks of a container, and a root file system that nobody writes to."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def pod_security() -> Manifest:
    """What it asks of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def kafka_environment(principal: str) -> list[Manifest]:
    """How a principal logs in; the rest is in the common settings."""
    return [_variable("KAFKA__USERNAME", principal)]


def kafka_volumes(principal: str) -> list[Manifest]:
    """The password of the principal and the brokers' authority, as Strimzi keeps them, and room for scratch."""
    return [_password("kafka", principal, _KAFKA_CA), {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}]


def _workload(worker: DeployedWorker) -> Manifest:
    is_stateful = worker.kept is not Kept.NOTHING
    found = labels(worker.name)
    specification: Manifest = {
        "replicas": worker.replicas,
        "selector": {"matchLabels": found},
        "template": {"metadata": {"labels": found}, "spec": _pod(worker)},
    }
    if is_stateful:
        specification |= {
            "serviceName": worker.name,
            # All at once: each takes its partitions when it is there, and a new one waits for no other.
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate"},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": worker.storage}},
                    },
                }
            ],
        }
    else:
        specification["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    kind = "StatefulSet" if is_stateful else "Deployment"
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": _named(worker.name), "spec": specification}


def _pod(worker: DeployedWorker) -> Manifest:
    mounts: list[Manifest] = [{"name": "tmp", "mountPath": "/tmp"}, {"name": "data", "mountPath": DATA}]
    mounts.append({"name": "kafka", "mountPath": f"{SECRETS}/kafka", "readOnly": True})
    volumes = kafka_volumes(worker.principal)
    if worker.kept is Kept.NOTHING:
        volumes.append({"name": "data", "emptyDir": {"sizeLimit": "1Gi"}})
    if any(value.startswith(POSTGRES_SECRETS) for value in worker.settings.values()):
        mounts.append({"name": "postgres", "mountPath": POSTGRES_SECRETS, "readOnly": True})
        volumes.append(_password("postgres", f"{worker.principal}-postgres", _POSTGRES_CA))
    if any(value.startswith(REPAIR_SECRETS) for value in worker.settings.values()):
        mounts.append({"name": "repair", "mountPath": REPAIR_SECRETS, "readOnly": True})
        volumes.append(_password("repair", f"{REPAIRER}-postgres", _POSTGRES_CA))
    for directory, secret in worker.mounts.items():
        mounts.append({"name": directory, "mountPath": f"{SECRETS}/{directory}", "readOnly": True})
        items = [{"key": key, "path": key} for key in worker.only.get(directory, ())]
        chosen: Manifest = {"items": items} if items else {}
        volumes.append({"name": directory, "secret": {"secretName": secret, "defaultMode": 0o440} | chosen})
    return {
        "serviceAccountName": "ordersync",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        # A worker finishes its batch within seconds; one that cannot is killed, and nothing is lost.
        "terminationGracePeriodSeconds": 30,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels(worker.name)},
            }
        ],
        "containers": [_container(worker, mounts)],
        "volumes": volumes,
    }


def _password(volume: str, secret: str, authority: str) -> Manifest:
    """`password` of one secret and `ca.crt` of another in one directory; the authority's key stays where it is."""
    files = ((secret, "password"), (authority, "ca.crt"))
    sources = [{"secret": {"name": name, "items": [{"key": key, "path": key}]}} for name, key in files]
    return {"name": volume, "projected": {"defaultMode": 0o440, "sources": sources}}


def _container(worker: DeployedWorker, mounts: list[Manifest]) -> Manifest:
    variables = kafka_environment(worker.principal)
    variables += [_variable(name, value) for name, value in worker.settings.items()]
    if worker.name == "streams":
        ordinal = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
        variables.append({"name": "ORDERSYNC_SLOT", "valueFrom": ordinal})
    ports = [{"name": "metrics", "containerPort": METRICS_PORT}]
    if worker.port is not None:
        ports.append({"name": "https", "containerPort": worker.port})
    return {
        "name": "worker",
        "image": IMAGE,
        "args": ["worker", worker.name],
        "envFrom": [{"configMapRef": {"name": "ordersync"}}],
        "env": variables,
        "ports": ports,
        # Loading state takes as long as it takes; a start is given five minutes to begin to answer.
        "startupProbe": {"httpGet": _path("live"), "periodSeconds": 5, "failureThreshold": 60},
        "livenessProbe": {"httpGet": _path("live"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": {"httpGet": _path("ready"), "periodSeconds": 5, "timeoutSeconds": 5},
        "resources": {
            "requests": {"cpu": worker.cpu, "memory": worker.memory},
            "limits": {"memory": worker.memory},
        },
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }


def _path(asked: str) -> Manifest:
    return {"path": f"/health/{asked}", "port": "metrics"}


def _service(worker: DeployedWorker) -> Manifest:
    if worker.port is not None:
        ports = [{"name": "https", "port": 443, "targetPort": "https"}]
        specification: Manifest = {"selector": labels(worker.name), "ports": ports}
    else:
        # Gives a StatefulSet's pods their names.
        ports = [{"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics"}]
        specification = {"clusterIP": "None", "selector": labels(worker.name), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _named(worker.name), "spec": specification}


def _budget(worker: DeployedWorker) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _named(worker.name),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels(worker.name)}},
    }


def _named(name: str) -> Manifest:
    return {"name": name, "labels": labels(name)}


def _variable(name: str, value: str) -> Manifest:
    return {"name": f"ORDERSYNC_{name}", "value": value}
