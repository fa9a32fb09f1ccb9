"""Later runs minus the first, by session over trials and in the mean over sessions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurojax.report.figures import style
from neurojax.report.paired_runs import Difference

Ends = tuple[float, float] | None


def differences(
    axes: style.Axes,
    runs: Sequence[str],
    found: Sequence[Difference | None],
    *,
    title: str = "",
    score: str = "bits/spike, pooled",
    bars: str = "",
) -> style.Axes:
    """One task: a grey dot a session, a diamond the mean, with intervals; up is better.

    Args:
        axes: where to draw.
        runs: names of the later runs, along x.
        found: of each, None where it shares no scored session with the first.
        title: heading.
        score: what differs, with its unit.
        bars: what the bars are, for the foot of the axes.
    """
    axes.axhline(0, color=style.BLACK, linewidth=0.8)
    for place, one in enumerate(found):
        if one is None:
            continue
        offsets = (
            place + np.linspace(-0.32, 0.32, len(one.sessions))
            if len(one.sessions) > 1
            else [place - 0.2]
        )
        for x, (value, ends) in zip(offsets, one.sessions.values(), strict=True):
            half = _half_widths(value, ends)
            axes.errorbar(
                [x],
                [value],
                half,
                fmt="o",
                markersize=3,
                color=style.GREY,
                elinewidth=0.9,
                alpha=0.7,
            )
        look = {
            "fmt": "D",
            "markersize": 5.5,
            "elinewidth": 2.0,
            "capsize": 6,
            "capthick": 2.0,
            "zorder": 3,
        }
        # As in the figure of all runs, where the first run has a colour too.
        colour = style.CYCLE[(place + 1) % len(style.CYCLE)]
        # One session has no spread over sessions: its bar is over its trials.
        ends = one.ci95 if len(one.sessions) > 1 else one.trials_ci95
        axes.errorbar([place], [one.mean], _half_widths(one.mean, ends), color=colour, **look)
    axes.set_xticks(range(len(runs)), [style.plain(name) for name in runs])
    axes.set_xlim(-0.6, len(runs) - 0.4)
    return style.finish(axes, bars, f"difference ({score})", title)


def _half_widths(value: float, ends: Ends) -> np.ndarray | None:
    """[2, 1] below and above the value; None where there is no interval."""
    if ends is None:
        return None
    low, high = ends
    return np.maximum([[value - low], [high - value]], 0.0)
