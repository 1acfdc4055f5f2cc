"""What a large transaction put on disk takes its place with its position, or is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from producers.cdc.spilling import MOVING, Spill, moving


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Rdict]:
    opened = Rdict(str(tmp_path / "db"), Options(raw_mode=True))
    yield opened
    opened.close()


def content(db: Rdict) -> dict[bytes, bytes]:
    return dict(db.items())


def test_the_newest_generation_is_found_first(db: Rdict) -> None:
    spill = Spill(db)
    first, second = spill.begin(), spill.begin()
    spill.put(first, {b"n1": b"old", b"n2": b"two"})
    spill.put(second, {b"n1": b"new", b"n3": None})
    assert (spill.get(b"n1"), spill.get(b"n2"), spill.get(b"n3"), spill.get(b"n4")) == (
        (b"new",),
        (b"two",),
        (None,),
        None,
    )
    assert spill.ids(b"n") == {b"1", b"2", b"3"}


def test_a_generation_is_moved_and_others_stay(db: Rdict) -> None:
    spill = Spill(db)
    db[b"n1"], db[b"n3"] = b"before", b"gone"
    first, second = spill.begin(), spill.begin()
    spill.put(first, {b"n%d" % number: b"value" for number in range(2_500)} | {b"n3": None})
    spill.put(second, {b"n1": b"later"})
    spill.move(first)
    assert spill.get(b"n1") == (b"later",)
    assert spill.get(b"n2") is None
    expected = {b"n%d" % number: b"value" for number in range(2_500) if number != 3}
    assert {key: value for key, value in content(db).items() if key.startswith(b"n")} == expected


@pytest.mark.parametrize("noted", [True, False])
def test_after_a_crash_a_noted_move_is_completed_and_all_else_is_removed(db: Rdict, noted: bool) -> None:
    before = Spill(db)
    db[b"n1"] = b"before"
    generation = before.begin()
    before.put(generation, {b"n1": b"after", b"n2": b"new"})
    before.put(before.begin(), {b"n1": b"of a transaction that never ended"})
    if noted:
        db[MOVING] = moving(generation)
    after = Spill(db)
    assert content(db) == ({b"n1": b"after", b"n2": b"new"} if noted else {b"n1": b"before"})
    assert after.get(b"n1") is None
