"""Which transactions a PostgreSQL snapshot sees, by `pg_current_snapshot()`."""

from __future__ import annotations

from typing import Final, Self

from schemas.errors import InvalidValue

_EPOCH: Final = 1 << 32
_HALF: Final = 1 << 31


class PostgresSnapshotView:
    """A snapshot `xmin:xmax:xip,...`; transactions come with the 32 bits that the replication stream sends."""

    __slots__ = ("_running", "_xmax", "_xmin")

    def __init__(self, xmin: int, xmax: int, running: frozenset[int]) -> None:
        self._xmin = xmin
        self._xmax = xmax
        self._running = running

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read PostgreSQL's text form. Raises InvalidValue if it is none."""
        try:
            xmin, xmax, running = text.split(":")
            return cls(int(xmin), int(xmax), frozenset(int(number) for number in running.split(",") if number))
        except ValueError as exc:
            raise InvalidValue(f"{text!r} is no snapshot such as 10:20:10,14", field="snapshot") from exc

    def sees(self, transaction_id: int) -> bool:
        """Whether the committed transaction was visible; its upper bits are those nearest to the snapshot's."""
        number = (self._xmax & ~(_EPOCH - 1)) | transaction_id
        if number > self._xmax + _HALF:
            number -= _EPOCH
        elif number < self._xmax - _HALF:
            number += _EPOCH
        return number < self._xmin or (number < self._xmax and number not in self._running)
