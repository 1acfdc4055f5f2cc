"""Takes what has expired away from each copy: the keeper's work, some time after it signed the commit that says so."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from pathlib import Path

from securesystemslib.signer import Signer

from consumers.backup.policy import Retention
from consumers.backup.vault.audit import Deed, record
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.copies import Copies, Copy
from consumers.backup.vault.holdings import Expired
from consumers.backup.vault.roots import Roots
from schemas.errors import ConfigurationError, Transient

REMOVED = "FilesRemoved"
"""Action of the audit log."""

_log = logging.getLogger(__name__)
_MOST_AT_ONCE = 500
_LOCKED_PAUSE = timedelta(days=1)
_AWAY_PAUSE = timedelta(seconds=10)


class Removal:
    """Copy by copy and commit by commit; `state` remembers how far each copy is, and may be lost."""

    def __init__(self, retention: Retention, copies: Copies, signer: Signer, state: Path) -> None:
        self._retention = retention
        self._copies = copies
        self._signer = signer
        self._state = state
        self._done: dict[str, int] = {}
        self._begun: dict[str, int] = {}
        """Of the commit that a copy is in the middle of: how many files are away."""
        self._not_before: dict[str, datetime] = {}

    def advance(self, catalogue: Catalogue, roots: Roots, now: datetime) -> int:
        """Remove some files that expired long enough ago; gives how many. The rest comes with the next calls.

        A copy that is away, or keeps files by object lock, is asked again later and holds up no other.

        Raises:
            ConfigurationError: what was done cannot be remembered.
        """
        due = [one for one in catalogue.expiries if one.named_at + self._grace <= now]
        if not due:
            return 0
        self._done = self._done or self._read()
        return sum(self._advance(copy, due, roots, now) for copy in self._copies.copies)

    @property
    def _grace(self) -> timedelta:
        return timedelta(hours=self._retention.grace_hours)

    def _advance(self, copy: Copy, due: list[Expired], roots: Roots, now: datetime) -> int:
        left = [one for one in due if one.version > self._done.get(copy.name, 0)]
        if not left or now < self._not_before.get(copy.name, now):
            return 0
        expired, begun = left[0], self._begun.get(copy.name, 0)
        paths = expired.paths[begun : begun + _MOST_AT_ONCE]
        removed = 0
        try:
            for path in paths:
                if not copy.remove(path):
                    self._not_before[copy.name] = now + _LOCKED_PAUSE
                    _log.warning(
                        "copy %s keeps %s although it has expired: object lock? Tried again in a day", copy.name, path
                    )
                    return removed
                removed += 1
                self._begun[copy.name] = begun + removed
            if begun + removed == len(expired.paths):
                subject = f"{len(expired.paths)} files of commit {expired.version} from copy {copy.name}"
                record(self._copies, self._signer, Deed(REMOVED, subject, now), roots)
                self._done[copy.name] = expired.version
                self._begun[copy.name] = 0
                self._write()
        except Transient as exc:
            self._not_before[copy.name] = now + _AWAY_PAUSE
            _log.warning("%s; what has expired is removed there later", exc)
        return removed

    def _read(self) -> dict[str, int]:
        try:
            return {str(name): int(version) for name, version in json.loads(self._state.read_bytes()).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            raise ConfigurationError(f"{self._state} cannot be read: {exc}; remove it to begin anew") from exc

    def _write(self) -> None:
        fresh = self._state.with_suffix(".new")
        try:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(self._done))
            fresh.replace(self._state)
        except OSError as exc:
            raise ConfigurationError(f"{self._state} cannot be written: {exc.strerror}") from exc
