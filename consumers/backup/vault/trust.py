"""Keys of the people and processes that sign, and the root: who may say what about the backup.

The root is TUF's: two officers sign it together. It names the creator (targets: what the backup consists of), the
keeper (snapshot and timestamp: which state is the newest) and the restorers, whose deeds the audit log takes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import CryptoSigner, Key, Signature, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from schemas.errors import BackupRefused, ConfigurationError

OFFICERS = 2
"""How many officers must sign the root."""

RESTORERS = "x-ordersync-restorers"
"""Field of the root with the restorers' keys, by key id."""

PROMOTERS = "x-ordersync-promoters"
"""Field of the root with the keys of those who may put a restore into use, by key id."""

CREATOR, KEEPER, RESTORER, PROMOTER, OFFICER = "creator", "keeper", "restorer", "promoter", "officer"
"""Roles, as people know them."""

_ROLES = ("targets", "snapshot", "timestamp")


@dataclass(frozen=True, slots=True)
class RootPlan:
    """Who is to have which role; the same person in two of them defeats the separation of duties (B9)."""

    officers: Sequence[Key]
    creator: Key
    keeper: Key
    restorers: Sequence[Key]
    expires_at: datetime
    version: int = 1
    promoters: Sequence[Key] = ()


def new_signer() -> CryptoSigner:
    """A fresh Ed25519 key."""
    return CryptoSigner.generate_ed25519()


def write_signer(signer: CryptoSigner, path: Path) -> None:
    """The secret key to `path`, for its owner only, and the public one beside it as `.pub`. Neither is overwritten.

    Raises:
        ConfigurationError: one of them exists, or the directory cannot be written.
    """
    write_secret(path, signer.private_bytes)
    public = {"keyid": signer.public_key.keyid, **signer.public_key.to_dict()}
    public_path(path).write_text(json.dumps(public, indent=2) + "\n")


def write_secret(path: Path, content: bytes) -> None:
    """A new file that only its owner may read. Raises `ConfigurationError` where it exists or cannot be written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise ConfigurationError(f"the key file {path} cannot be made: {exc.strerror}") from exc
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def public_path(path: Path) -> Path:
    """Where the public half of the key in `path` is."""
    return path.with_name(f"{path.name}.pub")


def read_signer(path: Path) -> CryptoSigner:
    """The secret key that `write_signer` wrote. Raises `ConfigurationError`."""
    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as exc:
        raise ConfigurationError(f"the key {path} cannot be read: {exc}; make one with `backup key`") from exc
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigurationError(f"{path} is no Ed25519 key; make one with `backup key`")
    return CryptoSigner(private)


def read_public(path: Path) -> Key:
    """The public key that `write_signer` wrote. Raises `ConfigurationError`."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        return Key.from_dict(content.pop("keyid"), content)
    except (OSError, ValueError, KeyError) as exc:
        raise ConfigurationError(f"the public key {path} cannot be read: {exc}") from exc


def draft_root(plan: RootPlan) -> Metadata[Root]:
    """The root without signatures.

    Raises:
        ConfigurationError: too few officers, or a key that has two roles.
    """
    if len(plan.officers) < OFFICERS:
        raise ConfigurationError(f"the root needs {OFFICERS} officers, {len(plan.officers)} are named")
    everybody = [*plan.officers, plan.creator, plan.keeper, *plan.restorers, *plan.promoters]
    if len({key.keyid for key in everybody}) != len(everybody):
        raise ConfigurationError(
            "a key has two roles: officers, creator, keeper, restorer and promoter are different people"
        )
    root = Root(version=plan.version, expires=plan.expires_at.replace(microsecond=0), consistent_snapshot=True)
    for officer in plan.officers:
        root.add_key(officer, "root")
    root.roles["root"].threshold = OFFICERS
    root.add_key(plan.creator, "targets")
    root.add_key(plan.keeper, "snapshot")
    root.add_key(plan.keeper, "timestamp")
    root.unrecognized_fields[RESTORERS] = {key.keyid: key.to_dict() for key in plan.restorers}
    root.unrecognized_fields[PROMOTERS] = {key.keyid: key.to_dict() for key in plan.promoters}
    return Metadata(root)


def read_root(content: bytes) -> Metadata[Root]:
    """A root, as yet unverified.

    Raises:
        BackupRefused: the bytes are none.
    """
    try:
        return Metadata[Root].from_bytes(content)
    except (RepositoryError, ValueError) as exc:
        raise BackupRefused(f"the root cannot be read: {exc}", reason="malformed") from exc


def require_signed(root: Metadata[Root]) -> None:
    """Refuse a root without enough officers' signatures.

    Raises:
        BackupRefused: as said.
    """
    result = root.signed.get_verification_result("root", root.signed_bytes, root.signatures)
    if not result.verified or root.signed.roles["root"].threshold < OFFICERS:
        raise BackupRefused(
            f"the root has {len(result.signed)} valid signatures of officers, it needs {OFFICERS}", reason="unsigned"
        )


def require_role(root: Root, role: str, signer: Signer, who: str) -> None:
    """Refuse a key that the officers did not name for a role.

    Raises:
        ConfigurationError: as said.
    """
    keyids = root.roles[role].keyids
    if signer.public_key.keyid not in keyids:
        raise ConfigurationError(
            f"the key {signer.public_key.keyid} is not the {who}'s: the root names {', '.join(keyids)}"
        )


def keys_of(root: Root) -> dict[str, tuple[str, Key]]:
    """Who may write into the audit log: key id -> role and key."""
    named = {"root": OFFICER} | {role: CREATOR if role == "targets" else KEEPER for role in _ROLES}
    found = {keyid: (who, root.keys[keyid]) for role, who in named.items() for keyid in root.roles[role].keyids}
    for field, who in ((RESTORERS, RESTORER), (PROMOTERS, PROMOTER)):
        keys: dict[str, Any] = root.unrecognized_fields.get(field, {})
        found |= {keyid: (who, Key.from_dict(keyid, dict(key))) for keyid, key in keys.items()}
    return found


def is_signed_by(key: Key, signature: str, payload: bytes) -> bool:
    """Whether `signature` (hexadecimal) over `payload` is of `key`."""
    try:
        key.verify_signature(Signature(key.keyid, signature), payload)
    except (UnverifiedSignatureError, VerificationError):
        return False
    return True


def default_expiry(now: datetime) -> datetime:
    """How long a root holds unless its officers decide otherwise."""
    return now + timedelta(days=365)
