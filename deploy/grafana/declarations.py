"""What a dashboard is made of, without any library of Grafana."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """How a panel shows its queries."""

    LINES = "lines"
    """Over time."""
    FIGURE = "figure"
    """The latest value, large."""
    BARS = "bars"
    """The latest value of each series, side by side."""


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression; `legend` in Grafana's form, with labels in double braces."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One question, and its answer. `unit` is one of Grafana's; `red_from` is where a value is bad."""

    title: str
    question: str
    queries: tuple[Query, ...]
    unit: str = "short"
    shape: Shape = Shape.LINES
    red_from: float | None = None

    @property
    def width(self) -> int:
        """Of the 24 columns of a dashboard."""
        return 6 if self.shape is Shape.FIGURE else 12


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page; `name` is its file and its uid."""

    name: str
    title: str
    question: str
    panels: tuple[Panel, ...]
