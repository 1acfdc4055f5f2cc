"""What the processes of a home wrote last, for whoever must understand a failed run of which nothing else is left."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_LINES: Final = 8
_WIDTH: Final = 400


def last_lines(home: Path) -> str:
    """The end of every log of a home, the servers' too."""
    told = []
    for log in sorted((home / "logs").glob("*.log*")):
        lines = log.read_text(errors="replace").splitlines()[-_LINES:]
        told += [f"--- {log.name}", *(line[:_WIDTH] for line in lines)]
    return "\n".join(told)
