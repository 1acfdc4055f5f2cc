"""What every benchmark ends with: its figures as a table and as build/bench/NAME.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parents[2] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Peer:
    """What a figure is compared with, measured in the same run."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; `goal` is the least value, or the greatest where `is_cost` (seconds, bytes)."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    peer: Peer | None = None
    is_cost: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal was reached; None without a goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.is_cost else self.value >= self.goal

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer: more of what is wanted, or less of what it costs."""
        if self.peer is None or 0 in (self.value, self.peer.value):
            return None
        return self.peer.value / self.value if self.is_cost else self.value / self.peer.value

    def as_json(self) -> dict[str, Any]:
        """The object in the result file."""
        peer = {"name": None, "value": None} if self.peer is None else asdict(self.peer)
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "goal": self.goal,
            "met": self.met,
            "peer": peer["name"],
            "peer_value": peer["value"],
            "ratio": None if self.ratio is None else round(self.ratio, 3),
        }


def publish(name: str, figures: list[Figure]) -> Path:
    """Print `figures` as a table, write them to build/bench/`name`.json, and give that file."""
    Console(width=max(Console().width, 150)).print(_table(name, figures))
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps([figure.as_json() for figure in figures], indent=2) + "\n")
    return path


def _table(name: str, figures: list[Figure]) -> Table:
    table = Table(title=f"bench-{name}")
    for heading in ("figure", "value", "unit", "goal", "met", "peer", "peer's value", "ratio"):
        table.add_column(heading, justify="left" if heading in ("figure", "unit", "peer") else "right")
    for figure in figures:
        peer_name, peer_value = (figure.peer.name, _number(figure.peer.value)) if figure.peer else ("", "")
        table.add_row(
            figure.name,
            _number(figure.value),
            figure.unit,
            "" if figure.goal is None else ("≤ " if figure.is_cost else "≥ ") + _number(figure.goal),
            {True: "yes", False: "NO", None: ""}[figure.met],
            peer_name,
            peer_value,
            "" if figure.ratio is None else f"{figure.ratio:.2f}x",
        )
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
