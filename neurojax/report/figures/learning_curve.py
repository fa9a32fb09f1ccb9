"""A learning curve: points, the curve within and beyond the data, and where numbers end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.report.figures import style


def draw(curve: Any, bands: Sequence[Any], axis: str, score: str) -> style.Figure:
    """Points and the forecast's band; grey where the size is over 10 times beyond the data.

    Args:
        curve: points with `sizes` [M] and `scores` [M].
        bands: forecasts in order of size: `size`, `value` (None: no number), `low`, `high`,
            `run_low`, `run_high`, `level`.
        axis: what the size is, for the label.
        score: what was scored, for the label.
    """
    figure, ((axes,),) = style.new_figure(5.6, 3.8)
    known = [one for one in bands if one.value is not None]
    beyond = [one for one in bands if one.value is None]
    level = f"{100 * bands[0].level:g} %"
    for part, colour, words in (
        (known, style.BLUE, f"{level} interval of the curve"),
        (
            [*known[-1:], *beyond] if beyond else [],
            style.GREY,
            "the same, over 10 x beyond: no number",
        ),
    ):
        if part:
            sizes = [one.size for one in part]
            low, high = [one.low for one in part], [one.high for one in part]
            axes.fill_between(sizes, low, high, color=colour, alpha=0.25, linewidth=0, label=words)
    sizes = [one.size for one in known]
    axes.plot(sizes, [one.value for one in known], color=style.BLUE, label="forms by their weight")
    for end in ("run_low", "run_high"):
        label = f"{level} of single runs" if end == "run_low" else None
        values = [getattr(one, end) for one in known]
        axes.plot(sizes, values, ":", color=style.BLUE, linewidth=0.9, label=label)
    axes.plot(curve.sizes, curve.scores, "o", color=style.BLACK, markersize=4, label="points")
    axes.axvline(float(curve.sizes.max()), color=style.GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xscale("log")
    # An interval that says nothing may not squeeze the points.
    heights = np.array([*curve.scores, *(end for one in known for end in (one.low, one.high))])
    room = 0.15 * max(float(np.ptp(heights)), 1e-9)
    axes.set_ylim(heights.min() - room, heights.max() + room)
    style.legend_below(axes, 2)
    return style.finish(axes, style.plain(axis), style.plain(score), "Learning curve").figure
