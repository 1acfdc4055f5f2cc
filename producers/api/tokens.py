"""Bearer tokens of an OpenID Connect issuer: who calls, and what this token lets it do. Source: RFC 7519, RFC 9068."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import time

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from producers.api.problems import Problem
from schemas.errors import ConfigurationError

# Signatures of a key pair only: with a shared secret whoever checks a token could also make one.
_ALGORITHMS = ["ES256", "ES384", "EdDSA", "PS256", "RS256"]
_MOST_REMEMBERED = 4_096
_LEEWAY_SECONDS = 30
_LONGEST_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Whose tokens are taken: issuer, audience, and the file with the issuer's public keys (JWKS)."""

    issuer: str
    audience: str
    keys: Path


@dataclass(frozen=True, slots=True)
class Caller:
    """What a token that was verified says."""

    client: str
    """`client_id`, else `azp`, else `sub`: the name in the clients file."""
    scopes: frozenset[str]
    ends_at_seconds: float


class Tokens:
    """Verifies tokens, and remembers those that it has verified until they end.

    A replaced key file is read at the next request: rotation needs no restart, and a key that was taken away ends what
    it vouched for.
    """

    def __init__(self, rules: TokenRules, clock: Callable[[], float] = time) -> None:
        """Raises ConfigurationError where the keys cannot be read."""
        self._rules = rules
        self._clock = clock
        self._keys = _read(rules.keys)
        self._read_at = rules.keys.stat().st_mtime_ns
        self._known: OrderedDict[bytes, Caller] = OrderedDict()

    def caller(self, token: str) -> Caller:
        """Who calls. Raises Problem 401, which does not tell what was wrong with the token."""
        self._refresh()
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(digest)
        if known is None:
            known = self._verified(token)
            self._known[digest] = known
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        if known.ends_at_seconds + _LEEWAY_SECONDS <= self._clock():
            raise refused()
        return known

    def _verified(self, token: str) -> Caller:
        if len(token) > _LONGEST_BYTES:
            raise refused()
        try:
            claims = jwt.decode(token, self._keys, algorithms=_ALGORITHMS).claims
            self._registry().validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as exc:
            raise refused() from exc
        name = next((claims[key] for key in ("client_id", "azp", "sub") if key in claims), None)
        scope, ends_at = claims.get("scope", ""), claims["exp"]
        if not isinstance(name, str) or not isinstance(scope, str) or not isinstance(ends_at, int | float):
            raise refused()
        return Caller(name, frozenset(scope.split()), float(ends_at))

    def _registry(self) -> JWTClaimsRegistry:
        return JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._rules.issuer},
            aud={"essential": True, "value": self._rules.audience},
            exp={"essential": True},
        )

    def _refresh(self) -> None:
        try:
            changed_at = self._rules.keys.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._keys, self._read_at = _read(self._rules.keys), changed_at
                self._known.clear()
        except (OSError, ConfigurationError):
            # Half written, or gone for a moment: the keys that are known still hold.
            return


def refused() -> Problem:
    """One answer to every token that is not good."""
    return Problem(
        401,
        "authentication",
        "the token is not valid here, or no longer",
        headers={"WWW-Authenticate": 'Bearer realm="ordersync", error="invalid_token"'},
    )


def _read(path: Path) -> KeySet:
    try:
        keys = KeySet.import_key_set(json.loads(path.read_text(encoding="utf-8")))
    except OSError as exc:
        raise ConfigurationError(f"keys of the issuer {path}: {exc.strerror}; correct ORDERSYNC_TOKEN_KEYS") from exc
    except (ValueError, KeyError, TypeError, JoseError) as exc:
        raise ConfigurationError(f"keys of the issuer {path} are no JWKS: {exc}") from exc
    if any(key.is_private for key in keys.keys if hasattr(key, "is_private")):
        raise ConfigurationError(f"{path} holds a private key: give the API the issuer's public keys only")
    return keys
