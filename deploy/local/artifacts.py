"""The Java artefacts of the embedded stack: downloaded once, accepted only with the locked SHA-256."""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import os
import shutil
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from jgo.maven import MavenContext, PythonResolver

from deploy.local.progress import SilentProgress, StackProgress
from schemas.errors import Fatal

_HERE = Path(__file__).parent
KAFKA_LOCK = _HERE / "jgo.lock.toml"
REGISTRY_LOCK = _HERE / "registry.lock.toml"
# Downloads, the unpacked registry and the start-up caches of the two Java servers.
_CACHE_BYTES = 900_000_000
_TIMEOUT_SECONDS = 60
_CHUNK_BYTES = 1 << 20
_DOWNLOADS_AT_ONCE = 6
_STAGING = ".staging-"


@dataclass(frozen=True, slots=True)
class LockedArtifact:
    """One file of a Maven repository, and the digest that it must have."""

    group_id: str
    artifact_id: str
    version: str
    packaging: str
    classifier: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name that Maven gives the file."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact_id}-{self.version}{classifier}.{self.packaging}"


@dataclass(frozen=True, slots=True)
class JavaArtifacts:
    """What the Java servers run from."""

    kafka_jars: tuple[Path, ...]
    registry_directory: Path
    cache: Path


def cache_directory() -> Path:
    """`ORDERSYNC_CACHE`, or `ordersync` in the user's cache directory."""
    own = os.environ.get("ORDERSYNC_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "ordersync"


def fetch_artifacts(
    progress: StackProgress | None = None,
    *,
    cache: Path | None = None,
    repository: str | None = None,
    locks: tuple[Path, Path] = (KAFKA_LOCK, REGISTRY_LOCK),
) -> JavaArtifacts:
    """Make sure that every Java artefact is in the cache, and say where.

    Called by `make install` beforehand and by each start of a stack; without a download it takes milliseconds.
    Several processes may call it at once. `repository` is the address of a Maven repository; by default the one in
    `ORDERSYNC_MAVEN_REPOSITORY`, for networks with a mirror of their own, or the public one.

    Raises:
        Fatal: a download failed or does not have the locked digest, or the disk is full.
    """
    repository = repository or os.environ.get("ORDERSYNC_MAVEN_REPOSITORY")
    store = ArtifactStore(cache or cache_directory(), progress or SilentProgress(), repository)
    kafka, (registry,) = (read_lock(lock) for lock in locks)
    store.ensure([registry, *kafka])
    return JavaArtifacts(tuple(map(store.path, kafka)), store.unpacked(registry), store.directory)


def read_lock(path: Path) -> list[LockedArtifact]:
    """The artefacts that a jgo lock names.

    Raises:
        Fatal: the lock names an artefact without a digest.
    """
    locked = tomllib.loads(path.read_text())["dependencies"]
    missing = [entry["artifactId"] for entry in locked if not entry.get("sha256")]
    if missing:
        raise Fatal(f"{path} has no SHA-256 for {', '.join(missing)}: run `make lock` to write it anew.")
    return [
        LockedArtifact(
            entry["groupId"],
            entry["artifactId"],
            entry["version"],
            entry["packaging"],
            entry.get("classifier", ""),
            entry["sha256"],
        )
        for entry in locked
    ]


class ArtifactStore:
    """A directory of verified files; a file gets its final name only after its digest was checked."""

    def __init__(self, directory: Path, progress: StackProgress, repository: str | None = None) -> None:
        self.directory = directory
        self._repositories = {"mirror": repository} if repository else None
        self._progress = progress

    def path(self, artifact: LockedArtifact) -> Path:
        """Where the verified file is or will be: under its digest, so that a new lock never meets an old file."""
        return self.directory / "files" / artifact.sha256[:16] / artifact.file_name

    def ensure(self, artifacts: Sequence[LockedArtifact]) -> None:
        """Download what is missing, several at a time. Raises `Fatal`."""
        if all(self.path(artifact).exists() for artifact in artifacts):
            return
        require_free_space(self.directory, _CACHE_BYTES, purpose="the servers' files")
        with self._locked(), ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            self._clear_interrupted()
            # Looked at again: another process may have fetched them while this one waited for the lock.
            missing = [artifact for artifact in artifacts if not self.path(artifact).exists()]
            downloads = [pool.submit(self._download, artifact) for artifact in missing]
            for download in downloads:
                download.result()

    def unpacked(self, artifact: LockedArtifact) -> Path:
        """Directory with the content of a verified `tar.gz`. Raises `Fatal`."""
        directory = self.directory / "unpacked" / f"{artifact.artifact_id}-{artifact.sha256[:16]}"
        if not directory.exists():
            with self._locked():
                if not directory.exists():
                    self._progress.step(artifact.artifact_id, "unpacking")
                    _unpack(self.path(artifact), directory)
        return directory

    def _clear_interrupted(self) -> None:
        """Remove what killed downloads left; only under the lock, so that nobody's own is among it."""
        for leftover in self.directory.glob(f"**/{_STAGING}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _download(self, artifact: LockedArtifact) -> None:
        path = self.path(artifact)
        with _staging(self.directory) as staging:
            downloaded = self._from_repository(artifact, staging)
            digest = sha256_of(downloaded)
            if digest != artifact.sha256:
                raise Fatal(
                    f"{artifact.file_name} does not have the locked SHA-256: expected {artifact.sha256}, "
                    f"got {digest} ({downloaded.stat().st_size:,} bytes). The file was discarded. Start again; if "
                    "it stays so, a proxy or the repository changes the file, or the lock needs `make lock`."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            downloaded.replace(path)

    def _from_repository(self, artifact: LockedArtifact, staging: Path) -> Path:
        resolver = PythonResolver(progress_callback=self._progress.download)
        context = MavenContext(resolver, staging, remote_repos=self._repositories, timeout=_TIMEOUT_SECONDS)
        component = context.project(artifact.group_id, artifact.artifact_id).at_version(artifact.version)
        try:
            return Path(component.artifact(artifact.classifier, artifact.packaging).resolve())
        except (requests.RequestException, RuntimeError) as exc:
            raise Fatal(
                f"{artifact.file_name} could not be downloaded: {exc}. Check the network, the proxy settings "
                "(HTTPS_PROXY) and the certificates (REQUESTS_CA_BUNDLE), then start again: what is here stays."
            ) from exc
        except OSError as exc:
            raise _disk_fault(exc, staging) from exc

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def require_free_space(directory: Path, needed_bytes: int, *, purpose: str) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        Fatal: fewer than `needed_bytes` are free where the directory is or will be.
    """
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise Fatal(
            f"The disk of {directory} has {free / 1e6:,.0f} MB free, and {purpose} need "
            f"{needed_bytes / 1e6:,.0f} MB. Free some space, or choose another place (ORDERSYNC_CACHE for "
            "downloads, --home for data)."
        )


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=directory, prefix=_STAGING) as name:
        yield Path(name)


def _unpack(archive: Path, directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    require_free_space(directory, _CACHE_BYTES // 2, purpose="the unpacked files")
    with _staging(directory.parent) as staging:
        try:
            with tarfile.open(archive) as content:
                content.extractall(staging / "content", filter="data")
        except OSError as exc:
            raise _disk_fault(exc, directory) from exc
        (staging / "content").rename(directory)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(functools.partial(file.read, _CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _disk_fault(exc: OSError, directory: Path) -> Fatal:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return Fatal(f"The disk of {directory} is full: {exc}. Free some space and start again.")
    return Fatal(f"{directory} cannot be written: {exc}. Mend its permissions or choose another ORDERSYNC_CACHE.")
