"""Plots of curves as SVG, readable on light and on dark ground."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 78, 24, 76, 54
STYLE = """
  .ground { fill: #ffffff }
  text { font: 13px system-ui, sans-serif; fill: #3d3d3a }
  .title { font-size: 16px; font-weight: 600; fill: #141413 }
  .grid { stroke: #e3e3df; stroke-width: 1 }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .s0 { stroke: #2a6fbb; fill: #2a6fbb } .s1 { stroke: #c4551f; fill: #c4551f }
  .s2 { stroke: #17805a; fill: #17805a } .s3 { stroke: #8a4fb5; fill: #8a4fb5 }
  .line.s0, .line.s1, .line.s2, .line.s3 { fill: none }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #16181d }
    text { fill: #c9ccd1 } .title { fill: #f2f3f5 } .grid { stroke: #32363e }
    .s0 { stroke: #6cb0f5; fill: #6cb0f5 } .s1 { stroke: #f39a63; fill: #f39a63 }
    .s2 { stroke: #54cda0; fill: #54cda0 } .s3 { stroke: #c79bea; fill: #c79bea }
  }
"""
COLOURS = 4


@dataclass(frozen=True)
class Series:
    """A line of a plot: its name and its points."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """What an axis shows, with its unit, and how."""

    label: str
    logarithmic: bool = False
    # Names at 0, 1, 2 … in place of numbers.
    names: tuple[str, ...] = ()

    def ticks(self, values: Sequence[float]) -> list[float]:
        """Where it is labelled; the first and the last are its ends."""
        if self.names:
            return list(range(len(self.names)))
        if self.logarithmic:
            positive = [value for value in values if value > 0]
            first = math.floor(math.log10(min(positive)))
            last = max(first + 1, math.ceil(math.log10(max(positive))))
            return [10.0**power for power in range(first, last + 1)]
        top = max(*values, 1e-9)
        rough = top / 5
        unit = 10 ** math.floor(math.log10(rough))
        step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
        return [step * number for number in range(math.ceil(top / step) + 1)]

    def place(self, value: float, ticks: Sequence[float]) -> float:
        """Where a value lies between the ends, 0 to 1."""
        low, high = ticks[0], ticks[-1]
        if self.logarithmic:
            # Zero has no place there: it is drawn at the end.
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        return (value - low) / (high - low) if high > low else 0.5

    def text(self, tick: float) -> str:
        """Label of a tick."""
        if self.names:
            return self.names[int(tick)]
        return number(tick)


def number(value: float) -> str:
    """Write a number with three digits, as long as more would say nothing."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}"


def plot(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """Draw the series; there is one at least, and each has a point."""
    xs = x.ticks([point[0] for line in series for point in line.points])
    ys = y.ticks([point[1] for line in series for point in line.points])

    def across(value: float) -> float:
        return LEFT + x.place(value, xs) * (WIDTH - LEFT - RIGHT)

    def down(value: float) -> float:
        return HEIGHT - BOTTOM - y.place(value, ys) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        f'<text class="title" x="{LEFT}" y="26">{escape(title)}</text>',
    ]
    for tick in ys:
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(tick):.1f}" y2="{down(tick):.1f}"/>'
            f'<text x="{LEFT - 8}" y="{down(tick) + 4:.1f}" text-anchor="end">{escape(y.text(tick))}</text>'
        )
    for tick in xs:
        parts.append(
            f'<line class="grid" y1="{TOP}" y2="{HEIGHT - BOTTOM}" x1="{across(tick):.1f}" x2="{across(tick):.1f}"/>'
            f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 19}" text-anchor="middle">'
            f"{escape(x.text(tick))}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x.label)}</text>')
    upright = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="18" y="{upright}" text-anchor="middle" transform="rotate(-90 18 {upright})">{escape(y.label)}</text>'
    )
    legend = float(LEFT)
    for index, line in enumerate(series):
        colour = f"s{index % COLOURS}"
        points = sorted(line.points)
        way = " ".join(f"{across(left):.1f},{down(up):.1f}" for left, up in points)
        parts.append(f'<polyline class="line {colour}" points="{way}"/>')
        for left, up in points:
            what = f"{line.name}: {x.text(left)}, {number(up)}"
            parts.append(
                f'<circle class="{colour}" cx="{across(left):.1f}" cy="{down(up):.1f}" r="4">'
                f"<title>{escape(what)}</title></circle>"
            )
        parts.append(f'<circle class="{colour}" cx="{legend + 5:.0f}" cy="50" r="5"/>')
        parts.append(f'<text x="{legend + 15:.0f}" y="54">{escape(line.name)}</text>')
        # As wide as text of that size is at most, nearly.
        legend += 40 + 6.8 * len(line.name)
    return "\n".join([*parts, "</svg>", ""])
