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
