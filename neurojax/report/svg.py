"""Small drawings inside a page: a map of dots that lead somewhere, traces, and bars."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from neurojax.report.page import text

_LEFT, _TOP, _BOTTOM = 46, 12, 40  # room around the map, in units of its drawing


class Dot(NamedTuple):
    """Attributes:
    x, y: place, in the units of the axes; x is positive.
    size: 0 to 1, share of the largest area.
    colour: of CSS.
    link: where the dot leads, "#f12".
    words: what is read when it is pointed at.
    """

    x: float
    y: float
    size: float
    colour: str
    link: str
    words: str


def dot_map(
    dots: Sequence[Dot], width: int, height: int, x_label: str, y_label: str, what: str
) -> str:
    """Dots over a logarithmic x axis (shares, drawn in percent) and a y axis of square roots, so
    that the many small ones do not lie on one line.

    Args:
        dots: the large ones are drawn first, so that none is covered.
        width, height: of the drawing; text has a size of 13.
        x_label, y_label: with units.
        what: what the drawing shows, for those who do not see it.
    """
    least = math.floor(math.log10(min((dot.x for dot in dots), default=0.1)) + 1e-9)
    least = max(min(least, -1), -5)
    top = max((dot.y for dot in dots), default=1.0) * 1.08 or 1.0

    def across(x: float) -> float:
        place = 1 - max(math.log10(max(x, 1e-12)), least) / least
        return _LEFT + 12 + place * (width - _LEFT - 32)

    def down(y: float) -> float:
        return _TOP + 10 + (1 - math.sqrt(max(y, 0.0) / top)) * (height - _TOP - _BOTTOM - 22)

    floor = height - _BOTTOM
    parts = [f'<line x1="{_LEFT}" y1="{floor}" x2="{width - 6}" y2="{floor}" class="axis"/>']
    for power in range(least, 1):
        name = f"{100 * 10.0**power:g} %"
        anchor = "middle" if power < 0 else "end"
        parts.append(
            _words(across(10.0**power) + (12 if power == 0 else 0), floor + 16, name, anchor)
        )
    for share in (0, 0.1, 0.4, 1):
        value = share * top / 1.08
        parts.append(_words(_LEFT - 6, down(value) + 4, f"{value:.2g}", "end"))
    parts.append(_words((_LEFT + width) / 2, height - 6, x_label, "middle"))
    middle = (_TOP + floor) / 2
    turned = f'transform="rotate(-90 12 {middle:.0f})"'
    parts.append(_words(12, middle, y_label, "middle", turned))
    for dot in sorted(dots, key=lambda dot: -dot.size):
        radius = 4 + 9 * math.sqrt(max(dot.size, 0.0))
        parts.append(
            f'<a href="{text(dot.link)}"><circle cx="{across(dot.x):.1f}" cy="{down(dot.y):.1f}" '
            f'r="{radius:.1f}" fill="{text(dot.colour)}"><title>{text(dot.words)}</title>'
            "</circle></a>"
        )
    return _drawing(width, height, what, parts)


def traces(curves: Sequence[Sequence[float]], what: str, width: int = 240, height: int = 56) -> str:
    """Curves over each other, the first the boldest; all from zero to the largest value."""
    top = max((max(curve, default=0.0) for curve in curves), default=0.0) or 1.0
    parts = [f'<line x1="0" y1="{height - 1}" x2="{width}" y2="{height - 1}" class="axis"/>']
    for number, curve in reversed(list(enumerate(curves))):
        step = width / max(len(curve) - 1, 1)
        points = " ".join(
            f"{place * step:.1f},{(height - 2) - value / top * (height - 5):.1f}"
            for place, value in enumerate(curve)
        )
        look = 'class="curve"' if number == 0 else 'class="curve pale"'
        parts.append(f'<polyline points="{points}" {look}/>')
    return _drawing(width, height, what, parts)


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """A bar a row: (name, share of the longest bar, value in words)."""
    cells = "".join(
        f"<span>{text(name)}</span><span class=bar>"
        f'<i style="width:{100 * min(max(share, 0.0), 1.0):.0f}%"></i></span>'
        f"<span class=soft>{text(value)}</span>"
        for name, share, value in rows
    )
    return f"<div class=bars>{cells}</div>"


def _drawing(width: int, height: int, what: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(what)}">'
        f"{''.join(parts)}</svg>"
    )


def _words(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" {more}'
    return f"<text {place}>{text(words)}</text>"
