"""Bearer tokens of an issuer: only what it signed, for us, now."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from deploy.security.files import SecurityFiles
from deploy.security.issuer import ISSUER, LocalIssuer
from producers.api.clients import Clients
from producers.api.problems import Problem
from producers.api.tokens import TokenRules, Tokens
from schemas.errors import ConfigurationError

NOW = 1_795_000_000
KEY = "partner-key-of-many-random-letters"
ENTRIES = f"""
[[clients]]
name = "shop"
scopes = ["orders:read"]
systems = ["shop"]

[[clients]]
name = "partner"
key_sha256 = ["{hashlib.sha256(KEY.encode()).hexdigest()}"]
scopes = ["orders:read", "orders:write"]
systems = ["partner"]
requests_per_second = 1
burst = 2
"""
CLAIMS: dict[str, Any] = {
    "iss": "https://login.example",
    "aud": "ordersync",
    "sub": "somebody",
    "client_id": "partner",
    "scope": "openid orders:read",
    "exp": NOW + 60,
}


class Desk:
    """An issuer, and an API that trusts it."""

    def __init__(self, directory: Path) -> None:
        self.now = float(NOW)
        self.path = directory / "keys.json"
        self.key = self.rotate()
        (directory / "clients.toml").write_text(ENTRIES)
        rules = TokenRules("https://login.example", "ordersync", self.path)
        self.clients = Clients.read(directory / "clients.toml", Tokens(rules, lambda: self.now))

    def rotate(self) -> ECKey:
        self.key = ECKey.generate_key("P-256", auto_kid=True)
        public = KeySet([ECKey.import_key(self.key.as_dict(private=False))])
        self.path.write_text(json.dumps(public.as_dict(private=False)))
        # Two writes within one tick of the file system's clock are two writes all the same.
        self.ticks = getattr(self, "ticks", 0) + 1
        os.utime(self.path, (self.ticks, self.ticks))
        return self.key

    def token(self, key: Any = None, algorithm: str = "ES256", **changes: Any) -> str:
        signing = key or self.key
        claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
        return jwt.encode({"alg": algorithm, "kid": self.key.kid}, claims, signing, algorithms=[algorithm])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_token_names_a_client_and_limits_its_scopes(desk: Desk) -> None:
    client = desk.clients.of(desk.token())
    assert client.name == "partner"
    client.require("orders:read")
    with pytest.raises(Problem):
        client.require("orders:write")
    desk.clients.of(KEY).require("orders:write")


def test_a_token_gives_no_scope_that_the_client_lacks(desk: Desk) -> None:
    client = desk.clients.of(desk.token(client_id="shop", scope="orders:read orders:write"))
    with pytest.raises(Problem) as caught:
        client.require("orders:write")
    assert caught.value.status == 403


def signed_with_secret(secret: bytes) -> str:
    """By hand: the library refuses to be misused so."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, CLAIMS)]
    signed = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.new(secret, signed, "sha256").digest()
    return (signed + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()


BAD: dict[str, Callable[[Desk], str]] = {
    "of another issuer": lambda desk: desk.token(iss="https://evil.example"),
    "for another audience": lambda desk: desk.token(aud="somebody else"),
    "without audience": lambda desk: desk.token(aud=None),
    "without end": lambda desk: desk.token(exp=None),
    "ended": lambda desk: desk.token(exp=NOW - 31),
    "not yet valid": lambda desk: desk.token(nbf=NOW + 3600),
    "of a client that nobody knows": lambda desk: desk.token(client_id="stranger"),
    "with a name that is none": lambda desk: desk.token(client_id=7),
    "with scopes that are none": lambda desk: desk.token(scope=["orders:read"]),
    "signed by another key": lambda desk: desk.token(ECKey.generate_key("P-256")),
    "signed with the public key as a secret": lambda desk: signed_with_secret(desk.key.as_pem(private=False)),
    "signed by nobody": lambda desk: "eyJhbGciOiJub25lIn0." + desk.token().split(".")[1] + ".",
    "changed": lambda desk: desk.token()[:-4] + "AAAA",
    "no token at all": lambda desk: "a.b.c",
    "too long": lambda desk: desk.token(note="x" * 10_000),
    "empty": lambda desk: "..",
    "not text": lambda desk: "\udcff.\x00.\udcfe",
}


@pytest.mark.parametrize("why", BAD)
def test_every_other_token_is_refused_with_the_same_words(desk: Desk, why: str) -> None:
    with pytest.raises(Problem) as caught:
        desk.clients.of(BAD[why](desk))
    assert caught.value.status == 401
    assert "the token is not valid here" in str(caught.value.detail)


def test_a_token_that_was_good_ends(desk: Desk) -> None:
    token = desk.token()
    desk.clients.of(token)
    desk.now += 91
    with pytest.raises(Problem):
        desk.clients.of(token)


def test_keys_are_rotated_without_a_restart(desk: Desk) -> None:
    before = desk.token()
    desk.clients.of(before)
    desk.rotate()
    assert desk.clients.of(desk.token()).name == "partner"
    with pytest.raises(Problem):
        desk.clients.of(before)


def test_tokens_and_keys_of_one_client_spend_one_rate(desk: Desk) -> None:
    desk.clients.of(KEY).spend()
    desk.clients.of(desk.token()).spend()
    with pytest.raises(Problem) as caught:
        desk.clients.of(desk.token(scope="orders:write")).spend()
    assert caught.value.status == 429


def test_a_private_key_is_not_for_the_api(desk: Desk) -> None:
    desk.path.write_text(json.dumps(KeySet([desk.key]).as_dict(private=True)))
    with pytest.raises(ConfigurationError, match="private key"):
        Tokens(TokenRules("https://login.example", "ordersync", desk.path))


def test_without_an_issuer_a_client_needs_a_key(tmp_path: Path) -> None:
    (tmp_path / "clients.toml").write_text(ENTRIES)
    with pytest.raises(ConfigurationError, match="shop has no key_sha256"):
        Clients.read(tmp_path / "clients.toml")


def test_the_issuer_of_this_machine_is_one(tmp_path: Path) -> None:
    issuer = LocalIssuer(SecurityFiles(tmp_path / "security"))
    tokens = Tokens(TokenRules(ISSUER, "ordersync", issuer.public_keys))
    caller = tokens.caller(issuer.token("shop", ["orders:read", "orders:write"], "ordersync", 60))
    assert (caller.client, caller.scopes) == ("shop", {"orders:read", "orders:write"})
    again = LocalIssuer(SecurityFiles(tmp_path / "security"))
    assert tokens.caller(again.token("shop", [], "ordersync", 60)).scopes == frozenset()
    assert '"d"' not in issuer.public_keys.read_text()
