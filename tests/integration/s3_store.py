"""An S3-compatible store on loopback for tests: S3Proxy before a directory, asking for signatures as stores do."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import httpx

from deploy.local.artifacts import ArtifactStore, cache_directory, read_lock
from deploy.local.java import JavaProgram, clear_temporary
from deploy.local.ports import LOOPBACK, Ports, accepts
from deploy.local.process import Command
from deploy.local.progress import SilentProgress
from deploy.local.server import Server, plain_environment

BUCKET = "backup"
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "somebody", "something"
_LOCK = Path(__file__).with_name("s3proxy.lock.toml")
_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m")
_ANSWER_SECONDS = 10.0


class S3Store(Server):
    """One bucket; its files lie below `directory`."""

    name: ClassVar[str] = "s3proxy"

    def __init__(self, home: Path) -> None:
        super().__init__(home, Ports(home / "ports.json"))
        self._port = 0
        self._home = home / "s3proxy"

    @property
    def address(self) -> str:
        """Base of its API, once started."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def directory(self) -> Path:
        """The bucket."""
        return self._home / "buckets" / BUCKET

    def prepare(self) -> None:
        """Make the bucket."""
        self.process.end_leftover()
        self.directory.mkdir(parents=True, exist_ok=True)
        clear_temporary(self._home)

    def claim_ports(self) -> None:
        """One, for the API."""
        self._port = self.ports.claim(self.name)

    def spawn(self) -> None:
        """Start it; the program is downloaded once and kept beside those of the embedded stack."""
        (locked,) = read_lock(_LOCK)
        artifacts = ArtifactStore(cache_directory(), SilentProgress())
        artifacts.ensure([locked])
        properties = {
            "s3proxy.endpoint": self.address,
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": ACCESS_KEY_ID,
            "s3proxy.credential": SECRET_ACCESS_KEY,
            "jclouds.provider": "filesystem-nio2",
            "jclouds.identity": ACCESS_KEY_ID,
            "jclouds.credential": SECRET_ACCESS_KEY,
            "jclouds.filesystem.basedir": str(self.directory.parent),
        }
        configuration = self._home / "s3proxy.properties"
        configuration.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        program = JavaProgram(
            self.name, _OPTIONS, ("-jar", str(artifacts.path(locked))), artifacts.directory, recording=False
        )
        argv = program.argv(self._home, arguments=("--properties", str(configuration)))
        self.process.spawn(Command(argv, self._home, plain_environment()))

    def healthy(self) -> bool:
        """Whether it refuses who has not signed."""
        if not self._port or not accepts(self._port):
            return False
        try:
            answer = httpx.get(f"{self.address}/", timeout=_ANSWER_SECONDS, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.FORBIDDEN
