"""A backup for one machine: policy, keys, root and copies below the home of `ordersync up`, made at its first start.

All roles lie with the one account that runs everything here; a real installation gives each its own
(see `deploy/guide/backup.md`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyrage.x25519 import Identity

from consumers.backup.policy import DATABASES, Policy
from consumers.backup.vault.layout import root_path
from consumers.backup.vault.trust import OFFICERS, RootPlan, default_expiry, draft_root, new_signer, write_secret
from consumers.backup.vault.trust import write_signer as write_key
from deploy.backup.options import copies_of, read_file
from schemas.topics import CAPTURE_SIGNALS, CATALOGUE, MISMATCHES, PUBLISHED, SUBJECT_KEYS

DIRECTORY = "backup"
"""Below the home."""

_COPIES = ("first", "second")
_HOLDERS = ("restorer", "escrow")
_LEFT_OUT = {
    PUBLISHED: "Written anew from orders.events by the publisher",
    SUBJECT_KEYS: "A copy would outlive the destruction of a key; without keys the publisher publishes all orders anew",
    MISMATCHES: "The next reconciliation finds them anew",
    CAPTURE_SIGNALS: "Requests that have been carried out; asking again does no harm",
    "erp": "Its order tables are written anew from orders.events by the sink",
    "warehouse": "Its journal is written anew from gl.postings by the sink",
}


@dataclass(frozen=True, slots=True)
class LocalBackup:
    """Where everything of this machine's backup lies."""

    directory: Path

    @property
    def policy(self) -> Path:
        """The policy."""
        return self.directory / "policy.toml"

    @property
    def root(self) -> Path:
        """What the officers signed."""
        return self.directory / "root.json"

    def key(self, role: str) -> Path:
        """The signing key of creator, keeper or restorer."""
        return self.directory / f"{role}.pem"

    def identity(self, holder: str) -> Path:
        """The age identity of the restorer or the escrow officer."""
        return self.directory / f"{holder}.age"

    def environment(self, role: str) -> dict[str, str]:
        """What the creator's or keeper's worker needs to know."""
        return {
            "ORDERSYNC_POLICY": str(self.policy),
            "ORDERSYNC_ROOT": str(self.root),
            f"ORDERSYNC_{role.upper()}_KEY": str(self.key(role)),
        }


def local_backup(home: Path) -> LocalBackup:
    """The backup of a home, whether it was made or not."""
    return LocalBackup(home / DIRECTORY)


def provision(home: Path) -> LocalBackup:
    """Make keys, policy and root unless they are there, and give every copy the root.

    Called by the launcher before the workers start; an interrupted first call leaves nothing half made.

    Raises:
        ConfigurationError: a file cannot be written or read.
    """
    made = local_backup(home)
    if not made.directory.exists():
        fresh = LocalBackup(home / f"{DIRECTORY}.new")
        shutil.rmtree(fresh.directory, ignore_errors=True)
        fresh.directory.mkdir(mode=0o700, parents=True)
        _make(fresh, made)
        fresh.directory.rename(made.directory)
    root = read_file(made.root, "the root")
    for copy in copies_of(Policy.read(made.policy)).copies:
        copy.keep(root_path(1), root)
    return made


def _make(fresh: LocalBackup, final: LocalBackup) -> None:
    officers = [new_signer() for _ in range(OFFICERS)]
    signers = {role: new_signer() for role in ("creator", "keeper", "restorer", "promoter")}
    for number, officer in enumerate(officers, 1):
        write_key(officer, fresh.key(f"officer-{number}"))
    for role, signer in signers.items():
        write_key(signer, fresh.key(role))
    now = datetime.now(UTC)
    public = {role: signer.public_key for role, signer in signers.items()}
    root = draft_root(
        RootPlan(
            officers=[officer.public_key for officer in officers],
            creator=public["creator"],
            keeper=public["keeper"],
            restorers=[public["restorer"]],
            promoters=[public["promoter"]],
            expires_at=default_expiry(now),
        )
    )
    for officer in officers:
        root.sign(officer, append=True)
    fresh.root.write_bytes(root.to_bytes())
    recipients: dict[str, str] = {}
    for holder in _HOLDERS:
        identity = Identity.generate()
        write_secret(fresh.identity(holder), f"# public key: {identity.to_public()}\n{identity}\n".encode())
        recipients[holder] = str(identity.to_public())
    fresh.policy.write_text(_policy(final, recipients, now))


def _policy(final: LocalBackup, recipients: Mapping[str, str], now: datetime) -> str:
    """A policy for a machine that demonstrates: every topic of the catalogue, two directories."""
    places = [f'{{ name = "{name}", url = {_quoted(f"file://{final.directory / name}")} }},' for name in _COPIES]
    lines = [
        "# The backup of this machine; made at the first start, and yours to change after that.",
        "format = 1",
        "version = 1",
        'name = "this machine"',
        f"effective_from = {now.date()}",
        'approved_by = ["the owner of this machine"]',
        "objectives = { rpo_seconds = 5, rto_seconds = 3600 }",
        "retention = { keep_within_days = 35 }",
        "drill = { every_days = 30 }",
        f"copies = {{ minimum = 1, places = [{' '.join(places)}] }}",
        "[encryption.recipients]",
        *(f"{name} = {_quoted(recipient)}" for name, recipient in recipients.items()),
    ]
    for topic in CATALOGUE:
        if topic not in _LEFT_OUT:
            lines += ["[[topics]]", f"name = {_quoted(topic)}", 'mode = "continuous"']
    for name in (*CATALOGUE, *DATABASES):
        if name in _LEFT_OUT:
            lines += ["[[excluded]]", f"name = {_quoted(name)}", f"reason = {_quoted(_LEFT_OUT[name])}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A basic string of TOML is one of JSON.
    return json.dumps(text, ensure_ascii=False)
