"""How a person's attributes are sealed and opened, and how the keys to them are wrapped. Pure.

What is sealed is bound to its place: the associated data of AES-256-GCM says of which order and version it is, of whom,
by which key and which attributes. Moved elsewhere it does not open. Each text in it stands after its length, in
the bytes of `schemas.canonical_bytes`.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.canonical_bytes import number, sized_text
from schemas.errors import InvalidValue
from schemas.models import SealedPart, SubjectKey

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_PART: Final = "ordersync.sealed/1"
_KEY: Final = "ordersync.key/1"
_BLOCK: Final = 64
"""Sealed are multiples of so many bytes, so that the length of a name is not told."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part belongs."""

    order_id: str
    version: int


def pseudonym(key: bytes, subject: str) -> str:
    """How a person such as `customer:C-17` is called where nobody shall know who it is."""
    return hmac.new(key, subject.encode(), sha256).hexdigest()


def seal(data_key: AESGCM, place: Place, subject: str, key_id: str, values: Mapping[str, Any]) -> SealedPart:
    """The part that holds these values by their JSON Pointers. Each call takes a random nonce."""
    pointers = sorted(values)
    text = json.dumps({pointer: values[pointer] for pointer in pointers}, ensure_ascii=False).encode()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    # JSON takes spaces at its end.
    padded = text + b" " * (-len(text) % _BLOCK)
    sealed = data_key.encrypt(nonce, padded, _bound_to(place, subject, key_id, pointers))
    return SealedPart(subject=subject, key_id=key_id, attributes=pointers, sealed=nonce + sealed)


def unseal(data_key: AESGCM, place: Place, part: SealedPart) -> dict[str, Any]:
    """The values of a part by their JSON Pointers.

    Raises:
        InvalidValue: it was changed, belongs elsewhere, or was sealed by another key.
    """
    bound = _bound_to(place, part.subject, part.key_id, part.attributes)
    values = json.loads(_opened(data_key, part.sealed, bound, f"a sealed part of {place.order_id}/{place.version}"))
    if not isinstance(values, dict) or sorted(values) != sorted(part.attributes):
        raise InvalidValue(f"a sealed part of {place.order_id}/{place.version} does not hold what it names")
    return values


class KeyRing:
    """The key-encryption keys: the first wraps, every one opens, so that keys are changed without a gap."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_name_of(key): AESGCM(key) for key in keys}
        self.first = _name_of(keys[0])

    def has(self, name: str) -> bool:
        """Whether the key-encryption key of that name is here."""
        return name in self._ciphers

    def new_key(self, subject: str, generation: int, now: datetime) -> SubjectKey:
        """A fresh random key for a subject, wrapped."""
        return self._wrapped(AESGCM.generate_key(256), subject, secrets.token_hex(16), generation, now)

    def data_key(self, key: SubjectKey) -> AESGCM:
        """The key, opened.

        Raises:
            InvalidValue: it was changed or moved, or the key-encryption key that wrapped it is not here.
        """
        return AESGCM(self._unwrapped(key))

    def rewrapped(self, key: SubjectKey) -> SubjectKey:
        """The same key, wrapped by the first. Raises as `data_key`."""
        return self._wrapped(self._unwrapped(key), key.subject, key.key_id, key.generation, key.created_at)

    def seal_text(self, text: str, place: Sequence[str]) -> str:
        """A text that opens at this place only, as printable characters; each call takes a random nonce."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._ciphers[self.first].encrypt(nonce, text.encode(), _placed(place))
        return f"{self.first}.{base64.b64encode(sealed).decode()}"

    def open_text(self, sealed: str, place: Sequence[str]) -> str:
        """What `seal_text` sealed at this place.

        Raises:
            InvalidValue: it was changed or moved, or the key that sealed it is not here.
        """
        name, _, text = sealed.partition(".")
        what = f"what is sealed for {place[-1]}"
        if name not in self._ciphers:
            raise InvalidValue(f"{what} was sealed by key {name[:16]!r}, which is not in the file")
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError as exc:
            raise InvalidValue(f"{what} does not open: it was changed") from exc
        return _opened(self._ciphers[name], raw, _placed(place), what).decode()

    def _wrapped(self, data_key: bytes, subject: str, key_id: str, generation: int, now: datetime) -> SubjectKey:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound = b"".join((*sized_text(_KEY), *sized_text(subject), *sized_text(key_id), number(generation)))
        return SubjectKey(
            subject=subject,
            key_id=key_id,
            generation=generation,
            wrapped_by=self.first,
            wrapped_key=nonce + self._ciphers[self.first].encrypt(nonce, data_key, bound),
            created_at=now,
        )

    def _unwrapped(self, key: SubjectKey) -> bytes:
        cipher = self._ciphers.get(key.wrapped_by)
        if cipher is None:
            raise InvalidValue(
                f"key {key.key_id} was wrapped by key-encryption key {key.wrapped_by}, which is not in the file; it "
                f"has {', '.join(self._ciphers)}"
            )
        parts = (*sized_text(_KEY), *sized_text(key.subject), *sized_text(key.key_id), number(key.generation))
        opened = _opened(cipher, key.wrapped_key, b"".join(parts), f"key {key.key_id}")
        if len(opened) != KEY_BYTES:
            raise InvalidValue(f"key {key.key_id} has {len(opened)} bytes, not {KEY_BYTES}")
        return opened


def _placed(place: Sequence[str]) -> bytes:
    return b"".join(part for one in place for part in sized_text(one))


def _opened(cipher: AESGCM, sealed: bytes, bound: bytes, what: str) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as exc:
        raise InvalidValue(f"{what} does not open: it was changed, moved, or sealed by another key") from exc


def _bound_to(place: Place, subject: str, key_id: str, pointers: Sequence[str]) -> bytes:
    parts = [*sized_text(_PART), *sized_text(place.order_id), number(place.version), *sized_text(subject)]
    parts += [*sized_text(key_id), number(len(pointers))]
    return b"".join([*parts, *(part for pointer in pointers for part in sized_text(pointer))])


def _name_of(key: bytes) -> str:
    """By which a key is told from others; tells nothing of it."""
    return hmac.new(key, b"ordersync.key-encryption-key", sha256).hexdigest()[:16]
