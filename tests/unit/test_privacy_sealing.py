"""What is personal is taken out by its classification, sealed to its place, and opens nowhere else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from consumers.privacy.sealer import subjects_of
from consumers.privacy.sealing import KeyRing, Place, pseudonym, seal, unseal
from schemas.attributes import Amount, CanonicalModel, attribute
from schemas.avro import avro_schema
from schemas.codec import RecordCodec
from schemas.errors import InvalidValue
from schemas.masking import personal_values as personal_texts
from schemas.models import OrderState, SealedPart, SubjectKey
from schemas.published_form import personal_values, published, published_form
from tests.unit.order_samples import order_state

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEY = AESGCM(bytes(range(32)))
PLACE = Place("crm:7", 3)
SUBJECT, KEY_ID = "5" * 64, "k" * 32
_JSON = st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner, max_size=4))
_VALUES = st.dictionaries(st.text(), _JSON, max_size=5)


class Badge(CanonicalModel, classification="personal"):
    """Tells of a person altogether."""

    number: str = attribute("Number")
    colour: str | None = attribute("Colour", default=None)


class Visit(CanonicalModel):
    """Tells of one in part."""

    gate: str = attribute("Gate")
    guest: str | None = attribute("Who came", default=None, classification="personal")
    fee_amount: Amount = attribute("Fee")


class Day(CanonicalModel):
    """A house's day, with what is personal at every depth."""

    host: str = attribute("Who received", classification="personal", data_subject="staff")
    age: int = attribute("A number that is personal", classification="personal")
    badges: list[Badge] = attribute("All")
    visits: list[Visit] = attribute("All", default=[])
    last: Visit | None = attribute("One", default=None)


def day() -> Day:
    visits = [Visit(gate="a", guest="Ann", fee_amount=Decimal("1.5")), Visit(gate="b", fee_amount=Decimal(2))]
    return Day(host="Joe", age=0, badges=[Badge(number="7")], visits=visits, last=visits[0])


def test_what_is_declared_personal_leaves_the_schema_at_every_depth() -> None:
    names = json.dumps(avro_schema(published_form(Day)))
    assert not any(f'"{name}"' in names for name in ("host", "age", "badges", "guest", "number", "colour"))
    assert all(f'"{name}"' in names for name in ("gate", "fee_amount", "visits", "last"))
    assert '"scale": 4' in names, "what stays keeps its form"


def test_a_value_is_either_published_or_told_with_its_place() -> None:
    whole = day()
    public = published(whole)
    shown: Any = json.loads(public.model_dump_json())
    assert shown["visits"][0] == {"gate": "a", "fee_amount": "1.5"}
    told = {one.pointer: (one.data_subject, one.value) for one in personal_values(whole)}
    assert told == {
        "/host": ("staff", "Joe"),
        "/age": (None, 0),
        "/badges": (None, [{"number": "7", "colour": None}]),
        "/visits/0/guest": (None, "Ann"),
        "/last/guest": (None, "Ann"),
    }


def test_a_model_without_anything_personal_is_its_own_published_form() -> None:
    public = published(order_state())
    assert isinstance(public, published_form(OrderState))
    lines = public.__dict__["order"].order_lines
    assert type(lines[0]).__name__ == "OrderLine"


def test_an_order_without_its_personal_values_goes_through_avro() -> None:
    codec = RecordCodec(published_form(OrderState))
    public = published(order_state(5))
    assert codec.decode(codec.encode(public)) == public


def test_every_personal_value_of_an_order_has_its_subject_and_none_is_left() -> None:
    state = order_state(7)
    parts = subjects_of(state)
    assert set(parts) == {"customer:C-00007", "staff:S-7"}
    assert parts["staff:S-7"] == {"/state/order/salesperson_id": "S-7"}
    # The customer's country, which is not personal, is the same two letters.
    texts = {text for text in personal_texts(state) if text != "DE"}
    assert texts and not [text for text in texts if text in json.dumps(published(state).model_dump(mode="json"))]
    sealed = json.dumps(list(parts.values()), ensure_ascii=False)
    assert all(text in sealed for text in texts)


def test_who_is_not_known_is_a_subject_of_its_own() -> None:
    state = order_state(7).model_copy(update={"order": None})
    assert set(subjects_of(state)) == {f"order:{state.order_id}"}


@given(_VALUES)
def test_what_was_sealed_opens_at_its_place(values: dict[str, Any]) -> None:
    part = seal(KEY, PLACE, SUBJECT, KEY_ID, values)
    assert unseal(KEY, PLACE, part) == values
    assert (len(part.sealed) - 28) % 64 == 0, "its length tells the length of no name"


def test_the_same_twice_is_sealed_differently() -> None:
    one, other = (seal(KEY, PLACE, SUBJECT, KEY_ID, {"/a": "b"}) for _ in range(2))
    assert one.sealed != other.sealed


@pytest.mark.parametrize(
    "place", [Place("crm:8", 3), Place("crm:7", 4), Place("crm:73", 0), Place("", 3), Place("crm:7", -3)]
)
def test_a_part_that_was_moved_does_not_open(place: Place) -> None:
    with pytest.raises(InvalidValue, match="does not open"):
        unseal(KEY, place, seal(KEY, PLACE, SUBJECT, KEY_ID, {"/a": "b"}))


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "6" * 64},
        {"key_id": "j" * 32},
        {"attributes": ["/b"]},
        {"attributes": []},
        {"attributes": ["/a", "/a"]},
        {"sealed": b""},
        {"sealed": b"short"},
        {"sealed": bytes(12)},
        {"sealed": bytes(28)},
        {"sealed": bytes(1_000_000)},
    ],
)
def test_a_part_that_was_changed_does_not_open(change: dict[str, Any]) -> None:
    part = seal(KEY, PLACE, SUBJECT, KEY_ID, {"/a": "b"})
    with pytest.raises(InvalidValue, match="does not open"):
        unseal(KEY, PLACE, part.model_copy(update=change))


@given(st.data())
def test_no_flipped_bit_opens(data: st.DataObject) -> None:
    part = seal(KEY, PLACE, SUBJECT, KEY_ID, {"/a": "b"})
    position = data.draw(st.integers(0, len(part.sealed) * 8 - 1))
    flipped = bytearray(part.sealed)
    flipped[position // 8] ^= 1 << position % 8
    with pytest.raises(InvalidValue, match="does not open"):
        unseal(KEY, PLACE, part.model_copy(update={"sealed": bytes(flipped)}))


def test_another_key_does_not_open() -> None:
    with pytest.raises(InvalidValue, match="does not open"):
        unseal(AESGCM(bytes(32)), PLACE, seal(KEY, PLACE, SUBJECT, KEY_ID, {"/a": "b"}))


def opens(ring: KeyRing, key: SubjectKey, part: SealedPart) -> bool:
    return unseal(ring.data_key(key), PLACE, part) == {"/a": "b"}


def test_a_data_key_is_wrapped_and_rewrapped_without_changing() -> None:
    first, second = bytes([1]) * 32, bytes([2]) * 32
    old, both, new = KeyRing([first]), KeyRing([second, first]), KeyRing([second])
    key = old.new_key(SUBJECT, 4, NOW)
    part = seal(old.data_key(key), PLACE, SUBJECT, key.key_id, {"/a": "b"})
    assert opens(both, key, part)
    with pytest.raises(InvalidValue, match="not in the file"):
        new.data_key(key)
    rewrapped = both.rewrapped(key)
    assert opens(new, rewrapped, part)
    assert rewrapped.model_dump(exclude={"wrapped_by", "wrapped_key"}) == key.model_dump(
        exclude={"wrapped_by", "wrapped_key"}
    )
    with pytest.raises(InvalidValue, match="not in the file"):
        old.data_key(rewrapped)


@pytest.mark.parametrize(
    "change",
    [{"subject": "6" * 64}, {"key_id": "0" * 32}, {"generation": 5}, {"wrapped_key": b""}, {"wrapped_key": bytes(60)}],
)
def test_a_wrapped_key_that_was_moved_or_changed_does_not_open(change: dict[str, Any]) -> None:
    ring = KeyRing([bytes(32)])
    with pytest.raises(InvalidValue, match="does not open"):
        ring.data_key(ring.new_key(SUBJECT, 4, NOW).model_copy(update=change))


def test_a_pseudonym_is_the_same_each_time_and_another_for_everybody_else() -> None:
    assert pseudonym(b"k" * 32, "customer:C-1") == pseudonym(b"k" * 32, "customer:C-1")
    others = {pseudonym(b"k" * 32, one) for one in ("customer:C-1", "customer:C-2", "staff:C-1", "customer:c-1", "")}
    assert len(others | {pseudonym(b"j" * 32, "customer:C-1")}) == 6


@given(st.text(), st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_a_text_opens_at_its_place_by_its_key_and_nowhere_else(text: str, place: list[str]) -> None:
    old, new = KeyRing([bytes(32)]), KeyRing([bytes(range(32)), bytes(32)])
    sealed = old.seal_text(text, place)
    assert sealed.isascii() and new.open_text(sealed, place) == text
    # The bytes of a place tell its parts apart.
    for elsewhere in ([*place, ""], ["", *place], [*place[:-1], place[-1] + "x"]):
        with pytest.raises(InvalidValue, match="does not open"):
            new.open_text(sealed, elsewhere)
    with pytest.raises(InvalidValue, match="not in the file"):
        old.open_text(new.seal_text(text, place), place)


@pytest.mark.parametrize("change", ["", ".", "A", "=", "ä", "\x00", "A" * 100])
def test_a_text_that_was_changed_does_not_open(change: str) -> None:
    ring = KeyRing([bytes(32)])
    name, _, body = ring.seal_text("secret", ("here",)).partition(".")
    for text in (change, f"{name}.{change}", f"{name}.{body[:-4]}{change}", f"{name}{change}."):
        with pytest.raises(InvalidValue) as told:
            ring.open_text(text, ("here",))
        assert "secret" not in str(told.value)
