"""Signatures, addresses, pauses, and what answers mean; and the file that says how vendors are told."""

from __future__ import annotations

import time
from email.utils import formatdate
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from consumers.vendors.deliveries.messages import body_of, update_in
from consumers.vendors.profiles import VendorProfile, VendorProfiles
from consumers.vendors.webhooks.addresses import is_allowed
from consumers.vendors.webhooks.pace import Rest, pause_seconds
from consumers.vendors.webhooks.requests import Outcome, attempt_of
from consumers.vendors.webhooks.signing import new_secret, read_secrets, signed_headers
from schemas.errors import ConfigurationError, InvalidValue
from tests.unit.vendor_lives import ACME, SECRET, profiles_file, update


def secret_file(directory: Path, text: str) -> Path:
    path = directory / "secret"
    path.touch(0o600)
    path.write_text(text)
    return path


def test_the_signature_is_that_of_the_standards_example(tmp_path: Path) -> None:
    keys = read_secrets(secret_file(tmp_path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    headers = signed_headers(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_receivers_accept_either_secret_while_one_is_changed(tmp_path: Path) -> None:
    old, new = SECRET, new_secret()

    now = int(time.time())
    headers = signed_headers(read_secrets(secret_file(tmp_path, f"{new}\n{old}\n")), "m1", now, b"{}")
    for secret in (old, new):
        assert Verifier(secret).verify(b"{}", headers) == {}
    with pytest.raises(Exception, match="No matching signature"):
        Verifier(new_secret()).verify(b"{}", headers)


@pytest.mark.parametrize("text", ["", "\n\n", "whsec_not base64!", "whsec_c2hvcnQ=", "whsec_" + "A" * 100, "ü"])
def test_bad_secrets_are_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_secrets(secret_file(tmp_path, text))
    assert len(text) < 8 or text not in str(refused.value)


def test_a_missing_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_secrets(tmp_path / "none")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "239.1.1.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not is_allowed(address, [])


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address, [])


def test_allowed_networks_are_allowed_and_nothing_else() -> None:
    own = [IPv4Network("10.1.0.0/16"), IPv6Network("fd00::/8")]
    assert [is_allowed(one, own) for one in ("10.1.9.9", "::ffff:10.1.9.9", "fd00::1")] == [True, True, True]
    assert [is_allowed(one, own) for one in ("10.2.0.1", "127.0.0.1", "fe80::1")] == [False, False, False]


def test_pauses_double_up_to_their_limit_and_are_spread() -> None:
    assert [pause_seconds(n, 5, 60, 1) for n in (1, 2, 3, 4, 5, 6, 5000)] == [5, 10, 20, 40, 60, 60, 60]
    assert [pause_seconds(2, 5, 60, chance) for chance in (0, 0.5)] == [5, 7.5]


def test_who_is_not_there_is_asked_now_and_then() -> None:
    rest = Rest()
    rest.missed(100, 0, 1)
    rest.missed(100, 0, 1)
    assert rest.free(100, 4, 1) == 3
    rest.missed(100, 0, 1)
    assert [rest.free(at, 4, 0) for at in (100, 100.9, 101)] == [0, 0, 1]
    assert rest.free(101, 4, 1) == 0
    for _ in range(20):
        rest.missed(200, 0, 1)
    assert [rest.free(at, 4, 0) for at in (259, 260)] == [0, 1]
    rest.reached()
    assert rest.free(261, 4, 0) == 4


@pytest.mark.parametrize(
    ("status", "after", "outcome", "rest"),
    [
        (200, None, Outcome.DELIVERED, 0),
        (204, b"30", Outcome.DELIVERED, 0),
        (301, None, Outcome.FAILED, 0),
        (307, b"9", Outcome.FAILED, 0),
        (400, None, Outcome.FAILED, 0),
        (404, None, Outcome.FAILED, 0),
        (410, b"5", Outcome.GONE, 0),
        (429, b"120", Outcome.UNREACHABLE, 120),
        (503, formatdate(1060, usegmt=True).encode(), Outcome.UNREACHABLE, 60),
        (503, formatdate(10, usegmt=True).encode(), Outcome.UNREACHABLE, 0),
        (503, b"soon", Outcome.UNREACHABLE, 0),
        (503, b"-5", Outcome.UNREACHABLE, 0),
        (503, b"\xff", Outcome.UNREACHABLE, 0),
        (503, b"9" * 400, Outcome.UNREACHABLE, 86_400),
        (500, None, Outcome.UNREACHABLE, 0),
        (100, None, Outcome.FAILED, 0),
    ],
)
def test_what_an_answer_means(status: int, after: bytes | None, outcome: Outcome, rest: float) -> None:
    attempt = attempt_of(status, after, now=1000)
    assert (attempt.outcome, attempt.rest_seconds) == (outcome, rest)


def test_who_does_not_deliver_does_not_see_the_customer() -> None:
    sample = update(1)
    assert sample.delivery_name and sample.delivery_address
    hidden = update_in(body_of(sample, VendorProfile()))
    assert (hidden.delivery_name, hidden.delivery_address) == (None, None)
    assert update_in(body_of(sample, VendorProfile(shares_delivery=True))) == sample
    assert '"quantity":"1"' in body_of(sample, VendorProfile())


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"data": {}}', '{"data": {"lines": 1}}'])
def test_a_message_that_is_none_is_refused(body: str) -> None:
    with pytest.raises(InvalidValue):
        update_in(body)


BAD_PROFILES = [
    ("", "vendors: Field required"),
    ("vendors = 1", "vendors"),
    ("[vendors", "not TOML"),
    ("[vendors.V]\nwebook = 1", "webook: Extra inputs"),
    ("[vendors.V]\nupdates = []", "updates"),
    ('[vendors.V]\nupdates = ["payment"]', "updates.0"),
    ("[vendors.V]\nacknowledge_within_minutes = 0", "acknowledge_within_minutes"),
    ('[vendors.V.webhook]\nurl = "https://v.example/"', "secret_file: Field required"),
    ('[vendors.V.webhook]\nurl = "http://v.example/"\nsecret_file = "s"', "not encrypted"),
    ('[vendors.V.webhook]\nurl = "https://a:b@v.example/"\nsecret_file = "s"', "user, password"),
    ('[vendors.V.webhook]\nurl = "https:///x"\nsecret_file = "s"', "https://host/path"),
    ('[vendors.V.webhook]\nurl = "ftp://v.example/"\nsecret_file = "s"', "https://host/path"),
    ('[vendors.V.webhook]\nurl = "https://v.example:99999/"\nsecret_file = "s"', "url"),
    ('[vendors.V.webhook]\nurl = "https://v/"\nsecret_file = "s"\nprivate_networks = ["10.0.0.1/8"]', "host bits"),
    ('[vendors.V.webhook]\nurl = "https://v/"\nsecret_file = "s"\ntimeout_seconds = 600', "timeout_seconds"),
    ('[vendors.V.files]\nformat = "csv"\ndirectory = "d"\nsender = "a"\nreceiver = "b"', "format"),
    ('[vendors.V.files]\nformat = "ubl"\ndirectory = "d"\nsender = ""\nreceiver = "b"', "sender"),
]


@pytest.mark.parametrize(("text", "problem"), BAD_PROFILES)
def test_a_vendors_file_that_cannot_work_is_refused_where_it_is_wrong(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "vendors.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=problem):
        VendorProfiles.load(path)


def test_a_vendor_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    profiles = VendorProfiles.load(profiles_file(tmp_path, {ACME: "https://vendor.example/hook"}))
    assert profiles.of(ACME).channels == ("webhook",)
    with pytest.raises(ConfigurationError, match="no vendor 'V-NONE'; it has V-ACME"):
        profiles.of("V-NONE")
