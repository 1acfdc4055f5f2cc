"""Which updates stand together in which file, and which cannot stand in any; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import NamedTuple, TypeVar

from consumers.vendors.files import edifact, ubl, x12
from consumers.vendors.files.documents import Envelope, Partners, Rendered
from schemas.errors import ConfigurationError, InvalidValue
from schemas.models import VendorUpdate

B = TypeVar("B")


class Queued(NamedTuple):
    """An update, and its place in the queue."""

    delivery_id: int
    update: VendorUpdate


@dataclass(frozen=True, slots=True)
class Interchange:
    """One file with its control number."""

    control_number: int
    file: Rendered

    @property
    def file_name(self) -> str:
        """Names sort as the numbers do."""
        return f"{self.control_number:09d}-{self.file.kind}.{self.file.suffix}"


@dataclass(frozen=True, slots=True)
class FiledBatch:
    """What became of a run of updates."""

    interchanges: list[Interchange] = field(default_factory=list)
    filed: list[int] = field(default_factory=list)
    """Deliveries that stand in the interchanges."""
    refused: list[tuple[int, InvalidValue]] = field(default_factory=list)
    """Deliveries that the format has no place for."""


def file_batch(queued: Sequence[Queued], partners: Partners, last_number: int, now: datetime) -> FiledBatch:
    """Files for updates in the order of the queue, numbered from `last_number` + 1 without gaps.

    UBL has one document a file; EDIFACT takes all into one interchange; of X12, each run of updates of one kind becomes
    one, so that what comes later stands in a file with a greater number.
    """
    batch = FiledBatch()
    numbered = enumerate(_FORMATS[partners.files.format](queued, partners, now, batch), last_number + 1)
    for number, make in numbered:
        batch.interchanges.append(Interchange(number, make(Envelope(number, now))))
    return batch


def require_workable(partners: Partners, now: datetime) -> None:
    """Make an empty interchange, to see whether the profile's identifications fit.

    Raises:
        ConfigurationError: they do not.
    """
    try:
        if partners.files.format == "edifact":
            edifact.rendered([], partners, Envelope(1, now))
        elif partners.files.format == "x12":
            x12.rendered("855", [], partners, Envelope(1, now))
    except InvalidValue as exc:
        raise ConfigurationError(f"vendors.{partners.vendor_id}.files: {exc}") from exc


_Make = Callable[[Envelope], Rendered]
"""Makes one file when its number is known."""


def _bodies(
    queued: Sequence[Queued], make: Callable[[VendorUpdate], B], batch: FiledBatch
) -> Iterator[tuple[VendorUpdate, B]]:
    for delivery_id, update in queued:
        try:
            body = make(update)
        except InvalidValue as exc:
            batch.refused.append((delivery_id, exc))
        else:
            batch.filed.append(delivery_id)
            yield update, body


def _ubl(queued: Sequence[Queued], partners: Partners, now: datetime, batch: FiledBatch) -> Iterator[_Make]:
    # The documents carry no control number: it stands in the file's name only.
    for _, document in _bodies(queued, lambda update: ubl.rendered(update, partners, now), batch):
        yield partial(_ready, document)


def _edifact(queued: Sequence[Queued], partners: Partners, now: datetime, batch: FiledBatch) -> Iterator[_Make]:
    bodies = _bodies(queued, lambda update: edifact.message(update, partners), batch)
    messages = [(edifact.type_of(update), body) for update, body in bodies]
    if messages:
        yield partial(edifact.rendered, messages, partners)


def _x12(queued: Sequence[Queued], partners: Partners, now: datetime, batch: FiledBatch) -> Iterator[_Make]:
    bodies = list(_bodies(queued, lambda update: x12.message(update, partners), batch))
    for kind, run in groupby(bodies, key=lambda one: x12.type_of(one[0])):
        yield partial(x12.rendered, kind, [body for _, body in run], partners)


def _ready(document: Rendered, envelope: Envelope) -> Rendered:
    return document


_FORMATS: dict[str, Callable[[Sequence[Queued], Partners, datetime, FiledBatch], Iterator[_Make]]] = {
    "ubl": _ubl,
    "edifact": _edifact,
    "x12": _x12,
}
