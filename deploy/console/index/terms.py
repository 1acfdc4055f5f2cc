"""The words under which an order is found, and those of a question: folded in the same way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from schemas.models import OrderState

_ID_PART = re.compile(r"[^\W_]+")
_WORD = re.compile(r"[^\W_]+(?:[-:._/#@+]+[^\W_]+)*")
LONGEST_WORD = 64
MOST_WORDS = 8


def folded(text: str) -> str:
    """Lower case without accents, full width and ligatures, so that "MÜLLER" and "muller" are the same."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def words_of(text: str) -> Iterator[str]:
    """The words of a question or a name; ids such as crm:SO-7 stay whole."""
    return (found[:LONGEST_WORD] for found in _WORD.findall(folded(text)))


def question_words(text: str) -> list[str]:
    """The first words of what a person asks for, each once."""
    return list(dict.fromkeys(words_of(text)))[:MOST_WORDS]


def order_terms(state: OrderState) -> str:
    """All words of an order: its ids and their parts, its customer, references, invoices, shipments and payments."""
    found: dict[str, None] = {}
    for identity in _identities(state):
        for word in words_of(identity):
            found[word] = None
            for part in _parts(word):
                found[part] = None
    enrichment = state.enrichment
    names = [enrichment.customer_name] if enrichment is not None else []
    if state.order is not None and state.order.delivery_name:
        names.append(state.order.delivery_name)
    for name in names:
        for word in words_of(name):
            found[word] = None
            found |= dict.fromkeys(_ID_PART.findall(word))
    return " ".join(found)


def _identities(state: OrderState) -> Iterable[str]:
    yield state.order_id
    yield state.event_id
    order = state.order
    if order is not None:
        yield order.buyer_customer_party_id
        if order.customer_reference:
            yield order.customer_reference
    if state.fulfilment is not None:
        for shipment in state.fulfilment.shipments:
            yield shipment.shipment_id
            if shipment.tracking_id:
                yield shipment.tracking_id
        yield from (one.return_id for one in state.fulfilment.returns)
    if state.settlement is not None:
        yield from (one.invoice_id for one in state.settlement.invoices)
        yield from (one.payment_id for one in state.settlement.payments)


def _parts(word: str) -> Iterator[str]:
    """Of crm:SO-00042 also so-00042, 00042 and 42; an UUID is looked for as a whole only."""
    if len(word) == 36 and word.count("-") == 4:
        return
    _, _, native = word.partition(":")
    if native:
        yield native
    parts = _ID_PART.findall(word)
    number = parts[-1]
    if number.isdigit() and number != word:
        yield number
    if number.isdigit() and number.startswith("0"):
        yield number.lstrip("0") or "0"
