from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

REVISION: int

class SentRow(Sequence[Any]):
    def __getitem__(self, index: Any, /) -> Any: ...
    def __len__(self) -> int: ...

class Assembly:
    def __new__(
        cls,
        slowly: Callable[[Any], None],
        bind: Callable[[Any], tuple[object, ...] | None],
        node: Callable[[bytes], Any],
        changed: Callable[[bytes, Any], None],
        touched: dict[bytes, None],
        node_type: type[Any],
        /,
    ) -> Assembly: ...
    def apply(self, changes: Sequence[Any], /) -> None: ...
    def fill(self, relation: Any, rows: list[Any], start: int, nodes: dict[bytes, Any], /) -> int: ...

class Section:
    def __new__(
        cls,
        record: tuple[object, ...],
        key: tuple[object, ...],
        columns: int,
        node: Callable[[bytes], Any],
        node_type: type[Any],
        /,
    ) -> Section: ...
    def build(self, node: Any, /) -> tuple[str, bytes] | None: ...

class EventWriter:
    def __new__(cls, header: bytes, topic: bytes, system: bytes, namespace: bytes, /) -> EventWriter: ...
    def event(
        self,
        key: str,
        operation: str,
        transaction_id: int,
        position: int,
        sequence: int,
        committed_at: datetime,
        captured_at: datetime,
        section: bytes | None,
        /,
    ) -> bytes: ...

class Tally:
    def __new__(cls, bounds: tuple[float, ...], /) -> Tally: ...
    def snapshot(self) -> tuple[list[int], float]: ...
    def observe(self, seconds: float, /) -> None: ...

class Delivery:
    def __new__(
        cls, tally: Tally, failed: Callable[[Any, Any], None], checkpoint: Any, committed: float, /
    ) -> Delivery: ...
    def __call__(self, error: Any, message: Any, /) -> None: ...

def kept(values: Sequence[Any], /) -> bytes: ...
def feed(assembler: Any, relations: dict[int, Any], messages: list[bytes], at: int, max_changes: int, /) -> None: ...
def drain(get: int, free: int, connection: int, messages: list[bytes], most: int, /) -> int | bytes: ...
def copied(get: int, free: int, connection: int, rows: list[Any], count: int, /) -> int: ...
