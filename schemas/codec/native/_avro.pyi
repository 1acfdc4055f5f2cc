from collections.abc import Sequence
from typing import Any

REVISION: int
KNOWS_DECIMALS: bool
RECORD: int
BOOLEAN: int
LONG: int
INSTANT: int
DAY: int
TEXT: int
OCTETS: int
DECIMAL: int

_Field = tuple[str, int, bool, bool, int, int, Program | None, str]

class Program:
    def __new__(
        cls,
        model: type[Any],
        fields: tuple[_Field, ...],
        head: int,
        slots: tuple[Any, Any, Any],
        fields_set: set[str],
        is_frozen: bool,
        knows_decimals: bool,
        /,
    ) -> Program: ...
    def decode(self, data: bytes, start: int, /) -> Any: ...
    def encode(self, prefix: bytes, value: Any, /) -> bytes: ...
    def decode_sections(self, data: bytes, start: int, /) -> tuple[Any, list[bytes]]: ...
    def encode_sections(self, prefix: bytes, value: Any, sections: Sequence[bytes], /) -> bytes: ...

_Lookup = tuple[Program, int, int, int, dict[str, bytes | None]]
_Node = tuple[int, int, int, int, int, int, bytes, dict[bytes, int], int, int]
_Piece = tuple[int, int, int, int, bytes]

class FastPath:
    def __new__(
        cls,
        prefix: bytes,
        program: Program,
        items: Program | None,
        key_slot: int,
        number_slot: int,
        lookups: tuple[_Lookup, ...],
        nodes: tuple[_Node, ...],
        once: int,
        each: int,
        outputs: tuple[tuple[_Piece, ...], ...],
        /,
    ) -> FastPath: ...
    def take(
        self, message: bytes, key: bytes, arguments: tuple[bytes, ...], /
    ) -> tuple[Any, ...] | list[tuple[int, str]] | None: ...
