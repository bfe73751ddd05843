"""The charts of the page, as one small SVG written by hand: no plotting library draws one below 20 KB."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from benchmarks.sessions.rivals import BARE_TASK, MACHINE

WIDTH = 860
PANEL = (400, 250)
MARGIN = (46, 36, 14, 34)  # left, top, right, bottom
COLOURS = {"published": "#8b8f98", "asyncio": "#2f6fde", "Trio": "#d9822b", "read + count": "#3a9d5d"}
COLOURS |= {MACHINE: COLOURS["read + count"], BARE_TASK: "#b0559d"}  # the machine's limits have one colour

Point = tuple[float, float]


@dataclass(slots=True)
class Panel:
    """One chart with logarithmic axes.

    `ticks` are the values that an axis names, with their labels.
    """

    title: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    x_is_log: bool = True
    y_is_log: bool = True
    lines: list[tuple[str, Sequence[Point]]] = field(default_factory=list)
    bars: list[tuple[str, float, float, float]] = field(default_factory=list)  # who, x, width, y

    def svg(self, left: float, top: float) -> str:
        """Drawn with its upper left corner there."""
        x, y = self._scales(left, top)
        bottom = top + PANEL[1] - MARGIN[3]
        parts = [f'<text x="{left + MARGIN[0]}" y="{top + 18}" font-weight="600">{escape(self.title)}</text>']
        for value, label in self.y_ticks:
            height = y(value)
            parts.append(
                f'<path d="M{left + MARGIN[0]} {height:.1f}H{left + PANEL[0] - MARGIN[2]}" stroke="#8886" fill="none"/>'
            )
            parts.append(
                f'<text x="{left + MARGIN[0] - 5}" y="{height + 4:.1f}" text-anchor="end">{label}</text>'
            )
        for value, label in self.x_ticks:
            parts.append(f'<text x="{x(value):.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
        for who, at, width, value in self.bars:
            height = y(value)
            parts.append(
                f'<rect x="{x(at):.1f}" y="{height:.1f}" width="{x(at + width) - x(at):.1f}" '
                f'height="{max(0.5, bottom - height):.1f}" fill="{colour(who)}"/>'
            )
        for who, points in self.lines:
            path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in points)
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour(who)}" stroke-width="2"/>')
        return "".join(parts)

    def _scales(self, left: float, top: float) -> tuple[Callable[[float], float], Callable[[float], float]]:
        xs, ys = [value for value, _ in self.x_ticks], [value for value, _ in self.y_ticks]
        x_low, x_high = (min(xs), max(xs)) if self.x_is_log else (min(xs) - 0.5, max(xs) + 0.5)
        across = _scale(x_low, x_high, self.x_is_log, left + MARGIN[0], left + PANEL[0] - MARGIN[2])
        up = _scale(min(ys), max(ys), self.y_is_log, top + PANEL[1] - MARGIN[3], top + MARGIN[1])
        return across, up


def _scale(low: float, high: float, is_log: bool, start: float, end: float) -> Callable[[float], float]:
    def place(value: float) -> float:
        value = min(max(value, low), high)
        share = math.log(value / low) / math.log(high / low) if is_log else (value - low) / (high - low)
        return start + share * (end - start)

    return place


def colour(who: str) -> str:
    """Of a rival."""
    return COLOURS["published"] if who.startswith("published") else COLOURS[who]


def draw(panels: Sequence[Panel]) -> str:
    """All panels, two in a row, and a legend."""
    rows = math.ceil(len(panels) / 2)
    height = rows * (PANEL[1] + 10) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="11" fill="#777">'
    ]
    for number, panel in enumerate(panels):
        parts.append(panel.svg(number % 2 * (PANEL[0] + 40), number // 2 * (PANEL[1] + 10)))
    at = MARGIN[0]
    for who, fill in COLOURS.items():
        parts.append(f'<rect x="{at}" y="{height - 20}" width="11" height="11" fill="{fill}"/>')
        parts.append(f'<text x="{at + 16}" y="{height - 10}">{who}</text>')
        at += 40 + 6 * len(who)
    return "\n".join([*parts, "</svg>", ""])
