"""What a person decides about an order of a document; for the command line and the console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from producers.documents.crops.bounded import Crops
    from producers.documents.order import ReadLine
    from producers.documents.register import Register, Review


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides and why; `corrections` as `producers.documents.corrections` has them."""

    by: str
    note: str = ""
    corrections: Mapping[str, str] = field(default_factory=dict)
    remember: bool = True
    """Whether what is said of customers and products is used from now on."""


def review_in(register: Register, review_id: str) -> Review:
    """One review. Raises ConfigurationError where there is none."""
    found = register.review_of(review_id)
    if found is None:
        raise ConfigurationError(f"there is no review {review_id}; `ordersync review list` names them")
    return found


def original_of(directory: Path, register: Register, review: Review) -> bytes:
    """The document of a review as it came. Raises ConfigurationError where it is not there, or not what it was."""
    # Only here: the libraries of the documents are an extra.
    from producers.documents.originals import Originals

    return Originals(directory / "originals").get(register.content_of(review.document))


def pictures_of(directory: Path, register: Register, review: Review) -> Crops:
    """Pictures of where the fields of a review were read, drawn by a process of its own. Raises as `original_of`."""
    # Only here: the libraries of the documents are an extra.
    from producers.documents.crops.bounded import crops_of

    return crops_of(original_of(directory, register, review), review.read)


def check(review: Review, decision: Decision) -> None:
    """Whether an order can be taken as it is corrected. Changes nothing.

    Raises:
        ConfigurationError: a correction fits no field, or the order waits no more.
    """
    # Only here: the libraries of the documents are an extra.
    from producers.documents.corrections import corrected

    corrected(review.read, decision.corrections)
    _require_waiting(review)


def accept(register: Register, review: Review, decision: Decision) -> None:
    """Let the worker take the order, within seconds. Raises as `check`."""
    check(review, decision)
    corrections = dict(decision.corrections)
    if not register.settle(review.id, "accepted", decision.by, decision.note, corrections):
        _require_waiting(review_in(register, review.id))
    if decision.remember:
        for kind, scope, text, target in _meanings(review, decision.corrections):
            register.tell(kind, scope, text, target, decision.by)


def reject(register: Register, review: Review, decision: Decision) -> None:
    """Let the order not be taken, for good. Raises ConfigurationError where it waits no more."""
    _require_waiting(review)
    if not register.settle(review.id, "rejected", decision.by, decision.note, {}):
        _require_waiting(review_in(register, review.id))


def _require_waiting(review: Review) -> None:
    if review.state != "waiting":
        who = f" by {review.decided_by}" if review.decided_by else ""
        raise ConfigurationError(f"{review.id} no longer waits: it is {review.state}{who}")


def _meanings(review: Review, corrections: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """What the texts of this document mean, so that the next one is understood without a person."""
    buyer, customer = review.read.buyer, corrections.get("customer")
    for text in [*buyer.codes, *([buyer.name] if buyer.name else [])] if customer else []:
        yield "customer", "", text, customer or ""
    for name, target in corrections.items():
        parts = name.split(".")
        if len(parts) == 3 and parts[2] == "product" and target and int(parts[1]) < len(review.read.lines):
            for text in _texts(review.read.lines[int(parts[1])]):
                yield "product", customer or review.customer_id or "", text, target


def _texts(line: ReadLine) -> list[str]:
    """By its codes where there are any: names are less exact."""
    return line.codes or ([line.name] if line.name else [])
