"""Passwords: what is accepted as one, and how it is kept. Source: RFC 7914, NIST SP 800-63B 3.1.1."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from schemas.errors import ConfigurationError

SHORTEST = 12
LONGEST = 128
_COST, _BLOCK, _PARALLEL = 2**15, 8, 1
_MEMORY = 128 * _COST * _BLOCK * 2
_SALT_BYTES = 16
_DIFFERENT = 5


def one_time_password() -> str:
    """A random password that nobody has to remember for long."""
    return "-".join(secrets.token_hex(3) for _ in range(4))


def check_fitness(password: str, user: str) -> None:
    """Raise `ConfigurationError`, with the reason for the person, where it is too weak to be accepted."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigurationError(f"a password has {SHORTEST} to {LONGEST} characters; several words make a good one")
    if user.casefold() in password.casefold() or len(set(password)) < _DIFFERENT:
        raise ConfigurationError("this password is easy to guess; several words that do not belong together are not")


def hashed(password: str) -> str:
    """What is kept of it: `scrypt$cost$block$parallel$salt$hash`."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = _scrypt(password, salt, _COST, _BLOCK, _PARALLEL)
    return "$".join(("scrypt", str(_COST), str(_BLOCK), str(_PARALLEL), _text(salt), _text(digest)))


def matches(password: str, kept: str) -> bool:
    """Whether it is the password that was kept; costs the same time whatever the answer."""
    _, cost, block, parallel, salt, digest = kept.split("$")
    found = _scrypt(password[: LONGEST * 2], _bytes(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, _bytes(digest))


NOBODYS = "$".join(("scrypt", str(_COST), str(_BLOCK), str(_PARALLEL), "AAAAAAAAAAAAAAAAAAAAAA==", "A" * 43 + "="))
"""Compared with where there is no such user, so that the time of an answer does not tell who exists."""


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=_MEMORY, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(value: str) -> bytes:
    return base64.b64decode(value)
