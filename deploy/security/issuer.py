"""An issuer of bearer tokens for one machine; in production the company's own identity provider takes its place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from time import time
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from deploy.security.files import SecurityFiles, write_private
from schemas.secret_files import require_private

ISSUER = "https://localhost/ordersync"
_ALGORITHM = "ES256"


class LocalIssuer:
    """Its private key never leaves `home/security`; the API gets the public one."""

    def __init__(self, files: SecurityFiles) -> None:
        """Makes the key at its first use. Raises ConfigurationError where others may read it."""
        self.public_keys: Path = files.directory / "issuer.jwks.json"
        path = files.directory / "issuer.jwk"
        if not path.exists():
            write_private(path, json.dumps(ECKey.generate_key("P-256", auto_kid=True).as_dict(private=True)))
        require_private(path)
        self._key = ECKey.import_key(json.loads(path.read_text()))
        write_private(self.public_keys, json.dumps(KeySet([self._key]).as_dict(private=False)))

    def token(self, client: str, scopes: Sequence[str], audience: str, seconds: int) -> str:
        """A token for a client of the API, good for so many seconds."""
        now = int(time())
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": client,
            "client_id": client,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + seconds,
            "jti": str(uuid4()),
        }
        return jwt.encode({"alg": _ALGORITHM, "typ": "at+jwt", "kid": self._key.kid}, claims, self._key)
