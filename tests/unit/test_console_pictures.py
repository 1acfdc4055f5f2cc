"""Pictures of reviews in the console: drawn once, kept for a while, and no document keeps another page waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.console.pictures import KEPT, MOST_WAITING, PictureDesk
from producers.documents.crops.bounded import Crops
from producers.documents.register import Review
from schemas.errors import ConfigurationError, Transient
from tests.unit.document_desk import DocumentDesk
from tests.unit.document_samples import ubl_order

_SECONDS = 60


class Drawing:
    """Draws when it is let, and notes what."""

    def __init__(self) -> None:
        self.may, self.drawn = threading.Event(), list[str]()
        self.fails = False

    def __call__(self, review: Review) -> Crops:
        assert self.may.wait(_SECONDS)
        self.drawn.append(review.id)
        if self.fails:
            raise ConfigurationError("there is no original")
        return Crops({"number": review.id.encode()})


@pytest.fixture
def drawing() -> Drawing:
    return Drawing()


@pytest.fixture
def pictures(drawing: Drawing) -> Iterator[PictureDesk]:
    made = PictureDesk(drawing)
    yield made
    drawing.may.set()
    made.close()


@pytest.fixture
def review(tmp_path: Path) -> Iterator[Callable[[int], Review]]:
    desk = DocumentDesk(tmp_path)
    desk.take(ubl_order().replace(">P1<", ">KUNDE-77<").replace(">Chai<", ">Tee<"))
    [first] = desk.register.reviews()
    yield lambda number: replace(first, id=f"r-{number}")
    desk.close()


def test_many_fields_of_one_review_are_drawn_once(
    pictures: PictureDesk, drawing: Drawing, review: Callable[[int], Review]
) -> None:
    asked = [pictures.of(review(1)) for _ in range(30)]
    assert not any(one.done() for one in asked), "nobody waits in a thread for them"
    drawing.may.set()
    assert all(one.result(_SECONDS).pictures == {"number": b"r-1"} for one in asked)
    assert drawing.drawn == ["r-1"]


def test_oldest_pictures_are_forgotten_first(
    pictures: PictureDesk, drawing: Drawing, review: Callable[[int], Review]
) -> None:
    drawing.may.set()
    for number in range(KEPT + 1):
        pictures.of(review(number)).result(_SECONDS)
    pictures.of(review(1)).result(_SECONDS)
    assert len(drawing.drawn) == KEPT + 1, "this one was kept"
    pictures.of(review(0)).result(_SECONDS)
    assert drawing.drawn[-1] == "r-0"


def test_more_documents_than_may_wait_are_told_to_come_again(
    pictures: PictureDesk, drawing: Drawing, review: Callable[[int], Review]
) -> None:
    asked = [pictures.of(review(number)) for number in range(MOST_WAITING)]
    with pytest.raises(Transient, match="wait to be drawn"):
        pictures.of(review(99))
    assert pictures.of(review(3)) is asked[3], "who asks for one of those gets it"
    drawing.may.set()
    assert asked[-1].result(_SECONDS).pictures
    assert pictures.of(review(99)).result(_SECONDS).pictures == {"number": b"r-99"}


def test_drawing_that_failed_is_tried_again(
    pictures: PictureDesk, drawing: Drawing, review: Callable[[int], Review]
) -> None:
    drawing.may.set()
    drawing.fails = True
    with pytest.raises(ConfigurationError):
        pictures.of(review(1)).result(_SECONDS)
    drawing.fails = False
    assert pictures.of(review(1)).result(_SECONDS).pictures
