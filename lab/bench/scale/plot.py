"""Line charts as small SVG files that can be read on a light and on a dark page."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from typing import Final
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

_WIDTH: Final = 720
_HEIGHT: Final = 320
_LEFT: Final = 76
_RIGHT: Final = 16
_TOP: Final = 64
_BOTTOM: Final = 44
_MOST_POINTS: Final = 160
_STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 14px; font-weight: 600 }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  .a { stroke: #0969da } .b { stroke: #bc4c00 } .c { stroke: #1a7f37; stroke-dasharray: 6 3 }
  .d { stroke: #8250df; stroke-dasharray: 2 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .grid { stroke: #3d444d }
    .a { stroke: #4493f8 } .b { stroke: #f0883e } .c { stroke: #3fb950 } .d { stroke: #ab7df8 }
  }
"""


def chart(title: str, across: str, up: str, lines: Mapping[str, Points]) -> str:
    """Return a chart: up to four lines, axes from 0, round steps."""
    xs = [x for points in lines.values() for x, _ in points]
    right, left = max(xs), min(xs)
    step_up = _round(max((y for points in lines.values() for _, y in points), default=1) / 5)
    top = step_up * ceil(max(y for points in lines.values() for _, y in points) / step_up) or 1
    step_across = _round((right - left) / 8)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (x - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - y / top * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [f'<text class="title" x="{_LEFT}" y="20">{escape(title)}</text>']
    for number in range(round(top / step_up) + 1):
        (x1, y1), (x2, _) = place(left, number * step_up), place(right, 0)
        parts.append(f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y1:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y1 + 4:.1f}" text-anchor="end">{_number(number * step_up)}</text>')
    for number in range(ceil(left / step_across), floor(right / step_across) + 1):
        x, y = place(number * step_across, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{number * step_across:g}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{escape(across)}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_TOP - 10}">{escape(up)}</text>')
    at = float(_LEFT)
    for kind, (name, points) in zip("abcd", lines.items(), strict=False):
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in thinned(points))
        parts.append(f'<polyline class="line {kind}" points="{path}"/>')
        parts.append(f'<line class="line {kind}" x1="{at:.0f}" y1="34" x2="{at + 22:.0f}" y2="34"/>')
        parts.append(f'<text x="{at + 28:.0f}" y="38">{escape(name)}</text>')
        at += 46 + 6.4 * len(name)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


def thinned(points: Points) -> list[tuple[float, float]]:
    """Return fewer points: of each stretch the highest, and both ends."""
    if len(points) <= _MOST_POINTS:
        return [*points]
    edges = [round(number * len(points) / _MOST_POINTS) for number in range(_MOST_POINTS + 1)]
    highest = [max(points[low:high], key=lambda point: point[1]) for low, high in pairwise(edges)]
    return [points[0], *highest, points[-1]]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _round(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
