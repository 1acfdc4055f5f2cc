"""A key that the officers replace: what it signed stays proved, and it signs nothing more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from securesystemslib.signer import CryptoSigner

from consumers.backup.vault.audit import AuditEntry, Deed, SignedEntry, entries, record, verify_audit
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.commits import START, Link
from consumers.backup.vault.layout import AUDIT, numbered, root_path
from consumers.backup.vault.roots import Roots
from consumers.backup.vault.trust import CREATOR, KEEPER, OFFICER, RESTORER, new_signer, write_signer
from deploy.backup.key_commands import root as root_command
from schemas.errors import BackupRefused, ConfigurationError
from tests.unit.backup_people import NOW, People, Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """With a commit, and a deed of each who may tell of one, signed by the keeper."""
    made = Vault(tmp_path)
    made.commit(made.new_creator(), [])
    for signer in (made.people.restorer, made.people.keeper, made.people.creator):
        record(made.copies, signer, Deed("Done", "before", NOW), made.roots)
    made.keeper.publish(NOW)
    return made


def replace(vault: Vault, *roles: str) -> People:
    """Fresh keys for some, by a root with the next number; gives those before."""
    before = People(**vars(vault.people))
    for role in roles:
        setattr(vault.people, role, new_signer())
    version = vault.roots.follow().version + 1
    vault.copies.put_new(root_path(version), vault.people.root(version=version).to_bytes())
    return before


def announce(vault: Vault) -> Link:
    """What `backup root publish` adds to the log."""
    return record(vault.copies, vault.people.officers[0], Deed("RootPublished", "root", NOW), vault.roots)


def forge(vault: Vault, signer: CryptoSigner, before: Link, root_version: int) -> None:
    """An entry by somebody with tools of their own."""
    entry = AuditEntry(
        sequence=before.version + 1,
        previous_sha256=before.sha256,
        root_version=root_version,
        keyid=signer.public_key.keyid,
        action="BackupRestored",
        subject="x",
        occurred_at=NOW - timedelta(days=1),
    )
    signed = SignedEntry(entry=entry, signature=signer.sign(entry.payload()).signature)
    assert vault.copies.put_new(numbered(AUDIT, entry.sequence), signed.model_dump_json().encode())


def refused(reason: str, attempt: Callable[[], object]) -> None:
    with pytest.raises(BackupRefused) as caught:
        attempt()
    assert caught.value.reason == reason, caught.value


@pytest.mark.parametrize("roles", [["restorer"], ["keeper"], ["creator"], ["restorer", "keeper", "promoter"]])
def test_what_a_replaced_key_signed_stays_proved(vault: Vault, roles: Sequence[str]) -> None:
    replace(vault, *roles)
    announce(vault)
    record(vault.copies, vault.people.restorer, Deed("Done", "after", NOW), vault.roots)
    vault.commit(vault.new_creator(), [])
    assert vault.new_keeper().publish(NOW + timedelta(seconds=1)) is not None
    vault.client().load(Catalogue())
    told = [(one.role, one.entry.root_version) for one in entries(vault.copies, START, vault.roots)]
    assert told == [(RESTORER, 1), (KEEPER, 1), (CREATOR, 1), (OFFICER, 2), (RESTORER, 2)]


def test_who_was_given_only_the_newest_root_proves_the_older_entries_too(vault: Vault) -> None:
    replace(vault, "restorer")
    announce(vault)
    replace(vault, "restorer")
    vault.root = vault.copies.get(root_path(3)) or b""
    assert verify_audit(vault.copies, START, vault.roots).version == 4
    vault.keeper.publish(NOW + timedelta(seconds=1))
    vault.client().load(Catalogue())


def test_a_planted_older_root_is_refused(vault: Vault) -> None:
    replace(vault, "restorer")
    newest = vault.copies.get(root_path(2)) or b""
    # Officers of the thief's own, and the true ones without their signatures.
    for planted in (People.hired().root(), vault.people.root(signed_by=1)):
        vault.overwrite(vault.files() | {root_path(1): planted.to_bytes()})
        refused("unsigned", lambda: verify_audit(vault.copies, START, Roots(vault.copies, newest)))
    vault.overwrite({path: content for path, content in vault.files().items() if path != root_path(1)})
    refused("missing", lambda: verify_audit(vault.copies, START, Roots(vault.copies, newest)))


@pytest.mark.parametrize("root_version", [1, 2])
def test_a_withdrawn_key_writes_nothing_after_its_withdrawal(vault: Vault, root_version: int) -> None:
    before = replace(vault, "restorer")
    end = announce(vault)
    refused("audit", lambda: record(vault.copies, before.restorer, Deed("Done", "late", NOW), vault.roots))
    forge(vault, before.restorer, end, root_version)
    refused("audit", lambda: verify_audit(vault.copies, START, vault.roots))
    # One who goes on from an entry that was proved before sees the same.
    refused("audit", lambda: verify_audit(vault.copies, end, vault.roots))
    refused("audit", lambda: vault.keeper.publish(NOW + timedelta(seconds=1)))


def test_a_key_signs_nothing_for_the_time_before_it_was_named(vault: Vault) -> None:
    replace(vault, "restorer")
    end = verify_audit(vault.copies, START, vault.roots)
    forge(vault, vault.people.restorer, end, 1)
    refused("audit", lambda: verify_audit(vault.copies, START, vault.roots))


def test_a_process_that_runs_learns_of_the_new_root_from_the_log(vault: Vault) -> None:
    running = vault.roots
    end = verify_audit(vault.copies, START, running)
    replace(vault, "restorer")
    announce(vault)
    record(vault.copies, vault.people.restorer, Deed("Done", "after", NOW), vault.roots)
    assert verify_audit(vault.copies, end, running).version == 5
    assert running.newest.version == 2
    assert vault.keeper.publish(NOW + timedelta(seconds=1)) is not None


def test_a_withdrawn_keeper_signs_no_newer_state(vault: Vault) -> None:
    thief = vault.new_keeper("thief")
    before = replace(vault, "keeper")
    with pytest.raises(ConfigurationError, match="not the keeper's"):
        Vault.new_keeper(_as(vault, before))
    vault.commit(vault.new_creator(), [])
    vault.new_keeper().publish(NOW + timedelta(seconds=1))
    vault.client().load(Catalogue())
    vault.commit(vault.new_creator(), [])
    thief._timestamp_version = thief._snapshot_version = 2
    refused("unsigned", lambda: thief.publish(NOW + timedelta(seconds=2)))
    # Its timestamp lies there now: nobody takes it for the newest state.
    refused("unsigned", lambda: vault.client().refresh())
    refused("unsigned", vault.new_keeper)


def _as(vault: Vault, people: People) -> Vault:
    other = object.__new__(Vault)
    other.__dict__.update(vars(vault), people=people)
    return other


def test_publishing_a_later_root_needs_an_officer_who_tells_the_log(vault: Vault, tmp_path: Path) -> None:
    old = vault.people
    replace(vault, "restorer")
    root, place = tmp_path / "root-2.json", tmp_path / "copy"
    root.write_bytes(vault.copies.get(root_path(2)) or b"")
    for path, content in vault.files().items():
        if path != root_path(2):
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
    policy = tmp_path / "policy.toml"
    recipients = "\n".join(f'{name} = "{holder.to_public()}"' for name, holder in old.holders.items())
    policy.write_text(_POLICY.format(place=place, recipients=recipients))
    officer, stranger = tmp_path / "officer.pem", tmp_path / "stranger.pem"
    write_signer(old.officers[1], officer)
    write_signer(new_signer(), stranger)

    def publish(*options: str) -> BaseException | None:
        arguments = ["publish", str(root), "--policy", str(policy), *options]
        return CliRunner().invoke(root_command, arguments).exception

    assert "add --key of an officer" in str(publish())
    assert "no officer's key" in str(publish("--key", str(stranger)))
    assert not (place / root_path(2)).exists()
    assert publish("--key", str(officer)) is None
    assert (place / root_path(2)).read_bytes() == root.read_bytes()
    entry = SignedEntry.model_validate_json((place / numbered(AUDIT, 4)).read_bytes()).entry
    assert (entry.action, entry.subject, entry.root_version) == ("RootPublished", "root 2", 2)


_POLICY = """
format = 1
version = 1
name = "orders"
effective_from = 2026-11-21
approved_by = ["Chief financial officer"]
objectives = {{ rpo_seconds = 5, rto_seconds = 3600 }}
retention = {{ keep_within_days = 35 }}
drill = {{ every_days = 30 }}
copies = {{ minimum = 1, places = [{{ name = "here", url = "file://{place}" }}] }}
[encryption.recipients]
{recipients}
[[topics]]
name = "orders.events"
mode = "continuous"
"""
