"""How much of each node can be said from the others: model, ridge and what is known exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.report.figures import style


def by_pattern(labels: Sequence[tuple[str, str, Mapping[str, Any]]]) -> style.Figure:
    """R2 of every pattern and node.

    Args:
        labels: (what is given, node that is asked, its scores: "r2", "floors", "ceiling").
    """
    figure, axes = style.new_figure(7.5, 0.9 + 0.26 * len(labels), 1, 1)
    place = np.arange(len(labels))[::-1]
    methods = {
        "model": [one["r2"] for *_, one in labels],
        "ridge": [one["floors"].get("ridge", {}).get("r2") for *_, one in labels],
        "exact": [one.get("ceiling") for *_, one in labels],
    }
    colours = style.predictor_colours(["model", "ridge", "exact"], ["exact"])
    looks = {"model": "o", "ridge": "s", "exact": "|"}
    for name, values in methods.items():
        known = np.array([np.nan if value is None else value for value in values])
        if np.isfinite(known).any():
            size = 12 if name == "exact" else 5
            look = {"linestyle": "none", "markersize": size, "color": colours[name]}
            axes[0, 0].plot(known, place, looks[name], label=name, **look)
    named = [f"{style.plain(given)} → {style.plain(node)}" for given, node, _ in labels]
    axes[0, 0].set_yticks(place, named, fontsize=7)
    axes[0, 0].legend(loc="lower right", fontsize=7)
    axes[0, 0].set_xlim(right=1.0)
    style.finish(axes[0, 0], "R2, test trials", "", "")
    return figure
