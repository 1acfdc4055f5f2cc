"""Who may use the API: keys, scopes, systems and rates."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from producers.api.clients import Client, ClientEntry, Clients
from producers.api.problems import Problem
from schemas.attributes import OrderId
from schemas.errors import ConfigurationError

HASH = hashlib.sha256(b"secret").hexdigest()
ENTRY = f'[[clients]]\nname = "shop"\nkey_sha256 = ["{HASH}"]\nscopes = ["orders:read"]\nsystems = ["shop"]\n'


def read(text: str, directory: Path) -> Clients:
    path = directory / "clients.toml"
    path.write_text(text)
    return Clients.read(path)


def entry(**changes: object) -> ClientEntry:
    told = {"name": "shop", "key_sha256": [HASH], "scopes": ["orders:read"], "systems": ["shop"]}
    return ClientEntry.model_validate(told | changes)


def test_a_client_is_known_by_its_key_alone(tmp_path: Path) -> None:
    clients = read(ENTRY, tmp_path)
    assert clients.of("secret").name == "shop"
    for wrong in (None, "", "Secret", HASH):
        with pytest.raises(Problem) as caught:
            clients.of(wrong)
        assert caught.value.status == 401


def test_a_client_speaks_for_its_systems_with_its_scopes() -> None:
    shop, every = Client(entry()), Client(entry(systems=["*"]))
    assert shop.may_see(OrderId("shop:1")) and not shop.may_see(OrderId("shopping:1"))
    assert every.may_see(OrderId("crm:1"))
    assert (shop.own_system(), every.own_system()) == ("shop", None)
    shop.require("orders:read")
    with pytest.raises(Problem) as caught:
        shop.require("orders:write")
    assert caught.value.status == 403


def test_a_client_that_has_used_up_its_rate_is_told_when_to_come_again() -> None:
    slow = Client(entry(requests_per_second=0.01, burst=2))
    slow.spend()
    slow.spend()
    with pytest.raises(Problem) as caught:
        slow.spend()
    assert caught.value.status == 429
    assert 90 <= int(caught.value.headers["Retry-After"]) <= 101


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "clients"),
        ("[[clients]", "not TOML"),
        (ENTRY + "surprise = 1\n", "surprise"),
        (ENTRY.replace("orders:read", "orders:all"), "scopes"),
        (ENTRY.replace(HASH, "abc"), "64 hexadecimal"),
        (ENTRY + ENTRY.replace('"shop"\nkey', '"other"\nkey'), "no other client"),
    ],
)
def test_a_wrong_file_is_refused_with_its_reason(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read(text, tmp_path)


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ORDERSYNC_CLIENTS"):
        Clients.read(tmp_path / "nowhere.toml")
