"""How many checks were sick, round by round, as a picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.report import markdown

_SIZE = (720, 120)


@dataclass(frozen=True)
class Point:
    """One past round of checks, for the trend."""

    at: datetime
    sick: int
    total: int


def picture(points: Sequence[Point]) -> str:
    """The trend as a picture within markdown; nothing where there was one round only."""
    if len(points) < 2:
        return ""
    worst = max(point.sick for point in points)
    drawn = base64.b64encode(_svg(points).encode()).decode()
    return f"![Sick checks over the last {len(points)} runs, at most {worst}](data:image/svg+xml;base64,{drawn})"


def _svg(points: Sequence[Point]) -> str:
    """A bar a round: how many of its checks were sick."""
    width, height = _SIZE
    top = max(1, *(point.sick for point in points))
    step = min(24.0, (width - 40) / len(points))
    bars = []
    for index, point in enumerate(points):
        tall = (height - 40) * point.sick / top
        colour, tall = ("#d1242f", tall) if point.sick else ("#1a7f37", 2.0)
        bars.append(
            f'<rect x="{40 + index * step:.1f}" y="{height - 20 - tall:.1f}" width="{max(1.0, step - 2):.1f}" '
            f'height="{tall:.1f}" fill="{colour}"><title>{markdown.moment(point.at.isoformat())}: {point.sick} of '
            f"{point.total}</title></rect>"
        )
    first, last = (markdown.moment(point.at.isoformat()) for point in (points[0], points[-1]))
    words = 'font-family="sans-serif" font-size="11" fill="#57606a"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<text x="0" y="12" {words}>sick checks a run</text><text x="30" y="30" text-anchor="end" {words}>{top}</text>'
        f'<text x="30" y="{height - 20}" text-anchor="end" {words}>0</text>'
        f'<line x1="40" y1="{height - 20}" x2="{width}" y2="{height - 20}" stroke="#9aa0a6"/>{"".join(bars)}'
        f'<text x="40" y="{height - 5}" {words}>{first}</text>'
        f'<text x="{width}" y="{height - 5}" text-anchor="end" {words}>{last}</text>'
        "</svg>"
    )
