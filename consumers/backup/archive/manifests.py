"""PostgreSQL's backup manifest: which files a base backup must have, and the SHA-256 of each.

What `pg_verifybackup` checks, on the archive as it is stored: a restorer needs no program of PostgreSQL for it.
"""

from __future__ import annotations

import json
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from consumers.backup.vault.targets import LogSpan
from schemas.errors import BackupRefused

_CHUNK_BYTES = 1024 * 1024
# The log is checked by replaying it: its segments have checksums of their own, and the manifest does not list them.
_WAL = "pg_wal/"


def verify_base(archive: Path, manifest: Path) -> int:
    """Compare each file of the archive with the manifest, and the manifest with its own checksum; gives how many.

    Called when a base backup was made, before it is sealed, and when it is restored, before it is unpacked.

    Raises:
        BackupRefused: a file is missing, altered or too many, or one of both cannot be read.
    """
    expected = _expected(manifest)
    seen: set[str] = set()
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                is_log = member.name.startswith(_WAL) and member.name not in expected
                if member.isfile() and not is_log:
                    _require(member.name, _digest(tar, member), member.size, expected)
                    seen.add(member.name)
    except (tarfile.TarError, OSError) as exc:
        raise BackupRefused(f"{archive.name} cannot be read: {exc}", reason="truncated") from exc
    if missing := sorted(expected.keys() - seen):
        raise BackupRefused(
            f"{missing[0]} and {len(missing) - 1} other files are not in the base backup", reason="hole"
        )
    return len(seen)


def log_of(manifest: Path) -> LogSpan:
    """The log that makes a base backup consistent.

    Raises:
        BackupRefused: the manifest does not tell.
    """
    try:
        told = json.loads(manifest.read_bytes())["WAL-Ranges"][-1]
        start, end = (_lsn(told[name]) for name in ("Start-LSN", "End-LSN"))
        return LogSpan(timeline=int(told["Timeline"]), start_lsn=start, end_lsn=end)
    except (OSError, ValueError, KeyError, IndexError) as exc:
        raise BackupRefused(f"the manifest of the base backup names no log: {exc}", reason="malformed") from exc


def _lsn(text: str) -> int:
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def _require(name: str, digest: str, size: int, expected: dict[str, tuple[int, str]]) -> None:
    if name not in expected:
        raise BackupRefused(f"{name} is in the base backup, but not in its manifest", reason="altered")
    if expected[name] != (size, digest):
        raise BackupRefused(f"{name} in the base backup is not what its manifest says", reason="altered")


def _expected(manifest: Path) -> dict[str, tuple[int, str]]:
    try:
        content = manifest.read_bytes()
        told: dict[str, Any] = json.loads(content)
        # The last line holds the digest of all lines before it.
        covered = content[: content.rindex(b'"Manifest-Checksum"')]
        if sha256(covered).hexdigest() != told["Manifest-Checksum"]:
            raise BackupRefused("the manifest of the base backup is not what it was", reason="altered")
        files = [one for one in told["Files"] if one.get("Checksum-Algorithm") == "SHA256"]
        if len(files) != len(told["Files"]):
            raise BackupRefused("the manifest of the base backup has files without SHA-256", reason="malformed")
        return {_path(one): (int(one["Size"]), str(one["Checksum"])) for one in files}
    except (OSError, ValueError, KeyError) as exc:
        raise BackupRefused(f"the manifest of the base backup cannot be read: {exc}", reason="malformed") from exc


def _path(entry: dict[str, Any]) -> str:
    encoded = entry.get("Encoded-Path")
    return str(entry["Path"]) if encoded is None else bytes.fromhex(encoded).decode(errors="surrogateescape")


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    hashed, file = sha256(), tar.extractfile(member)
    assert file is not None
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            hashed.update(chunk)
    return hashed.hexdigest()
