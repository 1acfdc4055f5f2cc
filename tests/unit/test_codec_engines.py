"""The choice of the engine, and what the engines do to memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import pytest

from schemas.codec import implementation
from schemas.codec.native import build
from schemas.errors import InvalidValue, UndecodableMessage
from schemas.models import OrderCaptured, OrderState, Violation
from tests.unit.codec_engines import ENGINES, engine
from tests.unit.order_samples import order_captured, order_state

NATIVE = [name for name in ENGINES if name != "python"]
STATE_SECTIONS = ("order", "fulfilment", "settlement")

(EXTENSION,) = (each for each in build.extensions() if each.name == "schemas.codec.native._avro")
WITHOUT_EXTENSION = """
import sys
sys.modules["schemas.codec.native._avro"] = None
from schemas.codec import RecordCodec, implementation
from tests.unit.order_samples import order_captured
codec = RecordCodec(type(order_captured()))
assert codec.decode(codec.encode(order_captured())) == order_captured()
print(implementation)
"""


def test_the_native_engine_is_used_where_it_is_built() -> None:
    assert implementation == ("native" if EXTENSION.target.exists() else "python")


def test_without_the_extension_the_codec_works_in_python() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTENSION], capture_output=True, text=True, check=True)
    assert done.stdout == "python\n"


def test_a_machine_without_a_compiler_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(build.BuildFailed, match="no C compiler"):
        build.command(EXTENSION, EXTENSION.target)


@pytest.mark.parametrize("name", ENGINES)
def test_texts_that_come_again_and_texts_that_do_not_are_never_mixed_up(name: str) -> None:
    codec = engine(name, Violation)
    for round_number in range(3):
        for number in range(5000):
            text = f"{number % 11 * 'ab'}{number if round_number % 2 else number % 7}"
            value = Violation(rule=text, message=text * 2, field=text[:2] or None)
            assert codec.decode(codec.encode(b"", value), 0) == value


def _decode_and_encode(name: str) -> None:
    codec = engine(name, OrderState, STATE_SECTIONS)
    message = codec.encode(b"", order_state())
    value, parts = codec.decode_sections(message, 0)
    assert codec.encode_sections(b"", value, parts) == message
    assert codec.decode(message, 0) == value


def _refuse_bytes(name: str) -> None:
    codec = engine(name, OrderState, STATE_SECTIONS)
    message = codec.encode(b"", order_state())
    for length in range(0, len(message), 80):
        with pytest.raises(UndecodableMessage):
            codec.decode(message[:length], 0)
        with pytest.raises(UndecodableMessage):
            codec.decode_sections(message[:length], 0)


def _refuse_values(name: str) -> None:
    codec = engine(name, OrderCaptured, ("order",))
    wrong = order_captured().model_copy(update={"operation": 5, "order": 5})
    with pytest.raises(InvalidValue):
        codec.encode(b"x" * 5000, wrong)
    with pytest.raises(InvalidValue):
        codec.encode_sections(b"x" * 5000, order_captured(), [b"y" * 5000, b""])


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("work", [_decode_and_encode, _refuse_bytes, _refuse_values])
def test_no_memory_is_lost(work: Callable[[str], None], name: str) -> None:
    tracemalloc.start()
    try:
        for _ in range(60):
            work(name)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            work(name)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 10_000  # 50 bytes a round: one text or one instance lost in each would be more


@pytest.mark.parametrize("name", NATIVE)
def test_references_are_balanced(name: str) -> None:
    codec = engine(name, OrderCaptured)
    shared = codec.decode(codec.encode(b"", order_captured()), 0).model_fields_set
    before = sys.getrefcount(None), sys.getrefcount(shared), sys.getrefcount(OrderCaptured)
    for _ in range(1000):
        _decode_and_encode(name)
        codec.decode(codec.encode(b"", order_captured()), 0)
    gc.collect()
    after = sys.getrefcount(None), sys.getrefcount(shared), sys.getrefcount(OrderCaptured)
    assert all(abs(now - then) < 500 for now, then in zip(after, before, strict=True))
