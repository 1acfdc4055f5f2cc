"""A shop's body that no mapping reads, as a dead letter, and as an order once the mapping was mended."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Protocol
from uuid import uuid5

from producers.api.intake import Asked
from producers.api.problems import Problem
from producers.api.shops import ShopMapping, Told
from schemas.errors import ConfigurationError
from schemas.models import MessageHeader, OriginalMessage, Rejection, Violation
from schemas.models.source import EVENT_NAMESPACE

STAGE = "shops"
_TOPIC = "shop-topic"


class Letters(Protocol):
    """Where dead letters are made durable."""

    async def write(self, key: bytes, rejection: Rejection) -> None:
        """Return when the letter is durable; raises Transient."""
        ...


@dataclass(frozen=True, slots=True)
class ShopDelivery:
    """One webhook of a shop, whose signature was good."""

    shop: str
    topic: str
    """What it is about, in the platform's words."""
    name: str
    """The platform's id of the delivery, or the hash of its body."""
    body: bytes

    @classmethod
    def of(cls, shop: str, topic: str, name: str | None, body: bytes) -> ShopDelivery:
        """Without a name of its own a delivery is known by what it says."""
        return cls(shop, topic, name or hashlib.sha256(body).hexdigest(), body)

    @property
    def asked(self) -> Asked:
        """The request that it is: the same delivery again is the same request."""
        return Asked(f"shop/{self.shop}", f"{self.topic}/{self.name}"[:255], self.body)


def letter_of(delivery: ShopDelivery, problem: Problem, now: datetime) -> Rejection:
    """The dead letter of a delivery; the same one when the shop sends it again."""
    digest = hashlib.sha256(delivery.body).hexdigest()
    reasons = [Violation(rule=one.rule, message=one.message, field=one.field) for one in problem.errors]
    return Rejection(
        rejection_id=str(uuid5(EVENT_NAMESPACE, f"{STAGE}/{delivery.shop}/{delivery.topic}/{delivery.name}/{digest}")),
        stage=STAGE,
        order_id=None,
        violations=reasons or [Violation(rule=problem.code, message=problem.detail)],
        rejected_at=now,
        code_version=version("ordersync"),
        original=OriginalMessage(
            topic=f"{STAGE}/{delivery.shop}",
            partition=-1,
            offset=0,
            timestamp_at=now,
            key=delivery.name.encode(),
            value=delivery.body,
            headers=[MessageHeader(key=_TOPIC, value=delivery.topic.encode())],
        ),
    )


def delivery_in(letter: Rejection) -> ShopDelivery:
    """The delivery that a dead letter holds. Raises ConfigurationError where it holds none."""
    original = letter.original
    topics = [header.value for header in original.headers if header.key == _TOPIC and header.value is not None]
    if letter.stage != STAGE or not topics or original.key is None or original.value is None:
        raise ConfigurationError(f"dead letter {letter.rejection_id} holds no webhook of a shop")
    shop = original.topic.removeprefix(f"{STAGE}/")
    return ShopDelivery(shop, topics[0].decode(), original.key.decode(), original.value)


def told_again(letter: Rejection, shops: Mapping[str, ShopMapping]) -> tuple[ShopDelivery, Told]:
    """What a dead letter says by the mapping of today.

    Raises:
        ConfigurationError: the shop is gone, or its mapping still cannot read it; each reason is named.
    """
    delivery = delivery_in(letter)
    shop = shops.get(delivery.shop)
    if shop is None:
        raise ConfigurationError(f"the shops' file has no shop {delivery.shop}")
    try:
        return delivery, shop.told(delivery.topic, delivery.body, letter.rejected_at)
    except Problem as exc:
        told = f"the mapping of {delivery.shop} still cannot read dead letter {letter.rejection_id}: {exc.detail}"
        raise ConfigurationError(told) from exc
