"""The fields of an order of a document that waits: what was read, where, how sure that is, and what it may be."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from producers.documents.order import Evidence, ReadLine, ReadOrder
    from producers.documents.register import Review

_HEADER: Final = ("customer", "number", "issue_date", "delivery_date", "currency", "net", "tax", "total", "note")
_LINE: Final = ("product", "quantity", "unit", "price")
_EVIDENCE: Final = {"customer": "buyer", "net": "totals.net", "tax": "totals.tax", "total": "totals.gross"}
"""Under which name the reader notes where it found a field, where that is not the field's own."""


_Candidates: TypeAlias = tuple[tuple[str, str, float], ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an order, by the name under which it is corrected."""

    name: str
    label: str
    read: Any
    place: str | None
    """Page and points, line and column, or segment; None where the form alone says where it is."""
    evidence: Evidence | None = None
    source: str = ""
    """The name of the evidence, by which pictures go."""
    candidates: _Candidates = ()
    """Id, name and likeness of what is written nearly so."""
    by_meaning: _Candidates = ()
    """And of what means nearly that."""


@dataclass(frozen=True, slots=True)
class LineFields:
    """The fields of one line; `told` is how the document names it."""

    place: int
    told: str
    amount: Decimal | None
    fields: tuple[Field, ...]


def header_fields(review: Review) -> list[Field]:
    """The fields of the order itself."""
    read = review.read
    values = {
        "customer": read.customer_id or review.customer_id or read.buyer.name or ", ".join(read.buyer.codes) or None,
        "net": read.net_total,
        "tax": read.tax_total,
        "total": read.payable,
    }
    return [_field(review, name, values[name] if name in values else getattr(read, name), None) for name in _HEADER]


def line_fields(review: Review, most: int | None = None) -> list[LineFields]:
    """The fields of each line, or of the first `most` of them."""
    found = []
    for number, line in enumerate(review.read.lines[:most]):
        values = {
            "product": line.product_id or line.seller_code or line.standard_code or line.buyer_code,
            "quantity": line.quantity,
            "unit": line.unit_code,
            "price": line.price,
        }
        fields = tuple(_field(review, f"lines.{number}.{name}", values[name], line) for name in _LINE)
        told = " / ".join([*line.codes, *filter(None, (line.name, line.more_name))])
        found.append(LineFields(number, told or line.place, line.amount, fields))
    return found


def other_evidence(review: Review) -> dict[str, Evidence]:
    """What was found and belongs to no field that can be corrected, such as the title, or a row that fits nowhere."""
    known = {field.source for field in header_fields(review)}
    known |= {field.source for line in line_fields(review) for field in line.fields}
    return {name: evidence for name, evidence in review.read.evidence.items() if name not in known}


def evidence_name(review: Review, name: str) -> str | None:
    """Under which name the place of a field is known, by the name of the field or of its evidence; None of no place."""
    source = _source(review.read, name)
    return source if source in review.read.evidence else None


def _field(review: Review, name: str, value: Any, line: ReadLine | None) -> Field:
    source = _source(review.read, name)
    evidence = review.read.evidence.get(source)
    label = name.replace("_", " ")
    if line is not None:
        _, number, attribute = name.split(".")
        label = f"{attribute} of line {int(number) + 1}"
    elsewhere = None if line is None else line.place
    place = elsewhere if evidence is None else evidence.place
    return Field(name, label, value, place, evidence, source, *_candidates(review, name, source))


def _source(read: ReadOrder, name: str) -> str:
    return name if name in read.evidence else _EVIDENCE.get(name, name)


def _candidates(review: Review, *places: str) -> tuple[_Candidates, _Candidates]:
    here = [doubt for doubt in review.doubts if doubt.where in places]
    return (
        tuple(one for doubt in here for one in doubt.candidates),
        tuple(one for doubt in here for one in doubt.by_meaning),
    )
