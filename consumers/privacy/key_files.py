"""The files of secret keys by which people are sealed: read with a check of who else may, and made."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationError
from schemas.secret_files import base64_key, secret_lines

_KEY_BYTES: Final = 32


def read_keys(path: Path) -> list[bytes]:
    """The keys of a file, one a line, the one in use first.

    The group may read it, as a mounted secret of Kubernetes needs; everybody may not.

    Raises:
        ConfigurationError: it cannot be read, others may read or change it, or a line is no key. It never shows one.
    """
    lines = secret_lines(path, "the keys", f"`ordersync privacy key {path}` makes a file")
    found = [
        base64_key(line, f"{path}, line {number}", _KEY_BYTES, _KEY_BYTES)
        for number, line in enumerate(lines, 1)
        if line
    ]
    if len(set(found)) != len(found):
        raise ConfigurationError(f"{path} holds a key twice")
    return found


def read_key(path: Path) -> bytes:
    """The only key of a file. Raises ConfigurationError as `read_keys`, and where there are several."""
    keys = read_keys(path)
    if len(keys) != 1:
        raise ConfigurationError(f"{path} holds {len(keys)} keys, and only one is possible: pseudonyms never change")
    return keys[0]


def add_key(path: Path) -> int:
    """Make a file with a new key, or put one before those that a file has; gives how many it holds now.

    Raises:
        ConfigurationError: the file cannot be written, or what is there is no file of keys.
    """
    lines = [base64.b64encode(key).decode() for key in (read_keys(path) if path.exists() else [])]
    lines.insert(0, base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode())
    replacement = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(replacement, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        replacement.replace(path)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written ({exc})") from exc
    return len(lines)
