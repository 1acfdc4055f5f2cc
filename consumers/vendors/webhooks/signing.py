"""Signatures of Standard Webhooks (v1: HMAC-SHA256 over id, time and body) with secrets that lie in files."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from schemas.secret_files import base64_key, secret_lines

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def new_secret() -> str:
    """A secret as its file holds it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def read_secrets(path: Path) -> list[bytes]:
    """The keys of a secret file, one a line; a file replaced while the worker runs counts from the next request on.

    Several lines sign side by side, so that a secret can be changed without a gap.

    Raises:
        ConfigurationError: the file cannot be read, others may read or change it, or a line is no secret. The message
            never shows it.
    """
    lines = secret_lines(path, "the webhook's secret", "`ordersync vendors secret` makes one")
    return [key_of(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line]


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
    return base64_key(line.removeprefix(_PREFIX), place, _SHORTEST, _LONGEST)
