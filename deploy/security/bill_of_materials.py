"""What the installation is made of: a CycloneDX 1.6 bill of its Python packages and Java archives, with digests."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions, version
from importlib.resources import files
from typing import Any

_LOCKS = ("jgo.lock.toml", "registry.lock.toml")


def bill_of_materials() -> dict[str, Any]:
    """The bill, in a fixed order: the same installation gives the same bill. Source: CycloneDX 1.6 (ECMA-424)."""
    components = sorted([*_python(), *_java()], key=lambda one: one["purl"])
    product = {"type": "application", "bom-ref": "ordersync", "name": "ordersync", "version": version("ordersync")}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": product},
        "components": components,
        "dependencies": [{"ref": "ordersync", "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _python() -> Iterator[dict[str, Any]]:
    for found in distributions():
        name = _normal(found.metadata["Name"])
        if name != "ordersync":
            purl = f"pkg:pypi/{name}@{found.version}"
            component = {"type": "library", "bom-ref": purl, "name": name, "version": found.version, "purl": purl}
            yield component | _licences(found)


def _licences(found: Distribution) -> dict[str, Any]:
    told = found.metadata.get_all("License-Expression") or []
    return {"licenses": [{"expression": told[0]}]} if told else {}


def _java() -> Iterator[dict[str, Any]]:
    seen = set()
    for lock in _LOCKS:
        for one in _entries(tomllib.loads((files("deploy.local") / lock).read_text())):
            purl = f"pkg:maven/{one['groupId']}/{one['artifactId']}@{one['version']}"
            if purl not in seen:
                seen.add(purl)
                yield {
                    "type": "library",
                    "bom-ref": purl,
                    "group": one["groupId"],
                    "name": one["artifactId"],
                    "version": one["version"],
                    "purl": purl,
                    "hashes": [{"alg": "SHA-256", "content": one["sha256"]}],
                }


def _entries(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, dict):
        if {"groupId", "artifactId", "version", "sha256"} <= set(content):
            yield content
        for value in content.values():
            yield from _entries(value)
    elif isinstance(content, list):
        for value in content:
            yield from _entries(value)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
