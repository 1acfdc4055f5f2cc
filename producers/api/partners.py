"""The secrets of partners that sign their requests, and which of their requests were taken already."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from time import time
from typing import Final

from producers.api.signatures import SentRequest, Signature, refused
from schemas.errors import ConfigurationError
from schemas.secret_files import base64_key, secret_lines

_SHORTEST, _LONGEST = 32, 64
_MOST_SECRETS: Final = 2
_AHEAD_SECONDS: Final = 30
_ADVICE: Final = "`ordersync security partner` makes them"
# Tried where nobody is called so: the answer takes as long as where somebody is.
_NOBODY: Final = (bytes(_SHORTEST),)


def new_secret() -> str:
    """A secret as its file holds it, and as the partner gets it."""
    return base64.b64encode(secrets.token_bytes(_SHORTEST)).decode()


def read_secrets(path: Path) -> tuple[bytes, ...]:
    """The keys of a secret file of ours.

    Raises:
        ConfigurationError: as `partner_lines`, or a line is no secret.
    """
    places = ((line, f"{path}, line {number}") for number, line in partner_lines(path))
    return tuple(base64_key(line, place, _SHORTEST, _LONGEST) for line, place in places)


def partner_lines(path: Path) -> list[tuple[int, str]]:
    """What a secret file holds, a secret each line with its number: two while one is being replaced by the other.

    Raises:
        ConfigurationError: as `schemas.secret_files.secret_lines`, or it has too many.
    """
    lines = secret_lines(path, "the partner's secret", _ADVICE)
    found = [(number, line) for number, line in enumerate(lines, 1) if line]
    if len(found) > _MOST_SECRETS:
        raise ConfigurationError(f"{path} has {len(found)} secrets, and one or two are possible; {_ADVICE}")
    return found


class PartnerSecrets:
    """The secrets of one partner; a replaced file counts from the next request on, without a restart."""

    def __init__(self, path: Path, read: Callable[[Path], tuple[bytes, ...]] = read_secrets) -> None:
        """Raises ConfigurationError as `read`."""
        self._path, self._read = path, read
        self._keys = read(path)
        self._read_at = path.stat().st_mtime_ns

    def now(self) -> tuple[bytes, ...]:
        """Those that are good at this moment."""
        try:
            changed_at = self._path.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._keys, self._read_at = self._read(self._path), changed_at
        except (OSError, ConfigurationError):
            # Half written, or gone for a moment: the secrets that are known still hold.
            return self._keys
        return self._keys


class Nonces:
    """Those that one partner has used within the window, in two generations: forgetting costs nothing."""

    def __init__(self, most: int, window_seconds: float) -> None:
        self._most = most
        self._window_seconds = window_seconds
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()
        self._turned_at = float("-inf")

    def take(self, nonce: str, now: float) -> None:
        """Note a nonce. Raises Problem 401 where it was used, or there were more than the partner's rate allows."""
        if now - self._turned_at >= self._window_seconds:
            kept = self._young if now - self._turned_at < 2 * self._window_seconds else set[bytes]()
            self._old, self._young, self._turned_at = kept, set(), now
        known = blake2b(nonce.encode(), digest_size=16).digest()
        if known in self._young or known in self._old:
            raise refused("this signed request was taken before: sign each anew, with a nonce of its own")
        if len(self._young) >= self._most:
            raise refused(f"more than {self._most:,} signed requests within {self._window_seconds:g} s: send fewer")
        self._young.add(known)


@dataclass(frozen=True, slots=True)
class Partner:
    """One client that signs: its secrets, and the nonces that it has used at this worker."""

    secrets: PartnerSecrets
    nonces: Nonces


class Partners:
    """Everybody who signs, by name."""

    def __init__(self, window_seconds: float, clock: Callable[[], float] = time) -> None:
        self._window_seconds = window_seconds
        self._clock = clock
        self._by_name: dict[str, Partner] = {}

    def add(self, name: str, path: Path, requests_per_second: float) -> None:
        """Let a client sign with the secrets of a file. Raises ConfigurationError as `read_secrets`."""
        # Whatever may come within a window, and what may come while clocks differ.
        kept_seconds = self._window_seconds + _AHEAD_SECONDS
        most = max(1_000, int(2 * requests_per_second * kept_seconds))
        self._by_name[name] = Partner(PartnerSecrets(path), Nonces(most, kept_seconds))

    def check(self, signature: Signature, request: SentRequest) -> str:
        """The name of who signed the request; afterwards the same one is not taken again.

        Raises:
            Problem: 401. A wrong name and a wrong signature are told in the same words.
        """
        now = self._clock()
        self._check_time(signature, now)
        partner = self._by_name.get(signature.key_id)
        keys = _NOBODY if partner is None else partner.secrets.now()
        if not signature.is_of(keys, request) or partner is None:
            raise refused("the signature is not valid here, or no longer")
        partner.nonces.take(signature.nonce, now)
        return signature.key_id

    def _check_time(self, signature: Signature, now: float) -> None:
        age = now - signature.created
        if not -_AHEAD_SECONDS <= age <= self._window_seconds:
            allowed = f"at most {self._window_seconds:g} s old and {_AHEAD_SECONDS} s ahead"
            raise refused(f"the signature was created {age:.0f} s ago by this clock, and may be {allowed}")
        if signature.expires is not None and signature.expires <= now:
            raise refused("the signature has expired")
