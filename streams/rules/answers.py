"""Merges what vendors answer about their lines: of each line and each dispatch the newest message counts. Pure.

A message is no full image, so an order keeps those of its vendors that still say the newest word about anything. What
is kept follows from the set of messages alone: whatever their order of arrival, and however often each came.

| What crosses | Outcome |
|---|---|
| a message comes twice | no effect: vendor, time and number are the same |
| two confirmations of one line | the later `issued_at` counts; of one moment the greater number of the message |
| a confirmation of lines 1 and 2, a later one of line 2 | line 1 from the first, line 2 from the second |
| an older message after a newer one about the same | no effect |
| a corrected dispatch advice | replaces the one with the same number of dispatch |
| a dispatch advice is taken back | its shipment is gone; an older advice of it, coming later, does not bring it back |
| a dispatch advice before its confirmation | both count |
| inventory's image before or after | each replaces its own part only |
| two vendors, or inventory, use one number of dispatch | each has its own: the vendor stands before it |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from schemas.attributes import OrderId, VendorId
from schemas.fulfilment_parts import (
    CONFIRMATION,
    Place,
    Subject,
    of_inventory,
    place_of,
    shipment_of,
    subjects_of,
)
from schemas.models import Fulfilment, VendorAnswer


def newest(answers: Iterable[VendorAnswer]) -> list[VendorAnswer]:
    """The messages that have the newest word about anything, each with only that of its lines; in one order."""
    last: dict[Subject, VendorAnswer] = {}
    for answer in answers:
        for subject in subjects_of(answer):
            if subject not in last or place_of(answer) > place_of(last[subject]):
                last[subject] = answer
    kept = {id(answer): answer for answer in last.values()}
    return sorted([_with_words(answer, last) for answer in kept.values()], key=_order)


def is_news(answer: VendorAnswer, fulfilment: Fulfilment | None) -> bool:
    """Whether a message says anything that no message at or after its place has said; an empty one is judged."""
    if not subjects_of(answer):
        return True
    known = fulfilment.vendor_answers if fulfilment is not None else []
    return newest([*known, answer]) != known


def with_answer(fulfilment: Fulfilment | None, answer: VendorAnswer, order_id: OrderId) -> Fulfilment:
    """The fulfilment as it is after a message."""
    known = fulfilment.vendor_answers if fulfilment is not None else []
    return _joined(of_inventory(fulfilment), newest([*known, answer]), order_id)


def with_inventory(image: Fulfilment | None, known: Fulfilment | None) -> Fulfilment | None:
    """Inventory's new image, with what vendors have said beside it."""
    if known is None or not known.vendor_answers:
        return image
    return _joined(image, known.vendor_answers, known.order_id)


def _joined(inventory: Fulfilment | None, answers: Sequence[VendorAnswer], order_id: OrderId) -> Fulfilment:
    own = [shipment for answer in answers if (shipment := shipment_of(answer)) is not None]
    own.sort(key=lambda shipment: (shipment.shipped_at, shipment.shipment_id))
    return Fulfilment(
        order_id=inventory.order_id if inventory is not None else order_id,
        shipments=[*(inventory.shipments if inventory is not None else ()), *own],
        returns=inventory.returns if inventory is not None else [],
        vendor_answers=list(answers),
    )


def _order(answer: VendorAnswer) -> tuple[VendorId, Place, list[Subject]]:
    return answer.vendor_id, place_of(answer), subjects_of(answer)


def _with_words(answer: VendorAnswer, last: Mapping[Subject, VendorAnswer]) -> VendorAnswer:
    if answer.despatch is not None:
        return answer
    own = [line for line in answer.lines if last[answer.vendor_id, CONFIRMATION, line.line_id] is answer]
    return answer if len(own) == len(answer.lines) else answer.model_copy(update={"lines": own})
