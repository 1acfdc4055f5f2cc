"""Log sequence numbers: PostgreSQL's text form and the integer that orders them."""

from __future__ import annotations

import re

from producers.cdc.changes import Position
from schemas.errors import InvalidValue

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", re.ASCII)


def position_of(lsn: str) -> Position:
    """`16/B374D848` as an integer. Raises InvalidValue if the text is no LSN."""
    match = _LSN.fullmatch(lsn)
    if match is None:
        raise InvalidValue(f"{lsn!r} is not a log sequence number such as 16/B374D848", field="lsn")
    return Position(int(match[1], 16) << 32 | int(match[2], 16))


def lsn_text(position: int) -> str:
    """The integer in PostgreSQL's own form, for commands and messages."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
