"""Runs the API as processes beside a stream worker, and calls it as a partner's program would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import sys
from pathlib import Path
from typing import Any

import httpx

from producers.api.partners import new_secret
from tests.integration.streams_harness import Scene, StreamsProcess, wait_until

API = (sys.executable, "-m", "deploy.cli", "worker", "api")
WAIT = {"Prefer": "wait=30"}
_SERVING = re.compile(r"serving on http://127\.0\.0\.1:(\d+)")


def clients_file(directory: Path) -> Path:
    """Everybody whom the tests speak for; each one's key is its name and `-key`, and the partner signs."""
    entries = [
        ("shop", ["orders:write", "orders:read"], ["shop"], 1_000_000),
        ("crm", ["orders:write", "orders:read"], ["crm", "shop"], 1_000_000),
        ("all", ["orders:write", "orders:read", "documents:write", "documents:read"], ["*"], 1_000_000),
        ("scanner", ["documents:write", "documents:read"], ["shop"], 1_000_000),
        ("feeder", ["orders:write"], ["shop"], 1_000_000),
        ("viewer", ["orders:read"], ["shop"], 1_000_000),
        ("rival", ["orders:write", "orders:read", "documents:read"], ["rival"], 1_000_000),
        ("watcher", ["orders:read"], ["*"], 1_000_000),
        ("slow", ["orders:read"], ["*"], 0.01),
    ]
    text = "".join(
        f'[[clients]]\nname = "{name}"\nkey_sha256 = ["{hashlib.sha256(f"{name}-key".encode()).hexdigest()}"]\n'
        f"scopes = {scopes}\nsystems = {systems}\nrequests_per_second = {rate}\nburst = {max(rate, 1)}\n\n"
        for name, scopes, systems, rate in entries
    )
    secrets = directory / "partner"
    secrets.touch(mode=0o600)
    secrets.write_text(new_secret())
    text += (
        '[[clients]]\nname = "partner"\nhmac_secrets = "partner"\nscopes = ["orders:write", "orders:read"]\n'
        'systems = ["partner"]\n'
    )
    for vendor in ("V1", "V2"):
        text += (
            f'[[clients]]\nname = "{vendor.lower()}"\nscopes = ["vendors:answer"]\nvendor = "{vendor}"\n'
            f'key_sha256 = ["{hashlib.sha256(f"{vendor.lower()}-key".encode()).hexdigest()}"]\n\n'
        )
    path = directory / "clients.toml"
    path.write_text(text)
    return path


SHOP_SECRET = "shpss_0123456789abcdef"


def shops_file(directory: Path) -> Path:
    """One shop whose webhooks are taken."""
    secret = directory / "outlet.secret"
    secret.touch(mode=0o600)
    secret.write_text(SHOP_SECRET)
    path = directory / "shops.toml"
    path.write_text(f'[[shops]]\nname = "outlet"\nplatform = "shopify"\nsecrets = "{secret.name}"\n')
    return path


def webhook(topic: str, **changes: Any) -> tuple[bytes, dict[str, str]]:
    """What Shopify sends: the body of an order that every rule accepts, and its headers."""
    line = {
        "id": 1,
        "sku": "P1",
        "name": "One",
        "quantity": 2,
        "price": "10.00",
        "tax_lines": [],
        "discount_allocations": [],
    }
    made = {
        "id": 1001,
        "created_at": "2026-11-20T10:00:00+01:00",
        "updated_at": "2026-11-20T10:00:00+01:00",
        "currency": "EUR",
        "financial_status": "pending",
        "taxes_included": False,
        "customer": {"id": "C1"},
        "line_items": [line],
        "total_price": "20.00",
        "total_tax": "0.00",
    }
    body = json.dumps(made | changes).encode()
    signature = base64.b64encode(hmac.digest(SHOP_SECRET.encode(), body, hashlib.sha256)).decode()
    return body, {"X-Shopify-Topic": topic, "X-Shopify-Hmac-Sha256": signature, "Content-Type": "application/json"}


def draft(**changes: Any) -> dict[str, Any]:
    """An order that every rule accepts."""
    lines = [{"product_id": "P1", "quantity": "2", "price_amount": "9.95", "tax_percent": "19"}]
    made = {
        "issue_date": "2026-11-21",
        "document_currency_code": "EUR",
        "buyer_customer_party_id": "C1",
        "order_lines": lines,
    }
    return made | changes


class Api:
    """One API worker as a process."""

    def __init__(self, scene: Scene, directory: Path, **settings: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        clients = {"clients": str(clients_file(directory)), "data_dir": str(directory / "data")}
        clients |= {"shops": str(shops_file(directory))}
        clients |= {"uploads_dir": str(directory / "uploads")}
        self.partner_secrets = directory / "partner"
        self.process: StreamsProcess = scene.work(API, **({"port": "0"} | clients | settings))

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        wait_until(self._serves, 60, lambda: f"the API serves: {self.process.log()[-3000:]}")
        found = _SERVING.search(self.process.log())
        assert found is not None
        return f"http://127.0.0.1:{found[1]}"

    def caller(self, name: str = "shop") -> httpx.Client:
        """A client with the key of `name`."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {name}-key"}, timeout=60)

    def _serves(self) -> bool:
        self.process.assert_alive()
        return _SERVING.search(self.process.log()) is not None
