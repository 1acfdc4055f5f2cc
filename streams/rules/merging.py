"""Merges captured facts by owner: the newest full image of each section is the truth about that section.

Each event carries the whole section of one owner, and positions within one source are ordered; so the merged facts
are the same whatever the order in which events of different owners arrive.

| What crosses | Outcome |
|---|---|
| a payment, invoice or shipment comes before its order | it waits for the order (parked), then counts |
| a shipment of a line that the order does not have yet | it waits for the change of the order |
| a cancellation crosses a shipment | both are kept; warning `lifecycle.cancelled_but_shipped` until it comes back |
| a cancellation crosses a payment or an invoice | both are kept; warnings `lifecycle.cancelled_but_paid` and
`lifecycle.cancelled_but_billed` until it is refunded and credited |
| a return comes before its shipment was seen | both are in inventory's full image; never seen apart. An image with the
return alone is refused (`fulfilment.returned_quantity`), and the next whole one counts |
| a line is removed that was shipped | both are kept; warning `lifecycle.shipped_line_removed` until it comes back |
| a line is removed, and its shipment comes later | the shipment waits until the line is put back, or its deadline |
| the currency changes after a payment | the change is refused (`lifecycle.currency_fixed`); cancel and order anew |
| the currency changed, and a payment in the old one comes | the payment is refused (`settlement.currency`) |
| a deletion at the source | the last facts stay, the order is `deleted`, later facts still count |
| a vendor's message comes before or after any of these | both count: see `streams.rules.answers` |
| a vendor's message comes before its order | it waits for the order (parked), then counts |
| a duplicate, or an image older than the merged one | no effect |

Warnings are merged like facts: those about one section stay until that section changes, and those about several are
judged anew with each change; so they too are the same whatever came first. Only where a change would take back what
another owner has already acted upon (the last lines about removed lines and currencies) does the first to come decide.
"""

from __future__ import annotations

from schemas.models import (
    CapturedEvent,
    FulfilmentCaptured,
    OrderCaptured,
    OrderState,
    PaymentsCaptured,
    SourcePosition,
    VendorAnswered,
)
from streams.rules import answers
from streams.rules.facts import Candidate, Section

DELETED = "deleted"


def merged_position(section: Section, state: OrderState | None) -> SourcePosition | None:
    """The source position of a section in `state`; vendors' messages have none together."""
    if state is None or section is Section.ANSWERS:
        return None
    if section is Section.ORDER:
        return state.order_source
    return state.fulfilment_source if section is Section.FULFILMENT else state.settlement_source


def is_news(section: Section, event: CapturedEvent, state: OrderState | None) -> bool:
    """Whether `event` is newer than what is merged; a fact of another system always is, and rules judge it."""
    if isinstance(event, VendorAnswered) and event.answer is not None:
        return answers.is_news(event.answer, state.fulfilment if state is not None else None)
    merged = merged_position(section, state)
    return merged is None or merged.system != event.source.system or event.source.is_after(merged)


def merge(section: Section, event: CapturedEvent, state: OrderState | None) -> Candidate:
    """The order as it would be after `event`."""
    candidate = Candidate(
        section=section,
        event=event,
        previous=state,
        order=state.order if state is not None else None,
        fulfilment=state.fulfilment if state is not None else None,
        settlement=state.settlement if state is not None else None,
        is_deleted=state is not None and state.order_status == DELETED,
    )
    if isinstance(event, OrderCaptured):
        candidate.is_deleted = event.order is None
        candidate.order = event.order or candidate.order
    elif isinstance(event, FulfilmentCaptured):
        candidate.fulfilment = answers.with_inventory(event.fulfilment, candidate.fulfilment)
    elif isinstance(event, PaymentsCaptured):
        candidate.settlement = event.settlement
    elif isinstance(event, VendorAnswered) and event.answer is not None:
        candidate.fulfilment = answers.with_answer(candidate.fulfilment, event.answer, event.order_id)
    return candidate
