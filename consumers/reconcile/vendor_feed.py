"""What vendors were told of each order, held against its state."""

from __future__ import annotations

from collections.abc import Iterator

from consumers.reconcile.picture import Picture
from consumers.vendors.views import untold_of
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import UndecodableMessage
from schemas.models import OrderState, VendorUpdate
from schemas.topics import VENDOR_UPDATES


class VendorFeed:
    """The last update of each vendor of each order, which the picture keeps."""

    def __init__(self, picture: Picture, schemas: SchemaIds) -> None:
        """Raises SchemaDrift if this version's schemas are not registered, Transient if the registry is away."""
        self._picture = picture
        self._codec = TopicCodec(VENDOR_UPDATES, VendorUpdate, schemas)

    def addressee(self, value: bytes) -> tuple[str, str] | None:
        """Order and vendor of an update; None where nobody can read it, so that it told nothing."""
        try:
            update = self._codec.decode(value)
        except UndecodableMessage:
            return None
        return update.order_id, update.vendor_id

    def untold(self, state: OrderState) -> list[VendorUpdate]:
        """The news of an order that its vendors have not heard."""
        return untold_of(state, {one.vendor_id: one for one in self._told(state)})

    def _told(self, state: OrderState) -> Iterator[VendorUpdate]:
        return map(self._codec.decode, self._picture.told(state.order_id))
