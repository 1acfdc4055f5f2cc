"""What the creator names as expired: planned every hour from the policy and the open holds, some files at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

from consumers.backup.policy import Policy
from consumers.backup.vault.audit import VerifiedEntry, verify_audit
from consumers.backup.vault.commits import START
from consumers.backup.vault.copies import Copies
from consumers.backup.vault.creator import Creator
from consumers.backup.vault.holds import Holds
from consumers.backup.vault.retention import expirable, kept_spans
from consumers.backup.vault.targets import NOTHING_EXPIRED, Expiry

_PAUSE = timedelta(hours=1)


class Expiring:
    """Of one creator, which names files and cannot remove any."""

    def __init__(self, policy: Policy, copies: Copies, creator: Creator) -> None:
        self._retention = policy.retention
        self._copies = copies
        self._creator = creator
        self._audit = START
        self._holds = Holds()
        self._due_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether the policy removes anything, and it is time to look."""
        return self._retention.enforce and (self._due_at is None or now >= self._due_at)

    def look_again(self) -> None:
        """Something came that may stand in for older files."""
        self._due_at = None

    def plan(self, now: datetime) -> Expiry:
        """What may go now, for the next commit; nothing where it is not time to look.

        Raises:
            BackupRefused: the audit log, which tells of the holds, is not sound.
            Transient: the copies are away.
        """
        if not self.is_due(now):
            return NOTHING_EXPIRED

        def note(verified: VerifiedEntry) -> None:
            self._holds = self._holds.after(verified.entry, verified.role, now)

        self._audit = verify_audit(self._copies, self._audit, self._creator.roots, told=note)
        catalogue = self._creator.catalogue
        found = expirable(catalogue, kept_spans(catalogue.points, self._retention, self._holds.known(now), now))
        self._due_at = now + _PAUSE if found.is_empty else now
        return found
