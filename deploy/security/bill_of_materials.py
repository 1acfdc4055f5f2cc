"""What the installation is made of: a CycloneDX 1.6 bill of its Python packages and Java archives, with digests.

A Java archive has the digest of its file. A Python package has those of every file of its version that the locks admit,
one for each platform: which of them was installed, an installation does not tell. One that no lock names has none.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions, version
from importlib.resources import files
from typing import Any

_LOCKS = ("jgo.lock.toml", "registry.lock.toml")
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"\s+--hash=sha256:(?P<digest>[0-9a-f]{64})")


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
    digests = locked_digests()
    for found in distributions():
        name = _normal(found.metadata["Name"])
        if name != "ordersync":
            purl = f"pkg:pypi/{name}@{found.version}"
            component = {"type": "library", "bom-ref": purl, "name": name, "version": found.version, "purl": purl}
            yield component | _licences(found) | _locked(purl, digests.get((name, found.version), []))


def locked_digests() -> dict[tuple[str, str], list[str]]:
    """SHA-256 of every file that the locks admit, by a package's name and version."""
    found: dict[tuple[str, str], list[str]] = {}
    for lock in sorted(files("deploy.locks").iterdir(), key=lambda one: one.name):
        package: tuple[str, str] | None = None
        for line in lock.read_text(encoding="utf-8").splitlines() if lock.name.endswith(".txt") else []:
            if match := _PINNED.match(line):
                package = (_normal(match["name"]), match["version"])
            elif package is not None and (match := _HASH.match(line)):
                digests = found.setdefault(package, [])
                if match["digest"] not in digests:
                    digests.append(match["digest"])
    return found


def _locked(purl: str, digests: Sequence[str]) -> dict[str, Any]:
    """References, because a component's own hashes are those of one file."""
    if not digests:
        return {}
    hashes = [{"alg": "SHA-256", "content": one} for one in sorted(digests)]
    return {"externalReferences": [{"type": "distribution", "url": purl, "hashes": hashes}]}


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
