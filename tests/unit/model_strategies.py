"""Hypothesis strategies made from the canonical models themselves: any instance that their schemas can hold."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import strategies as st

from schemas.attributes import AvroDecimal, CanonicalModel
from schemas.avro import FieldShape, shapes_of

LONGS = st.one_of(st.integers(-3, 200), st.integers(-(2**63), 2**63 - 1))
TEXTS = st.one_of(
    st.sampled_from(["", "EUR", "C62", "crm:SO-000123", "Zürich", "東京", "a\x00b", "x" * 63, "y" * 64, "z" * 9000]),
    st.text(max_size=12),
)
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
OCTETS = st.one_of(st.binary(max_size=12), st.sampled_from([b"\x00" * 64, b"\xff" * 5000]))


@cache
def instances(model: type[CanonicalModel]) -> st.SearchStrategy[Any]:
    """Any instance of `model`."""
    return st.builds(model, **{shape.name: _values(shape) for shape in shapes_of(model)})


def decimals(mark: AvroDecimal) -> st.SearchStrategy[Decimal]:
    """Any decimal that fits `mark`, also with more trailing zeros or a greater exponent than its wire form has."""
    widest = 10**mark.precision - 1
    unscaled = st.one_of(st.integers(-200, 200), st.integers(-widest, widest), st.sampled_from([widest, -widest]))
    exact = unscaled.map(lambda number: Decimal(number).scaleb(-mark.scale))
    return st.one_of(
        exact, exact.map(lambda value: value.normalize()), exact.map(lambda value: value + Decimal("0E-12"))
    )


def _values(shape: FieldShape) -> st.SearchStrategy[Any]:
    leaf = _leaves(shape)
    if shape.is_list:
        leaf = st.lists(leaf, max_size=3)
    return st.one_of(st.none(), leaf) if shape.is_optional else leaf


def _leaves(shape: FieldShape) -> st.SearchStrategy[Any]:
    if shape.record is not None:
        return instances(shape.record)
    if shape.decimal is not None:
        return decimals(shape.decimal)
    return _LEAVES[shape.leaf]


_LEAVES: dict[type, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: LONGS,
    bool: st.booleans(),
    bytes: OCTETS,
    datetime: st.one_of(
        st.datetimes(timezones=st.just(UTC)),
        st.datetimes(timezones=OFFSETS).filter(lambda value: 1 < value.year < 9999),
    ),
    date: st.dates(),
}
