"""Which keys count: by generations, whatever order, copies and hostile records come in."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from consumers.privacy.key_book import KeyBook, key_of
from consumers.privacy.sealing import KeyRing
from schemas.errors import Fatal
from schemas.models import SubjectErasure, SubjectKey
from schemas.registry import InMemorySchemas
from schemas.topics import SUBJECT_ERASURES, SUBJECT_KEYS

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RING = KeyRing([bytes(range(32))])
ANN, JOE = "a" * 64, "b" * 64


class Record(NamedTuple):
    topic: str
    key: str
    value: bytes | None


@pytest.fixture
def book() -> KeyBook:
    return KeyBook(InMemorySchemas())


def made(book: KeyBook, key: SubjectKey) -> Record:
    return Record(SUBJECT_KEYS, key_of(key), book.encoded_key(key))


def erased(book: KeyBook, generation: int, *, is_erased: bool = True) -> Record:
    decided = SubjectErasure(subject=ANN, generation=generation, is_erased=is_erased, decided_at=NOW, audit_id="deed")
    return Record(SUBJECT_ERASURES, ANN, book.encoded_erasure(decided))


def test_a_key_counts_until_its_subject_is_erased_and_the_others_go_on(book: KeyBook) -> None:
    ann, joe = (RING.new_key(subject, 0, NOW) for subject in (ANN, JOE))
    for record in (made(book, ann), made(book, joe), erased(book, 1)):
        book.hear(*record)
    assert book.good_keys(ANN) == [] and book.good_keys(JOE) == [joe]
    assert list(book.void_keys()) == [ann]
    book.hear(SUBJECT_KEYS, key_of(ann), None)
    assert list(book.void_keys()) == [] and book.subjects() == {ANN, JOE}


def test_the_order_between_both_topics_says_nothing(book: KeyBook) -> None:
    # Of one topic the order is the broker's; between two there is none.
    old, new = RING.new_key(ANN, 0, NOW), RING.new_key(ANN, 1, NOW)
    keys = [made(book, old), made(book, new)]
    decisions = [erased(book, 1), erased(book, 1, is_erased=False)]
    for places in itertools.combinations(range(4), 2):
        one = KeyBook(InMemorySchemas())
        waiting, others = iter(keys), iter(decisions)
        for number in range(4):
            one.hear(*next(waiting if number in places else others))
        assert one.good_keys(ANN) == [new] and list(one.void_keys()) == [old]


def test_two_workers_may_make_a_key_each_and_both_count(book: KeyBook) -> None:
    pair = [RING.new_key(ANN, 0, NOW) for _ in range(2)]
    for key in (*pair, pair[0]):
        book.hear(*made(book, key))
    assert sorted(book.good_keys(ANN), key=key_of) == sorted(pair, key=key_of)


def test_an_old_copy_of_an_erasure_undoes_nothing(book: KeyBook) -> None:
    for record in (erased(book, 2), erased(book, 1, is_erased=False)):
        book.hear(*record)
    assert book.is_erased(ANN) and book.generation(ANN) == 2


@pytest.mark.parametrize("value", [b"", b"probe", b"\x00\x00\x00\x00\x01", bytes(10_000), b"\xff" * 300])
def test_what_is_no_key_is_passed_over(book: KeyBook, value: bytes) -> None:
    key = RING.new_key(ANN, 0, NOW)
    book.hear(*made(book, key))
    for name in ("", "/", "probe", ANN, f"{ANN}/x"):
        book.hear(SUBJECT_KEYS, name, value)
    assert book.good_keys(ANN) == [key] and book.subjects() == {ANN}


def test_a_key_under_anothers_name_is_passed_over(book: KeyBook) -> None:
    key = RING.new_key(ANN, 0, NOW)
    book.hear(SUBJECT_KEYS, f"{JOE}/{key.key_id}", book.encoded_key(key))
    book.hear(SUBJECT_KEYS, f"{JOE}/{key.key_id}", None)
    assert book.subjects() == set()


@pytest.mark.parametrize("value", [None, b"", b"probe"])
def test_an_erasure_that_cannot_be_read_stops_everything(book: KeyBook, value: bytes | None) -> None:
    with pytest.raises(Fatal, match="sealed again"):
        book.hear(SUBJECT_ERASURES, ANN, value)
