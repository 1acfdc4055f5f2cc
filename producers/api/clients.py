"""Who may use the API: keys kept as hashes, scopes, the systems that they speak for, and their rate.

```toml
[[clients]]
name = "shop"
key_sha256 = ["5e88…"]                 # printf %s KEY | sha256sum; two while a key is being replaced
scopes = ["orders:write", "orders:read"]
systems = ["shop"]                     # orders shop:…; "*" for those of every system
requests_per_second = 500
burst = 1000

[[clients]]
name = "partner"
hmac_secrets = "partner.secrets"       # signs its requests instead (`producers.api.signatures`)
scopes = ["orders:write"]
systems = ["partner"]

[[clients]]
name = "acme"
hmac_secrets = "acme.secrets"
scopes = ["vendors:answer"]
vendor = "V-ACME"                      # answers for this vendor, and for no other
```

A client with a token of an issuer (`producers.api.tokens`) needs no key: it is the one that the token names, and has
those of its scopes that the token has, too.

A key is long and random, so its plain SHA-256 tells nobody anything; a hash made slow for passwords would cost each
request its time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from producers.api.partners import Partners
from producers.api.problems import Problem
from producers.api.signatures import SentRequest, Signature
from producers.api.tokens import Caller, Tokens, refused
from schemas.attributes import OrderId
from schemas.errors import ConfigurationError
from schemas.toml_file import read_toml

Scope = Literal["orders:write", "orders:read", "documents:write", "documents:read", "vendors:answer"]
EVERY_SYSTEM = "*"
SIGNATURE_SECONDS = 300.0


class ClientEntry(BaseModel):
    """One entry of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    key_sha256: list[str] = []
    hmac_secrets: Path | None = None
    scopes: list[Scope] = Field(min_length=1)
    systems: list[str] = []
    vendor: str | None = Field(None, min_length=1, max_length=255)
    requests_per_second: float = Field(1_000.0, gt=0)
    burst: float = Field(2_000.0, ge=1)

    @model_validator(mode="after")
    def _bound(self) -> Self:
        if ("vendors:answer" in self.scopes) != (self.vendor is not None):
            raise ValueError("the scope vendors:answer and the vendor that the client answers for belong together")
        if not self.systems and set(self.scopes) & {"orders:write", "orders:read"}:
            raise ValueError("systems: name the systems whose orders the client may write or read")
        return self


class ClientsFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: list[ClientEntry] = Field(min_length=1)


@dataclass(slots=True, eq=False)
class Rate:
    """What is left of a client's rate in this worker, whatever it calls with."""

    tokens: float
    filled_at: float = field(default_factory=monotonic)


@dataclass(slots=True, eq=False)
class Client:
    """One caller."""

    entry: ClientEntry
    rate: Rate = field(init=False)

    def __post_init__(self) -> None:
        self.rate = Rate(self.entry.burst)

    def with_scopes_of(self, scopes: frozenset[str]) -> Client:
        """The same client with those of its scopes that are among `scopes`; both spend the same rate."""
        kept = [scope for scope in self.entry.scopes if scope in scopes]
        limited = Client(self.entry.model_copy(update={"scopes": kept}))
        limited.rate = self.rate
        return limited

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self.entry.name

    def spend(self, requests: int = 1) -> None:
        """Take from the bucket. Raises Problem 429 where it is empty; what is more than a burst empties it."""
        now = monotonic()
        entry, rate = self.entry, self.rate
        rate.tokens = min(entry.burst, rate.tokens + (now - rate.filled_at) * entry.requests_per_second)
        rate.filled_at = now
        wanted = min(float(requests), entry.burst)
        if rate.tokens < wanted:
            seconds = max(1, round((wanted - rate.tokens) / entry.requests_per_second + 0.5))
            told = f"{self.name} may send {entry.requests_per_second:g} requests a second: wait {seconds} s"
            raise Problem(429, "rate", told, headers={"Retry-After": str(seconds)})
        rate.tokens -= wanted

    def require(self, *scopes: Scope) -> None:
        """Raises Problem 403 where the client has none of the scopes."""
        if not any(scope in self.entry.scopes for scope in scopes):
            raise Problem(403, "scope", f"{self.name} has no scope {' or '.join(scopes)}")

    def speaks_for(self, system: str) -> bool:
        """Whether the orders of `system` are its own."""
        return system in self.entry.systems or EVERY_SYSTEM in self.entry.systems

    def may_see(self, order_id: OrderId) -> bool:
        """Whether an order is of its systems; of others it is not even told that they exist."""
        return self.speaks_for(order_id.partition(":")[0])

    def own_system(self) -> str | None:
        """The system of an order that names none; None where the client has to say."""
        systems = self.entry.systems
        return systems[0] if len(systems) == 1 and systems[0] != EVERY_SYSTEM else None


class Clients:
    """Every client, by the hash of its keys and by its name; tokens are taken where `tokens` are given."""

    def __init__(
        self, entries: list[ClientEntry], where: str, tokens: Tokens | None = None, partners: Partners | None = None
    ) -> None:
        self._tokens = tokens
        self._partners = partners or Partners(SIGNATURE_SECONDS)
        self._by_hash: dict[str, Client] = {}
        self._by_name: dict[str, Client] = {}
        for entry in entries:
            client = Client(entry)
            if entry.name in self._by_name:
                raise ConfigurationError(f"{where}: {entry.name} is there twice: give each client one entry")
            if not entry.key_sha256 and entry.hmac_secrets is None and tokens is None:
                raise ConfigurationError(
                    f"{where}: {entry.name} has no key_sha256 and no hmac_secrets, and no issuer of tokens is set"
                )
            self._by_name[entry.name] = client
            if entry.hmac_secrets is not None:
                self._partners.add(entry.name, Path(where).parent / entry.hmac_secrets, entry.requests_per_second)
            for digest in entry.key_sha256:
                if len(digest) != 64 or digest.lower() in self._by_hash:
                    raise ConfigurationError(
                        f"{where}: {entry.name}: each key_sha256 is a SHA-256 of 64 hexadecimal digits that no other "
                        "client has; printf %s KEY | sha256sum"
                    )
                self._by_hash[digest.lower()] = client

    @classmethod
    def read(cls, path: Path, tokens: Tokens | None = None, partners: Partners | None = None) -> Clients:
        """Read the file. Raises ConfigurationError that names what is wrong with it."""
        content = read_toml(ClientsFile, path, "clients file", "correct ORDERSYNC_CLIENTS")
        return cls(content.clients, str(path), tokens, partners)

    def of(self, key: str | None) -> Client:
        """The client with that key or token. Raises Problem 401 where there is none."""
        if self._tokens is not None and key is not None and key.count(".") == 2:
            return self._named_by(self._tokens.caller(key))
        client = None if key is None else self._by_hash.get(hashlib.sha256(key.encode()).hexdigest())
        if client is None:
            told = "send the key as `Authorization: Bearer KEY`" if key is None else "no client has this key"
            raise Problem(401, "authentication", told, headers={"WWW-Authenticate": 'Bearer realm="ordersync"'})
        return client

    def signing(self, signature: Signature, request: SentRequest) -> Client:
        """The client that signed a request. Raises Problem 401 where none did."""
        return self._by_name[self._partners.check(signature, request)]

    def _named_by(self, caller: Caller) -> Client:
        client = self._by_name.get(caller.client)
        if client is None:
            raise refused()
        return client.with_scopes_of(caller.scopes)
