"""The chain of the officers' roots: who was named when, from the first root to the newest that the copies hold."""

from __future__ import annotations

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from consumers.backup.vault.copies import Source
from consumers.backup.vault.layout import root_path
from consumers.backup.vault.trust import read_root, require_signed
from schemas.errors import BackupRefused


class Roots:
    """All roots that lead to or from the one that the officers gave out, read when they are asked for.

    A newer root is signed by the officers before it. An older one is believed because its officers signed both it and
    the one after it, whose bytes are already trusted.
    """

    def __init__(self, source: Source, given: bytes) -> None:
        """`given` is what the officers gave out. Raises `BackupRefused` where they did not sign it."""
        root = read_root(given)
        require_signed(root)
        self._source = source
        self._known: dict[int, Metadata[Root]] = {root.signed.version: root}

    @property
    def newest(self) -> Root:
        """The newest one that was seen; `follow` looks for a newer one."""
        return self._known[max(self._known)].signed

    def follow(self) -> Root:
        """The newest one that the copies hold.

        Raises:
            BackupRefused: a newer root is not signed by its officers and by those before.
            Transient: the copies are away.
        """
        while (content := self._source.get(root_path(self.newest.version + 1))) is not None:
            newer = read_root(content)
            _require_officers(self._known[self.newest.version], newer, self.newest.version + 1, newer)
            self._known[newer.signed.version] = newer
        return self.newest

    def at(self, version: int) -> Root:
        """The root with a number.

        Raises:
            BackupRefused: the copies have none, or it does not belong to this chain.
            Transient: the copies are away.
        """
        if version > self.newest.version:
            self.follow()
        oldest = min(self._known)
        while version < oldest and oldest > 1:
            content = self._source.get(root_path(oldest - 1))
            if content is None:
                break
            older = read_root(content)
            _require_officers(older, self._known[oldest], oldest - 1, older)
            self._known[oldest - 1] = older
            oldest -= 1
        found = self._known.get(version)
        if found is None:
            raise BackupRefused(f"root {version} is asked for, and the copies have none", reason="missing")
        return found.signed


def _require_officers(before: Metadata[Root], after: Metadata[Root], version: int, read: Metadata[Root]) -> None:
    """Refuse `read`, one of the two, unless the officers of the root before signed both and it has its number."""
    try:
        before.signed.verify_delegate("root", after.signed_bytes, after.signatures)
    except (RepositoryError, ValueError) as exc:
        raise BackupRefused(
            f"root {after.signed.version} is not signed by the officers before: {exc}", reason="unsigned"
        ) from exc
    require_signed(read)
    if read.signed.version != version:
        raise BackupRefused(f"root {version} says {read.signed.version}", reason="swapped")
