"""Signatures of requests: one strict subset of RFC 9421 (HMAC-SHA256), and of RFC 9530 for the body.

One signature a request, `hmac-sha256` only, each field at most once, and everything that decides what the request does
is covered. Whatever else the standards allow is refused, so that there is one way to read a request.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256, sha512
from typing import Final

from producers.api.problems import Problem

ALGORITHM: Final = "hmac-sha256"
ALWAYS_COVERED: Final = ("@method", "@path", "@query")
COVERED_IF_SENT: Final = ("content-digest", "content-type", "idempotency-key", "if-match", "if-none-match", "prefer")
"""Fields that change what a request does."""
_ALSO_COVERABLE: Final = frozenset({"@authority", "date", "host", "content-length", "user-agent", "accept"})
_COVERABLE: Final = _ALSO_COVERABLE | {*ALWAYS_COVERED, *COVERED_IF_SENT}
_DIGESTS: Final = {"sha-256": sha256, "sha-512": sha512}

_READING: Final = ("GET", "HEAD", "OPTIONS")
_LONGEST: Final = 2_048
_LABEL: Final = r"[a-z*][a-z0-9_.*-]{0,63}"
_INPUT: Final = re.compile(
    rf"(?P<label>{_LABEL})=(?P<params>\((?P<ids>(?:\"[a-z@-]+\"(?: \"[a-z@-]+\")*)?)\)(?P<meta>.*))"
)
_META: Final = re.compile(r";(?P<name>[a-z]+)=(?:(?P<number>[0-9]{1,15})|\"(?P<text>[\x20\x21\x23-\x5b\x5d-\x7e]*)\")")
_SIGNATURE: Final = re.compile(rf"(?P<label>{_LABEL})=:(?P<value>[A-Za-z0-9+/]{{43}}=):")
_DIGEST: Final = re.compile(r"(?P<name>sha-256|sha-512)=:(?P<value>[A-Za-z0-9+/]+={0,2}):")
_NONCE: Final = re.compile(r"[A-Za-z0-9._~+/=-]{16,128}")
_NUMBERS, _TEXTS = frozenset({"created", "expires"}), frozenset({"keyid", "nonce", "alg"})


@dataclass(frozen=True, slots=True)
class SentRequest:
    """What of a request can be signed; path and query as they came over the wire."""

    method: str
    raw_path: str
    query: str
    fields: Mapping[str, Sequence[str]]
    """By name in lower case, each line of it."""

    def only(self, name: str) -> str | None:
        """The one line of a field; None where it was not sent. Raises Problem 401 where it was sent twice."""
        lines = self.fields.get(name, ())
        if len(lines) > 1:
            raise refused(f"{name} was sent {len(lines)} times: send it once")
        return lines[0] if lines else None


@dataclass(frozen=True, slots=True)
class Signature:
    """What `Signature-Input` and `Signature` say, before anything of it is believed."""

    covered: tuple[str, ...]
    params: str
    """The value of `@signature-params`, as it was sent."""
    key_id: str
    nonce: str
    created: int
    expires: int | None
    value: bytes

    def is_of(self, secrets: Iterable[bytes], request: SentRequest) -> bool:
        """Whether one of the secrets has signed the request; each is tried, however soon one fits."""
        base = signature_base(request, self.covered, self.params).encode("latin-1")
        fits = False
        for secret in secrets:
            fits |= hmac.compare_digest(hmac.digest(secret, base, "sha256"), self.value)
        return fits


def is_signed(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request comes with a signature, good or not."""
    return any(name in (b"signature-input", b"signature") for name, _ in fields)


def signature_in(request: SentRequest) -> Signature:
    """The signature of a request.

    Raises:
        Problem: 401 that names what is missing or of another form; nothing in it depends on a secret.
    """
    told, sent = request.only("signature-input"), request.only("signature")
    if told is None or sent is None:
        raise refused("Signature-Input and Signature belong together")
    found = _INPUT.fullmatch(told) if len(told) <= _LONGEST else None
    value = _SIGNATURE.fullmatch(sent)
    if found is None or value is None or found["label"] != value["label"]:
        raise refused(f"send one signature, as RFC 9421 writes it, of {ALGORITHM}, and nothing beside it")
    covered = tuple(found["ids"].replace('"', "").split())
    _check_covered(covered, request)
    meta = _meta(found["meta"])
    if request.method not in _READING and "idempotency-key" not in covered:
        raise refused("sign what writes under an Idempotency-Key: sent to another worker it is taken once all the same")
    nonce = meta["nonce"]
    if not _NONCE.fullmatch(nonce):
        raise refused("nonce has 16 to 128 letters, digits or - . _ ~ + / =")
    created, expires = int(meta["created"]), meta.get("expires")
    number = None if expires is None else int(expires)
    return Signature(covered, found["params"], meta["keyid"], nonce, created, number, base64.b64decode(value["value"]))


def signature_base(request: SentRequest, covered: Sequence[str], params: str) -> str:
    """What is signed. Raises Problem 401 where a covered field was not sent. Source: RFC 9421, section 2.5."""
    lines = [f'"{name}": {_component(request, name)}' for name in covered]
    return "\n".join([*lines, f'"@signature-params": {params}'])


def check_body(request: SentRequest, body: bytes) -> None:
    """Hold the body against `Content-Digest`; called once its signature is known to be good.

    Raises:
        Problem: 401 where it is missing beside a body, or is another body's.
    """
    told = request.only("content-digest")
    if told is None:
        if body:
            raise refused('send Content-Digest: sha-256=:BASE64: of the body, and cover "content-digest"')
        return
    found = _DIGEST.fullmatch(told)
    if found is None:
        raise refused("Content-Digest is one sha-256 or sha-512, as RFC 9530 writes it")
    try:
        digest = base64.b64decode(found["value"], validate=True)
    except binascii.Error as exc:
        raise refused("Content-Digest is no base64") from exc
    if not hmac.compare_digest(_DIGESTS[found["name"]](body).digest(), digest):
        raise refused("the body is not the one of Content-Digest")


def refused(detail: str) -> Problem:
    """401, with how a request is signed here."""
    components = " ".join(f'"{name}"' for name in (*ALWAYS_COVERED, "content-digest", "content-type"))
    wanted = f'sig=({components});created;keyid;nonce;alg="{ALGORITHM}"'
    return Problem(
        401,
        "authentication",
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="ordersync"', "Accept-Signature": wanted},
    )


def _check_covered(covered: Sequence[str], request: SentRequest) -> None:
    if len(set(covered)) != len(covered):
        raise refused("a component is covered twice")
    foreign = sorted(set(covered) - _COVERABLE)
    if foreign:
        raise refused(f"{', '.join(foreign)} cannot be covered here; cover some of {', '.join(sorted(_COVERABLE))}")
    needed = [*ALWAYS_COVERED, *(name for name in COVERED_IF_SENT if name in request.fields)]
    missing = [name for name in needed if name not in covered]
    if missing:
        raise refused(f"the signature has to cover {', '.join(missing)}")


def _meta(told: str) -> dict[str, str]:
    found: dict[str, str] = {}
    end = 0
    for match in _META.finditer(told):
        name, is_number = match["name"], match["number"] is not None
        is_known = name in (_NUMBERS if is_number else _TEXTS)
        if match.start() != end or name in found or not is_known:
            raise refused("created, keyid and nonce are needed, alg and expires possible; each once, nothing else")
        found[name] = match["number"] if is_number else match["text"]
        end = match.end()
    if end != len(told) or not {"created", "keyid", "nonce"} <= found.keys():
        raise refused("created, keyid and nonce are needed, alg and expires possible; each once, nothing else")
    if found.get("alg", ALGORITHM) != ALGORITHM:
        raise refused(f"signatures are of {ALGORITHM} only")
    return found


def _component(request: SentRequest, name: str) -> str:
    if name == "@method":
        return request.method
    if name == "@path":
        return request.raw_path or "/"
    if name == "@query":
        return f"?{request.query}"
    line = request.only("host" if name == "@authority" else name)
    if line is None:
        raise refused(f"{name} is covered and was not sent")
    return line.strip().lower() if name == "@authority" else line.strip()
