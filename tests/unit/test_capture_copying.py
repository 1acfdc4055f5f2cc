"""Rows that COPY sends become the same kept rows natively as in Python, and no bytes harm the native part."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.cdc.aggregates import Assembly, Node, NodeId
from producers.cdc.assembly_state import AssemblyState, Standing
from producers.cdc.changes import Position, Row
from producers.cdc.native import extension
from producers.cdc.postgres.copying import copied_row
from producers.cdc.tables import TablePlan
from schemas.errors import InvalidMessage
from tests.unit.depot import depot_plans

pytestmark = pytest.mark.skipif(extension() is None, reason="the extension is not built")

_ENDED = -1
_WRITTEN = {b"\b": rb"\b", b"\f": rb"\f", b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t", b"\v": rb"\v", b"\\": rb"\\"}
_GetCopyData = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int)
_libc = ctypes.CDLL(None)
_libc.malloc.restype = ctypes.c_void_p
_libc.malloc.argtypes = [ctypes.c_size_t]


def line_of(values: Iterable[bytes | None]) -> bytes:
    """The row as PostgreSQL writes it."""
    return b"\t".join(rb"\N" if value is None else _escaped(value) for value in values) + b"\n"


def _escaped(value: bytes) -> bytes:
    return b"".join(_WRITTEN.get(byte, byte) for byte in (value[at : at + 1] for at in range(len(value))))


def natively(lines: list[bytes], width: int) -> list[Row]:
    """What the extension makes of these lines."""
    return [tuple(row) for row in sent_rows(lines, width)]


def sent_rows(lines: list[bytes], width: int) -> list[Row]:
    """The extension's own rows of these lines, handed over by functions like libpq's."""
    native = extension()
    assert native is not None
    left = iter(lines)

    @_GetCopyData
    def get(_connection: int, buffer: Any, _async: int) -> int:
        line = next(left, None)
        if line is None:
            return _ENDED
        buffer[0] = _libc.malloc(len(line))
        ctypes.memmove(buffer[0], line, len(line))
        return len(line)

    rows: list[Row] = []
    addresses = [ctypes.cast(function, ctypes.c_void_p).value for function in (get, _libc.free)]
    assert native.copied(*addresses, 1, rows, width) == _ENDED
    return rows


values = st.none() | st.binary(max_size=12) | st.sampled_from([b"", rb"\N", b"\\", b"\t\n", b"x" * 300])


@given(
    st.integers(0, 4).flatmap(
        lambda width: st.lists(st.tuples(*[values] * width), max_size=5).map(lambda r: (width, r))
    )
)
def test_every_row_comes_out_as_it_went_in(case: tuple[int, list[Row]]) -> None:
    width, rows = case
    lines = [line_of(row) for row in rows]  # type: ignore[arg-type]
    assert natively(lines, width) == rows
    assert [copied_row(line, width) for line in lines] == rows


@given(st.binary(min_size=1, max_size=30) | st.text("\\Nbt\t\n", min_size=1).map(str.encode), st.integers(0, 4))
def test_a_line_that_does_not_fit_is_refused_by_both(line: bytes, width: int) -> None:
    try:
        expected = copied_row(line, width)
    except InvalidMessage:
        with pytest.raises(ValueError, match=r"COPY|columns"):
            natively([line], width)
    else:
        assert natively([line], width) == [expected]


@pytest.mark.parametrize(
    ("line", "width"), [(b"a", 1), (b"a\tb\n", 1), (b"a\n", 2), (b"a\\\n", 1), (b"\\x41\n", 1), (b"a\n", 0)]
)
def test_malformed_lines(line: bytes, width: int) -> None:
    with pytest.raises(InvalidMessage):
        copied_row(line, width)
    with pytest.raises(ValueError, match=r"COPY|columns"):
        natively([line], width)


numbers = st.sampled_from([b"1", b"1.0", b"1.50", b"-0", b"2"])
pieces = st.tuples(values, numbers, st.sampled_from([b"A", b"A  ", b"B", None]), values)
vendors = st.tuples(numbers, values, values)


def filled(assembly: Assembly, plan: TablePlan, rows: list[Row]) -> dict[NodeId, tuple[object, ...]]:
    nodes: dict[NodeId, Node] = {}
    assembly.fill(plan, rows, nodes)
    return {node_id: (node.row, node.children, node.emitted) for node_id, node in nodes.items()}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssemblyState]:
    with AssemblyState(tmp_path_factory.mktemp("copying") / "state", cached_nodes=1) as state:
        yield state


@given(st.lists(pieces, max_size=8), st.lists(vendors, max_size=4))
def test_rows_that_were_read_fill_the_same_nodes(state: AssemblyState, some: list[Row], others: list[Row]) -> None:
    plans = depot_plans()
    quick, slow = Assembly(plans, state), Assembly(plans, state, natively=False)
    for alias, width, rows in (("pieces", 4, some), ("vendors", 3, others)):
        plan = plans.by_alias[alias]
        sent = sent_rows([line_of(row) for row in rows], width)  # type: ignore[arg-type]
        assert filled(quick, plan, sent) == filled(slow, plan, [*rows])


def test_what_is_written_is_not_kept_in_memory(tmp_path: Path) -> None:
    count = 500
    vendors_plan = depot_plans().by_alias["vendors"]
    with AssemblyState(tmp_path / "state", cached_nodes=10) as state:
        nodes: dict[NodeId, Node] = {}
        Assembly(depot_plans(), state).fill(vendors_plan, [(b"%d" % n, None, b"x") for n in range(count)], nodes)
        for node_id, node in nodes.items():
            state.changed(node_id, node)
        state.write(state.seal(Standing(Position(1), "layout", "server")))
        nodes.clear()
        del node
        gc.collect()
        kept_nodes = [found for found in gc.get_objects() if isinstance(found, Node) and found.row is not None]
        assert len(kept_nodes) <= 20
        assert all(state.node(vendors_plan.prefix + b"%d" % n).row is not None for n in range(count))
