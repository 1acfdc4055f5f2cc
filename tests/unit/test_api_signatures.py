"""Signed requests: taken are those that a partner signed, whole, now and once."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.commands.security import command
from deploy.guide import sign_request
from producers.api.access import Access
from producers.api.answering import AnswerIntake
from producers.api.app import asgi_app
from producers.api.clients import Clients
from producers.api.documents import EXAMPLE
from producers.api.guard import BodyLimits
from producers.api.intake import Intake
from producers.api.orders import Orders
from producers.api.partners import Nonces, Partners, new_secret, read_secrets
from producers.api.problems import Problem
from producers.api.service import Service
from producers.api.signatures import SentRequest, Signature
from producers.api.signed import SignedRequests, signer, whole_body
from producers.api.store import OrderStore
from producers.sightings import Sightings
from schemas.errors import ConfigurationError
from tests.unit.test_api_intake import CAPTURED, SCHEMAS, STATES, FollowedTopics, WrittenLog
from tests.unit.test_sightings import KeptAudit

NOW = 1_795_000_000
ORDER = json.dumps(EXAMPLE).encode()
SECRET, OTHER = base64.b64encode(b"s" * 32).decode(), base64.b64encode(b"o" * 32).decode()


@dataclass
class Desk:
    """An API that a partner may write to, at a time that stands still."""

    service: Service
    secrets: Path
    now: float = NOW
    reached: list[bytes | None] = field(default_factory=list)

    def write(self, *lines: str) -> None:
        replacement = self.secrets.with_suffix(".new")
        replacement.touch(mode=0o600)
        replacement.write_text("\n".join(lines))
        # Two writes within one tick of the file system's clock are two writes all the same.
        ticks = 1 if not self.secrets.exists() else int(self.secrets.stat().st_mtime) + 1
        os.utime(replacement, (ticks, ticks))
        replacement.replace(self.secrets)

    async def _behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = signer(scope)
        assert caller is not None and caller.name == "partner"
        self.reached.append(await whole_body(receive))
        await Response(status_code=202)(scope, receive, send)

    def sent(self, *requests: Sent, app: ASGIApp | None = None) -> list[httpx.Response]:
        """What is answered; behind the signatures is nothing, or a whole application."""
        guarded = app or SignedRequests(self._behind, self.service.clients)

        async def answers() -> list[httpx.Response]:
            transport = httpx.ASGITransport(guarded)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return [
                    await client.request(one.method, one.target, headers=one.headers, content=one.body)
                    for one in requests
                ]

        return asyncio.run(answers())


@dataclass(frozen=True)
class Sent:
    """One request, as it goes out."""

    method: str = "POST"
    target: str = "/v1/orders"
    body: bytes = ORDER
    headers: list[tuple[str, str]] = field(default_factory=list)

    def field(self, name: str) -> str:
        return next(value for key, value in self.headers if key == name)

    def having(self, name: str, value: str) -> Sent:
        return replace(self, headers=[(key, value if key == name else old) for key, old in self.headers])

    def adding(self, name: str, value: str) -> Sent:
        return replace(self, headers=[*self.headers, (name, value)])

    def without(self, *names: str) -> Sent:
        return replace(self, headers=[one for one in self.headers if one[0] not in names])


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(time, "time", lambda: NOW)
    store = OrderStore(tmp_path / "store", "cluster")
    orders = Orders(store, STATES)
    orders.feed = FollowedTopics(orders, store)  # type: ignore[assignment]
    made = Desk(Service.__new__(Service), tmp_path / "partner")
    made.write(SECRET)
    clients = tmp_path / "clients.toml"
    clients.write_text(
        '[[clients]]\nname = "partner"\nhmac_secrets = "partner"\n'
        'scopes = ["orders:write", "orders:read"]\nsystems = ["shop"]\n'
    )
    known = Clients.read(clients, partners=Partners(300.0, lambda: made.now))
    intake = Intake(WrittenLog(), orders, CAPTURED)
    access, answers = Access(Sightings(KeptAudit())), AnswerIntake(WrittenLog(), orders, SCHEMAS)
    made.service = Service(intake, orders, known, BodyLimits(4_000, 8_000), 10, 1.0, access, answers)
    yield made
    store.close()


def signed(
    method: str = "POST", target: str = "/v1/orders", body: bytes = ORDER, secret: str = SECRET, **fields: str
) -> Sent:
    """As the guide's program signs it."""
    sent = {"Content-Type": "application/json", "Idempotency-Key": "one"} if method == "POST" else {}
    sent |= fields
    key = base64.b64decode(secret)
    headers = sign_request.signed_fields("partner", key, method, f"http://api{target}", body, sent)
    return Sent(method, target, body, list(headers.items()))


def resigned(sent: Sent, params: Callable[[str], str], secret: str = SECRET) -> Sent:
    """The same with other parameters, and with a signature that is good for them."""
    told = params(sent.field("Signature-Input").removeprefix("sig="))
    fields: dict[str, list[str]] = {}
    for name, value in sent.headers:
        fields.setdefault(name.lower(), []).append(value)
    path, _, query = sent.target.partition("?")
    request = SentRequest(sent.method, path, query, fields)
    covered = [one.strip('"') for one in told[1 : told.index(")")].split()]
    values = [f'"{name}": {_value(request, name)}' for name in covered]
    base = "\n".join([*values, f'"@signature-params": {told}'])
    value = base64.b64encode(hmac.digest(base64.b64decode(secret), base.encode(), sha256)).decode()
    return sent.having("Signature-Input", f"sig={told}").having("Signature", f"sig=:{value}:")


def _value(request: SentRequest, name: str) -> str:
    derived = {"@method": request.method, "@path": request.raw_path, "@query": f"?{request.query}"}
    return derived[name] if name in derived else ", ".join(request.fields.get(name, [""]))


def dropping(component: str) -> Callable[[str], str]:
    return lambda told: told.replace(f' "{component}"', "").replace(f'"{component}" ', "")


def test_signed_requests_are_served_as_those_of_keys_are(desk: Desk) -> None:
    app = asgi_app(desk.service)
    first, again = desk.sent(signed(), signed(), app=app)
    assert (first.status_code, again.status_code) == (202, 202), first.text
    assert again.headers["Idempotent-Replayed"] == "true"
    for method, target, fields in (
        ("GET", "/v1/orders/shop:1", {}),
        ("GET", "/v1/orders/shop:1?", {}),
        ("GET", "/v1/orders/shop:%C3%A4?a=b%20c&a=d", {"If-None-Match": '"1"'}),
        ("POST", "/v1/orders/shop:1/cancellation", {"If-Match": "*", "Idempotency-Key": "two"}),
    ):
        [answer] = desk.sent(signed(method, target, b"", **fields), app=app)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/order.unknown"), answer.text
    [foreign] = desk.sent(signed(body=json.dumps(EXAMPLE | {"system": "crm"}).encode()), app=app)
    assert foreign.status_code == 403
    [as_key] = desk.sent(Sent(headers=[("Authorization", f"Bearer {SECRET}")]), app=app)
    assert (as_key.status_code, as_key.json()["detail"]) == (401, "no client has this key")


HOSTILE: dict[str, tuple[Callable[[], Sent], str]] = {
    "another body": (lambda: replace(signed(), body=ORDER.replace(b"1001", b"1002")), "not the one of Content-Digest"),
    "a longer body": (lambda: replace(signed(), body=ORDER + b" "), "not the one of Content-Digest"),
    "no body": (lambda: replace(signed(), body=b""), "not the one of Content-Digest"),
    "another path": (lambda: replace(signed(), target="/v1/order-batches"), "not valid"),
    "another spelling of the path": (lambda: replace(signed(), target="/v1/order%73"), "not valid"),
    "another query": (lambda: replace(signed(), target="/v1/orders?x=1"), "not valid"),
    "another method": (lambda: replace(signed(), method="PUT"), "not valid"),
    "another key of the same request": (lambda: signed().having("Idempotency-Key", "two"), "not valid"),
    "another media type": (lambda: signed().having("Content-Type", "application/x-ndjson"), "not valid"),
    "another digest": (
        lambda: replace(signed(), body=b"{}").having("Content-Digest", signed(body=b"{}").field("Content-Digest")),
        "not valid",
    ),
    "a field beside those signed": (lambda: signed().adding("If-Match", "*"), "has to cover if-match"),
    "a preference beside those signed": (lambda: signed().adding("Prefer", "wait=30"), "has to cover prefer"),
    "a field twice": (lambda: signed().adding("Idempotency-Key", "two"), "idempotency-key was sent 2 times"),
    "a field less": (lambda: signed().without("Idempotency-Key"), "idempotency-key is covered and was not sent"),
    "a digest less": (lambda: signed().without("Content-Digest"), "content-digest is covered and was not sent"),
    "another secret": (lambda: signed(secret=OTHER), "not valid"),
    "another name": (lambda: resigned(signed(), lambda told: told.replace("partner", "nobody")), "not valid"),
    "no name": (lambda: resigned(signed(), lambda told: told.replace(';keyid="partner"', "")), "keyid"),
    "too old": (lambda: resigned(signed(), lambda told: told.replace(str(NOW), str(NOW - 301))), "301 s ago"),
    "too early": (lambda: resigned(signed(), lambda told: told.replace(str(NOW), str(NOW + 31))), "-31 s ago"),
    "expired": (lambda: resigned(signed(), lambda told: f"{told};expires={NOW}"), "expired"),
    "no time": (lambda: resigned(signed(), lambda told: told.replace(f";created={NOW}", "")), "created"),
    "another time": (
        lambda: (sent := signed()).having("Signature-Input", sent.field("Signature-Input").replace("00;", "01;")),
        "not valid",
    ),
    "a short nonce": (lambda: resigned(signed(), lambda told: nonce_of(told, "short")), "nonce"),
    "no nonce": (lambda: resigned(signed(), lambda told: nonce_of(told, None)), "nonce"),
    "without the method": (lambda: resigned(signed(), dropping("@method")), "has to cover @method"),
    "without the path": (lambda: resigned(signed(), dropping("@path")), "has to cover @path"),
    "without the query": (lambda: resigned(signed(), dropping("@query")), "has to cover @query"),
    "without the body": (lambda: resigned(signed(), dropping("content-digest")), "has to cover content-digest"),
    "without the key": (lambda: resigned(signed(), dropping("idempotency-key")), "has to cover idempotency-key"),
    "without an idempotency key": (
        lambda: resigned(signed().without("Idempotency-Key"), dropping("idempotency-key")),
        "under an Idempotency-Key",
    ),
    "without a digest": (lambda: resigned(signed().without("Content-Digest"), dropping("content-digest")), "Digest"),
    "covered twice": (lambda: resigned(signed(), lambda told: told.replace('"@path"', '"@path" "@path"')), "twice"),
    "split names": (lambda: resigned(signed(), lambda told: told.replace('"@path"', '"@pa""th"')), "one signature"),
    "parameters of components": (
        lambda: resigned(signed(), lambda told: told.replace('"@path"', '"@path";req')),
        "one signature",
    ),
    "foreign components": (lambda: resigned(signed(), lambda told: told.replace("@path", "@path-x")), "@path-x"),
    "no algorithm": (lambda: resigned(signed(), lambda told: told.replace("hmac-sha256", "none")), "hmac-sha256 only"),
    "algorithm of key pairs": (lambda: resigned(signed(), lambda told: told.replace("hmac-sha256", "ed25519")), "only"),
    "foreign parameter": (lambda: resigned(signed(), lambda told: told + ';tag="x"'), "nothing else"),
    "parameter twice": (lambda: resigned(signed(), lambda told: told + f";created={NOW}"), "each once"),
    "time as text": (lambda: resigned(signed(), lambda told: told.replace(str(NOW), f'"{NOW}"')), "each once"),
    "other label": (lambda: (sent := signed()).having("Signature", "x" + sent.field("Signature")), "one signature"),
    "two signatures": (
        lambda: (sent := signed()).having("Signature", f"{sent.field('Signature')}, {sent.field('Signature')}"),
        "one signature",
    ),
    "empty signature": (lambda: signed().having("Signature", "sig=::"), "one signature"),
    "short signature": (lambda: signed().having("Signature", "sig=:AAAA:"), "one signature"),
    "of nulls": (lambda: signed().having("Signature", f"sig=:{'A' * 43}=:"), "not valid"),
    "half of it": (lambda: signed().without("Signature"), "belong together"),
    "the other half": (lambda: signed().without("Signature-Input"), "belong together"),
    "both kinds": (lambda: signed().adding("Authorization", f"Bearer {SECRET}"), "not both"),
    "endless": (lambda: signed().having("Signature-Input", "sig=(" + '"@path" ' * 4_000 + ")"), "one signature"),
    "md5": (
        lambda: resigned(signed().having("Content-Digest", "md5=:AAAAAAAAAAAAAAAAAAAAAA==:"), lambda told: told),
        "sha-256 or sha-512",
    ),
    "not text": (lambda: signed().having("Signature-Input", "sig=(\x7f)"), "one signature"),
}


def nonce_of(told: str, nonce: str | None) -> str:
    before, _, rest = told.partition(';nonce="')
    return before + ("" if nonce is None else f';nonce="{nonce}"') + rest.partition('"')[2]


@pytest.mark.parametrize("why", HOSTILE)
def test_whatever_was_not_signed_is_refused(desk: Desk, why: str) -> None:
    made, told = HOSTILE[why]
    [answer] = desk.sent(made())
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/authentication"), answer.text
    assert told in answer.json()["detail"]
    assert SECRET not in answer.text and "hmac-sha256" in answer.headers.get("Accept-Signature", "hmac-sha256")
    assert desk.reached == []


def test_a_signed_request_is_taken_once(desk: Desk) -> None:
    sent = signed()
    first, replayed = desk.sent(sent, sent)
    assert (first.status_code, replayed.status_code) == (202, 401)
    assert "taken before" in replayed.json()["detail"]
    desk.now += 299
    assert "taken before" in desk.sent(sent)[0].json()["detail"]
    desk.now += 2
    assert "301 s ago" in desk.sent(sent)[0].json()["detail"]


def test_what_was_refused_does_not_use_up_the_nonce(desk: Desk) -> None:
    sent = signed()
    assert desk.sent(sent.having("Signature", f"sig=:{'A' * 43}=:"))[0].status_code == 401
    assert desk.sent(sent)[0].status_code == 202


def test_a_secret_is_replaced_without_a_gap_and_without_a_restart(desk: Desk) -> None:
    desk.write(SECRET, OTHER)
    assert [one.status_code for one in desk.sent(signed(), signed(secret=OTHER))] == [202, 202]
    desk.write(OTHER)
    assert [one.status_code for one in desk.sent(signed(), signed(secret=OTHER))] == [401, 202]
    desk.write("half writ")
    assert [one.status_code for one in desk.sent(signed(), signed(secret=OTHER))] == [401, 202]


def test_the_sample_of_the_standard_is_signed_the_same() -> None:
    """RFC 9421, appendix B.2.5."""
    secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    params = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
    covered = ("date", "@authority", "content-type")
    value = base64.b64decode("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=")
    signature = Signature(covered, params, "test-shared-secret", "", 1618884473, None, value)
    fields = {
        "host": ["example.com"],
        "date": ["Tue, 20 Apr 2021 02:07:55 GMT"],
        "content-type": ["application/json"],
    }
    request = SentRequest("POST", "/foo", "param=Value&Pet=dog", fields)
    assert signature.is_of([b"another", base64.b64decode(secret)], request)
    assert not signature.is_of([b"another"], request)


def test_nonces_are_forgotten_after_the_window_and_never_before() -> None:
    nonces = Nonces(2, 100.0)
    nonces.take("a", 1_000.0)
    for now in (1_000.0, 1_099.0, 1_100.0):
        with pytest.raises(Problem, match="before"):
            nonces.take("a", now)
    nonces.take("b", 1_101.0)
    nonces.take("c", 1_102.0)
    with pytest.raises(Problem, match="more than 2"):
        nonces.take("d", 1_103.0)
    nonces.take("a", 1_200.0)
    with pytest.raises(Problem, match="before"):
        nonces.take("c", 1_201.0)


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (SECRET, 0o644, "mode 0644"),
        (SECRET, 0o620, "mode 0620"),
        ("", 0o600, "is empty"),
        (f"{SECRET}\n{OTHER}\n{SECRET}", 0o600, "3 secrets"),
        ("not base64", 0o600, "line 1"),
        ("c2hvcnQ=", 0o600, "32 to 64"),
        (None, 0o600, "cannot be read"),
    ],
)
def test_a_wrong_file_of_secrets_is_refused(content: str | None, mode: int, told: str, tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(ConfigurationError, match=told) as caught:
        read_secrets(path)
    assert content is None or len(content) < 9 or content not in str(caught.value)


def test_the_command_makes_replaces_and_retires_secrets(tmp_path: Path) -> None:
    def run(*args: str) -> Any:
        return CliRunner().invoke(command, ["partner", "acme", "--home", str(tmp_path), *args])

    path = tmp_path / "security" / "partners" / "acme"
    first = run()
    assert first.exit_code == 0, first.output
    assert path.stat().st_mode & 0o777 == 0o600
    secret = path.read_text().strip()
    assert secret not in first.output
    clients = tmp_path / "clients.toml"
    clients.write_text(first.stdout)
    Clients.read(clients)
    assert isinstance(run("--retire").exception, ConfigurationError)
    assert run().exit_code == 0
    assert (path.read_text().split()[0], len(read_secrets(path))) == (secret, 2)
    assert isinstance(run().exception, ConfigurationError)
    assert run("--retire").exit_code == 0
    assert len(read_secrets(path)) == 1 and secret not in path.read_text()
    assert len({new_secret() for _ in range(10)}) == 10
