"""What is written for vendors is read back by our own reader: the same lines, quantities and statuses."""

from __future__ import annotations

from datetime import date

import pytest

from producers.documents.answers import AnswerKind, ReadAnswer
from producers.documents.limits import Limits
from producers.documents.order import ReadOrder
from producers.documents.reading import Reader
from producers.documents.source import Source
from schemas.models import Address
from tests.unit.test_vendor_files import LIFE, filed

_HOME = Address(street_name="Hafen 1", city_name="Ulm", postal_zone="89073", country_code="DE")
_FULL = [one.model_copy(update={"delivery_name": "Lager", "delivery_address": _HOME}) for one in LIFE]


def read_back(form: str) -> tuple[list[ReadOrder], list[ReadAnswer]]:
    told = {"name": "vendors", "kind": "folder", "path": "/nowhere", "system": "crm"}
    senders = {"ACME": {"vendor": "V-ACME"}, "4012345000009": {"vendor": "V-US"}}
    reader = Reader(Source.model_validate(told | {"vendors": senders}), Limits())
    orders: list[ReadOrder] = []
    answers: list[ReadAnswer] = []
    for one in filed(form, _FULL).interchanges:
        found = reader.read(one.file.content)
        assert not found.problems, found.problems
        orders += found.orders
        answers += found.answers
    return orders, answers


@pytest.mark.parametrize("form", ["ubl", "edifact", "x12"])
def test_confirmations_and_despatches_are_read_back(form: str) -> None:
    _, answers = read_back(form)
    first = answers[0]
    assert first.kind is AnswerKind.CONFIRMATION
    assert [(line.line_id, line.quantity) for line in first.lines] == [("1", 5), ("2", 5)]
    despatches = [answer for answer in answers if answer.kind is AnswerKind.DESPATCH]
    assert [[(line.line_id, line.quantity) for line in one.lines] for one in despatches] == [[("1", 3)], [("1", 4)]]


def test_a_change_and_a_cancellation_of_ubl_are_read_back() -> None:
    (change, cancellation), _ = read_back("ubl")
    assert (change.kind.value, change.number, change.document_number) == ("change", "crm:1", "crm:1-2")
    assert [(line.line_id, line.action.value, line.quantity) for line in change.lines] == [
        ("1", "change", 7),
        ("2", "delete", 5),
    ]
    assert (change.delivery_date, change.lines[0].buyer_code) == (date(2026, 12, 1), "P-00008")
    assert change.delivery is not None
    assert (change.delivery.name, change.delivery.city_name, change.delivery.country_code) == ("Lager", "Ulm", "DE")
    assert (cancellation.kind.value, cancellation.number) == ("cancellation", "crm:1")
    assert cancellation.note is not None and "are not wanted any more" in cancellation.note
