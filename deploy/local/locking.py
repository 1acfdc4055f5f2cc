"""Writes the Java locks anew: `python -m deploy.local.locking`, run by `make lock`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from jgo.env import EnvironmentSpec, LockedDependency, LockFile
from jgo.maven import MavenContext

from deploy.local.artifacts import KAFKA_LOCK, REGISTRY_LOCK, sha256_of

_SPEC = KAFKA_LOCK.with_name("jgo.toml")
_TIMEOUT_SECONDS = 60
# One archive that holds the registry with all its libraries: it has no dependencies to resolve.
_REGISTRY = ("io.apicurio", "apicurio-registry-app", "3.3.3", "all", "tar.gz")


def main() -> None:
    """Resolve what `jgo.toml` names, download everything, and write the digests of what came."""
    with tempfile.TemporaryDirectory(prefix="ordersync-lock-") as directory:
        context = MavenContext(repo_cache=Path(directory), timeout=_TIMEOUT_SECONDS)
        spec = EnvironmentSpec.load(_SPEC)
        direct, transitive = context.resolver.resolve(
            [context.create_dependency(coordinate) for coordinate in spec.coordinates]
        )
        kafka = [LockedDependency.from_dependency(each) for each in [*direct, *transitive]]
        _write(KAFKA_LOCK, spec.name, sorted(kafka, key=lambda each: (each.groupId, each.artifactId)))
        _write(REGISTRY_LOCK, "ordersync-registry", [_registry(context)])


def _registry(context: MavenContext) -> LockedDependency:
    group_id, artifact_id, version, classifier, packaging = _REGISTRY
    component = context.project(group_id, artifact_id).at_version(version)
    archive = Path(component.artifact(classifier, packaging).resolve())
    return LockedDependency(group_id, artifact_id, version, packaging, classifier, sha256_of(archive))


def _write(path: Path, name: str | None, dependencies: list[LockedDependency]) -> None:
    LockFile(dependencies=dependencies, environment_name=name, java_version="25").save(path)


if __name__ == "__main__":
    main()
