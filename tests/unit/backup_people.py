"""The people and processes around one backup, their keys, and a backup of known records, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.store import MemoryStore
from pyrage.x25519 import Identity
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.segments import OpenSegment
from consumers.backup.policy import Policy
from consumers.backup.vault.client import Client
from consumers.backup.vault.copies import Copies, Copy
from consumers.backup.vault.creator import Creator, Progress
from consumers.backup.vault.keeper import Keeper
from consumers.backup.vault.layout import root_path
from consumers.backup.vault.roots import Roots
from consumers.backup.vault.trust import RootPlan, draft_root, new_signer
from consumers.sink import Partition

# TUF's client compares with the real clock.
NOW = datetime.now(UTC).replace(microsecond=0)


def policy_data(**changes: Any) -> dict[str, Any]:
    """A policy that is right, as it comes out of its TOML file, with top-level changes."""
    data: dict[str, Any] = {
        "format": 1,
        "version": 1,
        "name": "orders",
        "effective_from": "2026-11-21",
        "approved_by": ["Chief financial officer"],
        "objectives": {"rpo_seconds": 5, "rto_seconds": 3600},
        "retention": {"keep_within_days": 35, "monthly": 12},
        "copies": {"places": [{"name": "here", "url": "file:///backup"}]},
        "encryption": {
            "recipients": {name: str(Identity.generate().to_public()) for name in ("restorer", "escrow")},
        },
        "drill": {"every_days": 30},
        "topics": [{"name": "orders.events", "mode": "continuous"}, {"name": "orders.state", "mode": "continuous"}],
    }
    return data | changes


@dataclass
class People:
    """Everybody's secrets; a real installation never has them in one place."""

    officers: Sequence[CryptoSigner]
    creator: CryptoSigner
    keeper: CryptoSigner
    restorer: CryptoSigner
    promoter: CryptoSigner
    holders: dict[str, Identity]

    @classmethod
    def hired(cls) -> People:
        """With fresh keys."""
        holders = {name: Identity.generate() for name in ("restorer", "escrow")}
        return cls([new_signer(), new_signer()], new_signer(), new_signer(), new_signer(), new_signer(), holders)

    def root(self, *, version: int = 1, signed_by: int = 2, **changes: Any) -> Metadata[Root]:
        """The root, signed by so many officers."""
        values: dict[str, Any] = {
            "officers": [officer.public_key for officer in self.officers],
            "creator": self.creator.public_key,
            "keeper": self.keeper.public_key,
            "restorers": [self.restorer.public_key],
            "promoters": [self.promoter.public_key],
            "expires_at": NOW + timedelta(days=365),
            "version": version,
        }
        root = draft_root(RootPlan(**(values | changes)))
        for officer in self.officers[:signed_by]:
            root.sign(officer, append=True)
        return root

    def policy(self, **changes: Any) -> Policy:
        """One whose recipients are these people."""
        recipients = {name: str(holder.to_public()) for name, holder in self.holders.items()}
        return Policy.model_validate(policy_data(encryption={"recipients": recipients}, **changes))


class Vault:
    """A backup in memory, with the processes that serve it."""

    def __init__(self, directory: Path, people: People | None = None, **policy: Any) -> None:
        self.people = people or People.hired()
        self.policy = self.people.policy(**policy)
        self.store = MemoryStore()
        self.copies = Copies([Copy("memory", self.store)])
        self.directory = directory
        self.root = self.people.root().to_bytes()
        self.copies.put_new(root_path(1), self.root)
        self.records: list[tuple[Partition, ArchivedRecord]] = []
        self._clients = 0
        self.keeper = self.new_keeper()

    @property
    def roots(self) -> Roots:
        """The chain of roots, for somebody who has seen nothing but the first."""
        return Roots(self.copies, self.root)

    def new_creator(self) -> Creator:
        """As after a start."""
        creator = Creator(self.policy, self.copies, self.people.creator, self.root)
        creator.open()
        return creator

    def new_keeper(self, state: str = "keeper") -> Keeper:
        """As after a start."""
        keeper = Keeper(self.policy, self.copies, self.people.keeper, self.root, self.directory / state)
        keeper.open()
        return keeper

    def client(self, state: str | None = None) -> Client:
        """Of a restorer who has seen nothing yet, or what `state` remembers."""
        self._clients += 1
        return Client(self.copies, self.root, self.directory / (state or f"client-{self._clients}"))

    def commit(
        self, creator: Creator, records: Sequence[tuple[Partition, ArchivedRecord]], now: datetime = NOW
    ) -> None:
        """The records as one commit, one segment for each partition."""
        open_segments: dict[Partition, OpenSegment] = {}
        for partition, record in records:
            if partition not in open_segments:
                first = creator.catalogue.positions.get(partition, record.offset)
                open_segments[partition] = OpenSegment(partition, first, opened_at_seconds=0.0)
            open_segments[partition].append(record)
        for segment in open_segments.values():
            closed = segment.close()
            sealed = creator.seal(closed.content, now)
            creator.add(closed.path(sealed), sealed, closed.described(creator.key_set(now).set_id))
        creator.commit(Progress(now, now))
        self.records += records

    def files(self) -> dict[str, bytes]:
        """Everything that lies in the copy."""
        paths = [str(meta["path"]) for page in obstore.list(self.store) for meta in page]
        return {path: self.copies.get(path) or b"" for path in sorted(paths)}

    def overwrite(self, files: dict[str, bytes]) -> None:
        """Exchange the copy's content as only a hostile store can."""
        for path in self.files():
            obstore.delete(self.store, path)
        for path, content in files.items():
            obstore.put(self.store, path, content)
