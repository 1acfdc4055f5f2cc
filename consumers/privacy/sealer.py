"""Turns one version of an order into what other departments read, with the keys that this takes."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, cast

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consumers.privacy.key_book import KeyBook
from consumers.privacy.sealing import KeyRing, Place, pseudonym, seal
from schemas.errors import ConfigurationError, InvalidValue
from schemas.models import OrderEvent, OrderState, PublishedOrder, SealedPart, SubjectKey
from schemas.published_form import personal_values, published

_log = logging.getLogger(__name__)
_OPENED_AT_ONCE = 20_000


def subjects_of(state: OrderState) -> dict[str, dict[str, Any]]:
    """The personal values of an order by whom they tell of, each by its JSON Pointer into the record. Pure."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in personal_values(state, "/state"):
        about = customer_of(state) if one.data_subject is None else f"{one.data_subject}:{one.value}"
        found[about][one.pointer] = one.value
    return dict(found)


def customer_of(state: OrderState) -> str:
    """Whom an order tells of; where nobody knows its customer it is on its own."""
    return f"order:{state.order_id}" if state.order is None else f"customer:{state.order.buyer_customer_party_id}"


class Sealer:
    """Seals by the keys of the book, and makes those that are missing; `made` until they are written or dropped."""

    def __init__(self, book: KeyBook, ring: KeyRing, pseudonym_key: bytes) -> None:
        self._book, self._ring, self._pseudonym_key = book, ring, pseudonym_key
        self._opened: dict[str, AESGCM] = {}
        self.made: dict[str, SubjectKey] = {}

    def published(self, event: OrderEvent, offset: int) -> PublishedOrder:
        """The published form of an event.

        Raises:
            ConfigurationError: a key is wrapped by a key-encryption key that the file does not have.
        """
        state = event.state
        place = Place(state.order_id, state.version)
        parts = [self._part(place, about, values) for about, values in subjects_of(state).items()]
        # The type checker knows the whole record's class; the class of what is left is made from it when it is loaded.
        return PublishedOrder.trusted(
            event_type=event.event_type,
            event_offset=offset,
            state=cast(Any, published(state)),
            sealed=[part for part in parts if part is not None],
        )

    def _part(self, place: Place, about: str, values: dict[str, Any]) -> SealedPart | None:
        subject = pseudonym(self._pseudonym_key, about)
        if self._book.is_erased(subject):
            return None
        key_id, data_key = self._key(subject)
        return seal(data_key, place, subject, key_id, values)

    def _key(self, subject: str) -> tuple[str, AESGCM]:
        for key in reversed(self._book.good_keys(subject)):
            data_key = self._data_key(key)
            if data_key is not None:
                return key.key_id, data_key
        made = self.made.get(subject)
        if made is None:
            made = self._ring.new_key(subject, self._book.generation(subject), datetime.now(UTC))
            self.made[subject] = made
        return made.key_id, self._ring.data_key(made)

    def _data_key(self, key: SubjectKey) -> AESGCM | None:
        known = self._opened.get(key.key_id)
        if known is not None:
            return known
        if not self._ring.has(key.wrapped_by):
            raise ConfigurationError(
                f"key {key.key_id} is wrapped by key-encryption key {key.wrapped_by}, which the file lacks: put it "
                "back as a further line, and take it out after `ordersync privacy rewrap`"
            )
        try:
            data_key = self._ring.data_key(key)
        except InvalidValue as exc:
            # Somebody wrote past us: what is sealed from now on takes a good key.
            _log.warning("%s; the subject gets another", exc)
            return None
        if len(self._opened) >= _OPENED_AT_ONCE:
            self._opened.clear()
        self._opened[key.key_id] = data_key
        return data_key
