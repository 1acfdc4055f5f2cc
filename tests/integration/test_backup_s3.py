"""A copy in an S3-compatible store, over HTTP: nothing is overwritten, expired files go, absence is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.policy import CopyPolicy
from consumers.backup.restore.verification import mend, verify_copy
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.copies import Copies, Copy, open_copy
from consumers.backup.vault.layout import root_path
from consumers.sink import Partition
from schemas.errors import BackupRefused, ConfigurationError, Transient
from tests.integration.s3_store import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, S3Store
from tests.unit.backup_people import NOW, Vault

EVENTS = Partition("orders.events", 0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Store]:
    """A store with one bucket."""
    server = S3Store(tmp_path_factory.mktemp("s3"))
    server.prepare()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def place(store: S3Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> CopyPolicy:
    """A prefix of one test."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    prefix = re.sub("[^a-z]+", "-", request.node.name.lower())
    return CopyPolicy(name="far", url=f"s3://{BUCKET}/{prefix}", endpoint=store.address, region="us-east-1")


def test_what_was_put_once_is_never_overwritten(place: CopyPolicy) -> None:
    copy = open_copy(place)
    assert copy.put_new("a/1", b"first")
    assert not copy.put_new("a/1", b"second")
    assert copy.get("a/1") == b"first"
    copy.keep("a/1", b"first")
    with pytest.raises(BackupRefused, match="with another content"):
        copy.keep("a/1", b"second")
    assert copy.get("a/2") is None


def test_files_are_listed_in_order_and_removed(place: CopyPolicy) -> None:
    copy = open_copy(place)
    paths = [f"a/{number:04d}" for number in range(20)]
    for path in reversed(paths):
        copy.put_new(path, b"x")
    assert copy.names("a") == paths
    assert copy.names("a", after=paths[15]) == paths[16:]
    assert copy.remove(paths[0]) and copy.remove(paths[0])
    assert copy.names("a") == paths[1:]


def test_a_list_has_more_than_one_page(place: CopyPolicy, store: S3Store) -> None:
    copy = open_copy(place)
    copy.put_new("b/00000", b"x")
    (folder,) = {path.parent for path in store.directory.rglob("00000")}
    paths = [f"b/{number:05d}" for number in range(1_100)]
    for path in paths[1:]:
        (folder / path.removeprefix("b/")).touch()
    assert copy.names("b") == paths
    assert copy.names("b", after=paths[30]) == paths[31:]


def test_a_wrong_secret_is_told_as_such(place: CopyPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something else")
    with pytest.raises(ConfigurationError, match="copy far: writing a/1"):
        open_copy(place).put_new("a/1", b"x")


def test_a_backup_is_kept_verified_and_mended_there(place: CopyPolicy, tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    (near,) = vault.copies.copies
    far = open_copy(place)
    vault.copies = Copies([near, far])
    far.keep(root_path(1), vault.root)
    creator = vault.new_creator()
    for start in range(0, 30, 10):
        vault.commit(creator, [(EVENTS, ArchivedRecord(one, 1_000, 1, b"k", b"v")) for one in range(start, start + 10)])
    vault.new_keeper("other").publish(NOW)
    catalogue = Catalogue()
    vault.client().load(catalogue)
    holder = vault.people.holders["escrow"]
    assert verify_copy(far, vault.root, tmp_path / "v", holder).records_read == 30
    victim = catalogue.segments[EVENTS][1].file.path
    far.replace(victim, b"something else")
    far.remove(catalogue.segments[EVENTS][2].file.path)
    reasons = sorted(one.reason for one in verify_copy(far, vault.root, tmp_path / "v", holder).findings)
    assert reasons == ["missing", "truncated"]
    assert mend(vault.copies, catalogue) == 2
    assert verify_copy(far, vault.root, tmp_path / "v", holder).is_sound


def test_a_store_that_is_away_is_told_as_such(place: CopyPolicy) -> None:
    away: Copy = open_copy(place.model_copy(update={"endpoint": "http://127.0.0.1:1"}))
    with pytest.raises((Transient, ConfigurationError), match="copy far: reading a/1"):
        away.get("a/1")
