"""The secrets of clients' webhooks as the database has them: sealed by a key that lies in a file, not beside them.

Who reads the queues, or a copy of them, cannot sign in our name. A sealed secret is bound to its subscription: moved to
another one it does not open. Source: issue 10 (signed webhooks), I4.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from consumers.privacy.sealing import KeyRing

SETTING: Final = "ORDERSYNC_SECRET_KEYS"
_SEALED: Final = "sealed:"
_PURPOSE: Final = "ordersync.webhook-secret/1"


class SecretSeal:
    """Seals with the first key of a file and opens with any; without a file it leaves secrets as they are."""

    def __init__(self, path: Path | None) -> None:
        """Raises ConfigurationError where the file cannot be read, or its library is missing."""
        self._ring: KeyRing | None = None if path is None else _ring(path)

    @property
    def seals(self) -> bool:
        """Whether there is a key."""
        return self._ring is not None

    def sealed(self, secret: str, subscription_id: str) -> str:
        """As the database has it."""
        if self._ring is None:
            return secret
        return _SEALED + self._ring.seal_text(secret, (_PURPOSE, subscription_id))

    def opened(self, stored: str, subscription_id: str) -> str:
        """The secret. One that was never sealed is taken as it is, until `ordersync webhooks seal` has sealed it.

        Raises:
            ConfigurationError: there is no key, or not the one that sealed it.
            InvalidValue: it was changed, or belongs to another subscription.
        """
        if not stored.startswith(_SEALED):
            return stored
        if self._ring is None:
            raise ConfigurationError(
                f"the secret of subscription {subscription_id} is sealed: name the file of keys with {SETTING}"
            )
        return self._ring.open_text(stored.removeprefix(_SEALED), (_PURPOSE, subscription_id))


def _ring(path: Path) -> KeyRing:
    # Only here: who seals nothing does without the library of encryption.
    try:
        from consumers.privacy.sealing import KeyRing
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"{exc}: {SETTING} needs the library of encryption; install ordersync[privacy]"
        ) from exc
    from consumers.privacy.key_files import read_keys

    return KeyRing(read_keys(path))
