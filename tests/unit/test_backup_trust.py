"""Who may say what about the backup: creator, keeper, restorer, and what each of them refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.segments import OpenSegment, extent_of, read_segment, rows_of
from consumers.backup.vault.audit import AuditEntry, Deed, SignedEntry, entries, record, verify_audit
from consumers.backup.vault.catalogue import Catalogue, load_onto, verified_file
from consumers.backup.vault.commits import START, Commit, sign_commit
from consumers.backup.vault.copies import Copies
from consumers.backup.vault.creator import Creator, Progress
from consumers.backup.vault.encryption import unseal, unwrap, wrap_name
from consumers.backup.vault.keeper import Keeper
from consumers.backup.vault.layout import AUDIT, metadata_path, numbered, root_path, wrap_path
from consumers.backup.vault.targets import Gap
from consumers.backup.vault.trust import (
    new_signer,
    public_path,
    read_public,
    read_signer,
    write_signer,
)
from consumers.sink import Partition
from schemas.errors import BackupRefused, ConfigurationError, PositionConflict
from tests.unit.backup_people import NOW, People, Vault

EVENTS = Partition("orders.events", 0)
STATE = Partition("orders.state", 1)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


def records(start: int, end: int) -> list[tuple[Partition, ArchivedRecord]]:
    return [
        (partition, ArchivedRecord(offset, 1_000 + offset, 1, b"k", None if offset % 5 == 0 else b"v", (("h", b"1"),)))
        for offset in range(start, end)
        for partition in (EVENTS, STATE)
    ]


def refused(reason: str, attempt: Callable[[], object]) -> None:
    with pytest.raises(BackupRefused) as caught:
        attempt()
    assert caught.value.reason == reason, caught.value


def test_what_was_committed_is_read_by_each_recipient_and_by_nobody_else(vault: Vault) -> None:
    creator = vault.new_creator()
    vault.commit(creator, records(0, 10))
    vault.commit(creator, records(10, 20))
    assert vault.keeper.publish(NOW) is not None
    catalogue = Catalogue()
    assert vault.client().load(catalogue).head == creator.head
    for holder in vault.people.holders.values():
        found = []
        for partition, segments in catalogue.segments.items():
            for file, holds in segments:
                expected = catalogue.sets[holds.set_id]
                wrapped = vault.copies.get(wrap_path(holds.set_id, wrap_name(str(holder.to_public())))) or b""
                identity = unwrap(wrapped, holder, expected)
                content = unseal(verified_file(vault.copies, file), identity, file.path)
                found += [(partition, one) for one in rows_of(read_segment(content, extent_of(holds)))]
        assert sorted(found) == sorted(vault.records)
    stranger = People.hired().holders["restorer"]
    refused("wrong_key", lambda: unwrap(wrapped, stranger, expected))
    refused("wrong_key", lambda: unwrap(wrapped, holder, str(stranger.to_public())))


def test_a_creator_goes_on_where_the_one_before_ended(vault: Vault) -> None:
    first = vault.new_creator()
    vault.commit(first, records(0, 10))
    second = vault.new_creator()
    assert second.catalogue.positions == {EVENTS: 10, STATE: 10}
    vault.commit(second, records(10, 12))
    with pytest.raises(PositionConflict, match="a second creator"):
        vault.commit(first, records(10, 13))
    assert vault.new_creator().catalogue.positions == {EVENTS: 12, STATE: 12}


def test_a_crash_before_the_commit_leaves_the_positions(vault: Vault) -> None:
    creator = vault.new_creator()
    segment = OpenSegment(EVENTS, 0, 0.0)
    segment.append(records(0, 1)[0][1])
    closed = segment.close()
    sealed = creator.seal(closed.content, NOW)
    creator.add(closed.path(sealed), sealed, closed.described(creator.key_set(NOW).set_id))
    after = vault.new_creator()
    assert after.catalogue.positions == {}
    vault.commit(after, records(0, 1))
    vault.keeper.publish(NOW)
    catalogue = Catalogue()
    vault.client().load(catalogue)
    assert catalogue.positions == {EVENTS: 1, STATE: 1}


def test_offsets_left_out_are_refused_unless_they_are_told(vault: Vault) -> None:
    creator = vault.new_creator()
    vault.commit(creator, records(0, 5))
    segment = OpenSegment(EVENTS, 7, 0.0)
    segment.append(records(7, 8)[0][1])
    closed = segment.close()
    sealed = creator.seal(closed.content, NOW)
    creator.add(closed.path(sealed), sealed, closed.described(creator.key_set(NOW).set_id))
    refused("hole", lambda: creator.commit(Progress(NOW, None)))
    refused("hole", vault.new_creator)

    told = OpenSegment(EVENTS, 5, 0.0)
    told.append(records(7, 8)[0][1])
    told.skip_to(9)
    assert told.gaps == (Gap(first=5, end=7, reason="no_record"), Gap(first=8, end=9, reason="no_record"))
    assert told.close().described("s").is_complete


def test_the_keeper_refuses_a_history_that_was_rewritten(vault: Vault) -> None:
    creator = vault.new_creator()
    vault.commit(creator, records(0, 5))
    vault.keeper.publish(NOW)
    before = vault.files()
    vault.commit(creator, records(5, 6))
    vault.keeper.publish(NOW)
    # A thief of the creator's key begins again from the state before, with other records.
    published = vault.files()
    vault.overwrite(before)
    thief = vault.new_creator()
    vault.commit(thief, records(5, 7))
    forged = vault.files()
    for path in (metadata_path("snapshot", 2), metadata_path("timestamp", 2)):
        forged[path] = published[path]
    vault.overwrite(forged)
    refused("altered", lambda: vault.new_keeper())
    # A keeper that runs has the published commit in mind.
    vault.commit(thief, records(7, 8))
    refused("rewritten", lambda: vault.keeper.publish(NOW))


@pytest.mark.parametrize("part", ["metadata/targets", "segments", "sets"])
def test_the_keeper_signs_nothing_that_is_not_whole(vault: Vault, part: str) -> None:
    vault.commit(vault.new_creator(), records(0, 5))
    files = vault.files()
    path = next(path for path in files if path.startswith(part))
    files[path] = files[path][:-1] + bytes([files[path][-1] ^ 1])
    vault.overwrite(files)
    with pytest.raises(BackupRefused):
        vault.keeper.publish(NOW)
    assert not [path for path in vault.files() if "timestamp" in path]


def test_roles_refuse_the_others_keys(vault: Vault) -> None:
    with pytest.raises(ConfigurationError, match="not the creator's"):
        Creator(vault.policy, vault.copies, vault.people.keeper, vault.root).open()
    with pytest.raises(ConfigurationError, match="not the keeper's"):
        Keeper(vault.policy, vault.copies, vault.people.creator, vault.root, vault.directory / "k").open()


def test_a_root_needs_two_officers_and_five_different_keys(vault: Vault) -> None:
    people = vault.people
    vault.root = people.root(signed_by=1).to_bytes()
    refused("unsigned", vault.client)
    with pytest.raises(ConfigurationError, match="two roles"):
        people.root(keeper=people.creator.public_key)
    with pytest.raises(ConfigurationError, match="2 officers, 1 are named"):
        people.root(officers=[people.officers[0].public_key])


def test_officers_replace_a_stolen_creator_key(vault: Vault) -> None:
    thief = vault.new_creator()
    vault.commit(thief, records(0, 5))
    vault.keeper.publish(NOW)
    given_out = vault.root
    vault.people.creator = new_signer()
    vault.root = vault.people.root(version=2).to_bytes()
    vault.copies.put_new(root_path(2), vault.root)
    successor, keeper = vault.new_creator(), vault.new_keeper()
    assert successor.catalogue.positions == {EVENTS: 5, STATE: 5}
    vault.commit(successor, records(5, 6))
    keeper.publish(NOW)
    # A process, too, that was given only the first root.
    early = Creator(vault.policy, vault.copies, vault.people.creator, given_out)
    early.open()
    # Who has only the first root follows the officers' signatures to the second.
    vault.root = given_out
    catalogue = Catalogue()
    vault.client().load(catalogue)
    assert catalogue.positions == {EVENTS: 6, STATE: 6}
    with pytest.raises(ConfigurationError, match="not the creator's"):
        thief.open()
    load_onto(thief.catalogue, vault.copies, early.head)
    vault.commit(thief, records(6, 7))
    refused("unsigned", lambda: keeper.publish(NOW))


def test_an_old_state_is_noticed_by_who_has_seen_a_newer_one(vault: Vault) -> None:
    creator = vault.new_creator()
    vault.commit(creator, records(0, 5))
    vault.keeper.publish(NOW)
    old = vault.files()
    vault.commit(creator, records(5, 6))
    vault.keeper.publish(NOW)
    vault.client("restorer").refresh()
    vault.overwrite(old)
    refused("rolled_back", lambda: vault.client("restorer").refresh())
    refused("rolled_back", lambda: vault.new_keeper())
    vault.overwrite({})
    refused("rolled_back", lambda: vault.new_keeper())


def test_a_commit_costs_as_much_as_the_first_however_many_there_are(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator = vault.new_creator()
    asked: list[str] = []
    get, names = Copies.get, Copies.names

    def counted_get(self: Copies, path: str) -> bytes | None:
        asked.append(path)
        return get(self, path)

    def counted_names(self: Copies, folder: str, after: str = "") -> list[str]:
        asked.append("list")
        return names(self, folder, after)

    monkeypatch.setattr(Copies, "get", counted_get)
    monkeypatch.setattr(Copies, "names", counted_names)
    costs = []
    for number in range(40):
        vault.commit(creator, records(5 * number, 5 * number + 5))
        asked.clear()
        assert vault.keeper.publish(NOW + timedelta(seconds=number)) is not None
        costs.append(len(asked))
        # Every list of a folder that only grows would be longer each time.
        assert "list" not in asked
    assert len(set(costs[2:])) == 1, costs


def test_a_frozen_state_expires(vault: Vault) -> None:
    vault.commit(vault.new_creator(), records(0, 5), NOW - timedelta(hours=30))
    vault.keeper.publish(NOW - timedelta(hours=23))
    vault.client().refresh()
    due = vault.keeper.publish(NOW - timedelta(hours=1))
    assert due is not None and due.timestamp_version == 2
    assert vault.keeper.publish(NOW) is None
    stale = Vault(vault.directory / "stale")
    stale.commit(stale.new_creator(), records(0, 5), NOW - timedelta(hours=30))
    refused("expired", lambda: stale.keeper.publish(NOW - timedelta(hours=25)))
    refused("expired", lambda: stale.client().refresh())


def test_the_audit_log_is_chained_signed_and_its_end_is_the_keepers(vault: Vault) -> None:
    vault.commit(vault.new_creator(), records(0, 5))
    for number in range(3):
        record(vault.copies, vault.people.restorer, Deed("BackupRestored", f"restore {number}", NOW), vault.roots)
    vault.keeper.publish(NOW)
    vault.client().load(Catalogue())
    assert [one.entry.subject for one in entries(vault.copies, START, vault.roots)] == [
        f"restore {n}" for n in range(3)
    ]
    whole = vault.files()
    last = [path for path in whole if path.startswith("audit")][-1]
    vault.overwrite({path: content for path, content in whole.items() if path != last})
    refused("audit", lambda: vault.client().load(Catalogue()))
    told = json.loads(whole[last])
    told["entry"]["subject"] = "nothing"
    vault.overwrite(whole | {last: json.dumps(told).encode()})
    refused("audit", lambda: vault.client().load(Catalogue()))
    vault.overwrite(whole)
    refused("audit", lambda: _record_as_stranger(vault))


def test_nobody_writes_into_the_audit_log_in_anothers_name(vault: Vault) -> None:
    restorer, stranger = vault.people.restorer.public_key.keyid, new_signer()
    told = {
        "sequence": 1,
        "previous_sha256": "",
        "root_version": 1,
        "action": "BackupRestored",
        "subject": "x",
        "occurred_at": NOW,
    }
    entry = AuditEntry.model_validate({**told, "keyid": restorer})
    forged = SignedEntry(entry=entry, signature=stranger.sign(entry.payload()).signature)
    vault.copies.put_new(numbered(AUDIT, 1), forged.model_dump_json().encode())
    refused("audit", lambda: verify_audit(vault.copies, START, vault.roots))
    vault.commit(vault.new_creator(), records(0, 5))
    refused("audit", lambda: vault.keeper.publish(NOW))


def test_a_creator_does_not_go_on_from_a_commit_that_a_store_planted(vault: Vault) -> None:
    creator = vault.new_creator()
    vault.commit(creator, records(0, 5))
    vault.keeper.publish(NOW)
    planted = Commit(
        version=creator.head.version + 1,
        previous_sha256=creator.head.sha256,
        committed_at=NOW,
        complete_through_at=NOW,
        policy_version=1,
    )
    content = sign_commit(planted, NOW + timedelta(days=1), new_signer()).content
    vault.copies.put_new(metadata_path("targets", planted.version), content)
    refused("unsigned", vault.new_creator)
    refused("unsigned", lambda: vault.keeper.publish(NOW))


def _record_as_stranger(vault: Vault) -> None:
    record(vault.copies, new_signer(), Deed("BackupRestored", "x", NOW), vault.roots)


def test_key_files_are_private_and_never_overwritten(tmp_path: Path) -> None:
    signer = new_signer()
    path = tmp_path / "creator.pem"
    write_signer(signer, path)
    assert path.stat().st_mode & 0o077 == 0
    assert read_signer(path).public_key.keyid == signer.public_key.keyid == read_public(public_path(path)).keyid
    with pytest.raises(ConfigurationError, match="File exists"):
        write_signer(new_signer(), path)
    path.write_text("nothing")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_signer(path)
