"""What programs of other departments read: orders whose personal attributes are sealed, and the keys to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.attributes import CanonicalModel, Instant, attribute
from schemas.models.state import OrderState
from schemas.published_form import published_form

if TYPE_CHECKING:
    from schemas.attributes import CanonicalModel as PublishedOrderState
else:
    PublishedOrderState = published_form(OrderState)


class SealedPart(CanonicalModel, classification="confidential"):
    """The personal attributes of one order that tell of one person, encrypted by the key of that person."""

    subject: str = attribute("Whom it tells of: HMAC-SHA-256 of who it is, in hex; names nobody")
    key_id: str = attribute("The subject's key that it was sealed with, as in privacy.keys")
    attributes: list[str] = attribute("What is in it: JSON Pointers (RFC 6901) into the whole record")
    sealed: bytes = attribute("12 bytes of nonce, then the AES-256-GCM ciphertext with its tag: JSON, by pointer")


class PublishedOrder(CanonicalModel):
    """One version of one order for other departments (topic `orders.published`, compacted, key order_id)."""

    event_type: str = attribute("OrderPlaced, OrderChanged, OrderShipped, OrderReturned, OrderBilled, OrderPaid ...")
    event_offset: int = attribute("Offset of this version on orders.events, on the partition of the same number")
    state: PublishedOrderState = attribute("The whole order at this version, without what is personal")
    sealed: list[SealedPart] = attribute(
        "What is personal, a part for each person; none for whom the key was destroyed", default=[]
    )


class SubjectKey(CanonicalModel, classification="confidential"):
    """One data key of one person, encrypted (topic `privacy.keys`, compacted, key subject/key_id)."""

    subject: str = attribute("Whose: HMAC-SHA-256 of who it is, in hex")
    key_id: str = attribute("Of this key: 16 random bytes in hex")
    generation: int = attribute("How often the subject's keys had been destroyed when it was made")
    wrapped_by: str = attribute("Which key-encryption key wrapped it")
    wrapped_key: bytes = attribute("12 bytes of nonce, then the key of 32 bytes under AES-256-GCM, with the tag")
    created_at: Instant = attribute("When it was made", unit="UTC")


class SubjectErasure(CanonicalModel, classification="confidential"):
    """That one person's keys were destroyed, or it may have new ones (topic `privacy.erasures`, key subject)."""

    subject: str = attribute("Whose: HMAC-SHA-256 of who it is, in hex")
    generation: int = attribute("How often the keys were destroyed; a key of a smaller generation is void")
    is_erased: bool = attribute("Whether nothing is sealed for the subject; false again when it was readmitted")
    decided_at: Instant = attribute("When", unit="UTC")
    audit_id: str = attribute("The deed in audit.events")
