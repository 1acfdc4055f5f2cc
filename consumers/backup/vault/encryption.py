"""Encryption of the backup with age: a fresh key for each set, readable by the recipients of the policy only.

The process that creates a backup forgets the set's secret key as soon as it has wrapped it: it cannot read what it
wrote. A wrapped key needs no signature: it is right if, and only if, its public half is the one in the signed
catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from pyrage import DecryptError, IdentityError, RecipientError, decrypt, encrypt
from pyrage.x25519 import Identity, Recipient

from schemas.errors import BackupRefused, ConfigurationError


@dataclass(frozen=True, slots=True)
class KeySet:
    """The public half of one set's key, and its secret half wrapped for each recipient."""

    set_id: str
    recipient: str
    wraps: Mapping[str, bytes]
    """File name of the wrap -> age file that holds the secret key."""


def new_key_set(recipients: Iterable[str]) -> KeySet:
    """A fresh key; its secret half leaves this function only wrapped."""
    identity = Identity.generate()
    wraps = {wrap_name(one): wrap(identity, one) for one in recipients}
    return KeySet(str(uuid4()), str(identity.to_public()), wraps)


def wrap(identity: Identity, recipient: str) -> bytes:
    """The secret key, for `recipient` only."""
    return encrypt(str(identity).encode(), [recipient_of(recipient)])


def wrap_name(recipient: str) -> str:
    """How the wrap for a recipient is called: by a fingerprint of its public key."""
    return f"{sha256(recipient.encode()).hexdigest()[:16]}.age"


def unwrap(wrapped: bytes, holder: Identity, expected: str) -> Identity:
    """The set's key.

    Raises:
        BackupRefused: `holder` is not its recipient, or the wrap holds another key than the catalogue says.
    """
    try:
        identity = Identity.from_str(decrypt(wrapped, [holder]).decode())
    except (DecryptError, IdentityError, UnicodeDecodeError) as exc:
        raise BackupRefused(
            f"the wrapped key of the set with the public key {expected} cannot be opened ({exc}); was it altered, or "
            "is this another recipient's identity?",
            reason="wrong_key",
        ) from exc
    if str(identity.to_public()) != expected:
        raise BackupRefused(
            f"the wrapped key belongs to {identity.to_public()}, the catalogue says {expected}: it was exchanged",
            reason="wrong_key",
        )
    return identity


def seal(content: bytes, recipient: str) -> bytes:
    """`content` for the holders of a set's key; each byte of the result is authenticated."""
    return encrypt(content, [recipient_of(recipient)])


def unseal(sealed: bytes, identity: Identity, what: str) -> bytes:
    """What `seal` was given.

    Raises:
        BackupRefused: it was altered, or sealed for another key.
    """
    try:
        return decrypt(sealed, [identity])
    except DecryptError as exc:
        raise BackupRefused(
            f"{what} cannot be decrypted ({exc}): it was altered, or written for another key", reason="undecryptable"
        ) from exc


def recipient_of(text: str) -> Recipient:
    """The public key in `text`. Raises `ValueError` where it is none."""
    try:
        return Recipient.from_str(text)
    except RecipientError as exc:
        raise ValueError(f"{text!r} is not an age public key (age1...): {exc}") from exc


def read_identity(path: Path) -> Identity:
    """The age identity in a file, as `age-keygen` and `ordersync backup identity` write it.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as exc:
        raise ConfigurationError(f"the age identity {path} cannot be read: {exc.strerror}") from exc
    for line in lines:
        if line.startswith("AGE-SECRET-KEY-"):
            try:
                return Identity.from_str(line.strip())
            except IdentityError as exc:
                raise ConfigurationError(f"{path}: {exc}; the file was altered or cut off") from exc
    raise ConfigurationError(f"{path} holds no line that begins with AGE-SECRET-KEY-1; make one with `backup identity`")
