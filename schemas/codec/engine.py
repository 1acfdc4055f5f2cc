"""What turns Avro bytes into a model and back: the native engine where it is built, else compiled Python.

Both keep one contract, and the same tests hold them to it (`tests/unit/test_codec*.py`). The choice is made once, at
import: the extension is there and of this version, or it is not (`python -m schemas.codec.native.build` makes it).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar

from schemas.attributes import CanonicalModel
from schemas.codec.compiled import CompiledEngine

try:
    from schemas.codec.native.programs import native_engine
except ImportError:  # not built, or built from older sources
    native_engine = None  # type: ignore[assignment]

M = TypeVar("M", bound=CanonicalModel)
implementation: Literal["native", "python"] = "python" if native_engine is None else "native"
"""Which engine this machine uses."""


class Engine(Protocol[M]):
    """Codec of one model whose last fields, `sections`, may be handed over as bytes.

    `data` is a whole message and `start` the place where the body begins; the body ends where the message does.
    `prefix` (the wire format's header) is put before what is written. Not decoded means `UndecodableMessage`, not
    written means `InvalidValue` with the field's name; no other error and no partial result leaves an engine.
    """

    def decode(self, data: bytes, start: int, /) -> M:
        """The instance whose body is the rest of `data` from `start`."""
        ...

    def encode(self, prefix: bytes, value: M, /) -> bytes:
        """`prefix` and the body of `value`."""
        ...

    def decode_sections(self, data: bytes, start: int, /) -> tuple[M, list[bytes]]:
        """The whole instance, and the bytes of each section."""
        ...

    def encode_sections(self, prefix: bytes, value: M, sections: Sequence[bytes], /) -> bytes:
        """`prefix`, the fields of `value` before the sections, and `sections` as they are."""
        ...


def engine_of(model: type[M], sections: tuple[str, ...] = ()) -> Engine[M]:
    """The fastest engine of this machine for `model`; codecs ask for one when they are made, at start."""
    return CompiledEngine(model, sections) if native_engine is None else native_engine(model, sections)
