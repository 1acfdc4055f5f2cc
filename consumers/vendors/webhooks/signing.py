"""Signatures of Standard Webhooks (v1: HMAC-SHA256 over id, time and body) with secrets that lie in files."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from schemas.errors import ConfigurationError

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def new_secret() -> str:
    """A secret as its file holds it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def read_secrets(path: Path) -> list[bytes]:
    """The keys of a secret file, one a line; a file replaced while the worker runs counts from the next request on.

    Several lines sign side by side, so that a secret can be changed without a gap.

    Raises:
        ConfigurationError: the file cannot be read, or a line is no secret. The message never shows it.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"the webhook's secret in {path} cannot be read ({type(exc).__name__})") from exc
    found = [key_of(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line]
    if not found:
        raise ConfigurationError(f"{path} is empty; `ordersync vendors secret` makes a secret")
    return found


def signed_headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a request. `timestamp` in seconds since 1970, the time of the attempt.

    Source: Standard Webhooks 1.0.0, "Webhook metadata" and "Signature scheme".
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.new(key, signed, sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def key_of(line: str, place: str) -> bytes:
    """The key of a secret. Raises ConfigurationError that names its place and never shows it."""
    try:
        key = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    except binascii.Error as exc:
        raise ConfigurationError(f"{place}: after {_PREFIX} comes base64") from exc
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ConfigurationError(f"{place}: a secret has {_SHORTEST} to {_LONGEST} bytes, not {len(key)}")
    return key
