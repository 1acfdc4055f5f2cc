"""`python -m deploy.kubernetes.generation`: writes the manifests that follow from the tables of this version.

Workers from `deploy.kubernetes.workers`, Kafka users with their rights from `schemas.grants`, topics from
`schemas.topics`. A test fails while a written file is not what this would write.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from deploy.kubernetes.manifests import Manifest, labels, worker_manifests
from deploy.kubernetes.workers import WORKERS
from schemas.grants import PRINCIPALS, Grant, Operation, Principal, ResourceKind
from schemas.topics import CATALOGUE, Partitioning, Topic

BASE: Final = Path(__file__).parent / "base"
ORDER_PARTITIONS: Final = 12
_COPIES: Final = 3
_STRIMZI: Final = "kafka.strimzi.io/v1"
_OPERATIONS: Final = {operation: operation.value.title().replace("_", "") for operation in Operation}
_KINDS: Final = {kind: kind.value for kind in ResourceKind} | {ResourceKind.TRANSACTIONAL_ID: "transactionalId"}
_HEADER: Final = "# Written by `python -m deploy.kubernetes.generation`; change the tables that it reads.\n"


def written() -> dict[str, str]:
    """Each file's name in the base, and what it must hold."""
    return {
        "workers.yaml": _documents(one for worker in WORKERS for one in worker_manifests(worker)),
        "kafka-users.yaml": _documents(kafka_user(one) for one in PRINCIPALS.values()),
        "kafka-topics.yaml": _documents(kafka_topic(one) for one in CATALOGUE.values()),
    }


def kafka_user(principal: Principal) -> Manifest:
    """A user with a password that Strimzi makes, and with the rights that the table of grants names."""
    return {
        "apiVersion": _STRIMZI,
        "kind": "KafkaUser",
        "metadata": {"name": principal.name, "labels": {"strimzi.io/cluster": "ordersync"}},
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": _rights(principal)},
        },
    }


def kafka_topic(topic: Topic) -> Manifest:
    """A topic as `ordersync topics apply` would make it with three copies."""
    ordered = topic.partitioning is Partitioning.ORDER
    kind = {"strimzi.io/cluster": "ordersync", "ordersync/partitioning": topic.partitioning.value}
    return {
        "apiVersion": _STRIMZI,
        "kind": "KafkaTopic",
        "metadata": {"name": topic.name, "labels": labels("kafka") | kind},
        "spec": {
            "topicName": topic.name,
            "partitions": ORDER_PARTITIONS if ordered else 1,
            "replicas": _COPIES,
            "config": topic.config(),
        },
    }


def _rights(principal: Principal) -> list[Manifest]:
    by_resource: dict[tuple[ResourceKind, str, bool], list[Grant]] = {}
    for grant in sorted(set(principal.grants())):
        by_resource.setdefault((grant.kind, grant.resource, grant.prefixed), []).append(grant)
    return [
        {
            "resource": _resource(*resource),
            "operations": [_OPERATIONS[grant.operation] for grant in grants],
            "host": "*",
        }
        for resource, grants in by_resource.items()
    ]


def _resource(kind: ResourceKind, name: str, prefixed: bool) -> Manifest:
    if kind is ResourceKind.CLUSTER:
        return {"type": _KINDS[kind]}
    return {"type": _KINDS[kind], "name": name, "patternType": "prefix" if prefixed else "literal"}


def _documents(manifests: Iterable[Manifest]) -> str:
    # JSON is YAML, and the standard library writes it.
    return _HEADER + "".join(f"---\n{_yaml(manifest)}\n" for manifest in manifests)


def _yaml(value: object, depth: int = 0) -> str:
    """Blocks for what has members, one line of JSON for what has none."""
    indent = "  " * depth
    if isinstance(value, dict) and value:
        return "\n".join(
            f"{indent}{json.dumps(key) if '/' in key else key}:{_member(one, depth)}" for key, one in value.items()
        )
    if isinstance(value, list) and value:
        return "\n".join(f"{indent}- {_yaml(one, depth + 1).lstrip()}" for one in value)
    return indent + json.dumps(value, ensure_ascii=False)


def _member(value: object, depth: int) -> str:
    if isinstance(value, dict | list) and value:
        return "\n" + _yaml(value, depth + 1)
    return " " + json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Write every file anew."""
    for name, content in written().items():
        (BASE / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
