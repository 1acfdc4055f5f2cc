"""The JSON that a vendor receives for an update, and back."""

from __future__ import annotations

from decimal import Decimal

import orjson
from pydantic import ValidationError

from consumers.vendors.profiles import VendorProfile
from schemas.errors import InvalidValue
from schemas.models import VendorUpdate

_DELIVERY = {"delivery_name": None, "delivery_address": None}


def message_type(update: VendorUpdate) -> str:
    """The `type` of its message: order.confirmation ..."""
    return f"order.{update.update_type}"


def shown_to(profile: VendorProfile, update: VendorUpdate) -> VendorUpdate:
    """The update as its vendor may see it: to whom goods go only where it ships them; the same one where it may."""
    return update if profile.shares_delivery else update.model_copy(update=_DELIVERY)


def body_of(update: VendorUpdate, profile: VendorProfile) -> str:
    """The message: type, timestamp and data, as Standard Webhooks has it; quantities are texts, times are UTC."""
    data = shown_to(profile, update).model_dump()
    envelope = {"type": message_type(update), "timestamp": update.committed_at, "data": data}
    return orjson.dumps(envelope, default=_plain, option=orjson.OPT_UTC_Z).decode()


def update_in(body: str) -> VendorUpdate:
    """The update of a message.

    Raises:
        InvalidValue: it is none of ours.
    """
    try:
        return VendorUpdate.model_validate(orjson.loads(body)["data"])
    except (orjson.JSONDecodeError, ValidationError, KeyError, TypeError) as exc:
        raise InvalidValue(f"a queued message is no update of a vendor: {exc}", field="body") from exc


def plain_quantity(quantity: Decimal) -> str:
    """A quantity as people write it: 5, 2.5."""
    return format(quantity.normalize(), "f")


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return plain_quantity(value)
    raise TypeError(f"{type(value).__name__} is no part of a message")
