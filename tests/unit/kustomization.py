"""Renders what our overlays use of kustomize: resources, components, namespace, replicas, patches of two kinds."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
_WITHOUT_NAMESPACE = ("Namespace",)


def rendered(directory: Path) -> list[Manifest]:
    """Every manifest of an overlay or base."""
    return _rendered(directory, [])


def _rendered(directory: Path, found: list[Manifest]) -> list[Manifest]:
    """Those of a directory beside those that are there; a component changes both."""
    told = yaml.safe_load((directory / "kustomization.yaml").read_text())
    assert set(told) <= {"apiVersion", "kind", "namespace", "resources", "components", "replicas", "patches"}, (
        "taught no more"
    )
    made = copy.deepcopy(found)
    for name in told["resources"]:
        path = directory / name
        made += rendered(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    for name in told.get("components", []):
        made = _rendered(directory / name, made)
    if "namespace" in told:
        for one in made:
            if one["kind"] not in _WITHOUT_NAMESPACE:
                one["metadata"]["namespace"] = told["namespace"]
    for replica in told.get("replicas", []):
        workloads = [one for one in made if one["kind"] in ("Deployment", "StatefulSet")]
        (workload,) = [one for one in workloads if one["metadata"]["name"] == replica["name"]]
        workload["spec"]["replicas"] = replica["count"]
    for patch in told.get("patches", []):
        targets = [one for one in made if _is_target(one, patch["target"])]
        assert targets, f"{directory}: nobody is {patch['target']}"
        for one in targets:
            for operation in yaml.safe_load(patch["patch"]):
                _change(one, operation)
    return made


def _is_target(manifest: Manifest, target: dict[str, str]) -> bool:
    metadata = manifest["metadata"]
    key, _, value = target.get("labelSelector", "").partition("=")
    return (
        manifest["kind"] == target["kind"]
        and target.get("name") in (None, metadata["name"])
        and (not key or metadata.get("labels", {}).get(key) == value)
    )


def _change(manifest: Manifest, operation: dict[str, Any]) -> None:
    assert operation["op"] in ("replace", "add"), "taught no more"
    *way, last = operation["path"].strip("/").split("/")
    place: Any = manifest
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if operation["op"] == "add":
        assert isinstance(place, list) and last == "-", "taught no more"
        place.append(copy.deepcopy(operation["value"]))
    elif isinstance(place, list):
        place[int(last)] = operation["value"]
    else:
        assert last in place, f"{operation['path']} is not there"
        place[last] = operation["value"]
