"""Files of secrets: read whole, line by line, and refused where anybody else may read or change them.

Source: I4 (controlled access), S8.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from stat import S_ISREG
from typing import Final

from schemas.errors import ConfigurationError

OWNERS: Final = 0o077
"""Refused of a file that only its owner may touch: one that a command made."""

MOUNTED: Final = 0o027
"""Refused of a file that its group may read, as a mounted secret of Kubernetes needs; nobody else may."""

_MOST_BYTES: Final = 65_536


def require_private(path: Path, refused: int = OWNERS) -> None:
    """Raises ConfigurationError where the file is open to somebody in one of the ways that are `refused`."""
    _require(path, path.stat().st_mode, refused)


def secret_lines(path: Path, named: str, advice: str) -> list[str]:
    """Each line that is not empty, without the space around it; the caller says what a line has to be.

    `named` is how people call what is in the file, `advice` what makes one.

    Raises:
        ConfigurationError: it cannot be read or is no file of text, others may read or change it, or it has no line.
            The message never shows what is in it.
    """
    try:
        # Not blocked by a pipe; and what is judged is what is read.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not S_ISREG(status.st_mode):
                raise ConfigurationError(f"{named} in {path} cannot be read: it is no file; {advice}")
            _require(path, status.st_mode, MOUNTED)
            content = file.read(_MOST_BYTES + 1)
        text = content.decode("ascii")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{named} in {path} cannot be read ({type(exc).__name__}); {advice}") from exc
    if len(content) > _MOST_BYTES:
        raise ConfigurationError(f"{named} in {path} cannot be read: more than {_MOST_BYTES:,} bytes; {advice}")
    lines = [line.strip() for line in text.splitlines()]
    if not any(lines):
        raise ConfigurationError(f"{path} is empty, where {named} should be; {advice}")
    return lines


def base64_key(text: str, place: str, shortest: int, longest: int) -> bytes:
    """The key that a line holds in base64. Raises ConfigurationError that names its place and never shows it."""
    lengths = f"{shortest} bytes" if shortest == longest else f"{shortest} to {longest} bytes"
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise ConfigurationError(f"{place}: a key is {lengths} in base64") from exc
    if not shortest <= len(key) <= longest:
        raise ConfigurationError(f"{place}: a key has {lengths}, not {len(key)}")
    return key


def _require(path: Path, mode: int, refused: int) -> None:
    if mode & refused:
        raise ConfigurationError(
            f"{path} has mode {mode & 0o777:04o}, so others may read or change the secret in it: `chmod 600 {path}`, "
            "and change it if somebody may have done so"
        )
