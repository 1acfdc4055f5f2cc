"""A copy in an S3-compatible store, over HTTP: nothing is overwritten, expired files go, absence is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.policy import CopyPolicy
from consumers.backup.restore.verification import mend, verify_copy
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.copies import Copies, Copy, open_copy
from consumers.backup.vault.layout import root_path
from consumers.sink import Partition
from schemas.errors import BackupRefused, ConfigurationError, Transient
from tests.unit.backup_people import NOW, Vault

moto = pytest.importorskip("moto.server", reason="the S3-compatible store of the tests is not installed")

EVENTS = Partition("orders.events", 0)


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The address of a store with one bucket."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    httpx.put(f"{address}/backup").raise_for_status()
    try:
        yield address
    finally:
        server.stop()


@pytest.fixture
def place(store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> CopyPolicy:
    """A prefix of one test."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    prefix = re.sub("[^a-z]+", "-", request.node.name.lower())
    return CopyPolicy(name="far", url=f"s3://backup/{prefix}", endpoint=store, region="us-east-1")


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
