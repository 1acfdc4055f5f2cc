"""Where the secrets of one installation lie: one directory, every file readable by its owner only."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from consumers.privacy.key_files import add_key
from schemas.errors import ConfigurationError
from schemas.secret_files import require_private

_PASSWORD_BYTES = 32
_PARTNER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class SecurityFiles:
    """The directory `home/security` of an embedded stack, or the one that a deployer keeps."""

    directory: Path

    @property
    def authority_certificate(self) -> Path:
        """What clients and servers trust; no secret."""
        return self.directory / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """The key that issues certificates; only the launcher and the deployer read it."""
        return self.directory / "ca.key"

    def certificate(self, name: str) -> Path:
        """The certificate of a server or of the administrator."""
        return self.directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Its private key, PKCS#8."""
        return self.directory / f"{name}.key"

    def key_store(self, name: str) -> Path:
        """Private key and certificate in one file, as Java servers read them (`ssl.keystore.type=PEM`)."""
        return self.directory / f"{name}.pem"

    def password_file(self, principal: str) -> Path:
        """The password of one principal; a worker is told of its own file only."""
        return self.directory / "passwords" / principal

    @property
    def encryption_keys(self) -> Path:
        """The key-encryption keys of what is published for other departments."""
        return self.directory / "privacy" / "encryption.keys"

    @property
    def pseudonym_key(self) -> Path:
        """The key by which people become pseudonyms there."""
        return self.directory / "privacy" / "pseudonym.key"

    def ensure_privacy_keys(self) -> dict[str, str]:
        """Both, made at the first start, as variables of the environment. Raises ConfigurationError as `add_key`."""
        for path in (self.encryption_keys, self.pseudonym_key):
            if not path.exists():
                add_key(path)
        return {
            "ORDERSYNC_PRIVACY__ENCRYPTION_KEY_FILE": str(self.encryption_keys),
            "ORDERSYNC_PRIVACY__PSEUDONYM_KEY_FILE": str(self.pseudonym_key),
        }

    def partner_secrets(self, name: str) -> Path:
        """The secrets of a partner that signs its requests to the API. Raises ConfigurationError for another name."""
        if not _PARTNER.fullmatch(name):
            raise ConfigurationError(f"{name!r} cannot be a client of the API: letters a-z, digits and _ . - only")
        return self.directory / "partners" / name

    def ensure_password(self, principal: str) -> str:
        """The password of a principal, made at the first use. Raises ConfigurationError where others may read it."""
        path = self.password_file(principal)
        if not path.exists():
            return self.new_password(principal)
        require_private(path)
        return path.read_text().strip()

    def new_password(self, principal: str) -> str:
        """Replace the password of a principal; whoever it belongs to reads it at its next start."""
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        write_private(self.password_file(principal), password)
        return password


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file atomically by one that only its owner may read, in a directory that only its owner may enter."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    replacement = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(replacement, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    replacement.replace(path)
