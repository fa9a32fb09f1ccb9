"""Figures of a look inside: splice-in, unit embeddings, gradients from region to region, tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.report.figures import style

_NAMES = {
    "model": "own states",
    "spliced": "states made of features",
    "mean_state": "mean state",
    "zero_state": "zeros",
}
_SIGNALS = {
    "feature": ("feature", style.MODEL),
    "smoothed_unit": ("unit, smoothed", style.ORANGE),
    "unit": ("unit", style.GREY),
}
MAX_COLUMNS = 10


def colour_of(names: Sequence[str]) -> dict[str, str]:
    """Colour of each region; grey beyond those of the palette."""
    cycle = style.CYCLE[:-1]
    return {
        name: cycle[place] if place < len(cycle) else style.GREY for place, name in enumerate(names)
    }


def splice_in(block: Mapping[str, Any]) -> style.Figure:
    """Score of what the read-out is given, a bar each; dots are recordings."""
    figure, axes = style.new_figure(5.0, 3.2)
    axis, names = axes[0, 0], list(_NAMES)
    values = [block[name] for name in names]
    colours = [style.BLACK, style.MODEL, style.PALE, style.PALE]
    axis.barh(range(len(names)), values, color=colours, alpha=0.85)
    for place, name in enumerate(names):
        own = [one[name] for one in block["sessions"].values()]
        axis.plot(own, np.full(len(own), place), "o", color=style.GREY, markersize=3)
    axis.set_yticks(range(len(names)), [_NAMES[name] for name in names])
    axis.invert_yaxis()
    axis.axvline(0, color=style.GREY, linewidth=0.8)
    least = min(one[name] for one in block["sessions"].values() for name in names[:3])
    axis.set_xlim(left=min(0.0, 1.1 * min(least, *values[:3])))  # zeros may be worth far less
    return _titled(axis, f"{block['score']}, hidden units of test trials", "Splice-in")


def embeddings(block: Mapping[str, Any]) -> style.Figure:
    """Units by their rows, in the plane of the largest variance."""
    figure, axes = style.new_figure(5.0, 3.6)
    axis, picture = axes[0, 0], block["picture"]
    region = np.asarray(picture["region"])
    x, y = np.asarray(picture["x"]), np.asarray(picture["y"])
    colours = colour_of(block["regions"])
    for name in block["regions"]:
        own = region == name
        axis.scatter(x[own], y[own], s=9, color=colours[name], label=style.plain(name), alpha=0.75)
    style.legend_below(axis, ncols=4)
    axis.set_xticks([])
    axis.set_yticks([])
    return _titled(axis, "", "Units by their rows, coloured by region")


def gradients(block: Mapping[str, Any]) -> style.Figure:
    """Share of a region's prediction that moves with each other region."""
    names = [style.plain(name) for name in block["regions"]]
    size = max(3.4, 0.42 * len(names) + 1.6)
    figure, axes = style.new_figure(size + 1.2, size)
    axis = axes[0, 0]
    share = np.array([[np.nan if v is None else v for v in row] for row in block["share"]])
    image = axis.imshow(share, cmap=style.SCORE_MAP, vmin=0.0, vmax=max(np.nanmax(share), 0.01))
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axis.set_yticks(range(len(names)), names)
    bar = figure.colorbar(image, ax=axis, label="share of the variance")
    bar.outline.set_visible(False)
    style.finish(
        axis, "hidden region, predicted", "region whose spikes are read", "What one spike more does"
    )
    return figure


def tuning(columns: Mapping[str, Mapping[str, Any]]) -> style.Figure:
    """Best feature beside best unit for each column, both chosen on training trials."""
    names = sorted(columns, key=lambda name: -abs(columns[name]["feature"]))[:MAX_COLUMNS]
    figure, axes = style.new_figure(5.0, 1.2 + 0.34 * len(names))
    axis = axes[0, 0]
    for place, name in enumerate(names):
        axis.axhline(place, color=style.PALE, linewidth=0.6, zorder=0)
        for signal, (_, colour) in _SIGNALS.items():
            if signal in columns[name]:
                axis.plot(columns[name][signal], place, "o", color=colour)
    for label, colour in _SIGNALS.values():
        axis.plot([], [], "o", color=colour, label=label)
    axis.set_yticks(range(len(names)), [style.plain(name)[:24] for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.axvline(0, color=style.GREY, linewidth=0.8)
    figure.legend(loc="outside lower left", ncols=3)
    return _titled(axis, "correlation on test trials", "Best signal, chosen on training trials")


def _titled(axis: style.Axes, xlabel: str, title: str) -> style.Figure:
    style.finish(axis, xlabel, "", title)
    return axis.figure
