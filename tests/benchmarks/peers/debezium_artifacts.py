"""The Java artefacts of the Debezium peer: locked like the stack's own, kept in the same cache outside the repository.

`python -m tests.benchmarks.peers.debezium_artifacts` resolves them and writes the lock anew (needs the network).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jgo.env import LockedDependency, LockFile
from jgo.maven import MavenContext

from deploy.local.artifacts import ArtifactStore, LockedArtifact, cache_directory, read_lock, sha256_of
from deploy.local.progress import ConsoleProgress

LOCK: Final = Path(__file__).with_name("debezium.lock.toml")
SINK_LOCK: Final = Path(__file__).with_name("debezium_sink.lock.toml")
CONNECTOR_VERSION: Final = "3.6.3.Final"
SINK_VERSION: Final = "3.6.0.Final"
KAFKA_VERSION: Final = "4.3.1"
_CONNECTOR: Final = ("io.debezium", "debezium-connector-postgres", CONNECTOR_VERSION, "plugin", "tar.gz")
_SINK: Final = ("io.debezium", "debezium-connector-jdbc", SINK_VERSION, "plugin", "tar.gz")
_CONNECT: Final = (
    f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}",
    f"org.apache.kafka:connect-json:{KAFKA_VERSION}",
    f"org.apache.kafka:connect-transforms:{KAFKA_VERSION}",
    f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}",
    # "!": the logging backend must not impose its own list of versions on the others.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!",
)


@dataclass(frozen=True, slots=True)
class ConnectInstallation:
    """What Kafka Connect with the connector runs from."""

    jars: tuple[Path, ...]
    plugin_path: Path


def fetch() -> ConnectInstallation:
    """Connect with the PostgreSQL connector, downloaded where it is missing; all by locked digests. Raises Fatal."""
    locked = read_lock(LOCK)
    (connector,) = (artifact for artifact in locked if artifact.packaging == "tar.gz")
    return _installed(connector, locked)


def fetch_sink() -> ConnectInstallation:
    """Connect with the JDBC sink, likewise. Raises Fatal."""
    (connector,) = read_lock(SINK_LOCK)
    return _installed(connector, read_lock(LOCK))


def _installed(connector: LockedArtifact, locked: list[LockedArtifact]) -> ConnectInstallation:
    libraries = [artifact for artifact in locked if artifact.packaging != "tar.gz"]
    store = ArtifactStore(cache_directory(), ConsoleProgress())
    store.ensure([connector, *libraries])
    return ConnectInstallation(tuple(map(store.path, libraries)), store.unpacked(connector))


def write_lock() -> None:
    """Resolve, download everything, and write the digests of what came."""
    with tempfile.TemporaryDirectory(prefix="ordersync-lock-") as directory:
        context = MavenContext(repo_cache=Path(directory), timeout=60)
        direct, transitive = context.resolver.resolve([context.create_dependency(each) for each in _CONNECT])
        dependencies = [LockedDependency.from_dependency(each) for each in [*direct, *transitive]]
        dependencies.sort(key=lambda each: (each.groupId, each.artifactId))
        dependencies.insert(0, _plugin(context, _CONNECTOR))
        LockFile(dependencies=dependencies, environment_name="ordersync-bench-debezium").save(LOCK)
        sink = _plugin(context, _SINK)
        LockFile(dependencies=[sink], environment_name="ordersync-bench-debezium-sink").save(SINK_LOCK)


def _plugin(context: MavenContext, coordinates: tuple[str, str, str, str, str]) -> LockedDependency:
    group_id, artifact_id, version, classifier, packaging = coordinates
    component = context.project(group_id, artifact_id).at_version(version)
    archive = Path(component.artifact(classifier, packaging).resolve())
    return LockedDependency(group_id, artifact_id, version, packaging, classifier, sha256_of(archive))


if __name__ == "__main__":
    write_lock()
