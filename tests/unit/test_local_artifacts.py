"""Downloads of the embedded stack: only what the lock names comes into the cache."""

from __future__ import annotations

import functools
import gc
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.local.artifacts import (
    KAFKA_LOCK,
    REGISTRY_LOCK,
    ArtifactStore,
    LockedArtifact,
    read_lock,
    require_free_space,
)
from deploy.local.progress import SilentProgress
from schemas.errors import Fatal


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """The tests' output is not the place for a server's log."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A Maven repository on loopback: its directory and its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    directory = tmp_path / "repository"
    directory.mkdir()
    handler = functools.partial(QuietHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield directory, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def publish(directory: Path, content: bytes, packaging: str = "jar") -> LockedArtifact:
    artifact = LockedArtifact("org.example", "part", "1.0", packaging, "", hashlib.sha256(content).hexdigest())
    place = directory / "org" / "example" / "part" / "1.0"
    place.mkdir(parents=True)
    (place / artifact.file_name).write_bytes(content)
    return artifact


def test_what_has_the_locked_digest_is_kept(repository: tuple[Path, str], tmp_path: Path) -> None:
    artifact = publish(repository[0], b"a jar")
    store = ArtifactStore(tmp_path / "cache", SilentProgress(), repository[1])
    store.ensure([artifact])
    assert store.path(artifact).read_bytes() == b"a jar"


def test_what_is_there_is_not_downloaded_again(repository: tuple[Path, str], tmp_path: Path) -> None:
    artifact = publish(repository[0], b"a jar")
    ArtifactStore(tmp_path / "cache", SilentProgress(), repository[1]).ensure([artifact])
    ArtifactStore(tmp_path / "cache", SilentProgress(), "http://127.0.0.1:1").ensure([artifact])


def test_a_changed_file_is_refused_and_leaves_nothing(repository: tuple[Path, str], tmp_path: Path) -> None:
    artifact = replace(publish(repository[0], b"tampered with"), sha256="0" * 64)
    store = ArtifactStore(tmp_path / "cache", SilentProgress(), repository[1])
    with pytest.raises(Fatal, match=r"part-1\.0\.jar does not have the locked SHA-256: expected 0{64}, got"):
        store.ensure([artifact])
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["lock"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_missing_file_says_what_to_check(repository: tuple[Path, str], tmp_path: Path) -> None:
    artifact = LockedArtifact("org.example", "absent", "1.0", "jar", "", "0" * 64)
    with pytest.raises(Fatal, match=r"absent-1\.0\.jar could not be downloaded.*Check the network"):
        ArtifactStore(tmp_path / "cache", SilentProgress(), repository[1]).ensure([artifact])
    # jgo leaves the refused answer open; its warning belongs to this test and not to the next one.
    gc.collect()


def test_an_unreachable_repository_says_what_to_check(tmp_path: Path) -> None:
    artifact = LockedArtifact("org.example", "part", "1.0", "jar", "", "0" * 64)
    with pytest.raises(Fatal, match=r"could not be downloaded.*Check the network"):
        ArtifactStore(tmp_path / "cache", SilentProgress(), "http://127.0.0.1:1").ensure([artifact])


def test_an_archive_is_unpacked_once(repository: tuple[Path, str], tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as writer:
        entry = tarfile.TarInfo("lib/content.txt")
        entry.size = 4
        writer.addfile(entry, io.BytesIO(b"text"))
    artifact = publish(repository[0], archive.getvalue(), "tar.gz")
    store = ArtifactStore(tmp_path / "cache", SilentProgress(), repository[1])
    store.ensure([artifact])
    directory = store.unpacked(artifact)
    assert (directory / "lib" / "content.txt").read_text() == "text"
    assert store.unpacked(artifact) == directory


def test_a_disk_without_room_is_refused_beforehand(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"has [\d,]+ MB free, and the data need 1,000,000,000,000 MB"):
        require_free_space(tmp_path / "not" / "yet", 10**18, purpose="the data")


@pytest.mark.parametrize("lock", [KAFKA_LOCK, REGISTRY_LOCK], ids=lambda lock: lock.name)
def test_the_committed_locks_pin_every_file_and_name_no_host(lock: Path) -> None:
    assert all(len(artifact.sha256) == 64 for artifact in read_lock(lock))
    assert "://" not in lock.read_text()


def test_a_lock_without_a_digest_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "jgo.lock.toml"
    lock.write_text(
        '[[dependencies]]\ngroupId = "org.example"\nartifactId = "part"\nversion = "1.0"\npackaging = "jar"\n'
    )
    with pytest.raises(Fatal, match="no SHA-256 for part: run `make lock`"):
        read_lock(lock)
