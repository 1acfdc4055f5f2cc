"""Makes and replaces the secrets with which partners sign their requests to the API."""

from __future__ import annotations

from pathlib import Path

from deploy.security.files import write_private
from producers.api.partners import new_secret, partner_lines, read_secrets
from schemas.errors import ConfigurationError


def add_secret(path: Path) -> int:
    """Add a secret to a partner's file, which is made where it is missing; how many are good now.

    Raises:
        ConfigurationError: two are good already, or the file is not as it should be.
    """
    lines = _lines(path) if path.exists() else []
    if len(lines) > 1:
        told = f"{path} has two secrets: take the older one away first, once the partner signs with the newer"
        raise ConfigurationError(f"{told} (--retire)")
    _write(path, [*lines, new_secret()])
    return len(lines) + 1


def retire_secret(path: Path) -> None:
    """Take the older of two secrets away. Raises ConfigurationError where there are not two."""
    lines = _lines(path) if path.exists() else []
    if len(lines) != 2:
        raise ConfigurationError(f"{path} has {len(lines)} secrets, not two: add the new one first, without --retire")
    _write(path, lines[1:])


def _lines(path: Path) -> list[str]:
    read_secrets(path)
    return [line for _, line in partner_lines(path)]


def _write(path: Path, lines: list[str]) -> None:
    write_private(path, "".join(f"{line}\n" for line in lines))
