"""Shops whose webhooks are taken: who they are, how they sign, and what their bodies mean.

```toml
[[shops]]
name = "outlet"                   # POST /v1/shops/outlet/orders; its orders become outlet:ID
platform = "shopify"              # or woocommerce
secrets = "outlet.secret"         # what the platform signs with, one a line: two while it is being replaced
mapping = "outlet.toml"           # only where the platform's own mapping does not do
```

Webhooks come twice, late and in any order: `paid` before `created`. Each body tells the whole order and when it was
changed, so its event stands at that time among those of its order, and streams keep the newest. Source: S2, I1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

import schemas.mapping
from producers.api.partners import PartnerSecrets, partner_lines
from producers.api.problems import FieldProblem, Problem
from producers.api.shop_rows import row_of
from schemas.attributes import OrderId
from schemas.errors import ConfigurationError, InvalidValue
from schemas.mapping import AggregateMapping, Image
from schemas.mapping.images import reasons_of
from schemas.models import SalesOrder
from schemas.toml_file import read_toml
from schemas.topics import ORDERS_CAPTURED

_BUILT_IN = Path(schemas.mapping.__file__).parent / "shops"
_SHORTEST: Final = 16


@dataclass(frozen=True, slots=True)
class Platform:
    """How a shop system tells of orders."""

    signature: str
    """Header with the base64 of HMAC-SHA256 over the body."""
    topic: str
    delivery: str
    """Header that names the delivery: sent again, it is the same."""
    orders: str
    """Start of the topics about orders."""
    deleted: str
    changed_at: str
    """Member with the time of the image."""


PLATFORMS: Final = {
    "shopify": Platform(
        "x-shopify-hmac-sha256", "x-shopify-topic", "x-shopify-webhook-id", "orders/", "orders/delete", "updated_at"
    ),
    "woocommerce": Platform(
        "x-wc-webhook-signature",
        "x-wc-webhook-topic",
        "x-wc-webhook-delivery-id",
        "order.",
        "order.deleted",
        "date_modified_gmt",
    ),
}


class ShopEntry(BaseModel):
    """One entry of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    platform: Literal["shopify", "woocommerce"]
    secrets: Path
    mapping: Path | None = None


class ShopsFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shops: list[ShopEntry] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Told:
    """What one webhook says of an order; `order` is None where the shop deleted it."""

    order_id: OrderId
    order: SalesOrder | None
    changed_at: datetime


class ShopMapping:
    """What the bodies of one shop mean; it needs no secret of the shop."""

    def __init__(self, entry: ShopEntry, where: Path) -> None:
        """Raises ConfigurationError: its mapping cannot be used."""
        self.name = entry.name
        self.platform = PLATFORMS[entry.platform]
        file = _BUILT_IN / f"{entry.platform}.toml" if entry.mapping is None else where / entry.mapping
        self._aggregate = _orders_of(file)

    def told(self, topic: str, body: bytes, now: datetime) -> Told:
        """What the webhook says.

        Raises:
            Problem: 422 where the mapping cannot make an order of it; each reason is named.
        """
        try:
            row = row_of(body)
            row["shop"] = self.name
            order_id = OrderId(self._aggregate.key_of(row))
            if order_id.partition(":")[0] != self.name:
                raise InvalidValue(
                    f"the mapping's key gives {order_id}, not {self.name}:...", rule="mapping", field="key"
                )
            if topic == self.platform.deleted:
                return Told(order_id, None, now)
            order = self._aggregate.build(Image(row))
            assert order is None or isinstance(order, SalesOrder)
            if order is None:
                raise InvalidValue("the mapping's `when` leaves this order out", rule="mapping")
            return Told(order_id, order, self._changed_at(row.get(self.platform.changed_at)))
        except InvalidValue as exc:
            errors = [FieldProblem(field=one.field, rule=one.rule, message=str(one)) for one in reasons_of(exc)]
            raise Problem(422, "shop.mapping", str(exc)[:2000], errors=errors) from exc

    def _changed_at(self, told: object) -> datetime:
        try:
            found = datetime.fromisoformat(str(told))
        except ValueError as exc:
            member = self.platform.changed_at
            raise InvalidValue(f"{member} is {told!r}, not a time", rule="shop.changed_at", field=member) from exc
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class Shop(ShopMapping):
    """One shop, whose signatures can be checked."""

    def __init__(self, entry: ShopEntry, where: Path) -> None:
        """Raises ConfigurationError: its secrets or its mapping cannot be used."""
        super().__init__(entry, where)
        self._secrets = PartnerSecrets(where / entry.secrets, plain_secrets)

    def signed(self, signature: str | None, body: bytes) -> bool:
        """Whether the platform signed these bytes with one of the secrets."""
        given = (signature or "").encode()
        expected = [base64.b64encode(hmac.digest(key, body, hashlib.sha256)) for key in self._secrets.now()]
        # Each is compared, so that the time tells nothing.
        same = [hmac.compare_digest(given, one) for one in expected]
        return any(same)


class Shops:
    """Every shop, by name."""

    def __init__(self, shops: Mapping[str, Shop] | None = None) -> None:
        self._by_name = dict(shops or {})

    @classmethod
    def read(cls, path: Path) -> Shops:
        """Read the file. Raises ConfigurationError that names what is wrong with it."""
        return cls({entry.name: Shop(entry, path.parent) for entry in _entries_of(path)})

    def of(self, name: str) -> Shop | None:
        """The shop with that name."""
        return self._by_name.get(name)


def mappings_of(path: Path) -> dict[str, ShopMapping]:
    """What the bodies of each shop mean, by the shops' file; no secret is read. Raises as `Shops.read`."""
    return {entry.name: ShopMapping(entry, path.parent) for entry in _entries_of(path)}


def _entries_of(path: Path) -> list[ShopEntry]:
    entries = read_toml(ShopsFile, path, "shops file", "correct ORDERSYNC_SHOPS").shops
    twice = [name for name, count in Counter(entry.name for entry in entries).items() if count > 1]
    if twice:
        raise ConfigurationError(f"shops file {path}: {twice[0]} is there twice: give each shop a name of its own")
    return entries


def _orders_of(file: Path) -> AggregateMapping:
    mapping = schemas.mapping.load(file)
    orders = [one for one in mapping.aggregates if one.topic.name == ORDERS_CAPTURED]
    if len(orders) != 1 or len(mapping.aggregates) != 1:
        raise ConfigurationError(f"mapping file {file}: a shop's has one aggregate, for {ORDERS_CAPTURED}")
    return orders[0]


def plain_secrets(path: Path) -> tuple[bytes, ...]:
    """Secrets as the platforms give them: any text. Raises ConfigurationError as `partner_lines`."""
    found = partner_lines(path)
    if short := [number for number, line in found if len(line) < _SHORTEST]:
        raise ConfigurationError(f"{path}, line {short[0]}: a secret has at least {_SHORTEST} characters")
    return tuple(line.encode() for _, line in found)
