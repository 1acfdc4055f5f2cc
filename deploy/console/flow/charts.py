"""Draws lines over time as SVG that needs no script and no inline style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 640, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 8, 10, 22
_NICE: Final = (1, 2, 2.5, 5, 10)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `css` is the class that gives it its colour."""

    name: str
    css: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over the same time. The text of `title` and `summary` is what people who do not see it are told."""

    title: str
    unit: str
    lines: Sequence[Line]
    summary: str = ""
    seconds: float = 600.0

    def svg(self, now: float) -> Markup:
        """The drawing; time ends at `now`."""
        shown = (value for line in self.lines for at, value in line.points if now - at <= self.seconds)
        top = _nice(max(shown, default=0))
        parts = [
            f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
            f"<title>{escape(self.title)}</title><desc>{escape(self.summary)}</desc>",
        ]
        for share in (0, 0.5, 1):
            y = _y(top * share, top)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            text = f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(top * share)}</text>'
            parts.append(text)
        for back in (self.seconds, self.seconds / 2, 0):
            told = datetime.fromtimestamp(now - back, UTC).strftime("%H:%M")
            anchor = "start" if back == self.seconds else "end" if back == 0 else "middle"
            x = self._x(now - back, now)
            parts.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{told}</text>')
        parts += [self._drawn(line, top, now) for line in self.lines]
        return Markup("".join(parts) + "</svg>")

    def _drawn(self, line: Line, top: float, now: float) -> str:
        points = [(at, value) for at, value in line.points if now - at <= self.seconds]
        if not points:
            return ""
        path = " L".join(f"{self._x(at, now):.1f} {_y(value, top):.1f}" for at, value in points)
        first, last = self._x(points[0][0], now), self._x(points[-1][0], now)
        ground = _y(0, top)
        area = f'<path class="area {line.css}" d="M{first:.1f} {ground:.1f} L{path} L{last:.1f} {ground:.1f} Z"/>'
        return f'{area}<path class="line {line.css}" d="M{path}"/>'

    def _x(self, at: float, now: float) -> float:
        return _LEFT + (1 - (now - at) / self.seconds) * (_WIDTH - _LEFT - _RIGHT)


def sparkline(values: Sequence[float]) -> Markup:
    """A small line without axes."""
    top = max([*values, 1])
    step = 100 / max(1, len(values) - 1)
    path = " L".join(f"{number * step:.1f} {22 - 20 * value / top:.1f}" for number, value in enumerate(values))
    drawn = f'<path class="line" d="M{path}"/>' if values else ""
    frame = '<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">'
    return Markup(f"{frame}{drawn}</svg>")


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (value / top if top else 0) * (_HEIGHT - _TOP - _BOTTOM)


def _nice(value: float) -> float:
    """The next round number above."""
    if value <= 0:
        return 1.0
    scale: float = 10.0 ** math.floor(math.log10(value))
    return next(step * scale for step in _NICE if step * scale >= value * 0.999)


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1_000:g}k" if value >= 1_000 else f"{value:g}"
