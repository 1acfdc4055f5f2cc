"""A base backup is its manifest's, file by file; whatever else it is, it is refused with the reason."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from consumers.backup.archive.manifests import verify_base
from schemas.errors import BackupRefused

Files = dict[str, bytes]
FILES: Files = {"PG_VERSION": b"18\n", "base/1/1259": bytes(8192), "global/pg_control": b"control" * 100}
# Not in a manifest, by PostgreSQL's design.
LOG = {"pg_wal/000000010000000000000009": b"log" * 1000}


def backup(
    directory: Path, archived: Files, listed: Files, alter: Callable[[bytes], bytes] = bytes
) -> tuple[Path, Path]:
    """An archive of some files, and a manifest of some, which may be altered at last."""
    archive, manifest = directory / "base.tar", directory / "backup_manifest"
    with tarfile.open(archive, "w") as tar:
        for name, content in archived.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    entries = [
        {"Path": name, "Size": len(content), "Checksum-Algorithm": "SHA256", "Checksum": sha256(content).hexdigest()}
        for name, content in listed.items()
    ]
    told = '{ "PostgreSQL-Backup-Manifest-Version": 2,\n"Files": ' + json.dumps(entries) + ",\n"
    digest = sha256(told.encode()).hexdigest()
    manifest.write_bytes(alter((told + f'"Manifest-Checksum": "{digest}"}}\n').encode()))
    return archive, manifest


def test_what_the_manifest_says_is_accepted(tmp_path: Path) -> None:
    assert verify_base(*backup(tmp_path, FILES | LOG, FILES)) == len(FILES)


@pytest.mark.parametrize(
    ("archived", "reason"),
    [
        ({name: FILES[name] for name in list(FILES)[1:]}, "hole"),
        (FILES | {"base/1/1259": bytes(8191) + b"\x01"}, "altered"),
        (FILES | {"base/1/1259": bytes(8191)}, "altered"),
        (FILES | {"base/1/9999": b"more"}, "altered"),
        (FILES | {"global/pg_control": FILES["PG_VERSION"], "PG_VERSION": FILES["global/pg_control"]}, "altered"),
    ],
)
def test_a_file_that_is_missing_altered_exchanged_or_too_many_is_refused(
    tmp_path: Path, archived: Files, reason: str
) -> None:
    with pytest.raises(BackupRefused) as refused:
        verify_base(*backup(tmp_path, archived, FILES))
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (lambda content: content.replace(b'"Size": 3', b'"Size": 4'), "altered"),
        (lambda content: content[:-40], "malformed"),
        (lambda content: b"", "malformed"),
    ],
)
def test_an_altered_manifest_is_refused(tmp_path: Path, alter: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(BackupRefused) as refused:
        verify_base(*backup(tmp_path, FILES, FILES, alter))
    assert refused.value.reason == reason


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    archive, manifest = backup(tmp_path, FILES, FILES)
    archive.write_bytes(archive.read_bytes()[:9000])
    with pytest.raises(BackupRefused) as refused:
        verify_base(archive, manifest)
    assert refused.value.reason in ("truncated", "hole")
