"""Where the console says that the archive holds a record: by the signed catalogue only."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.vault.layout import TIMESTAMPS
from consumers.sink import Partition
from deploy.console.archive import ArchiveView
from tests.unit.backup_people import NOW, Vault

EVENTS = Partition("orders.events", 1)
POLICY = """
format = 1
version = 1
name = "orders"
effective_from = "2026-11-21"
approved_by = ["Chief financial officer"]
objectives = {{ rpo_seconds = 5, rto_seconds = 3600 }}
retention = {{ keep_within_days = 35, monthly = 12 }}
copies = {{ places = [{{ name = "here", url = "file://{copy}" }}] }}
encryption = {{ recipients = {{ restorer = "{recipients[restorer]}", escrow = "{recipients[escrow]}" }} }}
drill = {{ every_days = 30 }}
topics = [{{ name = "orders.events", mode = "continuous" }}]
"""


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Two segments of a partition, with a gap in the first; the keeper has signed both."""
    made = Vault(tmp_path)
    creator = made.new_creator()
    for offsets in ((0, 1, 3), (4, 5)):
        made.commit(creator, [(EVENTS, ArchivedRecord(offset, 1_000, 1, b"crm:1", b"value")) for offset in offsets])
    made.keeper.publish(NOW)
    return made


def view_of(vault: Vault, directory: Path) -> ArchiveView:
    """Of a copy in files."""
    copy = directory / "copy"
    for path, content in vault.files().items():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes(content)
    recipients = {name: str(holder.to_public()) for name, holder in vault.people.holders.items()}
    (directory / "policy.toml").write_text(POLICY.format(copy=copy, recipients=recipients))
    (directory / "root.json").write_bytes(vault.root)
    return ArchiveView(directory / "policy.toml", directory / "root.json", directory / "seen")


def test_each_record_is_in_the_segment_of_its_offset(vault: Vault, tmp_path: Path) -> None:
    view = view_of(vault, tmp_path)
    asked = [(*EVENTS, offset) for offset in (0, 3, 4, 5, 6)]
    found = view.holding([*asked, ("orders.events", 0, 0), ("gl.postings", 1, 0)])
    assert found.problem is None
    assert found.copies == ("here",)
    assert list(found.segments) == asked[:4]
    first, same, second, also = found.segments.values()
    assert (first, second) == (same, also)
    assert first != second
    assert (tmp_path / "copy" / first).is_file()


def test_an_archive_that_is_not_what_was_signed_is_told_of_and_not_believed(vault: Vault, tmp_path: Path) -> None:
    view = view_of(vault, tmp_path)
    timestamp = max((tmp_path / "copy" / TIMESTAMPS).iterdir())
    timestamp.write_bytes(timestamp.read_bytes().replace(b'"version"', b'"Version"'))
    found = view.holding([(*EVENTS, 0)])
    assert found.problem is not None and "refused" in found.problem
    assert not found.segments


def test_a_policy_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    found = ArchiveView(tmp_path / "policy.toml", tmp_path / "root.json", tmp_path / "seen").holding([(*EVENTS, 0)])
    assert found.problem is not None and "policy.toml" in found.problem
